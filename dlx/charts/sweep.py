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
from dlx.analysis.writing import state_said
from dlx.charts import ChartSpec
from dlx.drawing.axes import log_axis
from dlx.drawing.interaction import Series
from dlx.drawing.palette import HEAT
from dlx.drawing.panels import Told, escaped, legend, panels
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, axes_of, place_of
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError, nearest
from dlx.language import _

_USUAL = "test_accuracy"
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
            raise UsageError(
                f"no trial has {metric.text}", hint=missing or (f"none is done: {others}" if others else None)
            )
        counts = sorted({row["n"] for row in rows if row["part"] == "mean"})
        seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"
        said = _("mean of {seeds} seeds with 95% confidence interval")
        if any(run.overlap for group in subject for run in group.runs):
            said = _("mean of {seeds} trials with 95% confidence interval")
        spread = "" if seeds == "1" else said.format(seeds=seeds)
        if without:
            others = ", ".join(f"{count} {state_said(state)}" for state, count in without.items())
            spread = "; ".join(part for part in (spread, _("left out: {others}").format(others=others)) if part)
        return Tidy(
            ("part", "setting", *axes, "seed", "metric", "n", "value", "low", "high"),
            rows,
            axes,
            caption=_("{metric} by {axes}. {spread}")
            .format(metric=_title(metric.text), axes=", ".join(axes) or _("setting"), spread=spread)
            .strip(),
            subtitle=spread,
            heading=_heading(metric.text),
        )

    def _order(self, groups: Sequence[Group]) -> tuple[str, ...]:
        """The swept parameters, the one along the axis first: most values, numbers before words."""
        axes = axes_of(groups)
        if self.x is not None and self.x not in axes:
            raise UsageError(f"--x: trials do not differ in {self.x!r}", hint=nearest(self.x, axes))

        def weight(axis: str) -> tuple[bool, bool, int]:
            values = {group.values.get(axis) for group in groups}
            return axis == self.x, _numeric(values), len(values)

        return tuple(sorted(axes, key=weight, reverse=True))

    def curves(self, tidy: Tidy) -> Curves | None:
        x = tidy.axes[0] if tidy.axes else None
        if x is None or not _numeric(tidy.distinct(x)):
            return None
        return Curves(x, "value", tidy.axes[1:], ("metric",), where={"part": "mean"})

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        if self.style == "heatmap" and len(tidy.axes) < 2:
            raise UsageError("a heat map needs two parameters in which the trials differ")
        long = [axis for axis in tidy.axes[:2] if len(tidy.distinct(axis)) >= 4]
        if len(tidy.axes) == 2 and (self.style == "heatmap" or (self.style is None and len(long) == 2)):
            return self._heat_map(tidy, canvas)
        return self._lines(tidy, canvas)

    def _lines(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        x, *others = tidy.axes or ("setting",)
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
        along = (
            _along(x, values, grid.width, canvas)
            if numeric
            else alt.X(
                f"{escaped(x)}:N",
                sort=values,
                title=x,
                axis=alt.Axis(labelAngle=_angle(values, grid.width, canvas), grid=False),
            )
        )
        # Where seeds and intervals of several series would lie on one another, they stand side by side.
        shift = (
            {}
            if numeric or len(told.values) == 1
            else {"xOffset": alt.XOffset(f"{escaped(told.field)}:N", sort=list(told.values))}
        )
        base = alt.Chart(alt.NamedData(DATA)).encode(x=along, color=told.colour(canvas), **shift)
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
            filled=False, size=size, strokeWidth=canvas.theme.line / 3
        )
        layers = [dots, bars, single.encode(y=y, opacity=series.opacity(0.65))]
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


def _heading(metric: str) -> str:
    return _("{metric} by setting").format(metric=_title(metric))


def _usual(groups: Sequence[Group]) -> str:
    """What trials of this kind are judged by."""
    runs = (run for group in groups for run in group.runs)
    return next(("test_rmse" for run in runs if "train_rmse" in run.table("metrics").columns), _USUAL)


def _along(x: str, values: Sequence[Any], width: float, canvas: Canvas) -> Any:
    """The axis of a number: its own values are the ticks as long as they have room."""
    import altair as alt

    ordered = sorted(values)
    name = escaped(x)
    if _spread_evenly_by_ratio(ordered):
        options = log_axis(ordered, x)
        room = width / (canvas.theme.text * 3.5)
        if len(ordered) <= room:
            options["axis"].values = ordered
        options["axis"].grid = False
        return alt.X(f"{name}:Q", **options)
    longest = max(len(f"{value:,g}") for value in ordered)
    room = width / (canvas.theme.text * max(2.5, 0.6 * longest + 0.8))
    ticks = {"values": ordered} if len(ordered) <= room else {"tickCount": int(room), "labelOverlap": "greedy"}
    margin = (ordered[-1] - ordered[0] or 1) * 0.04
    scale = alt.Scale(domain=[ordered[0] - margin, ordered[-1] + margin], nice=False)
    return alt.X(f"{name}:Q", scale=scale, axis=alt.Axis(title=x, grid=False, labelFlush=False, **ticks))


def _numeric(values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _spread_evenly_by_ratio(ordered: Sequence[float]) -> bool:
    """Whether numbers were chosen on a log scale: positive, far apart, closer by ratio than by difference."""
    if len(ordered) < 3 or ordered[0] <= 0:
        return False
    ratios = [high / low for low, high in itertools.pairwise(ordered)]
    return ordered[-1] / ordered[0] >= _WIDE or (min(ratios) >= 1.9 and max(ratios) / min(ratios) <= 1.6)


def _angle(values: Sequence[Any], width: float, canvas: Canvas) -> int:
    """Words stand upright only where they would overlap."""
    longest = max((len(str(value)) for value in values), default=1)
    return 0 if longest * canvas.theme.text * 0.55 <= width / max(1, len(values)) else -40


def _is_share(metric: str) -> bool:
    return ("accuracy" in metric.partition("@")[0] and "(" not in metric) or metric.startswith("share(")


def _ends(tidy: Tidy, share: bool) -> list[float]:
    """The ends of the metric's axis; of shares within what can be, however wide an interval is."""
    numbers = tidy.numbers("value")
    spread = tidy.numbers("value", "low", "high")
    reach = max(numbers) - min(numbers) or abs(max(numbers)) * 0.1 or 1.0
    # An interval from two seeds may be wider than all that was measured: it may leave the picture, the points may not.
    low, high = max(min(spread), min(numbers) - reach), min(max(spread), max(numbers) + reach)
    margin = (high - low) * 0.05
    return [max(0.0, low - margin), min(1.0, high + margin)] if share else [low - margin, high + margin]


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
