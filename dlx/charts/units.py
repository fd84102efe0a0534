"""The gradient unit by unit: a bar for each, layer above layer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.palette import NEGATIVE, POSITIVE
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Run, rows_of_stage
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError
from dlx.fields import Count, Positive
from dlx.language import _
from dlx.models import ListOf


class Spec(ChartSpec):
    """Options of ``dlx plot units``."""

    name: Literal["units"] = "units"
    summary: ClassVar[str] = "the gradient of each unit as a bar, layer by layer, of one trial"
    source: ClassVar[str] = "Nielsen, Neural Networks and Deep Learning (2015), chapter 5"

    quantity: Literal["bias_grad", "kernel_grad_norm"] = Field(
        default="bias_grad", description="bias_grad (signed) or kernel_grad_norm: a column of gradient_units.csv"
    )
    epoch: Count | None = Field(
        default=None, description="the epoch; null: the first that was recorded, before training"
    )
    units: Positive | None = Field(
        default=None, description="the first units of each layer; null: as many as have room"
    )
    layers: ListOf[Positive] | None = Field(default=None, description="which layers, by number; null: all")
    stage: str | None = Field(default=None, description="a stage of training; null: the last")

    @property
    def needs(self) -> Need:
        return "trial"

    def heading(self) -> str:
        return _("Gradient of each unit")

    def data(self, subject: Run) -> Tidy:
        """Per layer and unit: the derivative of the loss with respect to its bias, or the norm over its kernel."""
        table = subject.table("gradient_units", "probes: {gradients: {units: 64}}")
        positions = rows_of_stage(table, self.stage)
        epochs, layers, units = table.ints("epoch"), table.ints("layer"), table.ints("unit")
        values = table.floats(self.quantity)
        recorded = sorted({epoch for at in positions if (epoch := epochs[at]) is not None})
        epoch = recorded[0] if self.epoch is None else self.epoch
        if epoch not in recorded:
            there = ", ".join(map(str, recorded[:12])) + (" …" if len(recorded) > 12 else "")
            raise UsageError(f"{subject.name} recorded no unit's gradient in epoch {epoch}", hint=f"recorded: {there}")
        most = self.units or 48
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        left_out: set[tuple[int, int]] = set()
        for at in positions:
            layer, unit, value = layers[at], units[at], values[at]
            if epochs[at] != epoch or layer is None or unit is None or value is None:
                continue
            if self.layers is not None and layer not in self.layers:
                continue
            if unit >= most:
                left_out.add((layer, unit))
                continue
            # Of several records of an epoch the first follows it, and that of epoch 0 comes before training.
            rows.setdefault((layer, unit), {"layer": layer, "unit": unit, "gradient": value})
        if not rows:
            known = sorted({layer for layer in layers if layer is not None})
            if self.layers is not None and not set(self.layers) & set(known):
                there = ", ".join(map(str, known))
                raise UsageError(f"{subject.name} has none of these layers", hint=f"recorded: {there}")
            raise UsageError(f"{subject.name} has no {self.quantity}: its layers have no bias")
        notes = (
            (f"{len(left_out)} units beyond the first {most} of their layer are not drawn (--units)",)
            if left_out
            else ()
        )
        what = {"bias_grad": "∂L/∂b", "kernel_grad_norm": "‖∂L/∂w‖"}[self.quantity]
        when = _("before training") if epoch == 0 else _("epoch {epoch}").format(epoch=epoch)
        return Tidy(
            ("layer", "unit", "gradient"),
            [rows[key] for key in sorted(rows)],
            caption=_("Derivative of the loss for each unit ({what}), layer by layer, {when}.").format(
                what=what, when=when
            ),
            subtitle=f"{what}, {when}",
            notes=notes,
        )

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        layers = sorted(tidy.distinct("layer"), reverse=True)  # the output on top, as networks are drawn
        largest = max(map(abs, tidy.numbers("gradient")), default=1.0) or 1.0
        signed = self.quantity == "bias_grad"
        end = largest * 1.06
        domain = [-end, end] if signed else [0, end]
        count = max(tidy.distinct("unit")) + 1
        unit = alt.X(
            "unit:O",
            title=_("unit"),
            scale=alt.Scale(domain=list(range(count)), paddingInner=0.15),
            axis=alt.Axis(labelAngle=0, grid=False, values=list(range(0, count, max(1, round(count / 12))))),
        )
        height = max(canvas.theme.height * 1.2 / len(layers), canvas.theme.text * 3)
        title = tidy.subtitle.partition(",")[0]
        bars = (
            alt.Chart(alt.NamedData(DATA))
            .mark_bar()
            .encode(
                x=unit,
                y=alt.Y(
                    "gradient:Q",
                    title=title if len(title) * canvas.theme.text * 0.6 < height else None,
                    scale=alt.Scale(domain=domain, nice=False),
                    axis=alt.Axis(tickCount=3, format=".1~e" if largest < 1e-3 else "~r", labelFlush=True),
                ),
                color=alt.condition("datum.gradient < 0", alt.value(NEGATIVE), alt.value(POSITIVE)),
                tooltip=[
                    alt.Tooltip("layer:O", title=_("layer")),
                    alt.Tooltip("unit:O", title=_("unit")),
                    alt.Tooltip("gradient:Q", title=_("gradient"), format=".3~g"),
                ],
            )
            .properties(width=canvas.width, height=height)
        )
        name = _("layer {layer}").split("{layer}")[0].replace("'", "\\'")
        header = alt.Header(title=None, labelExpr=f"'{name}' + datum.value", labelAnchor="start")
        return bars.facet(
            facet=alt.Facet("layer:O", sort=layers, header=header), columns=1, spacing=canvas.theme.text * 0.6
        )
