"""What becomes of the activations of each layer: how much of a layer is saturated, how many of its units are dead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec
from dlx.drawing.axes import count_axis, share_axis
from dlx.drawing.depth import EVERY_LAYER, Layer, depth
from dlx.drawing.depth import pooled as pooled_layers
from dlx.drawing.interaction import Series
from dlx.drawing.panels import by_layer, dashes, escaped, panels
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, Run, axes_of, place_of, pooled, rows_of_stage, spread_said, thinned
from dlx.drawing.text import Curves
from dlx.drawing.tidy import Tidy, mean
from dlx.errors import UsageError
from dlx.language import _

Metric = Literal["saturated", "dead", "mean", "std"]
SHARES = ("saturated", "dead")

_Values = dict[tuple[int, int], float]
"""A trial's values by layer and epoch."""


class Spec(ChartSpec):
    """Options of ``dlx plot activations``."""

    name: Literal["activations"] = "activations"
    summary: ClassVar[str] = "saturation and dead units of each layer over the epochs, one panel per setting"
    source: ClassVar[str] = "Glorot and Bengio, Understanding the difficulty of training deep networks (2010), figure 2"

    metric: Metric | None = Field(
        default=None,
        description="saturated, dead, mean or std; null: saturated of bounded activations, dead of those that can be",
    )
    stage: str | None = Field(default=None, description="a stage of training; null: the last")
    every_layer: bool = Field(default=False, description=EVERY_LAYER)

    def heading(self) -> str:
        words = {"saturated": _("Saturation by layer"), "dead": _("Dead units by layer")}
        return words.get(str(self.metric), _("Activations by layer"))

    def data(self, subject: Sequence[Group]) -> Tidy:
        """Per setting, quantity, epoch and layer: the mean over seeds, the smallest and the largest value."""
        chosen = [self._chosen(group) for group in subject]
        if not any(quantity for quantity, _trials, _names in chosen):
            what = self.metric or " or ".join(SHARES)
            raise UsageError(f"no hidden layer has a share of {what}", hint="try --metric mean or --metric std")
        deep = None if self.every_layer else depth([names for _quantity, _trials, names in chosen])
        rows: list[dict[str, Any]] = []
        for number, (group, (quantity, trials, names)) in enumerate(zip(subject, chosen, strict=True)):
            places: list[tuple[Layer, tuple[int, ...]]] = [(layer, (layer,)) for layer in names]
            if deep:
                places = list(deep.places[number].items())
            for layer, numbers in places:
                curve: dict[int, list[float]] = defaultdict(list)
                for values in trials:
                    for epoch in dict.fromkeys(epoch for _layer, epoch in values):
                        mine = [values[one, epoch] for one in numbers if (one, epoch) in values]
                        if mine:
                            curve[epoch].append(mine[0] if len(mine) == 1 else mean(mine))
                for epoch in thinned(sorted(curve)):
                    if point := pooled(curve[epoch]):
                        place = {**place_of(group), "quantity": said(str(quantity)), "epoch": epoch, "layer": layer}
                        rows.append({**place, "mean": point.mean, "low": point.low, "high": point.high, "n": point.n})
        spread = spread_said(subject)
        if deep:
            spread = f"{pooled_layers()}; {spread}"
        quantities = ", ".join(dict.fromkeys(row["quantity"] for row in rows))
        return Tidy(
            ("setting", *axes_of(subject), "quantity", "epoch", "layer", "mean", "low", "high", "n"),
            rows,
            axes_of(subject),
            caption=_("Activations of each hidden layer in the course of training: {quantities}; {spread}.").format(
                quantities=quantities, spread=spread
            ),
            subtitle=spread,
            notes=(deep.note("mean"),) if deep else (),
            orders=deep.orders if deep else {},
        )

    def _chosen(self, group: Group) -> tuple[str | None, list[_Values], Mapping[int, str]]:
        """What is drawn of a setting, its trials' values of it, and what the layers are called that have some.

        A sigmoid that is not saturated is not dead either: of one setting, one quantity says it.
        """
        for metric in (self.metric,) if self.metric else SHARES:
            names: dict[int, str] = {}
            trials = [self._read(run, metric, names) for run in group.runs]
            if names:
                return metric, trials, dict(sorted(names.items()))
        return None, [], {}

    def _read(self, run: Run, metric: str, names: dict[int, str]) -> _Values:
        """A trial's values; the names of their layers are added to ``names``. The output layer is left out."""
        table = run.table("activations", "probes: {activations: {every: 1 epoch}}")
        epochs, layers, values = table.ints("epoch"), table.ints("layer"), table.floats(metric)
        called = table.column("name")
        output = max((layer for layer in layers if layer is not None), default=0)
        found: _Values = {}
        for at in rows_of_stage(table, self.stage):
            epoch, layer, value = epochs[at], layers[at], values[at]
            if epoch is not None and layer is not None and value is not None and layer != output:
                found.setdefault((layer, epoch), value)
                names.setdefault(layer, called[at])
        return found

    def curves(self, tidy: Tidy) -> Curves:
        return Curves("epoch", "mean", ("layer",), ("quantity", "setting"))

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        quantities = tidy.distinct("quantity")
        grid = panels(tidy, canvas)
        told = by_layer(tidy)
        series = Series(canvas, told.field, told.values)
        title = quantities[0] if len(quantities) == 1 else _("share")
        shares = self.metric is None or self.metric in SHARES
        if shares:
            scale = share_axis(tidy.numbers("high"), title)
        else:
            scale = {"scale": alt.Scale(zero=False), "axis": alt.Axis(title=title, tickCount=6)}
        at = alt.X("epoch:Q", **count_axis(tidy.numbers("epoch"), _("epoch"), grid.width, canvas.theme.text))
        base = alt.Chart(alt.NamedData(DATA)).encode(x=at, detail="quantity:N")
        line = base.mark_line().encode(color=told.colour(canvas), y=alt.Y("mean:Q", **scale), opacity=series.opacity())
        if len(quantities) > 1:
            line = line.encode(strokeDash=dashes("quantity", quantities, canvas))
        band = base.mark_area().encode(
            y=alt.Y("low:Q", **scale), y2="high:Q", color=told.colour(canvas), opacity=series.opacity(0.2)
        )
        style = ".1%" if shares else ".3~g"
        tooltip = [
            *(alt.Tooltip(f"{escaped(axis)}:N", title=axis) for axis in tidy.axes),
            alt.Tooltip("quantity:N", title=_("quantity")),
            alt.Tooltip("layer:O", title=_("layer")),
            alt.Tooltip("epoch:Q", title=_("epoch")),
            alt.Tooltip("mean:Q", title=_("mean"), format=style),
            alt.Tooltip("low:Q", title=_("smallest"), format=style),
            alt.Tooltip("high:Q", title=_("largest"), format=style),
        ]
        drawn = [line, band] if any(row["n"] > 1 for row in tidy.rows) else [line]
        return grid.of(
            series.hoverable(drawn, base.encode(color=told.colour(canvas), y=alt.Y("mean:Q", **scale)), tooltip)
        )


def said(metric: str) -> str:
    """A column of ``activations.csv`` in words."""
    words = {
        "saturated": _("saturated activations"),
        "dead": _("dead units"),
        "mean": _("mean activation"),
        "std": _("standard deviation of the activations"),
    }
    return words[metric]
