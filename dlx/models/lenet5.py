"""LeNet-5: the net of 1998 to the letter, and the one that textbooks call so today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dlx.activations import ActivationName
from dlx.errors import FieldError
from dlx.initializers import ConstantName, FanInUniform, Initializer, KernelAndBias
from dlx.layers import (
    Activation,
    Conv2D,
    Dense,
    DigitCodes,
    Flatten,
    PartialConv2D,
    Pooling2D,
    Shape,
    TrainablePooling2D,
    ZeroPadding2D,
)
from dlx.layers.images import verify_images
from dlx.models import ModelSpec, Published
from dlx.network import Network

# Table I of the paper: the maps of S2 that each of the 16 maps of C3 sees.
C3_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# Section II.B and appendix A: weights from U(±2.4/F), F the inputs of the unit.
OF_THE_PAPER = KernelAndBias(kernel=FanInUniform(name="fan_in_uniform"), bias=ConstantName(name="zeros"))


class Spec(ModelSpec):
    """Two convolutions with pooling, three dense layers.

    ``original``: images padded from 28 to 32 pixels, C3 connected by the paper's table,
    pooling with a trainable coefficient and bias per map, 1.7159·tanh(2x/3) after every
    layer, and in place of an output layer the distances to fixed pictures of the digits:
    60,000 trainable parameters, 340,908 connections. Train it with ``cross_entropy``.
    ``modern``: C3 fully connected, plain pooling, dense outputs; 61,706 parameters.
    """

    summary: ClassVar[str] = "LeNet-5, as published in 1998 or in its modern form"
    source: ClassVar[str] = (
        "LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition"
    )

    searched: ClassVar[Mapping[str, str]] = {"activation": "[relu, tanh]", "pooling": "[max, average]"}

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "LeNet-5",
            1998,
            "convolutions and subsampling; C3 partly connected",
            {"variant": "original"},
            (28, 28, 1),
            10,
            data="MNIST",
            parameters="60,000",
            multiply_adds="340,908 connections",
            top1=99.05,
            accuracy_source="LeCun et al. 1998",
        ),
    )

    name: Literal["lenet5"] = "lenet5"
    variant: Literal["modern", "original"] = Field(default="modern", description="modern form, or the net of the paper")
    activation: ActivationName | None = Field(
        default=None, description="nonlinearity; null: relu (modern), scaled_tanh (original)"
    )
    pooling: Literal["max", "average"] | None = Field(
        default=None, description="pooling of the modern form; null: max. The original's is trainable"
    )
    initializer: Initializer | None = Field(
        default=None,
        description="initial weights: a name, or {kernel: …, bias: …}; null: glorot_uniform (modern), "
        "the paper's U(±2.4/fan_in) (original)",
    )

    @model_validator(mode="after")
    def _original_pools_its_own_way(self) -> Spec:
        if self.variant == "original" and self.pooling is not None:
            raise ValueError(f"pooling {self.pooling!r} belongs to the modern variant; the original's is trainable")
        return self

    def network(self, input_shape: Shape, outputs: int) -> Network:
        if len(input_shape) != 3:
            raise FieldError(f"lenet5 needs images (height, width, channels), the data have shape {input_shape}")
        network = Network(self.name, input_shape)
        if self.variant == "original":
            self._add_original(network, outputs)
        else:
            self._add_modern(network, outputs)
        return network

    def _add_original(self, network: Network, outputs: int) -> None:
        if network.input.shape not in ((28, 28, 1), (32, 32, 1)):
            size = "x".join(map(str, network.input.shape))
            raise FieldError(f"the original takes grey images of 28x28 or 32x32 pixels, not {size}", ("variant",))
        if outputs > 10:
            raise FieldError(f"the original has target codes for ten classes, not {outputs}", ("variant",))
        init = self.initializer or OF_THE_PAPER

        if network.input.shape[0] == 28:
            network.add(ZeroPadding2D("padding", 2))
        network.add(Conv2D("C1", 6, (5, 5), init))
        self._squash(network, "C1")
        network.add(TrainablePooling2D("S2", (2, 2), OF_THE_PAPER))
        self._squash(network, "S2")
        network.add(PartialConv2D("C3", (5, 5), C3_TABLE, init))
        self._squash(network, "C3")
        network.add(TrainablePooling2D("S4", (2, 2), OF_THE_PAPER))
        self._squash(network, "S4")
        network.add(Conv2D("C5", 120, (5, 5), init))
        self._squash(network, "C5")
        network.add(Flatten("flatten"))
        network.add(Dense("F6", 84, init))
        self._squash(network, "F6")
        network.add(DigitCodes("output", outputs))

    def _add_modern(self, network: Network, outputs: int) -> None:
        verify_images("lenet5", network.input.shape, 12)
        height, width, _ = network.input.shape
        init = self.initializer or KernelAndBias()
        pooling = self.pooling or "max"

        network.add(Conv2D("C1", 6, (5, 5), init, padding="same" if min(height, width) < 32 else "valid"))
        self._squash(network, "C1")
        network.add(Pooling2D("S2", pooling, (2, 2), (2, 2)))
        network.add(Conv2D("C3", 16, (5, 5), init))
        self._squash(network, "C3")
        network.add(Pooling2D("S4", pooling, (2, 2), (2, 2)))
        network.add(Flatten("flatten"))
        network.add(Dense("C5", 120, init))
        self._squash(network, "C5")
        network.add(Dense("F6", 84, init))
        self._squash(network, "F6")
        network.add(Dense("output", outputs, init))

    def _squash(self, network: Network, name: str) -> None:
        default = "scaled_tanh" if self.variant == "original" else "relu"
        network.add(Activation(f"{name}_activation", self.activation or default))
