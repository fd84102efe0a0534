"""The nets of 1 to 11 hidden layers that read house numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from dlx.fields import Fraction, Positive
from dlx.initializers import ConstantName, Initializer, KernelAndBias, ScaledByFan
from dlx.layers import Activation, Conv2D, Dense, Flatten, Pooling2D, Shape
from dlx.layers.images import LocallyConnected2D, Maxout, SubtractiveNormalization, verify_images
from dlx.models import ModelSpec, Published, _blocks
from dlx.network import Network

MAPS = (48, 64, 128, 160)
LATER_MAPS = 192
FILTERS_OF_MAXOUT = 3
DENSE_LAYERS = 2
SMALLEST = 8


class Spec(ModelSpec):
    """5×5 convolutions, from depth 11 on one layer without shared weights, and two dense layers of 3,072 units.

    Each convolution is normalised (the mean of 3×3 positions over all maps is subtracted), then
    pooled by 2×2, at stride 2 and 1 in turn. The first has maxout units of three filters, all others
    rectifiers. 11 hidden layers are the paper's: 8 convolutions, a locally connected layer, 2
    dense ones. The paper does not say what its shallower nets have: here a net of depth 3 … 10
    leaves out the last convolutions, one of depth 2 has one convolution and one dense layer, one
    of depth 1 a convolution alone. ``maps`` and ``dense`` widen a net without deepening it.
    """

    summary: ClassVar[str] = "1 to 11 hidden layers for house numbers: what depth gives, and what width does not"
    source: ClassVar[str] = (
        "Goodfellow, Bulatov, Ibarz, Arnoud, Shet 2014, Multi-digit Number Recognition from Street View Imagery using "
        "Deep Convolutional Neural Networks"
    )
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "SVHN net",
            2014,
            "eleven hidden layers; maxout, subtractive normalisation",
            {"depth": 11},
            (54, 54, 3),
            10,
            data="SVHN, per digit",
            top1=97.84,
            accuracy_source="Goodfellow et al. 2014, six digits at once",
        ),
    )

    searched: ClassVar[Mapping[str, str]] = {"depth": "[3, 5, 7, 9]", "maps": "[24, 48]"}

    name: Literal["svhn"] = "svhn"
    depth: int = Field(default=11, ge=1, le=11, description="hidden layers")
    maps: Positive = Field(
        default=48, description="maps of the first convolution; the others have theirs in the paper's proportion"
    )
    dense: Positive = Field(default=3072, description="units of each hidden dense layer")
    dropout: Fraction = Field(default=0.5, description="fraction of every hidden layer's outputs dropped in training")
    initializer: Initializer = Field(
        default=KernelAndBias(kernel=ScaledByFan(name="he_normal"), bias=ConstantName(name="zeros")),
        description="initial weights: a name, or {kernel: …, bias: …}",
    )

    def network(self, input_shape: Shape, outputs: int) -> Network:
        verify_images(self.name, input_shape, SMALLEST)
        dense = max(0, min(DENSE_LAYERS, self.depth - 1))
        local = 1 if self.depth == 11 else 0
        network = Network(self.name, input_shape)
        for number in range(1, self.depth - dense - local + 1):
            self._add_convolution(network, number)
        if local:
            network.add(LocallyConnected2D("local", self._maps(len(MAPS) + 1), (5, 5), self.initializer))
            network.add(Activation("local_activation", "relu"))
            _blocks.drop(network, "local_dropout", self.dropout)
        network.add(Flatten("flatten"))
        for number in range(1, dense + 1):
            network.add(Dense(f"dense_{number}", self.dense, self.initializer))
            network.add(Activation(f"dense_{number}_activation", "relu"))
            _blocks.drop(network, f"dense_{number}_dropout", self.dropout)
        network.add(Dense("output", outputs, self.initializer))
        return network

    def _add_convolution(self, network: Network, number: int) -> None:
        name, maps = f"conv_{number}", self._maps(number)
        filters = maps * FILTERS_OF_MAXOUT if number == 1 else maps
        network.add(Conv2D(name, filters, (5, 5), self.initializer, padding="same"))
        network.add(
            Maxout(f"{name}_maxout", FILTERS_OF_MAXOUT) if number == 1 else Activation(f"{name}_activation", "relu")
        )
        network.add(SubtractiveNormalization(f"{name}_normalization"))
        stride = 2 if number % 2 else 1
        network.add(Pooling2D(f"{name}_pool", "max", (2, 2), (stride, stride), "same"))
        _blocks.drop(network, f"{name}_dropout", self.dropout)

    def _maps(self, number: int) -> int:
        published = MAPS[number - 1] if number <= len(MAPS) else LATER_MAPS
        return max(1, round(published * self.maps / MAPS[0]))
