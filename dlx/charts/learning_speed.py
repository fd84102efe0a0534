"""How fast each layer learns: the norm of its gradient over the epochs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec
from dlx.drawing.axes import count_axis, log_axis
from dlx.drawing.depth import EVERY_LAYER, Layer
from dlx.drawing.interaction import Series
from dlx.drawing.norms import Parameter, Source, after_epochs, norms, said
from dlx.drawing.panels import by_layer, panels
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, axes_of, place_of, pooled, spread_said, thinned
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy, geometric_mean
from dlx.language import _


class Spec(ChartSpec):
    """Options of ``dlx plot learning-speed``."""

    name: Literal["learning_speed"] = "learning_speed"
    summary: ClassVar[str] = "the gradient norm of each layer over the epochs, one panel per setting, log axis"
    source: ClassVar[str] = "Nielsen, Neural Networks and Deep Learning (2015), chapter 5"

    parameter: Parameter = Field(default=None, description="bias, kernel or all; null: bias where every layer has one")
    source_of_norm: Source = Field(default=None, description="probe (a fixed sample) or train (the mini-batches)")
    x: Literal["epoch", "step"] = Field(default="epoch", description="epoch or step")
    stage: str | None = Field(default=None, description="a stage of training; null: the last")
    every_layer: bool = Field(default=False, description=EVERY_LAYER)

    def heading(self) -> str:
        return _("Speed of learning of each layer")

    def data(self, subject: Sequence[Group]) -> Tidy:
        """Per setting, ``x`` and layer: the geometric mean over seeds, the smallest and the largest norm."""
        found = norms(subject, self.parameter, self.source_of_norm, self.stage)
        if not self.every_layer:
            found = found.together()
        rows: list[dict[str, Any]] = []
        dropped = 0
        for group, trials in zip(subject, found.trials, strict=True):
            curves: dict[Layer, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
            for trial in trials:
                first = after_epochs(trial)
                for (epoch, step, layer), norm in trial.items():
                    if self.x == "step":
                        curves[layer][step].append(norm)
                    elif step == first[epoch]:
                        curves[layer][epoch].append(norm)
            for layer in found.layers or sorted(curves):
                for at in thinned(sorted(curves[layer])):
                    point = pooled((norm for norm in curves[layer][at] if norm > 0), geometric_mean)
                    dropped += point is None
                    if point is not None:
                        place = {**place_of(group), self.x: at, "layer": layer}
                        rows.append({**place, "mean": point.mean, "low": point.low, "high": point.high, "n": point.n})
        notes = (f"{dropped} points are not drawn: norms of zero have no place on a log axis",) if dropped else ()
        what = said(found.parameter)
        spread = f"{found.said}; {spread_said(subject, geometric=True)}"
        return Tidy(
            ("setting", *axes_of(subject), self.x, "layer", "mean", "low", "high", "n"),
            rows,
            axes_of(subject),
            caption=_("Norm of the loss gradient of each layer ({what}) in the course of training{spread}.").format(
                what=what, spread=spread
            ),
            subtitle=f"{what}{spread}",
            notes=notes + found.notes,
            orders=found.orders,
        )

    def curves(self, tidy: Tidy) -> Curves:
        return Curves(self.x, "mean", ("layer",), ("setting",), log=True)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        told = by_layer(tidy)
        series = Series(canvas, told.field, told.values)
        grid = panels(tidy, canvas)
        along = {"epoch": _("epoch"), "step": _("step")}[self.x]
        at = alt.X(f"{self.x}:Q", **count_axis(tidy.numbers(self.x), along, grid.width, canvas.theme.text))
        scale = log_axis(tidy.numbers("low", "high"), _("gradient norm"))
        base = alt.Chart(alt.NamedData(DATA)).encode(x=at)
        line = base.mark_line().encode(color=told.colour(canvas), y=alt.Y("mean:Q", **scale), opacity=series.opacity())
        band = base.mark_area().encode(
            y=alt.Y("low:Q", **scale), y2="high:Q", color=told.colour(canvas), opacity=series.opacity(0.2)
        )
        spread = any(row["n"] > 1 for row in tidy.rows)
        tooltip = [
            alt.Tooltip("setting:N", title=_("setting")),
            alt.Tooltip("layer:O", title=_("layer")),
            alt.Tooltip(f"{self.x}:Q", title=along),
            alt.Tooltip("mean:Q", title=_("gradient norm"), format=".3~g"),
            alt.Tooltip("low:Q", title=_("smallest"), format=".3~g"),
            alt.Tooltip("high:Q", title=_("largest"), format=".3~g"),
        ]
        points = base.encode(color=told.colour(canvas), y=alt.Y("mean:Q", **scale))
        chart = series.hoverable([line, band] if spread else [line], points, tooltip)
        return grid.of(chart)
