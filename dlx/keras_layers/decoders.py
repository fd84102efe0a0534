"""Layers that decode with the kernel of another layer, transposed: tied weights, in Keras ops.

The layer whose kernel they use is not one of their own sublayers: its weights are counted,
saved and trained where they belong. A model with such a layer cannot be saved as
``model.keras``, which knows of no layer that refers to another.
"""

# Keras has no types that mypy could use: its classes and decorators are Any.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dlx.layers import transposed_positions


class _Tied(keras.layers.Layer):
    """A bias of its own, and a kernel that it shares."""

    shares_kernel = True

    def __init__(self, encoder: Any, units: int, use_bias: bool, bias_initializer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        object.__setattr__(self, "_encoder", encoder)  # past Keras' tracking of sublayers
        self.units = units
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer=self.bias_initializer)

    def with_bias(self, outputs: Any) -> Any:
        return outputs if self.bias is None else outputs + self.bias


class TransposedDense(_Tied):
    """x ↦ x·Wᵀ + b, W (units, …) the kernel of the dense layer that encodes."""

    def call(self, inputs: Any) -> Any:
        return self.with_bias(ops.matmul(inputs, ops.transpose(self._encoder.kernel)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return *input_shape[:-1], self.units


class TransposedConv2D(_Tied):
    """The transposed convolution with the kernel of the convolution that encodes."""

    def call(self, inputs: Any) -> Any:
        encoder = self._encoder
        # A convolution's kernel (h, w, in, out) is that of the transposed one (h, w, its outputs, its inputs).
        outputs = ops.conv_transpose(inputs, encoder.kernel, strides=encoder.strides, padding=encoder.padding)
        return self.with_bias(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        kernel, stride, padding = self._encoder.kernel_size, self._encoder.strides, self._encoder.padding
        return input_shape[0], *transposed_positions(tuple(input_shape[1:3]), kernel, stride, padding), self.units
