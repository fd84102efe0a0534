"""The kinds of layers that the nets of ``keras.applications`` are made of, as they were written down.

Each knows shapes, variables and multiply-adds from the arguments that Keras' layer is built
with; arguments that are not written are at Keras' defaults.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dlx.errors import FieldError
from dlx.layers import Layer, Pair, Shape, Variable, Window

_OWN = ("CustomScaleLayer", "LayerScale", "StochasticDepth")
"""Layers inside ``keras.applications``, which Keras does not offer to others."""


@dataclass(frozen=True, eq=False)
class Recorded(Layer):
    """A layer of Keras' class ``kind``, built with ``config``; by itself, it changes no shape and has no weights."""

    kind: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        return self.kind

    @property
    def function(self) -> str:
        """Name of the nonlinearity, where it is one."""
        return str(self.config["activation"])

    @property
    def rate(self) -> float:
        """The fraction that is dropped, where some is."""
        return float(self.config["rate"])

    def build(self) -> Any:
        import keras

        from dlx.keras_layers import images as keras_image_layers

        made = getattr(keras_image_layers if self.kind in _OWN else keras.layers, self.kind)
        return made(**self.config, **self._drawing(), name=self.name)

    def _drawing(self) -> dict[str, int]:
        """A seed of its own gives each layer that draws a generator of its own, whose state the engine sets."""
        return {"seed": zlib.crc32(self.name.encode())} if self.kind in ("Dropout", "StochasticDepth") else {}

    def _pair(self, key: str, default: int = 1) -> Pair:
        value = self.config.get(key)
        if value is None:
            value = default
        return (value, value) if isinstance(value, int) else (value[0], value[1])


class Windowed(Recorded):
    """What slides a window over an image."""

    @property
    def window(self) -> Window:
        return Window(self._pair("kernel_size"), self._pair("strides"))

    def positions(self, shape: Shape) -> Pair:
        """Output positions along (height, width)."""
        (height, width, _), (size, stride) = shape, (self.window.size, self.window.stride)
        if self.config.get("padding", "valid") == "same":
            return -(-height // stride[0]), -(-width // stride[1])
        if size[0] > height or size[1] > width:
            needs = "{}x{}".format(*size)
            raise FieldError(f"nothing is left: {self.name}'s window of {needs} does not fit into {height}x{width}")
        return (height - size[0]) // stride[0] + 1, (width - size[1]) // stride[1] + 1


class Convolution(Windowed):
    """``Conv2D``, ``DepthwiseConv2D`` and ``SeparableConv2D``."""

    has_kernel = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*self.positions(inputs[0]), self.config.get("filters", inputs[0][-1]))

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        maps, filters, size = inputs[0][-1], self.config.get("filters", inputs[0][-1]), self.window.size
        bias = (Variable("bias", (filters,)),) if self.config.get("use_bias", True) else ()
        if self.kind == "SeparableConv2D":
            return (
                Variable("depthwise_kernel", (*size, maps, 1)),
                Variable("pointwise_kernel", (1, 1, maps, filters)),
                *bias,
            )
        seen = maps // self.config.get("groups", 1)
        shape = (*size, maps, 1) if self.kind == "DepthwiseConv2D" else (*size, seen, filters)
        return (Variable("kernel", shape), *bias)

    def multiply_adds(self, *inputs: Shape) -> int:
        kernels = sum(variable.size for variable in self.variables(*inputs) if "kernel" in variable.name)
        return math.prod(self.positions(inputs[0])) * kernels

    def connections(self, *inputs: Shape) -> int:
        return math.prod(self.positions(inputs[0])) * sum(variable.size for variable in self.variables(*inputs))


class Product(Recorded):
    """``Dense``: of a vector, or of the maps at each position."""

    has_kernel = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:-1], self.config["units"])

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        units = self.config["units"]
        return Variable("kernel", (inputs[0][-1], units)), Variable("bias", (units,))

    def multiply_adds(self, *inputs: Shape) -> int:
        return math.prod(inputs[0]) * int(self.config["units"])

    def connections(self, *inputs: Shape) -> int:
        return math.prod(inputs[0][:-1]) * sum(variable.size for variable in self.variables(*inputs))


class Normalizing(Recorded):
    """``BatchNormalization``, ``LayerNormalization``, ``LayerScale``; ``Normalization`` by statistics, given or not."""

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        channels = inputs[0][-1:]
        learned = [
            Variable(name, channels)
            for name, switch in (("gamma", "scale"), ("beta", "center"))
            if self.config.get(switch, True)
        ]
        if self.kind == "LayerScale":
            return (Variable("gamma", channels),)
        if self.kind == "Normalization":
            moving = (Variable("mean", channels, trainable=False), Variable("variance", channels, trainable=False))
            return () if self.config.get("mean") is not None else (*moving, Variable("count", (), trainable=False))
        if self.kind == "LayerNormalization":
            return tuple(learned)
        statistics = (Variable(name, channels, trainable=False) for name in ("moving_mean", "moving_variance"))
        return (*learned, *statistics)


class Pooling(Windowed):
    """``MaxPooling2D`` and ``AveragePooling2D``."""

    @property
    def window(self) -> Window:
        size = self._pair("pool_size", 2)
        return Window(size, size if self.config.get("strides") is None else self._pair("strides"))

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*self.positions(inputs[0]), inputs[0][-1])


