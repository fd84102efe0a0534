"""AlexNet: the net of 2012 in two groups, and the single tower that is called so today."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.activations import ActivationName
from dlx.fields import Fraction, Positive
from dlx.initializers import Initializer, KernelAndBias
from dlx.layers import Activation, Conv2D, Dense, Flatten, Pooling2D, Shape, ZeroPadding2D
from dlx.layers.images import GroupedConv2D, LocalResponseNormalization, verify_images
from dlx.models import ModelSpec, Published, _blocks
from dlx.network import Network

# Maps, kernel, groups and whether pooling follows; the first convolution has stride 4.
LAYERS = {
    "grouped": ((96, 11, 1, True), (256, 5, 2, True), (384, 3, 1, False), (384, 3, 2, False), (256, 3, 2, True)),
    "one_tower": ((64, 11, 1, True), (192, 5, 1, True), (384, 3, 1, False), (256, 3, 1, False), (256, 3, 1, True)),
}
NORMALIZED = (1, 2)
SMALLEST = {"grouped": 67, "one_tower": 63}


class Spec(ModelSpec):
    """Five convolutions, three of them followed by overlapping pooling, and three dense layers.

    ``grouped``: the paper's, whose second, fourth and fifth convolutions see half of the maps
    each, as they lay on two GPUs; for 227 × 227 pixels (the paper says 224, which does not work
    out). ``one_tower``: Krizhevsky 2014, for 224 × 224.
    """

    summary: ClassVar[str] = "AlexNet, in two groups as published in 2012 or in one tower"
    source: ClassVar[str] = (
        "Krizhevsky, Sutskever, Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks; "
        "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks"
    )

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "AlexNet",
            2012,
            "ReLU, dropout, overlapping pooling; two groups, one for each GPU",
            {"variant": "grouped"},
            (227, 227, 3),
            parameters="60 million",
            top1=58.2,
            top5=80.8,
            accuracy_source="MatConvNet, batch-normalised, centre crop (Caffe: 57.4 / 80.4; 2012: 59.3 / 81.8)",
        ),
        Published(
            "AlexNet, one tower",
            2014,
            "the same without groups, fewer maps",
            parameters="61.1 million",
            top1=56.5,
            top5=79.1,
            accuracy_source="torchvision",
        ),
    )

    name: Literal["alexnet"] = "alexnet"
    variant: Literal["one_tower", "grouped"] = Field(
        default="one_tower", description="one tower, or the paper's groups"
    )
    local_response_normalization: bool = Field(
        default=False, description="the paper's normalisation over neighbouring maps, after the first two convolutions"
    )
    dense: Positive = Field(default=4096, description="units of each of the two hidden dense layers")
    dropout: Fraction = Field(default=0.5, description="fraction dropped in training around the hidden dense layers")
    activation: ActivationName = Field(default="relu", description="nonlinearity of all hidden layers")
    initializer: Initializer = Field(
        default=KernelAndBias(), description="initial weights: a name, or {kernel: …, bias: …}"
    )

    def network(self, input_shape: Shape, outputs: int) -> Network:
        verify_images(f"alexnet ({self.variant})", input_shape, SMALLEST[self.variant])
        network = Network(self.name, input_shape)
        if self.variant == "one_tower":
            network.add(ZeroPadding2D("padding", 2))
        for number, (filters, kernel, groups, pooled) in enumerate(LAYERS[self.variant], start=1):
            name = f"conv_{number}"
            window = kernel, kernel
            if number == 1:
                network.add(Conv2D(name, filters, window, self.initializer, (4, 4)))
            elif groups == 1:
                network.add(Conv2D(name, filters, window, self.initializer, padding="same"))
            else:
                network.add(GroupedConv2D(name, filters, window, self.initializer, padding="same", groups=groups))
            network.add(Activation(f"{name}_activation", self.activation))
            if self.local_response_normalization and number in NORMALIZED:
                network.add(LocalResponseNormalization(f"{name}_normalization"))
            if pooled:
                network.add(Pooling2D(f"pool_{number}", "max", (3, 3), (2, 2)))
        network.add(Flatten("flatten"))
        for number in (1, 2):
            # One tower drops what goes into a dense layer, the paper what comes out.
            if self.variant == "one_tower":
                _blocks.drop(network, f"dropout_{number}", self.dropout)
            network.add(Dense(f"dense_{number}", self.dense, self.initializer))
            network.add(Activation(f"dense_{number}_activation", self.activation))
            if self.variant == "grouped":
                _blocks.drop(network, f"dropout_{number}", self.dropout)
        network.add(Dense("output", outputs, self.initializer))
        return network
