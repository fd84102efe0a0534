"""A layer of a restricted Boltzmann machine: forwards it is an ordinary dense layer with its nonlinearity."""

# Keras has no types that mypy could use: its classes and decorators are Any.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dlx.boltzmann import Machine
from dlx.energies import Units


class BoltzmannLayer(keras.layers.Layer):
    """x ↦ E[h | v = x]; the kernel and bias are those of a dense layer, the visible units have a bias as well."""

    def __init__(
        self, units: int, visible: Units, hidden: Units, kernel_initializer: Any, bias_initializer: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.visible, self.hidden = units, visible, hidden
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.visible_bias_initializer = keras.initializers.get("zeros")

    def build(self, input_shape: Any) -> None:
        inputs = input_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=(inputs, self.units), initializer=self.kernel_initializer)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer=self.bias_initializer)
        self.visible_bias = self.add_weight(
            name="visible_bias", shape=(inputs,), initializer=self.visible_bias_initializer
        )

    def machine(self, kernel: Any, bias: Any, visible_bias: Any) -> Machine:
        """The machine with these values."""
        return Machine(kernel, bias, visible_bias, self.visible, self.hidden)

    def call(self, inputs: Any) -> Any:
        total = ops.matmul(inputs, self.kernel) + self.bias
        return ops.sigmoid(total) if self.hidden == "binary" else total

    def compute_output_shape(self, input_shape: Any) -> Any:
        return *input_shape[:-1], self.units
