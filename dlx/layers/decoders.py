"""Layer descriptors of decoders: from a code back to an image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlx.layers import Initializers, Layer, Pair, Shape, Variable, keras_arguments, transposed_positions


@dataclass(frozen=True)
class Reshape(Layer):
    """The same values in another shape."""

    shape: Shape

    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def build(self) -> Any:
        import keras

        return keras.layers.Reshape(self.shape, name=self.name)


@dataclass(frozen=True)
class Conv2DTranspose(Layer):
    """A convolution backwards (padding same): each input position spreads over a window of the output."""

    filters: int
    kernel: Pair
    stride: Pair
    initializers: Initializers

    has_kernel = True
    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, _ = inputs[0]
        return *transposed_positions((height, width), self.kernel, self.stride, "same"), self.filters

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return Variable("kernel", (*self.kernel, self.filters, inputs[0][-1])), Variable("bias", (self.filters,))

    def multiply_adds(self, *inputs: Shape) -> int:
        return math.prod(inputs[0][:2]) * self.variables(*inputs)[0].size

    def connections(self, *inputs: Shape) -> int:
        return self.multiply_adds(*inputs) + math.prod(self.output_shape(*inputs))

    def build(self) -> Any:
        import keras

        return keras.layers.Conv2DTranspose(
            self.filters,
            self.kernel,
            strides=self.stride,
            padding="same",
            **keras_arguments(self),
        )


@dataclass(frozen=True)
class _Tied(Layer):
    """A layer that decodes with the kernel of ``encoder``, transposed, and a bias of its own."""

    encoder: str
    units: int
    initializers: Initializers

    has_kernel = True
    sees_all = True

    @property
    def kernel_of(self) -> str | None:
        return self.encoder

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return (Variable("bias", (self.units,)),)

    def connections(self, *inputs: Shape) -> int:
        return self.multiply_adds(*inputs) + math.prod(self.output_shape(*inputs))

    def build(self) -> Any:
        raise ValueError(f"{self.name} uses the kernel of {self.encoder}: it is built beside that one")


@dataclass(frozen=True)
class TransposedDense(_Tied):
    """A dense layer backwards: x ↦ x·Wᵀ + b."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:-1], self.units)

    def multiply_adds(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * self.units

    def build_beside(self, built: Mapping[str, Any]) -> Any:
        from dlx.keras_layers import decoders as keras_decoders

        bias = self.initializers.bias.build()
        return keras_decoders.TransposedDense(built[self.encoder], self.units, True, bias, name=self.name)


@dataclass(frozen=True)
class TransposedConv2D(_Tied):
    """A convolution backwards (padding same), with its own kernel."""

    kernel: Pair
    stride: Pair

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, _ = inputs[0]
        return *transposed_positions((height, width), self.kernel, self.stride, "same"), self.units

    def multiply_adds(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * math.prod(self.kernel) * self.units

    def build_beside(self, built: Mapping[str, Any]) -> Any:
        from dlx.keras_layers import decoders as keras_decoders

        bias = self.initializers.bias.build()
        return keras_decoders.TransposedConv2D(built[self.encoder], self.units, True, bias, name=self.name)
