"""What the first layer looks for: the weights of its units as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.images import COLUMNS, Image, columns_for, pixel_rows, sheet
from dlx.drawing.networks import trial_of, weights_of
from dlx.drawing.picture import Canvas
from dlx.drawing.subjects import Run
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError, nearest
from dlx.fields import Positive
from dlx.language import _

if TYPE_CHECKING:
    import numpy as np

    from dlx.network import Node


class Spec(ChartSpec):
    """Options of ``dlx plot filters``."""

    name: Literal["filters"] = "filters"
    summary: ClassVar[str] = "the weights of the first layer (or any convolution) as images, of one trial"
    source: ClassVar[str] = (
        "Krizhevsky et al., ImageNet classification with deep convolutional networks (2012), figure 3"
    )

    layer: str = Field(default="1", description="a layer, by number or name; beyond the first only convolutions")
    units: Positive | None = Field(
        default=None, description="the first units; null: as many as have room, 60 or 12 × 8"
    )

    def heading(self) -> str:
        return _("What layer {layer} looks for").format(layer=self.layer)

    @property
    def needs(self) -> Need:
        return "trial"

    def data(self, subject: Run) -> Tidy:
        """A row per weight: of a dense layer in the shape of the input, of a convolution in that of its kernel."""
        setting = trial_of(subject).setting
        info = setting.dataset.info()
        network = setting.model.network(info.input_shape, setting.outputs)
        node, number = layer_of(network, self.layer)
        assert node.layer is not None
        name = node.layer.name
        weights = weights_of(subject)
        path = next((path for path in weights if path.split("/")[-2:] == [name, "kernel"]), None)
        if path is None:
            raise UsageError(f"{subject.name} has no kernel of {name} in weights.npz")
        kernel = weights[path]
        if kernel.ndim == 4:
            images, left_out = _convolution(kernel, self.units)
        elif number == 1 and len(info.input_shape) == 3:
            images, left_out = _dense(kernel, info.input_shape, self.units or 60)
        else:
            raise UsageError(
                f"the weights of {name} are not images", hint="choose a convolution, or the first layer over images"
            )
        notes = (f"{left_out} units are not drawn (--units)",) if left_out else ()
        what = _("weights of {layer}, {low} to {high}").format(
            layer=name, low=f"−{images[0].limit:.2g}", high=f"{images[0].limit:.2g}"
        )
        return Tidy(
            COLUMNS,
            pixel_rows(images),
            caption=_("{what}; blue negative, orange positive.").format(what=what),
            subtitle=_("{what}; blue negative, orange positive").format(what=what),
            notes=notes,
        )

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        return sheet(tidy, canvas, "signed")


def layer_of(network: Any, wanted: str) -> tuple[Node, int]:
    """A layer with a kernel, by its number from the input (negative: from the end) or its Keras name."""
    nodes = network.kernel_layers()
    names = {node.layer.name: node for node in nodes}
    if wanted in names:
        return names[wanted], nodes.index(names[wanted]) + 1
    if wanted.lstrip("-").isdecimal() and 0 < abs(int(wanted)) <= len(nodes):
        number = int(wanted)
        at = number - 1 if number > 0 else len(nodes) + number
        return nodes[at], at + 1
    raise UsageError(
        f"no layer {wanted!r} with weights", hint=nearest(wanted, [*names, *map(str, range(1, len(nodes) + 1))])
    )


def _dense(kernel: np.ndarray, shape: tuple[int, ...], most: int) -> tuple[list[Image], int]:
    """One image per unit; of coloured inputs the mean over the channels."""
    units = kernel.shape[1]
    shown = kernel[:, :most].reshape(*shape, -1).mean(axis=2)
    limit = float(abs(shown).max())
    columns = columns_for(shown.shape[-1], 10)
    images = [
        Image(shown[..., unit], *divmod(unit, columns), limit, label=str(unit)) for unit in range(shown.shape[-1])
    ]
    return images, units - len(images)


def _convolution(kernel: np.ndarray, most: int | None) -> tuple[list[Image], int]:
    """Kernels (height, width, channels, filters): one image each; several channels one above the other."""
    channels, filters = kernel.shape[2:]
    if channels == 1:
        shown = min(filters, most or 60)
        limit = float(abs(kernel[..., :shown]).max())
        columns = columns_for(shown, 10)
        images = [Image(kernel[:, :, 0, at], *divmod(at, columns), limit, label=str(at)) for at in range(shown)]
        return images, filters - shown
    shown, high = min(filters, most or 12), min(channels, 8)
    limit = float(abs(kernel[:, :, :high, :shown]).max())
    images = [
        Image(
            kernel[:, :, channel, at], channel, at, limit,
            heading=_("channel {channel}").format(channel=channel) if at == 0 else "",
            label=str(at) if channel == high - 1 else "",
        )
        for channel in range(high)
        for at in range(shown)
    ]  # fmt: skip
    return images, filters - shown
