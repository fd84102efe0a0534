"""A metric against the parameter that was swept; two long axes as a heat map."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.analysis.measurements import pooled
from dlx.analysis.metrics import Share, parse
from dlx.analysis.settings import ABSENT, shown
from dlx.analysis.writing import state_said
from dlx.charts import ChartSpec
from dlx.drawing.axes import log_axis
from dlx.drawing.interaction import Series
from dlx.drawing.palette import HEAT
from dlx.drawing.panels import Told, cases, escaped, legend, panels, quoted
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, axes_of, counts_said, place_of
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError, nearest
from dlx.language import _

_USUAL = "test_accuracy"
_LEAST_SHARES = 0.02
"""The least range of an axis of accuracies."""
_WIDE = 30.0
"""Values whose largest is this many times the smallest, at even ratios, stand on a log axis."""


class Spec(ChartSpec):
    """Options of ``dlx plot sweep``."""

    name: Literal["sweep"] = "sweep"
    summary: ClassVar[str] = "a metric against the swept parameter: mean, 95 % interval, single seeds; heat map for two"

    metric: str | None = Field(
        default=None,
        description="as in dlx compare: test_accuracy@best, grad_ratio, …; null: test_accuracy, or test_rmse",
    )
    x: str | None = Field(default=None, description="the parameter along the axis; null: the one with most numbers")
    style: Literal["lines", "heatmap"] | None = Field(
        default=None,
        description="lines or heatmap; null: a heat map where two parameters have four values or more each",
    )

    def heading(self) -> str:
        return _heading(self.metric or _USUAL)

    def data(self, subject: Sequence[Group]) -> Tidy:
        """Per setting: n, mean and interval of the metric (``part`` ``mean``), and each trial's (``part`` ``seed``).

        As in ``dlx compare``, of trials that are done; of shares, of those that diverged too.
        """
        metric = parse(self.metric or _usual(subject))
        axes = self._order(subject)
        rows: list[dict[str, Any]] = []
        missing = ""
        ended = ("done", "diverged") if isinstance(metric, Share) else ("done",)
        without: Counter[str] = Counter()
        for group in subject:
            values: dict[Hashable, float] = {}
            for run in group.runs:
                if run.state not in ended:
                    without[run.state] += 1
                    continue
                measured = metric.measure(run.tables)
                missing = missing or measured.why or ""
                if math.isfinite(measured.value):
                    values[run.seed, *run.division] = measured.value
                    row = {"part": "seed", **place_of(group), "seed": run.seed, "metric": metric.text}
                    rows.append({**row, "value": measured.value})
            if values:
                mean = pooled(metric, values, max(run.overlap for run in group.runs))
                row = {"part": "mean", **place_of(group), "metric": metric.text, "n": mean.n}
                rows.append({**row, "value": mean.mean, "low": mean.low, "high": mean.high})
        if not rows:
            others = ", ".join(f"{count} {state}" for state, count in without.items())
            why = f"none is done: {others}" if others else "its values are not finite numbers"
            raise UsageError(f"no trial has {metric.text}", hint=missing or why)
        count = counts_said(row["n"] for row in rows if row["part"] == "mean")
        folds = any(run.overlap for group in subject for run in group.runs)
        if count == "1":
            spread = _("one trial") if folds else _("one seed")
        else:
            trials = _("mean of {count} trials with 95% confidence interval")
            seeds = _("mean of {count} seeds with 95% confidence interval")
            spread = (trials if folds else seeds).format(count=count)
        if without:
            others = ", ".join(f"{count} {state_said(state)}" for state, count in without.items())
            spread += "; " + _("left out: {others}").format(others=others)
        return Tidy(
            ("part", "setting", *axes_of(subject), "seed", "metric", "n", "value", "low", "high"),
            rows,
            axes,
            caption=_("{metric} by {axes}; {spread}.").format(
                metric=_title(metric.text), axes=", ".join(axes) or _("setting"), spread=spread
            ),
            subtitle=spread,
            heading=_heading(metric.text, axes),
        )

    def _order(self, groups: Sequence[Group]) -> tuple[str, ...]:
        """The swept parameters, the one along the axis first: most values, numbers before words.

        Without the fields of a member that another of them names: pretraining says which has an optimizer.
        """
        axes = axes_of(groups)
        if self.x is not None and self.x not in axes:
            raise UsageError(f"--x: trials do not differ in {self.x!r}", hint=nearest(self.x, axes))

        def weight(axis: str) -> tuple[bool, bool, int]:
            values = {group.values.get(axis) for group in groups}
            return axis == self.x, _numeric(values), len(values)

        kept: list[str] = []
        nothing = (None, shown(ABSENT), _("none"))
        for axis in sorted(axes, key=weight, reverse=True):
            absent = any(group.values.get(axis) in nothing for group in groups)
            if not (absent and any(_decides(groups, other, axis) for other in kept)):
                kept.append(axis)
        return tuple(kept)

    def curves(self, tidy: Tidy) -> Curves | None:
        x = tidy.axes[0] if tidy.axes else None
        if x is None or not _numeric(tidy.distinct(x)):
            return None
        return Curves(x, "value", tidy.axes[1:], ("metric",), where={"part": "mean"})

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        if self.style == "heatmap" and len(tidy.axes) < 2:
            raise UsageError("a heat map needs two parameters in which the trials differ")
        long = [axis for axis in tidy.axes[:2] if len(tidy.distinct(axis)) >= 4]
        if len(tidy.axes) == 2 and (
            self.style == "heatmap" or (self.style is None and len(long) == 2 and not _zipped(tidy))
        ):
            return self._heat_map(tidy, canvas)
        return self._lines(tidy, canvas)

    def _lines(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        zipped = _zipped(tidy)
        x, *others = ("setting",) if zipped or not tidy.axes else tidy.axes
        told = (
            Told(others[0], tuple(tidy.distinct(others[0])), None)
            if others
            else Told("metric", tuple(tidy.distinct("metric")), None)
        )
        grid = panels(tidy, canvas, others[1] if len(others) > 1 else "metric", height=1.1)
        values = tidy.distinct(x)
        numeric = _numeric(values)
        series = Series(canvas, told.field, told.values)
        title = _title(tidy.rows[0]["metric"])
        fraction = _is_share(tidy.rows[0]["metric"])
        axis = alt.Axis(title=title, **({"format": "~%"} if fraction else {}), tickCount=6, labelFlush=False)
        scale = {"scale": alt.Scale(zero=False, domain=_ends(tidy, fraction), nice=not fraction), "axis": axis}
        # Where seeds and intervals of several series would lie on one another, they stand side by side.
        base = alt.Chart(alt.NamedData(DATA)).encode(color=told.colour(canvas))
        if numeric:
            ordered = sorted(values)
            along = _along(x, ordered, grid.width, canvas)
            place = _beside(x, ordered, told, along["scale"], canvas.theme.text * 0.45 / grid.width)
            base = base.transform_calculate(place_=place).encode(x=alt.X("place_:Q", **along))
        else:
            # A setting of several parameters has a line for each.
            words = [part for value in values for part in str(value).split(", ")] if zipped else values
            lines = {"labelExpr": "split(datum.value, ', ')"} if zipped else {}
            axis_ = alt.Axis(labelAngle=_angle(words, grid.width, canvas, len(values)), grid=False, **lines)
            base = base.encode(x=alt.X(f"{escaped(x)}:N", sort=values, title=None if zipped else x, axis=axis_))
            if len(told.values) > 1:
                base = base.encode(xOffset=alt.XOffset(f"{escaped(told.field)}:N", sort=list(told.values)))
        means = base.transform_filter("datum.part === 'mean'")
        y = alt.Y("value:Q", **scale)
        size = canvas.theme.point
        dots = means.mark_point(filled=True, size=size * 1.6).encode(y=y, opacity=series.opacity())
        bars = (
            means.transform_filter("isValid(datum.low)")
            .mark_rule(strokeWidth=canvas.theme.line * 0.7, clip=True)
            .encode(y=alt.Y("low:Q", **scale), y2="high:Q", opacity=series.opacity())
        )
        single = base.transform_filter("datum.part === 'seed'").mark_point(
            filled=False, size=size, strokeWidth=canvas.theme.line / 2
        )
        layers = [dots, bars, single.encode(y=y, opacity=series.opacity(0.85))]
        if numeric:
            layers.insert(
                1, means.mark_line(strokeWidth=canvas.theme.line * 0.8).encode(y=y, opacity=series.opacity(0.8))
            )
        style = ".2%" if fraction else ".4~g"
        tooltip = [
            *(alt.Tooltip(f"{escaped(name)}:N", title=name) for name in tidy.axes),
            alt.Tooltip("value:Q", title=title, format=style),
            alt.Tooltip("low:Q", title=_("interval from"), format=style),
            alt.Tooltip("high:Q", title=_("to"), format=style),
            alt.Tooltip("n:Q", title=_("seeds")),
        ]
        return grid.of(series.hoverable(layers, means.encode(y=y), tooltip))

    def _heat_map(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        x, y = tidy.axes
        columns, rows = tidy.distinct(x), tidy.distinct(y)
        numeric = [sorted(values) if _numeric(values) else values for values in (columns, rows)]
        fraction = _is_share(tidy.rows[0]["metric"])
        style = ".1%" if fraction else ".3~g"
        title = _title(tidy.rows[0]["metric"])
        means = tidy.numbers("value")
        middle = (min(means) + max(means)) / 2
        width = canvas.width
        height = max(
            min(width / len(columns) * len(rows), canvas.theme.height * 1.3), canvas.theme.text * 1.6 * len(rows)
        )
        base = (
            alt.Chart(alt.NamedData(DATA))
            .transform_filter("datum.part === 'mean'")
            .encode(
                x=alt.X(
                    f"{escaped(x)}:O",
                    sort=numeric[0],
                    title=x,
                    axis=alt.Axis(labelAngle=_angle(columns, width, canvas)),
                ),
                y=alt.Y(f"{escaped(y)}:O", sort=numeric[1][::-1] if _numeric(rows) else numeric[1], title=y),
                tooltip=[
                    alt.Tooltip(f"{escaped(x)}:O", title=x),
                    alt.Tooltip(f"{escaped(y)}:O", title=y),
                    alt.Tooltip("value:Q", title=title, format=style),
                    alt.Tooltip("low:Q", title=_("interval from"), format=style),
                    alt.Tooltip("high:Q", title=_("to"), format=style),
                    alt.Tooltip("n:Q", title=_("seeds")),
                ],
            )
        )
        bar = legend(
            title,
            canvas,
            **({"format": "~%"} if fraction else {}),
            gradientLength=height * 0.8 if not canvas.theme.narrow else width * 0.8,
        )
        cells = base.mark_rect(stroke="white").encode(
            color=alt.Color("value:Q", scale=alt.Scale(scheme=HEAT, zero=False), legend=bar)
        )
        layers = [cells]
        if width / len(columns) > canvas.theme.text * 3.2:
            size = canvas.theme.text * 0.85
            words = base.mark_text(fontSize=size).encode(
                text=alt.Text("value:Q", format=style),
                color=alt.condition(f"datum.value > {middle!r}", alt.value("black"), alt.value("white")),
            )
            layers.append(words)
        return alt.layer(*layers).properties(width=width, height=height)


def _heading(metric: str, axes: Sequence[str] = ()) -> str:
    """``test accuracy by depth and activation``; of more parameters, by setting."""
    by = _("setting")
    if 1 <= len(axes) <= 2:
        by = axes[0] if len(axes) == 1 else _("{one} and {other}").format(one=axes[0], other=axes[1])
    return _("{metric} by {axes}").format(metric=_title(metric), axes=by)


def _usual(groups: Sequence[Group]) -> str:
    """What trials of this kind are judged by."""
    runs = (run for group in groups for run in group.runs)
    return next(("test_rmse" for run in runs if "train_rmse" in run.table("metrics").columns), _USUAL)


def _along(x: str, ordered: Sequence[float], width: float, canvas: Canvas) -> dict[str, Any]:
    """Scale and axis of a number: its own values are the ticks as long as they have room."""
    import altair as alt

    if _spread_evenly_by_ratio(ordered):
        options = log_axis(ordered, x)
        room = width / (canvas.theme.text * 3.5)
        if len(ordered) <= room:
            options["axis"].values = ordered
        options["axis"].grid = False
        return options
    longest = max(len(f"{value:,g}") for value in ordered)
    room = width / (canvas.theme.text * max(2.5, 0.6 * longest + 0.8))
    ticks = {"values": ordered} if len(ordered) <= room else {"tickCount": int(room), "labelOverlap": "greedy"}
    margin = (ordered[-1] - ordered[0] or 1) * 0.04
    scale = alt.Scale(domain=[ordered[0] - margin, ordered[-1] + margin], nice=False)
    return {"scale": scale, "axis": alt.Axis(title=x, grid=False, labelFlush=False, **ticks)}


def _beside(x: str, ordered: Sequence[float], told: Told, scale: Any, step: float) -> str:
    """The expression of a point's place on the axis: each series a ``step`` beside the one before, in its length.

    Where values are close to each other, the series of one stay well within half of the way to the next.
    """
    low, high = scale.domain
    logarithmic = scale.type == "log"
    places = [math.log(value / low, high / low) if logarithmic else (value - low) / (high - low) for value in ordered]
    room = min((after - before for before, after in itertools.pairwise(places)), default=1.0)
    count = len(told.values)
    step = min(step, 0.4 * room / max(1, count - 1))
    shifts = [step * (number - (count - 1) / 2) for number in range(count)]
    moved = [(high / low) ** shift if logarithmic else shift * (high - low) for shift in shifts]
    sign, nothing = ("*", 1.0) if logarithmic else ("+", 0.0)
    return f"datum[{quoted(x)}] {sign} ({cases(told.field, dict(zip(told.values, moved, strict=True)), nothing)})"


def _numeric(values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _spread_evenly_by_ratio(ordered: Sequence[float]) -> bool:
    """Whether numbers were chosen on a log scale: positive, far apart, closer by ratio than by difference."""
    if len(ordered) < 3 or ordered[0] <= 0:
        return False
    ratios = [high / low for low, high in itertools.pairwise(ordered)]
    return ordered[-1] / ordered[0] >= _WIDE or (min(ratios) >= 1.9 and max(ratios) / min(ratios) <= 1.6)


def _angle(words: Sequence[Any], width: float, canvas: Canvas, count: int | None = None) -> int:
    """Words, at ``count`` ticks if not at one each, stand level unless they would overlap."""
    longest = max((len(str(word)) for word in words), default=1)
    return 0 if longest * canvas.theme.text * 0.55 <= width / max(1, count or len(words)) else -40


def _decides(groups: Sequence[Group], axis: str, other: str) -> bool:
    """Whether a parameter's value says what another's is."""
    pairs = {(group.values.get(axis), group.values.get(other)) for group in groups}
    return len(pairs) == len({value for value, _other in pairs})


def _zipped(tidy: Tidy) -> bool:
    """Whether two parameters vary together, each value of one with one value of the other: they are no grid."""
    if len(tidy.axes) != 2:
        return False
    pairs = {(row.get(tidy.axes[0]), row.get(tidy.axes[1])) for row in tidy.rows}
    return len(pairs) > 1 and all(len({pair[side] for pair in pairs}) == len(pairs) for side in (0, 1))


def _is_share(metric: str) -> bool:
    return ("accuracy" in metric.partition("@")[0] and "(" not in metric) or metric.startswith("share(")


def _ends(tidy: Tidy, share: bool) -> list[float]:
    """The ends of the metric's axis; of shares within what can be, however wide an interval is."""
    numbers = tidy.numbers("value")
    spread = tidy.numbers("value", "low", "high")
    reach = max(numbers) - min(numbers) or abs(max(numbers)) * 0.1 or 1.0
    # An interval from two seeds may be wider than all that was measured: it may leave the picture, the points may not.
    low, high = max(min(spread), min(numbers) - reach), min(max(spread), max(numbers) + reach)
    margin = max(high - low, _LEAST_SHARES if share else 0.0) * 0.05
    if share and high - low < _LEAST_SHARES:  # a tenth of a point is not to look like a world of difference
        margin += (_LEAST_SHARES - (high - low)) / 2
    low, high = low - margin, high + margin
    if share:
        return [max(0.0, low), min(1.0, high)]
    # An interval may reach below zero, where an error, a norm or a time cannot be.
    positive = min(numbers) >= 0 and not str(tidy.rows[0]["metric"]).partition("@")[0].endswith("_r2")
    return [max(0.0, low) if positive else low, high]


def _title(metric: str) -> str:
    """A metric in words where it is a common one."""
    words = {
        "test_accuracy": _("test accuracy"),
        "test_rmse": _("root mean square error"),
        "val_accuracy": _("validation accuracy"),
        "train_accuracy": _("training accuracy"),
        "test_loss": _("test loss"),
        "val_loss": _("validation loss"),
        "train_loss": _("training loss"),
    }
    name, _at, when = metric.partition("@")
    title = words.get(name, name)
    return title if when in ("", "last") else f"{title} ({when})"
