"""How well a net does in the course of training: on what it trains on, and on what it does not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec
from dlx.drawing.axes import count_axis
from dlx.drawing.interaction import Series
from dlx.drawing.panels import dashes, escaped, panels, told_apart
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, Run, axes_of, place_of, pooled, rows_of_stage, spread_said, thinned
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError, nearest
from dlx.language import _
from dlx.models import ListOf

PARTS = ("train", "val", "test")


class Spec(ChartSpec):
    """Options of ``dlx plot accuracy``."""

    name: Literal["accuracy"] = "accuracy"
    summary: ClassVar[str] = "accuracy (or another metric) over the epochs, on training and validation data"
    source: ClassVar[str] = "Nielsen, Neural Networks and Deep Learning (2015), chapter 3"

    metric: str | None = Field(
        default=None, description="accuracy, loss, …: a column of metrics.csv without its part; null: accuracy, or rmse"
    )
    parts: ListOf[Literal["train", "val", "test"]] = Field(
        default=("train", "val"), description="which of train, val and test; a part that was not measured is left out"
    )
    stage: str | None = Field(default=None, description="a stage of training; null: the last")
    from_epoch: int = Field(default=0, ge=0, description="the first epoch drawn: 1 leaves out the untrained net")

    def heading(self) -> str:
        return _("Learning curves")

    def data(self, subject: Sequence[Group]) -> Tidy:
        """Per setting, part and epoch: the mean over seeds, the smallest and the largest value."""
        metric = self.metric or _usual(subject)
        rows: list[dict[str, Any]] = []
        for group in subject:
            curves: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
            for run in group.runs:
                for part, epoch, value in self._curve(run, metric):
                    curves[part][epoch].append(value)
            for part in self.parts:
                for epoch in thinned(sorted(epoch for epoch in curves[part] if epoch >= self.from_epoch)):
                    if point := pooled(curves[part][epoch]):
                        place = {**place_of(group), "part": part_said(part), "epoch": epoch, "metric": metric}
                        rows.append({**place, "mean": point.mean, "low": point.low, "high": point.high, "n": point.n})
        if not rows:
            since = f" from epoch {self.from_epoch} on" if self.from_epoch else ""
            raise UsageError(f"no {metric} was measured on {' or '.join(self.parts)}{since}")
        spread = spread_said(subject)
        return Tidy(
            ("setting", *axes_of(subject), "part", "epoch", "metric", "mean", "low", "high", "n"),
            rows,
            axes_of(subject),
            caption=_("{metric} in the course of training; {spread}.").format(metric=said(metric), spread=spread),
            subtitle=spread,
        )

    def _curve(self, run: Run, metric: str) -> list[tuple[str, int, float]]:
        rows = run.table("metrics")
        positions = rows_of_stage(rows, self.stage)
        epochs = rows.ints("epoch")
        found: list[tuple[str, int, float]] = []
        known = {name.partition("_")[2] for name in rows.columns if name.partition("_")[0] in PARTS}
        if metric not in known:
            raise UsageError(f"{run.name} measured no {metric!r}", hint=nearest(metric, known))
        for part in self.parts:
            values = rows.floats(f"{part}_{metric}")
            found += [(part, epochs[at] or 0, value) for at in positions if (value := values[at]) is not None]
        return found

    def curves(self, tidy: Tidy) -> Curves:
        return Curves("epoch", "mean", ("setting",), ("part",))

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        told = told_apart(tidy)
        grid = panels(tidy, canvas, told.panel) if told.panel else panels(tidy, canvas, "metric")
        series = Series(canvas, told.field, told.values)
        metric = tidy.rows[0]["metric"]
        numbers = tidy.numbers("low", "high")
        share = str(metric).endswith("accuracy")
        axis = alt.Axis(title=said(str(metric)), **({"format": ".0%"} if share else {}), tickCount=6, labelFlush=False)
        scale = {"scale": alt.Scale(zero=False, domain=_ends(numbers, share), nice=not share), "axis": axis}
        at = alt.X("epoch:Q", **count_axis(tidy.numbers("epoch"), _("epoch"), grid.width, canvas.theme.text))
        parts = tidy.distinct("part")
        base = alt.Chart(alt.NamedData(DATA)).encode(x=at)
        line = base.mark_line().encode(
            color=told.colour(canvas),
            y=alt.Y("mean:Q", **scale),
            strokeDash=dashes("part", parts, canvas),
            opacity=series.opacity(),
        )
        band = base.mark_area().encode(
            y=alt.Y("low:Q", **scale),
            y2="high:Q",
            color=told.colour(canvas),
            detail="part:N",
            opacity=series.opacity(0.18),
        )
        tooltip = [
            *(alt.Tooltip(f"{escaped(axis)}:N", title=axis) for axis in tidy.axes),
            alt.Tooltip("part:N", title=_("data")),
            alt.Tooltip("epoch:Q", title=_("epoch")),
            alt.Tooltip("mean:Q", title=said(str(metric)), format=".2%" if share else ".4~g"),
            alt.Tooltip("low:Q", title=_("smallest"), format=".2%" if share else ".4~g"),
            alt.Tooltip("high:Q", title=_("largest"), format=".2%" if share else ".4~g"),
        ]
        layers = [line, band] if any(row["n"] > 1 for row in tidy.rows) else [line]
        return grid.of(
            series.hoverable(layers, base.encode(color=told.colour(canvas), y=alt.Y("mean:Q", **scale)), tooltip)
        )


def _usual(groups: Sequence[Group]) -> str:
    """``accuracy`` of classifiers, ``rmse`` of regressions."""
    for group in groups:
        for run in group.runs:
            return "accuracy" if "train_accuracy" in run.table("metrics").columns else "rmse"
    return "accuracy"


def part_said(part: str) -> str:
    """A part of the data in words."""
    return {"train": _("training"), "val": _("validation"), "test": _("test")}[part]


def said(metric: str) -> str:
    """A metric in words."""
    words = {"accuracy": _("accuracy"), "loss": _("loss"), "rmse": _("root mean square error"), "r2": "R²"}
    return words.get(metric, metric.replace("_", " "))


def _ends(numbers: Sequence[float], share: bool) -> list[float] | Any:
    """The ends of the axis: of accuracies with a little room, but not beyond what can be."""
    low, high = min(numbers, default=0.0), max(numbers, default=1.0)
    margin = (high - low or 0.1) * 0.04
    return [max(0.0, low - margin), min(1.0, high + margin)] if share else [low - margin, high + margin]
