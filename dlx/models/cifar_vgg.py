"""VGG nets for images of CIFAR's size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from dlx.activations import ActivationName
from dlx.fields import Fraction, Positive
from dlx.initializers import ConstantName, Initializer, KernelAndBias, ScaledByFan
from dlx.layers import Conv2D, Dense, Flatten, Pooling2D, Shape
from dlx.layers.images import verify_images
from dlx.models import ListOf, ModelSpec, _blocks
from dlx.network import Network

# Table 1 of Simonyan and Zisserman: 3×3 convolutions of each stage; three dense layers make up the rest of the depth.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
SMALLEST = 32


class Spec(ModelSpec):
    """Five stages of 3×3 convolutions, each ended by 2×2 pooling, then dense layers.

    The depth is that of the published nets, whose three dense layers of 4,096, 4,096 and
    1,000 units are too many for small images: here one of 512 and the output (Liu and Deng 2015).
    """

    summary: ClassVar[str] = "VGG-11 to VGG-19 for images of 32 x 32 pixels, with or without batch normalisation"
    source: ClassVar[str] = (
        "Simonyan, Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition; Liu, Deng 2015, "
        "Very Deep Convolutional Neural Network Based Image Classification Using Small Training Sample Size"
    )

    depths: ClassVar[str] = "11,13,16,19"
    searched: ClassVar[Mapping[str, str]] = {"depth": "[11, 16]", "dropout": "lin(0.0, 0.5)"}

    name: Literal["cifar_vgg"] = "cifar_vgg"
    depth: Literal[11, 13, 16, 19] = Field(default=16, description="which of the published nets: 11, 13, 16 or 19")
    width: Positive = Field(
        default=64, description="maps of the first stage; the next have 2, 4, 8 and 8 times as many"
    )
    dense: ListOf[Positive] = Field(default=(512,), description="units of the dense layers before the output")
    normalization: _blocks.Normalization = Field(
        default="batch", description="before each activation: none (as published), batch or layer"
    )
    dropout: Fraction = Field(
        default=0.5, description="fraction of each hidden dense layer's outputs dropped in training"
    )
    activation: ActivationName = Field(default="relu", description="nonlinearity of all hidden layers")
    initializer: Initializer = Field(
        default=KernelAndBias(kernel=ScaledByFan(name="he_normal"), bias=ConstantName(name="zeros")),
        description="initial weights: a name, or {kernel: …, bias: …}",
    )

    def network(self, input_shape: Shape, outputs: int) -> Network:
        verify_images(self.name, input_shape, SMALLEST)
        network = Network(self.name, input_shape)
        for stage, convolutions in enumerate(STAGES[self.depth], start=1):
            filters = self.width * min(8, 2 ** (stage - 1))
            for number in range(1, convolutions + 1):
                name = f"stage_{stage}_conv_{number}"
                network.add(Conv2D(name, filters, (3, 3), self.initializer, padding="same"))
                _blocks.normalize_and_activate(network, name, self.normalization, self.activation)
            network.add(Pooling2D(f"stage_{stage}_pool", "max", (2, 2), (2, 2)))
        network.add(Flatten("flatten"))
        for number, units in enumerate(self.dense, start=1):
            name = f"dense_{number}"
            network.add(Dense(name, units, self.initializer))
            _blocks.normalize_and_activate(network, name, self.normalization, self.activation)
            _blocks.drop(network, f"{name}_dropout", self.dropout)
        network.add(Dense("output", outputs, self.initializer))
        return network
