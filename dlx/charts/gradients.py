"""How the gradient is spread over the layers: before training, half way, at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec
from dlx.drawing.axes import log_axis
from dlx.drawing.depth import EVERY_LAYER, Layer
from dlx.drawing.interaction import Series
from dlx.drawing.norms import Norms, Parameter, Source, norms, said
from dlx.drawing.panels import escaped, layers, panels, told_apart
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, axes_of, place_of, pooled, seeds_said
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy, geometric_mean
from dlx.errors import UsageError
from dlx.fields import Count
from dlx.language import _
from dlx.models import ListOf


class Spec(ChartSpec):
    """Options of ``dlx plot gradients``."""

    name: Literal["gradients"] = "gradients"
    summary: ClassVar[str] = "the gradient norm by layer before, half way through and after training, by setting"
    source: ClassVar[str] = "Glorot and Bengio, Understanding the difficulty of training deep networks (2010), figure 7"

    parameter: Parameter = Field(default=None, description="bias, kernel or all; null: bias where every layer has one")
    source_of_norm: Source = Field(default=None, description="probe (a fixed sample) or train (the mini-batches)")
    epoch: ListOf[Count] | None = Field(default=None, description="the epochs shown; null: the first, middle and last")
    stage: str | None = Field(default=None, description="a stage of training; null: the last")
    every_layer: bool = Field(default=False, description=EVERY_LAYER)

    def heading(self) -> str:
        return _("Gradient norm by layer")

    def data(self, subject: Sequence[Group]) -> Tidy:
        """Per moment, setting and layer: the geometric mean over seeds, the smallest and the largest norm."""
        found = norms(subject, self.parameter, self.source_of_norm, self.stage)
        if not self.every_layer:
            found = found.together()
        rows: list[dict[str, Any]] = []
        dropped = 0
        for group, trials in zip(subject, found.trials, strict=True):
            at: dict[tuple[int, Layer], list[float]] = defaultdict(list)
            for run, trial in zip(group.runs, trials, strict=True):
                for number, epoch in enumerate(self._epochs(trial, run.name)):
                    for layer, norm in _at(trial, epoch).items():
                        at[number, layer].append(norm)
            places = {layer: place for place, layer in enumerate(found.layers or sorted({layer for _, layer in at}))}
            for (number, layer), values in sorted(at.items(), key=lambda item: (item[0][0], places[item[0][1]])):
                point = pooled((value for value in values if value > 0), geometric_mean)
                dropped += point is None
                if point is not None:
                    place = {"moment": self._moment(number), **place_of(group), "layer": layer}
                    rows.append({**place, "mean": point.mean, "low": point.low, "high": point.high, "n": point.n})
        rows.sort(
            key=lambda row: [self._moment(number) for number in range(len(self.epoch or "123"))].index(row["moment"])
        )
        notes = (f"{dropped} points are not drawn: norms of zero have no place on a log axis",) if dropped else ()
        seeds = seeds_said(subject)
        spread = found.said
        if seeds != "1":
            spread += _("; line: geometric mean of {seeds} seeds, band: their range").format(seeds=seeds)
        what = said(found.parameter)
        return Tidy(
            ("moment", "setting", *axes_of(subject), "layer", "mean", "low", "high", "n"),
            rows,
            axes_of(subject),
            caption=_("Norm of the loss gradient of each layer ({what}), from the input to the output{spread}.").format(
                what=what, spread=spread
            ),
            subtitle=_("{what}{spread}").format(what=what, spread=spread),
            notes=notes + found.notes,
            orders=found.orders,
        )

    def _epochs(self, trial: Norms, name: str) -> list[int]:
        recorded = sorted({epoch for epoch, _step, _layer in trial})
        if self.epoch is None:
            middle = min(recorded, key=lambda epoch: (abs(2 * epoch - recorded[0] - recorded[-1]), epoch))
            return [recorded[0], middle, recorded[-1]]
        for epoch in self.epoch:
            if epoch not in recorded:
                there = f"recorded: {_ranges(recorded)}"
                raise UsageError(f"{name} recorded no gradient in epoch {epoch}", hint=there)
        return list(self.epoch)

    def _moment(self, number: int) -> str:
        if self.epoch is None:
            return (_("before training"), _("half way"), _("at the end"))[number]
        return _("epoch {epoch}").format(epoch=self.epoch[number])

    def curves(self, tidy: Tidy) -> Curves:
        return Curves("layer", "mean", ("setting",), ("moment",), log=True)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        told = told_apart(tidy)
        grid = panels(tidy, canvas, "moment")
        if told.panel is not None:
            grid = grid.crossed(tidy, "moment", told.panel)
        series = Series(canvas, told.field, told.values)
        scale = log_axis(tidy.numbers("low", "high"), _("gradient norm"))
        # Names of blocks need room that numbers do not.
        angle = 0 if not tidy.orders else -40 if len(layers(tidy)) <= _ABREAST else -90
        at = alt.X(
            "layer:O",
            title=_("layer"),
            sort=list(layers(tidy)),
            axis=alt.Axis(labelAngle=angle, grid=False, labelOverlap=False if angle else "greedy"),
        )
        base = alt.Chart(alt.NamedData(DATA)).encode(x=at)
        line = base.mark_line(point=alt.OverlayMarkDef(size=canvas.theme.point)).encode(
            color=told.colour(canvas), y=alt.Y("mean:Q", **scale), opacity=series.opacity()
        )
        band = base.mark_area().encode(
            y=alt.Y("low:Q", **scale), y2="high:Q", color=told.colour(canvas), opacity=series.opacity(0.2)
        )
        tooltip = [
            *(alt.Tooltip(f"{escaped(axis)}:N", title=axis) for axis in tidy.axes),
            alt.Tooltip("layer:O", title=_("layer")),
            alt.Tooltip("mean:Q", title=_("gradient norm"), format=".3~g"),
            alt.Tooltip("low:Q", title=_("smallest"), format=".3~g"),
            alt.Tooltip("high:Q", title=_("largest"), format=".3~g"),
        ]
        spread = any(row["n"] > 1 for row in tidy.rows)
        drawn = [line, band] if spread else [line]
        return grid.of(
            series.hoverable(drawn, base.encode(color=told.colour(canvas), y=alt.Y("mean:Q", **scale)), tooltip)
        )


_ABREAST = 6
"""Names of layers that have room beside each other in three panels."""


def _at(trial: Norms, epoch: int) -> dict[Layer, float]:
    """The norms of the last record in an epoch, by layer."""
    last = max(step for at, step, _layer in trial if at == epoch)
    return {layer: norm for (at, step, layer), norm in trial.items() if at == epoch and step == last}


def _ranges(epochs: Sequence[int]) -> str:
    return ", ".join(map(str, epochs)) if len(epochs) <= 8 else f"{epochs[0]}, {epochs[1]}, … {epochs[-1]}"
