"""What LeNet-5 needs and Keras does not have, in Keras ops, for every backend.

Imported only when a network is built. Registered, so that ``.keras`` files that hold them
load wherever dlx is importable.
"""

# Keras has no types that mypy could use: its classes and decorators are Any.
# mypy: disable-error-code="misc, untyped-decorator"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from dlx.activations import SCALED_TANH_AMPLITUDE, SCALED_TANH_SLOPE
from dlx.digit_codes import codes

Shape = tuple[int, ...]
Draw = Callable[[Any, Shape, tuple[int, int] | None], Any]

register = keras.saving.register_keras_serializable("dlx")


@register
def scaled_tanh(x: Any) -> Any:
    """1.7159 · tanh(2x/3): close to the identity around ±1 (LeCun et al. 1998, appendix A)."""
    return SCALED_TANH_AMPLITUDE * ops.tanh(SCALED_TANH_SLOPE * x)


@register
class FanInUniform(keras.initializers.Initializer):
    """U(±limit/fan_in)."""

    def __init__(self, limit: float = 2.4, seed: Any = None) -> None:
        self.limit = limit
        self.seed = seed

    def __call__(self, shape: Shape, dtype: Any = None) -> Any:
        from dlx.initializers import compute_fans

        limit = self.limit / compute_fans(tuple(shape))[0]
        return keras.random.uniform(shape, -limit, limit, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"limit": self.limit, "seed": self.seed}


@register
class PartialConv2D(keras.layers.Layer):
    """A convolution (stride 1, no padding) whose output map j sees the input maps ``table[j]``.

    The kernel holds the connected pairs only, (height, width, pairs) ordered by output map;
    it is spread into a full kernel with zeros for one ordinary convolution.
    """

    def __init__(
        self,
        kernel_size: Sequence[int],
        table: Sequence[Sequence[int]],
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = tuple(kernel_size)
        self.table = tuple(tuple(sources) for sources in table)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        maps = input_shape[-1]
        pairs = [(source, target) for target, sources in enumerate(self.table) for source in sources]
        self._spread = np.zeros((len(pairs), maps * len(self.table)), dtype="float32")
        for pair, (source, target) in enumerate(pairs):
            self._spread[pair, source * len(self.table) + target] = 1.0
        self.kernel = self.add_weight(
            name="kernel", shape=(*self.kernel_size, len(pairs)), initializer=self._initial_kernel
        )
        self.bias = self.add_weight(name="bias", shape=(len(self.table),), initializer=self.bias_initializer)

    def draw_initial(self, name: str, shape: Shape, draw: Draw) -> Any:
        """Values in NumPy: each output map's kernel by its own number of inputs."""
        if name == "bias":
            return draw(self.bias_initializer, shape, None)
        positions = self.kernel_size[0] * self.kernel_size[1]
        outputs_per_map = shape[-1] / (1 + max(max(sources) for sources in self.table))
        kernels = []
        for sources in self.table:
            fans = (positions * len(sources), round(positions * outputs_per_map))
            kernels.append(draw(self.kernel_initializer, (*self.kernel_size, len(sources), 1), fans)[..., 0])
        return np.concatenate(kernels, axis=-1)

    def _initial_kernel(self, shape: Shape, dtype: Any = None) -> Any:
        kernels = [self.kernel_initializer((*self.kernel_size, len(one), 1), dtype=dtype)[..., 0] for one in self.table]
        return ops.concatenate(kernels, axis=-1)

    def call(self, inputs: Any) -> Any:
        spread = ops.cast(self._spread, self.compute_dtype)
        full = ops.reshape(ops.matmul(self.kernel, spread), (*self.kernel_size, inputs.shape[-1], len(self.table)))
        return ops.conv(inputs, full, strides=1, padding="valid") + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, _ = input_shape
        return batch, height - self.kernel_size[0] + 1, width - self.kernel_size[1] + 1, len(self.table)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "table": self.table,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@register
class TrainablePooling2D(keras.layers.Layer):
    """The sum of each window × a coefficient + a bias, one of each per map."""

    def __init__(
        self,
        pool_size: Sequence[int],
        coefficient_initializer: Any = "ones",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = tuple(pool_size)
        self.coefficient_initializer = keras.initializers.get(coefficient_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        maps = (input_shape[-1],)
        self.coefficient = self.add_weight(name="coefficient", shape=maps, initializer=self.coefficient_initializer)
        self.bias = self.add_weight(name="bias", shape=maps, initializer=self.bias_initializer)

    def draw_initial(self, name: str, shape: Shape, draw: Draw) -> Any:
        """Values in NumPy: a unit's inputs are the positions of its window."""
        if name == "bias":
            return draw(self.bias_initializer, shape, None)
        positions = self.pool_size[0] * self.pool_size[1]
        return draw(self.coefficient_initializer, shape, (positions, positions))

    def call(self, inputs: Any) -> Any:
        mean = ops.average_pool(inputs, self.pool_size, strides=self.pool_size, padding="valid")
        return mean * (self.pool_size[0] * self.pool_size[1]) * self.coefficient + self.bias

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, height, width, maps = input_shape
        return batch, height // self.pool_size[0], width // self.pool_size[1], maps

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "coefficient_initializer": keras.initializers.serialize(self.coefficient_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }


@register
class DigitCodes(keras.layers.Layer):
    """Minus the mean squared distance to the fixed code of each class.

    The paper's distance (LeCun et al. 1998, eq. 7) is the sum, in a criterion that also draws
    the units to their codes (eq. 9, by its constant for rubbish images). In a softmax
    cross-entropy, where only differences between classes count, a sum over 84 units is so
    steep that the layers before it hardly move: on MNIST it stays at 10 % error, the mean
    reaches 1.3 % in 6 epochs (Adam 2e-3, batch 128).
    """

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        self._codes = np.asarray(codes(classes), dtype="float32")

    def call(self, inputs: Any) -> Any:
        apart = ops.expand_dims(inputs, -2) - ops.cast(self._codes, inputs.dtype)
        return -ops.mean(ops.square(apart), axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return *input_shape[:-1], self.classes

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes}