class Everywhere(Recorded):
    """``GlobalAveragePooling2D``, ``Flatten`` and ``Reshape``: all positions in one."""

    sees_all = True

    def output_shape(self, *inputs: Shape) -> Shape:
        if self.kind == "Reshape":
            return tuple(self.config["target_shape"])
        if self.kind == "Flatten":
            return (math.prod(inputs[0]),)
        return (1, 1, inputs[0][-1]) if self.config.get("keepdims") else inputs[0][-1:]


class Bordering(Recorded):
    """``ZeroPadding2D`` and ``Cropping2D``.

    With ``kernel`` in place of ``padding``, what a window of that size at stride 2 wants: one
    less above and on the left where the size is even.
    """

    def output_shape(self, *inputs: Shape) -> Shape:
        height, width, maps = inputs[0]
        sign = -1 if self.kind == "Cropping2D" else 1
        (top, bottom), (left, right) = self._border(inputs[0])
        height, width = height + sign * (top + bottom), width + sign * (left + right)
        if min(height, width) < 1:
            raise FieldError(f"nothing is left: {self.name} cuts all of {inputs[0][0]}x{inputs[0][1]} away")
        return height, width, maps

    def _border(self, shape: Shape) -> tuple[Pair, Pair]:
        if "kernel" in self.config:
            most = self.config["kernel"] // 2
            return (most - 1 + shape[0] % 2, most), (most - 1 + shape[1] % 2, most)
        default = [[0, 0], [0, 0]] if self.kind == "Cropping2D" else [[1, 1], [1, 1]]
        key = "cropping" if self.kind == "Cropping2D" else "padding"
        (top, bottom), (left, right) = self.config.get(key, default)
        return (top, bottom), (left, right)

    def fitted(self, shape: Shape) -> Bordering:
        """The same layer with the border that an input of this shape gets."""
        return replace(self, config={"padding": self._border(shape)}) if "kernel" in self.config else self


class Joining(Recorded):
    """``Concatenate``; ``Add``, ``Multiply``, ``CustomScaleLayer``, where one number may stand for all positions."""

    def output_shape(self, *inputs: Shape) -> Shape:
        if self.kind == "Concatenate":
            if len({shape[:-1] for shape in inputs}) > 1:
                raise FieldError(f"only maps of one size can be joined, not {' and '.join(map(str, inputs))}")
            return (*inputs[0][:-1], sum(shape[-1] for shape in inputs))
        return tuple(map(max, *inputs))


@dataclass(frozen=True, eq=False)
class Chain(Layer):
    """``Sequential``: layers one after the other that count as one."""

    layers: tuple[Recorded, ...] = ()

    @property
    def type(self) -> str:
        return "Sequential"

    @property
    def window(self) -> Window | None:
        size, stride = (1, 1), (1, 1)
        for window in filter(None, (layer.window for layer in self.layers)):
            size = size[0] + (window.size[0] - 1) * stride[0], size[1] + (window.size[1] - 1) * stride[1]
            stride = stride[0] * window.stride[0], stride[1] * window.stride[1]
        return Window(size, stride)

    def output_shape(self, *inputs: Shape) -> Shape:
        for layer in self.layers:
            inputs = (layer.output_shape(*inputs),)
        return inputs[0]

    def variables(self, *inputs: Shape) -> tuple[Variable, ...]:
        return tuple(variable for layer, shape in self._applied(inputs[0]) for variable in layer.variables(shape))

    def multiply_adds(self, *inputs: Shape) -> int:
        return sum(layer.multiply_adds(shape) for layer, shape in self._applied(inputs[0]))

    def connections(self, *inputs: Shape) -> int:
        return sum(layer.connections(shape) for layer, shape in self._applied(inputs[0]))

    def build(self) -> Any:
        import keras

        return keras.Sequential([layer.build() for layer in self.layers], name=self.name)

    def _applied(self, shape: Shape) -> list[tuple[Recorded, Shape]]:
        shapes = [shape]
        for layer in self.layers:
            shapes.append(layer.output_shape(shapes[-1]))
        return list(zip(self.layers, shapes, strict=False))


class ChainWithKernel(Chain):
    """A chain in which there is a layer with a kernel."""

    has_kernel = True


KINDS: Mapping[str, type[Recorded]] = {
    "Activation": Recorded,
    "Add": Joining,
    "AveragePooling2D": Pooling,
    "BatchNormalization": Normalizing,
    "Concatenate": Joining,
    "Conv2D": Convolution,
    "Cropping2D": Bordering,
    "CustomScaleLayer": Joining,
    "Dense": Product,
    "DepthwiseConv2D": Convolution,
    "Dropout": Recorded,
    "Flatten": Everywhere,
    "GlobalAveragePooling2D": Everywhere,
    "LayerNormalization": Normalizing,
    "LayerScale": Normalizing,
    "MaxPooling2D": Pooling,
    "Multiply": Joining,
    "Normalization": Normalizing,
    "ReLU": Recorded,
    "Rescaling": Recorded,
    "Reshape": Everywhere,
    "SeparableConv2D": Convolution,
    "StochasticDepth": Recorded,
    "ZeroPadding2D": Bordering,
}


def made(layer: Mapping[str, Any]) -> Layer:
    """The layer that a record describes."""
    if layer["class"] == "Sequential":
        inside = tuple(made(one) for one in layer["layers"])
        kind = ChainWithKernel if any(one.has_kernel for one in inside) else Chain
        return kind(layer["name"], tuple(one for one in inside if isinstance(one, Recorded)))
    return KINDS[layer["class"]](layer["name"], layer["class"], layer.get("config", {}))
