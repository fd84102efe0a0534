"""How the gradient is spread over the layers: before training, half way and at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec
from dlx.drawing.axes import log_axis, whole_ticks
from dlx.drawing.depth import EVERY_LAYER, Layer
from dlx.drawing.interaction import Series
from dlx.drawing.norms import Norms, Parameter, Source, after_epochs, norms, records, said
from dlx.drawing.panels import escaped, layers, panels, told_apart
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, axes_of, place_of, pooled, spread_said
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
        chosen = [
            [self._records(trial, run.name) for run, trial in zip(group.runs, trials, strict=True)]
            for group, trials in zip(subject, found.trials, strict=True)
        ]
        moments = self._moments([each for trials in chosen for each in trials])
        rows: list[dict[str, Any]] = []
        dropped = 0
        for group, trials, points in zip(subject, found.trials, chosen, strict=True):
            at: dict[tuple[int, Layer], list[float]] = defaultdict(list)
            for trial, mine in zip(trials, points, strict=True):
                for number in moments:
                    for layer, norm in _at(trial, mine[number]).items():
                        at[number, layer].append(norm)
            places = {layer: place for place, layer in enumerate(found.layers or sorted({layer for _, layer in at}))}
            for (number, layer), values in sorted(at.items(), key=lambda item: (item[0][0], places[item[0][1]])):
                point = pooled((value for value in values if value > 0), geometric_mean)
                dropped += point is None
                if point is not None:
                    place = {"moment": moments[number], **place_of(group), "layer": layer}
                    rows.append({**place, "mean": point.mean, "low": point.low, "high": point.high, "n": point.n})
        rows.sort(key=lambda row: list(moments.values()).index(row["moment"]))
        notes = (f"{dropped} points are not drawn: norms of zero have no place on a log axis",) if dropped else ()
        what = said(found.parameter)
        if len(moments) == 1:  # a panel alone has no heading
            what = f"{what}, {moments[0]}"
        spread = f"{found.said}; {spread_said(subject, geometric=True)}"
        return Tidy(
            ("moment", "setting", *axes_of(subject), "layer", "mean", "low", "high", "n"),
            rows,
            axes_of(subject),
            caption=_("Norm of the loss gradient of each layer ({what}), from the input to the output{spread}.").format(
                what=what, spread=spread
            ),
            subtitle=f"{what}{spread}",
            notes=notes + found.notes,
            orders=found.orders,
        )

    def _records(self, trial: Norms, name: str) -> list[tuple[int, int]]:
        """The records shown: those after the epochs asked for, else the first, middle and last of all."""
        if self.epoch is None:
            recorded = records(trial)
            first, last = recorded[0], recorded[-1]
            middle = min(recorded, key=lambda record: (abs(2 * record[0] - first[0] - last[0]), record))
            return [first, middle, last]
        steps = after_epochs(trial)
        for epoch in self.epoch:
            if epoch not in steps:
                there = f"recorded: {_ranges(sorted(steps))}"
                raise UsageError(f"{name} recorded no gradient in epoch {epoch}", hint=there)
        return [(epoch, steps[epoch]) for epoch in self.epoch]

    def _moments(self, chosen: Sequence[Sequence[tuple[int, int]]]) -> dict[int, str]:
        """What the records of the trials are called, by number; without those that are others again."""
        if self.epoch is not None:
            return {number: _moment(asked) for number, asked in enumerate(self.epoch)}
        # Norms of mini-batches are there from the first epoch on, not before training.
        moments = {0: _moment(min(first[0] for first, _middle, _last in chosen))}
        if any(middle not in (first, last) for first, middle, last in chosen):
            moments[1] = _("half way")
        if any(first != last for first, _middle, last in chosen):
            moments[2] = _("at the end")
        return moments

    def curves(self, tidy: Tidy) -> Curves:
        return Curves("layer", "mean", ("setting",), ("moment",), log=True)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        told = told_apart(tidy)
        grid = panels(tidy, canvas, "moment")
        if told.panel is not None and len(tidy.distinct("moment")) > 1:
            grid = grid.crossed(tidy, "moment", told.panel)
        elif told.panel is not None:
            grid = panels(tidy, canvas, told.panel)
        series = Series(canvas, told.field, told.values)
        scale = log_axis(tidy.numbers("low", "high"), _("gradient norm"))
        # Names of blocks need room that numbers do not.
        angle = 0 if not tidy.orders else -40 if len(layers(tidy)) <= _ABREAST else -90
        ticks = list(layers(tidy))
        if not angle:
            ticks = whole_ticks(min(ticks), max(ticks), most=max(2, int(grid.width / (canvas.theme.text * 1.6))))
        axis = alt.Axis(labelAngle=angle, grid=False, labelOverlap=False, values=ticks)
        at = alt.X("layer:O", title=_("layer"), sort=list(layers(tidy)), axis=axis)
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


def _moment(epoch: int) -> str:
    return _("epoch {epoch}").format(epoch=epoch) if epoch else _("before training")


_ABREAST = 6
"""Names of layers that have room beside each other in three panels."""


def _at(trial: Norms, record: tuple[int, int]) -> dict[Layer, float]:
    """The norms of a record, by layer."""
    return {layer: norm for (epoch, step, layer), norm in trial.items() if (epoch, step) == record}


def _ranges(epochs: Sequence[int]) -> str:
    return ", ".join(map(str, epochs)) if len(epochs) <= 8 else f"{epochs[0]}, {epochs[1]}, … {epochs[-1]}"
