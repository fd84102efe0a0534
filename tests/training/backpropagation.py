"""Backpropagation of a multilayer perceptron in plain NumPy, in float64: the second route to every gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-z))


@dataclass
class Perceptron:
    """Sigmoid hidden layers and softmax outputs with cross-entropy; kernels (inputs, units)."""

    kernels: list[np.ndarray]
    biases: list[np.ndarray]

    @classmethod
    def of(cls, arrays: Sequence[np.ndarray]) -> Perceptron:
        """From kernel, bias, kernel, bias, …"""
        wide = [np.array(array, dtype=np.float64) for array in arrays]
        return cls(wide[::2], wide[1::2])

    def parameters(self) -> list[np.ndarray]:
        """Kernel, bias, kernel, bias, …"""
        return [array for pair in zip(self.kernels, self.biases, strict=True) for array in pair]

    def probabilities(self, inputs: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """The hidden activations with the inputs before them, and softmax(logits)."""
        activations = [inputs]
        for kernel, bias in zip(self.kernels[:-1], self.biases[:-1], strict=True):
            activations.append(sigmoid(activations[-1] @ kernel + bias))
        logits = activations[-1] @ self.kernels[-1] + self.biases[-1]
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return activations, shifted / shifted.sum(axis=1, keepdims=True)

    def loss(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Cross-entropy of each example."""
        _, probabilities = self.probabilities(inputs)
        return -np.log(probabilities[np.arange(len(labels)), labels])

    def gradients(self, inputs: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        """∂(mean loss)/∂θ in the order of :meth:`parameters`."""
        activations, probabilities = self.probabilities(inputs)
        delta = probabilities.copy()
        delta[np.arange(len(labels)), labels] -= 1.0
        delta /= len(labels)
        found: list[np.ndarray] = []
        for layer in reversed(range(len(self.kernels))):
            found = [activations[layer].T @ delta, delta.sum(axis=0), *found]
            if layer:
                delta = (delta @ self.kernels[layer].T) * activations[layer] * (1.0 - activations[layer])
        return found

    def descend(
        self, inputs: np.ndarray, labels: np.ndarray, rate: float, l1: float = 0.0, l2: float = 0.0
    ) -> list[np.ndarray]:
        """One step of gradient descent; gives the gradients of the data loss."""
        gradients = self.gradients(inputs, labels)
        for index, (value, gradient) in enumerate(zip(self.parameters(), gradients, strict=True)):
            penalty = l2 * value + l1 * np.sign(value) if index % 2 == 0 else 0.0
            value -= rate * (gradient + penalty)
        return gradients
