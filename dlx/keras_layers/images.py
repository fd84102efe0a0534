"""The layers of :mod:`dlx.layers.images` that Keras does not have (or not on every backend), in Keras ops.

Imported only when a network is built. Registered, so that ``.keras`` files that hold them
load wherever dlx is importable.
"""

# Keras has no types that mypy could use: its classes and decorators are Any.
# mypy: disable-error-code="misc, untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

register = keras.saving.register_keras_serializable("dlx")

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Of blue, green, red, in bytes."""


@register
class GroupedConv2D(keras.layers.Layer):
    """A convolution in groups: one kernel variable, one ordinary convolution per group.

    Keras' own ``groups`` have no gradient on TensorFlow without a GPU.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        groups: int,
        strides: Sequence[int] = (1, 1),
        padding: str = "valid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.groups, self.padding, self.use_bias = filters, groups, padding, use_bias
        self.kernel_size, self.strides = tuple(kernel_size), tuple(strides)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        shape = (*self.kernel_size, input_shape[-1] // self.groups, self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer=self.bias_initializer)

    def call(self, inputs: Any) -> Any:
        parts = zip(ops.split(inputs, self.groups, axis=-1), ops.split(self.kernel, self.groups, axis=-1), strict=True)
        outputs = [ops.conv(part, kernel, self.strides, self.padding) for part, kernel in parts]
        joined = ops.concatenate(outputs, axis=-1)
        return joined + self.bias if self.use_bias else joined

    def compute_output_shape(self, input_shape: Any) -> Any:
        plain = keras.layers.Conv2D(self.filters, self.kernel_size, self.strides, self.padding)
        return plain.compute_output_shape(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "groups": self.groups,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@register
class LocalResponseNormalization(keras.layers.Layer):
    """a / (k + α Σ a²)^β over neighbouring maps."""

    def __init__(self, neighbours: int, k: float, alpha: float, beta: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.neighbours, self.k, self.alpha, self.beta = neighbours, k, alpha, beta

    def call(self, inputs: Any) -> Any:
        maps, reach = inputs.shape[-1], self.neighbours // 2
        squares = ops.pad(ops.square(inputs), [[0, 0], [0, 0], [0, 0], [reach, reach]])
        total = sum(squares[..., first : first + maps] for first in range(2 * reach + 1))
        return inputs / ops.power(self.k + self.alpha * total, self.beta)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        mine = {"neighbours": self.neighbours, "k": self.k, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **mine}


@register
class IdentityShortcut(keras.layers.Layer):
    """Positions a stride apart, and maps of zeros behind its own up to ``filters``."""

    def __init__(self, filters: int, strides: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters, self.strides = filters, tuple(strides)

    def call(self, inputs: Any) -> Any:
        taken = inputs[:, :: self.strides[0], :: self.strides[1], :]
        return ops.pad(taken, [[0, 0], [0, 0], [0, 0], [0, self.filters - inputs.shape[-1]]])

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, _ = input_shape
        return batch, -(-height // self.strides[0]), -(-width // self.strides[1]), self.filters

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "strides": self.strides}


@register
class LayerScale(keras.layers.Layer):
    """Each channel times a number that is learned, ``init_values`` at first (ConvNeXt; Touvron et al. 2021)."""

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim
        self.gamma_initializer = keras.initializers.Constant(init_values)

    def build(self, _: Any) -> None:
        self.gamma = self.add_weight(name="gamma", shape=(self.projection_dim,), initializer=self.gamma_initializer)

    def call(self, inputs: Any) -> Any:
        return inputs * self.gamma

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "init_values": self.init_values, "projection_dim": self.projection_dim}


@register
class StochasticDepth(keras.layers.Layer):
    """Drops an example's branch in training, with this probability, and scales up the others (Huang et al. 2016)."""

    def __init__(self, drop_path_rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop_path_rate, self.seed = drop_path_rate, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.drop_path_rate:
            return inputs
        kept = 1.0 - self.drop_path_rate
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        draws = keras.random.uniform(shape, 0.0, 1.0, dtype=self.compute_dtype, seed=self.seed_generator)
        return inputs / kept * ops.floor(kept + draws)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "drop_path_rate": self.drop_path_rate, "seed": self.seed}


@register
class CustomScaleLayer(keras.layers.Layer):
    """The first input plus the second times ``scale``: a damped residual (Szegedy et al. 2017)."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Any:
        return inputs[0] + inputs[1] * self.scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale}


@register
class Preprocessing(keras.layers.Layer):
    """What ``keras.applications``' ``preprocess_input`` makes of pixels, from pixels divided by 255."""

    def __init__(self, mode: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mode = mode

    def call(self, inputs: Any) -> Any:
        if self.mode == "tf":
            return inputs * 2.0 - 1.0
        if self.mode == "torch":
            mean, deviation = (ops.convert_to_tensor(one, inputs.dtype) for one in (IMAGENET_MEAN, IMAGENET_DEVIATION))
            return (inputs - mean) / deviation
        if self.mode == "caffe":
            return ops.flip(inputs, -1) * 255.0 - ops.convert_to_tensor(CAFFE_MEAN, inputs.dtype)
        return inputs * 255.0

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@register
class LocallyConnected2D(keras.layers.Layer):
    """A 'same' convolution at stride 1 with a kernel of its own at every position: (height, width, inputs, filters)."""

    def __init__(
        self,
        filters: int,
        kernel_size: Sequence[int],
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, tuple(kernel_size)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        _, height, width, maps = input_shape
        inputs = self.kernel_size[0] * self.kernel_size[1] * maps
        kernel = height, width, inputs, self.filters
        self.kernel = self.add_weight(name="kernel", shape=kernel, initializer=self.kernel_initializer)
        bias = height, width, self.filters
        self.bias = self.add_weight(name="bias", shape=bias, initializer=self.bias_initializer)

    def draw_initial(self, name: str, shape: Any, draw: Any) -> Any:
        """Each position's kernel as that of a unit which sees a window: its fans are not those of the whole array."""
        if name == "bias":
            return draw(self.bias_initializer, shape)
        return draw(self.kernel_initializer, shape, (shape[2], self.filters))

    def call(self, inputs: Any) -> Any:
        height, width = inputs.shape[1:3]
        above, left = ((size - 1) // 2 for size in self.kernel_size)
        below, right = (size // 2 for size in self.kernel_size)
        padded = ops.pad(inputs, [[0, 0], [above, below], [left, right], [0, 0]])
        windows = [
            padded[:, row : row + height, column : column + width, :]
            for row in range(self.kernel_size[0])
            for column in range(self.kernel_size[1])
        ]
        return ops.einsum("bhwi,hwio->bhwo", ops.concatenate(windows, axis=-1), self.kernel) + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:3], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@register
class Maxout(keras.layers.Layer):
    """The largest of each so many neighbouring maps."""

    def __init__(self, pieces: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs: Any) -> Any:
        maps = inputs.shape[-1] // self.pieces
        return ops.max(ops.reshape(inputs, (-1, *inputs.shape[1:-1], maps, self.pieces)), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pieces": self.pieces}


@register
class SubtractiveNormalization(keras.layers.Layer):
    """Each map minus the mean of all maps over the 3×3 positions around, positions beyond the edge left out."""

    def call(self, inputs: Any) -> Any:
        over_maps = ops.mean(inputs, axis=-1, keepdims=True)
        return inputs - ops.average_pool(over_maps, (3, 3), (1, 1), "same")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
