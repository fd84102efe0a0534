"""SqueezeNet: the accuracy of AlexNet with a fiftieth of its weights."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.activations import ActivationName
from dlx.fields import Fraction
from dlx.initializers import Initializer, KernelAndBias
from dlx.layers import Activation, Conv2D, GlobalAveragePooling2D, Pair, Pooling2D, Shape
from dlx.layers.images import Concatenate, verify_images
from dlx.models import ModelSpec, Published, _blocks
from dlx.network import Network

SQUEEZED = (16, 16, 32, 32, 48, 48, 64, 64)
"""Maps that each of the fire modules 2 to 9 squeezes its input to; it gives eight times as many."""

SMALLEST = {"1.0": 21, "1.1": 17}


class Spec(ModelSpec):
    """Fire modules: a 1×1 convolution to few maps, then 1×1 and 3×3 convolutions of those, side by side.

    ``1.0`` as published; ``1.1`` of the authors' repository pools earlier and needs 2.4 times
    fewer multiply-adds. Ends in a 1×1 convolution to the classes and an average over positions.
    """

    summary: ClassVar[str] = "SqueezeNet 1.0 and 1.1: fire modules, few weights"
    source: ClassVar[str] = (
        "Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer "
        "parameters"
    )

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "SqueezeNet 1.0",
            2016,
            "fire modules: squeeze to few maps, expand",
            parameters="50 times fewer than AlexNet",
            top1=58.1,
            top5=80.4,
            accuracy_source="torchvision (2016: 57.5 / 80.3)",
        ),
        Published(
            "SqueezeNet 1.1",
            2016,
            "the same, pooled earlier",
            {"version": "1.1"},
            multiply_adds="2.4 times fewer than 1.0",
            top1=58.2,
            top5=80.6,
            accuracy_source="torchvision",
        ),
    )

    name: Literal["squeezenet"] = "squeezenet"
    version: Literal["1.0", "1.1"] = Field(default="1.0", description="1.0, as published, or 1.1")
    dropout: Fraction = Field(default=0.5, description="fraction of the last module's outputs dropped in training")
    activation: ActivationName = Field(default="relu", description="nonlinearity of all convolutions")
    initializer: Initializer = Field(
        default=KernelAndBias(), description="initial weights: a name, or {kernel: …, bias: …}"
    )

    def network(self, input_shape: Shape, outputs: int) -> Network:
        verify_images(f"{self.name} {self.version}", input_shape, SMALLEST[self.version])
        first: tuple[int, Pair] = (96, (7, 7)) if self.version == "1.0" else (64, (3, 3))
        pooled_before = (2, 5, 9) if self.version == "1.0" else (2, 4, 6)
        network = Network(self.name, input_shape)
        self._convolve(network, "conv_1", *first, stride=(2, 2), padding="valid")
        for number, squeezed in enumerate(SQUEEZED, start=2):
            if number in pooled_before:
                _pool(network, f"pool_{number - 1}")
            self._add_fire(network, f"fire_{number}", squeezed)
        _blocks.drop(network, "dropout", self.dropout)
        network.add(Conv2D("output", outputs, (1, 1), self.initializer))
        network.add(Activation("output_activation", self.activation))
        network.add(GlobalAveragePooling2D("pool"))
        return network

    def _add_fire(self, network: Network, name: str, squeezed: int) -> None:
        self._convolve(network, f"{name}_squeeze", squeezed, (1, 1))
        source = network.output
        expanded = [
            network.add(Conv2D(f"{name}_{branch}", 4 * squeezed, kernel, self.initializer, padding="same"), source)
            for branch, kernel in (("expand_1x1", (1, 1)), ("expand_3x3", (3, 3)))
        ]
        branches = [
            network.add(Activation(f"{node.layer.name}_activation", self.activation), node)
            for node in expanded
            if node.layer
        ]
        network.add(Concatenate(f"{name}_joined"), *branches)

    def _convolve(
        self,
        network: Network,
        name: str,
        filters: int,
        kernel: Pair,
        stride: Pair = (1, 1),
        padding: Literal["same", "valid"] = "same",
    ) -> None:
        network.add(Conv2D(name, filters, kernel, self.initializer, stride, padding))
        network.add(Activation(f"{name}_activation", self.activation))


def _pool(network: Network, name: str) -> None:
    """3×3 at stride 2, no row or column left out: where one would be, the window reaches a position beyond the edge."""
    height, width, _ = network.output.shape
    padding: Literal["same", "valid"] = "valid" if height % 2 and width % 2 else "same"
    network.add(Pooling2D(name, "max", (3, 3), (2, 2), padding))
