"""Deep autoencoder: from the input through narrower layers to a code, and back."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.activations import ActivationName
from dlx.errors import FieldError
from dlx.fields import Positive
from dlx.initializers import Initializer, KernelAndBias
from dlx.layers import Activation, Conv2D, Dense, Flatten, Layer, Shape, transposed_positions
from dlx.layers.decoders import Conv2DTranspose, Reshape, TransposedConv2D, TransposedDense
from dlx.models import ListOf, ModelSpec
from dlx.network import Network, at

if TYPE_CHECKING:
    from dlx.datasets import DatasetInfo


class Spec(ModelSpec):
    """Encoder (convolutions of stride 2, dense layers) → code → decoder of the mirrored shapes.

    What it is to give is its input: labels play no part. Its decoder's layers are called
    ``decoder_N`` … ``decoder_1``, ``decoder_k`` giving back what layer k reads; pretraining layer
    by layer leaves them the weights that it decoded with; with ``tied`` weights, their biases.
    Noise that it is to take away again is `training.augmentation`: masking, salt_and_pepper, gaussian.
    """

    summary: ClassVar[str] = "deep autoencoder, dense or convolutional; 784-1000-500-250-2 and the like"
    source: ClassVar[str] = (
        "Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, Science 313"
    )
    reconstructs: ClassVar[bool] = True

    name: Literal["autoencoder"] = "autoencoder"
    filters: ListOf[Positive] = Field(
        default=(), description="feature maps of the encoder's convolutions, each of which halves the image; []: none"
    )
    kernel: Positive = Field(default=3, description="their kernel")
    hidden: ListOf[Positive] = Field(
        default=(64, 2), description="units of the encoder's dense layers, the last of which are the code"
    )
    tied: bool = Field(
        default=False, description="decode with the encoder's kernels, transposed; false: each layer with its own"
    )
    activation: ActivationName = Field(default="relu", description="nonlinearity of all hidden layers")
    code_activation: ActivationName | None = Field(default="linear", description="of the code; null: as the others")
    initializer: Initializer = Field(
        default=KernelAndBias(), description="initial weights: a name, or {kernel: …, bias: …}"
    )

    @model_validator(mode="after")
    def _encodes(self) -> Spec:
        if not self.filters and not self.hidden:
            raise ValueError("needs a code: give hidden or filters")
        return self

    def learned(self, info: DatasetInfo) -> DatasetInfo:
        return replace(info, task="regression", outputs=math.prod(info.input_shape), class_names=(), train_counts=())

    def network(self, input_shape: Shape, outputs: int) -> Network:
        if self.filters and len(input_shape) != 3:
            raise FieldError(f"filters need images (height, width, channels), the data have shape {input_shape}")
        network = Network(self.name, input_shape)
        shapes: list[Shape] = []
        last = len(self.filters) + len(self.hidden)
        for number, filters in enumerate(self.filters, start=1):
            shapes.append(network.output.shape)
            with at("filters", number - 1):
                self._convolve(network, number, filters)
            self._activate(network, f"conv_{number}", number == last)
        images = network.output.shape
        if len(images) > 1 and self.hidden:
            network.add(Flatten("flatten"))
        for number, units in enumerate(self.hidden, start=len(self.filters) + 1):
            shapes.append(network.output.shape)
            name = f"dense_{number - len(self.filters)}"
            network.add(Dense(name, units, self.initializer))
            self._activate(network, name, number == last)
        decoder: list[Layer] = []
        for number in range(last, 0, -1):
            decoder += self._decode(number, shapes[number - 1], images)
        if self.filters:
            decoder.append(Flatten("decoder_flatten"))
        for layer in decoder:
            network.add(layer)
        network.decoder = frozenset(layer.name for layer in decoder)
        return network

    def _convolve(self, network: Network, number: int, filters: int) -> None:
        kernel, before = (self.kernel, self.kernel), network.output.shape
        network.add(Conv2D(f"conv_{number}", filters, kernel, self.initializer, (2, 2), "same"))
        height, width, _ = network.output.shape
        if transposed_positions((height, width), kernel, (2, 2), "same") != before[:2]:
            size = "x".join(map(str, before[:2]))
            raise FieldError(f"halving {size} leaves a remainder that cannot be decoded: even sizes can")

    def _activate(self, network: Network, name: str, is_code: bool) -> None:
        function = (self.code_activation or self.activation) if is_code else self.activation
        network.add(Activation(f"{name}_activation", function))

    def _decode(self, number: int, shape: Shape, images: Shape) -> list[Layer]:
        """What gives back the inputs of layer ``number``, of this shape, with the nonlinearity of the layer below."""
        name = f"decoder_{number}"
        convolutions = len(self.filters)
        decoded: Layer
        if self.tied and number > convolutions:
            decoded = TransposedDense(name, f"dense_{number - convolutions}", math.prod(shape), self.initializer)
        elif self.tied:
            kernel = (self.kernel, self.kernel)
            decoded = TransposedConv2D(name, f"conv_{number}", shape[-1], self.initializer, kernel, (2, 2))
        elif number > convolutions:
            decoded = Dense(name, math.prod(shape), self.initializer)
        else:
            decoded = Conv2DTranspose(name, shape[-1], (self.kernel, self.kernel), (2, 2), self.initializer)
        layers: list[Layer] = [decoded]
        if number > 1:
            layers.append(Activation(f"{name}_activation", self.activation))
        if number == convolutions + 1 and convolutions:
            layers.append(Reshape("decoder_reshape", images))
        return layers
