"""A restricted Boltzmann machine in NumPy: what is drawn from one, and one learned where no engine is at hand.

Energies and units are those of :mod:`dlx.boltzmann`, which trains layers of networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dlx.energies import Units

Array = np.ndarray


@dataclass(frozen=True)
class Machine:
    """A machine with float64 parameters: ``kernel`` (V, H), ``bias`` (H,), ``visible_bias`` (V,)."""

    kernel: Array
    bias: Array
    visible_bias: Array
    visible: Units
    hidden: Units

    def up(self, visible: Array) -> Array:
        """E[h | v] (n, H)."""
        return _mean(visible @ self.kernel + self.bias, self.hidden)

    def down(self, hidden: Array) -> Array:
        """E[v | h] (n, V)."""
        return _mean(hidden @ self.kernel.T + self.visible_bias, self.visible)

    def gibbs(self, visible: Array, steps: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Means and states (n, V) of the visible units after so many steps of Gibbs sampling."""
        means = states = visible
        for _ in range(steps):
            means = self.down(drawn(self.up(states), self.hidden, rng))
            states = drawn(means, self.visible, rng)
        return means, states

    def statistics(self, visible: Array) -> tuple[Array, Array, Array]:
        """Means over states (n, V) of what the energy's derivatives are made of: of kernel, bias and visible bias."""
        hidden = self.up(visible)
        return visible.T @ hidden / len(visible), hidden.mean(axis=0), visible.mean(axis=0)


def drawn(means: Array, units: Units, rng: np.random.Generator) -> Array:
    """States of units with these means."""
    if units == "binary":
        return (rng.random(means.shape) < means).astype(np.float64)
    states: Array = means + rng.normal(size=means.shape)
    return states


def _mean(total: Array, units: Units) -> Array:
    if units == "gaussian":
        return total
    with np.errstate(over="ignore"):  # 1/∞ is what it should be
        probabilities: Array = 1.0 / (1.0 + np.exp(-total))
    return probabilities
