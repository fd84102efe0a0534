"""What each convolution makes of one example: its feature maps, layer below layer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.images import COLUMNS, Image, pixel_rows, sheet
from dlx.drawing.networks import test_part, trained
from dlx.drawing.picture import Canvas
from dlx.drawing.subjects import Run
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError, nearest
from dlx.fields import Count, Positive
from dlx.language import _


class Spec(ChartSpec):
    """Options of ``dlx plot feature-maps``."""

    name: Literal["feature_maps"] = "feature_maps"
    summary: ClassVar[str] = "what each convolution does to an example of the test set, of one trial"
    source: ClassVar[str] = "LeCun et al., Gradient-based learning applied to document recognition (1998), figure 13"

    example: Count = Field(default=0, description="an example of the test set, by its number")
    layer: str | None = Field(default=None, description="one layer, by its Keras name; null: every convolution")
    units: Positive = Field(default=12, description="the first feature maps of each layer")
    each: bool = Field(default=False, description="each map from black to bright by itself, not as bright as its layer")

    def heading(self) -> str:
        return _("What each convolution makes of an example")

    @property
    def needs(self) -> Need:
        return "trial"

    def data(self, subject: Run) -> Tidy:
        """A row per unit of each feature map, after its nonlinearity; the example first."""
        network = trained(subject)
        test = test_part(subject, network)
        if self.example >= len(test):
            raise UsageError(f"--example {self.example}: the test set has the numbers 0 to {len(test) - 1}")
        inputs, targets = test.read([self.example])
        outputs = {name: values[0] for name, values in network.activations(inputs).items() if values.ndim == 4}
        if not outputs:
            raise UsageError(f"{subject.name} has no convolutions")
        if self.layer is not None:
            if self.layer not in outputs:
                raise UsageError(f"no convolution {self.layer!r}", hint=nearest(self.layer, outputs))
            outputs = {self.layer: outputs[self.layer]}
        example = inputs[0][..., 0] if inputs.shape[-1] == 1 else inputs[0]
        images = [Image(example.astype(float), 0, 0, network.info.largest, heading=_("input"))]
        left_out = 0
        for row, (name, values) in enumerate(outputs.items(), start=1):
            limit = float(values.max())
            shown = min(values.shape[-1], self.units)
            left_out += values.shape[-1] - shown
            shape = "×".join(map(str, values.shape))
            images += [
                Image(
                    values[..., at],
                    row,
                    at,
                    float(values[..., at].max()) if self.each else limit,
                    heading=f"{name}, {shape}" if at == 0 else "",
                )
                for at in range(shown)
            ]
        classes = network.class_names
        predicted = int(network.labels(inputs)[0])
        said = _("test example {number}, class {label}, taken for {predicted}").format(
            number=self.example, label=classes[int(targets[0])] if classes else targets[0], predicted=classes[predicted]
        ) if classes else _("test example {number}").format(number=self.example)  # fmt: skip
        notes = (f"{left_out} feature maps are not drawn (--units)",) if left_out else ()
        return Tidy(
            COLUMNS,
            pixel_rows(images),
            caption=_("Feature maps of {said}; bright is active.").format(said=said),
            subtitle=said,
            notes=notes,
        )

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        return sheet(tidy, canvas, "heat")
