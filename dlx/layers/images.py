"""Layers that nets of the literature need beside those of :mod:`dlx.layers`: branches, groups, shortcuts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from dlx.errors import FieldError
from dlx.layers import Conv2D, Initializers, Layer, Pair, Shape, Variable, Window, keras_arguments, kernel_and_bias


def verify_images(net: str, input_shape: Shape, smallest: int) -> None:
    """Raises :class:`~dlx.errors.FieldError` for what are no images, and for images below ``smallest`` pixels."""
    if len(input_shape) != 3:
        raise FieldError(f"{net} needs images (height, width, channels), the data have shape {input_shape}")
    if min(input_shape[:2]) < smallest:
        size = "{}x{}".format(*input_shape)
        raise FieldError(
            f"{net} needs images of at least {smallest}x{smallest}, not {size}; "
            f"`dataset.resize: {smallest}` enlarges them"
        )


@dataclass(frozen=True)
class Concatenate(Layer):
    """The maps of all its inputs, one behind the other."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if len({shape[:-1] for shape in inputs}) > 1:
            raise FieldError(f"only maps of one size can be joined, not {' and '.join(map(str, inputs))}")
        return (*inputs[0][:-1], sum(shape[-1] for shape in inputs))

    def build(self) -> Any:
        import keras

        return keras.layers.Concatenate(name=self.name)


@dataclass(frozen=True)
class GroupedConv2D(Conv2D):
    """A convolution whose output maps see the input maps of their own group only (Krizhevsky et al. 2012)."""

    groups: int = 2

    def output_shape(self, *inputs: Shape) -> Shape:
        shape = super().output_shape(*inputs)
        if inputs[0][-1] % self.groups or self.filters % self.groups:
            raise FieldError(f"{inputs[0][-1]} and {self.filters} maps cannot be divided into {self.groups} groups")
        return shape

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return kernel_and_bias((*self.kernel, inputs[0][-1] // self.groups, self.filters), self.use_bias)

    def build(self) -> Any:
        from dlx.keras_layers.images import GroupedConv2D as KerasGroupedConv2D

        return KerasGroupedConv2D(
            self.filters,
            self.kernel,
            self.groups,
            strides=self.stride,
            padding=self.padding,
            use_bias=self.use_bias,
            **keras_arguments(self),
        )


@dataclass(frozen=True)
class LocalResponseNormalization(Layer):
    """a / (k + α Σ a²)^β, the sum over ``neighbours`` maps (Krizhevsky et al. 2012, section 3.3)."""

    neighbours: int = 5
    k: float = 2.0
    alpha: float = 1e-4
    beta: float = 0.75

    def build(self) -> Any:
        from dlx.keras_layers.images import LocalResponseNormalization as KerasLocalResponseNormalization

        return KerasLocalResponseNormalization(self.neighbours, self.k, self.alpha, self.beta, name=self.name)


@dataclass(frozen=True)
class IdentityShortcut(Layer):
    """Every second position (each, at stride 1) of its input, with maps of zeros added up to ``filters``.

    Shortcuts of type A, which have no parameters (He et al. 2016, section 4.2).
    """

    filters: int
    stride: Pair

    @property
    def window(self) -> Window:
        return Window((1, 1), self.stride)

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, channels = inputs[0]
        if channels > self.filters:
            raise FieldError(f"{channels} maps cannot be padded to {self.filters}")
        return math.ceil(height / self.stride[0]), math.ceil(width / self.stride[1]), self.filters

    def build(self) -> Any:
        from dlx.keras_layers.images import IdentityShortcut as KerasIdentityShortcut

        return KerasIdentityShortcut(self.filters, self.stride, name=self.name)


@dataclass(frozen=True)
class Preprocessing(Layer):
    """Pixels from 0 to 1, brought to what the weights of ``keras.applications`` were trained on, in Keras' words.

    ``tf``: −1 to 1; ``torch``: minus the mean of ImageNet's channels, by their standard deviation;
    ``caffe``: blue, green, red from 0 to 255, minus the channels' means; ``bytes``: 0 to 255.
    """

    mode: Literal["caffe", "torch", "tf", "bytes"]

    def build(self) -> Any:
        from dlx.keras_layers.images import Preprocessing as KerasPreprocessing

        return KerasPreprocessing(self.mode, name=self.name)


@dataclass(frozen=True)
class LocallyConnected2D(Layer):
    """A convolution (stride 1, zeros around) that has a kernel and a bias of its own at every position."""

    filters: int
    kernel: Pair
    initializers: Initializers

    has_kernel = True

    @property
    def window(self) -> Window:
        return Window(self.kernel, (1, 1))

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:2], self.filters)

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        height, width, maps = inputs[0]
        kernel = Variable("kernel", (height, width, math.prod(self.kernel) * maps, self.filters))
        return kernel, Variable("bias", (height, width, self.filters))

    def multiply_adds(self, *inputs: Shape) -> int:
        return self.variables(*inputs)[0].size

    def connections(self, *inputs: Shape) -> int:
        return sum(variable.size for variable in self.variables(*inputs))

    def build(self) -> Any:
        from dlx.keras_layers.images import LocallyConnected2D as KerasLocallyConnected2D

        return KerasLocallyConnected2D(
            self.filters,
            self.kernel,
            **keras_arguments(self),
        )


@dataclass(frozen=True)
class Maxout(Layer):
    """The largest of each ``pieces`` neighbouring maps (Goodfellow et al. 2013)."""

    pieces: int

    def output_shape(self, *inputs: Shape) -> Shape:
        if inputs[0][-1] % self.pieces:
            raise FieldError(f"{inputs[0][-1]} maps cannot be divided into groups of {self.pieces}")
        return (*inputs[0][:-1], inputs[0][-1] // self.pieces)

    def build(self) -> Any:
        from dlx.keras_layers.images import Maxout as KerasMaxout

        return KerasMaxout(self.pieces, name=self.name)


@dataclass(frozen=True)
class SubtractiveNormalization(Layer):
    """Each map minus the mean of all maps over the 3×3 positions around (after Jarrett et al. 2009)."""

    def build(self) -> Any:
        from dlx.keras_layers.images import SubtractiveNormalization as KerasSubtractiveNormalization

        return KerasSubtractiveNormalization(name=self.name)
