"""Layer descriptors: what a layer makes of shapes, what it costs, and its Keras layer.

One descriptor is the only source for a layer's output shape, variables, multiply-adds,
window on the input and Keras build, so that the counts printed before training are those
of what is trained. Shapes leave out the batch; images are (height, width, channels).

Multiply-adds are counted for convolutions and dense layers only, positions × kernel ×
inputs × outputs, padded positions included (as in the papers' tables). Connections are
LeCun's: every weighted input of every unit, its bias included.
"""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from dlx.errors import FieldError

Shape = tuple[int, ...]
Pair = tuple[int, int]
Padding = Literal["same", "valid"]


class Buildable(Protocol):
    """Anything that gives a Keras initialiser."""

    def build(self) -> Any: ...


class Initializers(Protocol):
    """The initialisers of a layer with a kernel."""

    @property
    def kernel(self) -> Buildable: ...

    @property
    def bias(self) -> Buildable: ...


class Drawn(Protocol):
    """A layer with a kernel, which says how that is drawn."""

    @property
    def name(self) -> str: ...

    @property
    def initializers(self) -> Initializers: ...


@dataclass(frozen=True)
class Variable:
    """A weight: its Keras name and shape; moving statistics are not trainable."""

    name: str
    shape: Shape
    trainable: bool = True

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Window:
    """What one output position sees of the layer's input, in positions along (height, width).

    ``size``: from the first to the last position, those that a dilated kernel passes over included.
    """

    size: Pair
    stride: Pair


@dataclass(frozen=True)
class Layer(ABC):
    """A layer of a network. ``inputs`` of the methods: the shapes of what it is applied to."""

    name: str

    has_kernel: ClassVar[bool] = False
    """Whether the layer counts in the numbering of ``gradients.csv``."""
    sees_all: ClassVar[bool] = False
    """Whether each output depends on every position of the input."""

    @property
    def type(self) -> str:
        """The class name of the Keras layer."""
        return type(self).__name__

    @property
    def window(self) -> Window | None:
        """None: each output position sees the same position of the input (or all of it, ``sees_all``)."""
        return None

    def output_shape(self, *inputs: Shape) -> Shape:
        """Raises :class:`~dlx.errors.FieldError` where the layer cannot be applied."""
        return inputs[0]

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return ()

    def multiply_adds(self, *inputs: Shape) -> int:
        return 0

    def connections(self, *inputs: Shape) -> int:
        return 0

    @property
    def kernel_of(self) -> str | None:
        """The name of the layer whose kernel it uses, where it has none of its own."""
        return None

    @abstractmethod
    def build(self) -> Any:
        """The Keras layer, under the same name."""

    def build_beside(self, built: Mapping[str, Any]) -> Any:
        """The Keras layer, given those of the layers before it by name."""
        return self.build()


@dataclass(frozen=True)
class Dense(Layer):
    """Every output from every input of the last axis."""

    units: int
    initializers: Initializers
    use_bias: bool = True

    has_kernel = True
    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:-1], self.units)

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return kernel_and_bias((inputs[0][-1], self.units), self.use_bias)

    def multiply_adds(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * self.units

    def connections(self, *inputs: Shape) -> int:
        return sum(variable.size for variable in self.variables(*inputs)) * math.prod(inputs[0][:-1])

    def build(self) -> Any:
        import keras

        return keras.layers.Dense(
            self.units,
            use_bias=self.use_bias,
            **keras_arguments(self),
        )


@dataclass(frozen=True)
class Convolution(Layer):
    """A layer with one kernel, and one bias for each map, at all positions of an image."""

    has_kernel = True

    def multiply_adds(self, *inputs: Shape) -> int:
        return math.prod(self.output_shape(*inputs)[:2]) * self.variables(*inputs)[0].size

    def connections(self, *inputs: Shape) -> int:
        return math.prod(self.output_shape(*inputs)[:2]) * sum(v.size for v in self.variables(*inputs))


@dataclass(frozen=True)
class Conv2D(Convolution):
    """A convolution of images."""

    filters: int
    kernel: Pair
    initializers: Initializers
    stride: Pair = (1, 1)
    padding: Padding = "valid"
    use_bias: bool = True

    @property
    def window(self) -> Window:
        return Window(self.kernel, self.stride)

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*_positions(self, inputs[0], self.window, self.padding), self.filters)

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return kernel_and_bias((*self.kernel, inputs[0][-1], self.filters), self.use_bias)

    def build(self) -> Any:
        import keras

        return keras.layers.Conv2D(
            self.filters,
            self.kernel,
            strides=self.stride,
            padding=self.padding,
            use_bias=self.use_bias,
            **keras_arguments(self),
        )


@dataclass(frozen=True)
class PartialConv2D(Convolution):
    """A convolution (stride 1, no padding) whose output maps each see some of the input maps.

    ``table[j]``: the input maps of output map j. The kernel holds the connected pairs only:
    (height, width, pairs), ordered by output map.
    """

    kernel: Pair
    table: tuple[tuple[int, ...], ...]
    initializers: Initializers

    @property
    def window(self) -> Window:
        return Window(self.kernel, (1, 1))

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*_positions(self, inputs[0], self.window, "valid"), len(self.table))

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        pairs = sum(len(sources) for sources in self.table)
        return Variable("kernel", (*self.kernel, pairs)), Variable("bias", (len(self.table),))

    def build(self) -> Any:
        from dlx.keras_layers import PartialConv2D as KerasPartialConv2D

        return KerasPartialConv2D(
            self.kernel,
            self.table,
            **keras_arguments(self),
        )


@dataclass(frozen=True)
class Pooling2D(Layer):
    """The maximum or the average of each window, map by map."""

    kind: Literal["max", "average"]
    size: Pair
    stride: Pair
    padding: Padding = "valid"

    @property
    def type(self) -> str:
        return "MaxPooling2D" if self.kind == "max" else "AveragePooling2D"

    @property
    def window(self) -> Window:
        return Window(self.size, self.stride)

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*_positions(self, inputs[0], self.window, self.padding), inputs[0][-1])

    def build(self) -> Any:
        import keras

        kind = keras.layers.MaxPooling2D if self.kind == "max" else keras.layers.AveragePooling2D
        return kind(self.size, strides=self.stride, padding=self.padding, name=self.name)


@dataclass(frozen=True)
class TrainablePooling2D(Layer):
    """The sum of each window × a coefficient + a bias, one of each per map (LeCun et al. 1998, layers S2, S4)."""

    size: Pair
    initializers: Initializers

    @property
    def window(self) -> Window:
        return Window(self.size, self.size)

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*_positions(self, inputs[0], self.window, "valid"), inputs[0][-1])

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return Variable("coefficient", inputs[0][-1:]), Variable("bias", inputs[0][-1:])

    def connections(self, *inputs: Shape) -> int:
        return math.prod(self.output_shape(*inputs)) * (math.prod(self.size) + 1)

    def build(self) -> Any:
        from dlx.keras_layers import TrainablePooling2D as KerasTrainablePooling2D

        return KerasTrainablePooling2D(
            self.size,
            coefficient_initializer=self.initializers.kernel.build(),
            bias_initializer=self.initializers.bias.build(),
            name=self.name,
        )


@dataclass(frozen=True)
class GlobalAveragePooling2D(Layer):
    """The average of each map."""

    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        _image(self, inputs[0])
        return inputs[0][-1:]

    def build(self) -> Any:
        import keras

        return keras.layers.GlobalAveragePooling2D(name=self.name)


@dataclass(frozen=True)
class ZeroPadding2D(Layer):
    """A border of zeros, ``border`` positions wide."""

    border: int

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, channels = _image(self, inputs[0])
        return height + 2 * self.border, width + 2 * self.border, channels

    def build(self) -> Any:
        import keras

        return keras.layers.ZeroPadding2D(self.border, name=self.name)


@dataclass(frozen=True)
class Flatten(Layer):
    """All positions and channels in one row."""

    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (math.prod(inputs[0]),)

    def build(self) -> Any:
        import keras

        return keras.layers.Flatten(name=self.name)


@dataclass(frozen=True)
class Activation(Layer):
    """A nonlinearity, by name (:mod:`dlx.activations`)."""

    function: str

    def build(self) -> Any:
        import keras

        from dlx import activations

        return keras.layers.Activation(activations.get(self.function).function(), name=self.name)


@dataclass(frozen=True)
class Add(Layer):
    """The sum of its inputs, position by position: what a skip connection ends in."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if len(set(inputs)) > 1:
            raise FieldError(f"only equal shapes can be added, not {' and '.join(map(str, inputs))}")
        return inputs[0]

    def build(self) -> Any:
        import keras

        return keras.layers.Add(name=self.name)


@dataclass(frozen=True)
class Dropout(Layer):
    """Zeroes a fraction of its inputs while training and scales up the others."""

    rate: float

    def build(self) -> Any:
        import keras

        # A seed of its own gives each layer a generator of its own, whose state the engine sets.
        return keras.layers.Dropout(self.rate, seed=zlib.crc32(self.name.encode()), name=self.name)


@dataclass(frozen=True)
class BatchNormalization(Layer):
    """Each channel to mean 0, variance 1 over the batch and positions, then scaled and shifted."""

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        channels = inputs[0][-1:]
        return (
            Variable("gamma", channels),
            Variable("beta", channels),
            Variable("moving_mean", channels, trainable=False),
            Variable("moving_variance", channels, trainable=False),
        )

    def build(self) -> Any:
        import keras

        return keras.layers.BatchNormalization(name=self.name)


@dataclass(frozen=True)
class LayerNormalization(Layer):
    """Each example (each position of an image) to mean 0, variance 1 over its channels, then scaled and shifted."""

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return Variable("gamma", inputs[0][-1:]), Variable("beta", inputs[0][-1:])

    def build(self) -> Any:
        import keras

        return keras.layers.LayerNormalization(name=self.name)


@dataclass(frozen=True)
class DigitCodes(Layer):
    """Minus the mean squared distance to each class's fixed code of 84 values ±1 (after LeCun et al. 1998, eq. 7)."""

    classes: int

    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.classes,)

    def connections(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * self.classes

    def build(self) -> Any:
        from dlx.keras_layers import DigitCodes as KerasDigitCodes

        return KerasDigitCodes(self.classes, name=self.name)


def transposed_positions(positions: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    """Positions along (height, width) that a transposed convolution gives, as Keras counts them."""
    height, width = (
        at * step + (max(size - step, 0) if padding == "valid" else 0)
        for at, size, step in zip(positions, kernel, stride, strict=True)
    )
    return height, width


def keras_arguments(layer: Drawn) -> dict[str, Any]:
    """The arguments that Keras has for what all layers with a kernel say: their initialisers and name."""
    return {
        "kernel_initializer": layer.initializers.kernel.build(),
        "bias_initializer": layer.initializers.bias.build(),
        "name": layer.name,
    }


def kernel_and_bias(kernel: Shape, use_bias: bool) -> tuple[Variable, ...]:
    """The variables of a layer whose outputs are the last axis of its kernel."""
    bias = (Variable("bias", kernel[-1:]),) if use_bias else ()
    return (Variable("kernel", kernel), *bias)


def _image(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise FieldError(f"{layer.type} needs images (height, width, channels), not inputs of shape {shape}")
    return shape


def _positions(layer: Layer, shape: Shape, window: Window, padding: Padding) -> Pair:
    """Output positions along (height, width) of a sliding window."""
    height, width, _ = _image(layer, shape)
    if padding == "same":
        return -(-height // window.stride[0]), -(-width // window.stride[1])
    if window.size[0] > height or window.size[1] > width:
        needs = "{}x{}".format(*window.size)
        raise FieldError(f"nothing is left: a window of {needs} does not fit into {height}x{width}")
    return (height - window.size[0]) // window.stride[0] + 1, (width - window.size[1]) // window.stride[1] + 1
