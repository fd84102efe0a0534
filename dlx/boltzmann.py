"""Restricted Boltzmann machines: energies, samples and likelihoods, in Keras ops.

Visible units v are binary (probabilities in [0, 1] will do) or Gaussian of variance 1, hidden
units h binary, or Gaussian of variance 1 (a linear layer)::

    E(v, h) = −b·v − c·h − v·W·h      Gaussian units: ½‖v − b‖² for −b·v, ½‖h‖² − c·h for −c·h

Hinton 2012, A Practical Guide to Training Restricted Boltzmann Machines; free energies and
the exact partition function of small machines as in Salakhutdinov and Murray 2008.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops, random

from dlx.energies import Units

Tensor = Any


@dataclass(frozen=True)
class Machine:
    """A machine with values for its parameters: ``kernel`` (V, H), ``bias`` (H,), ``visible_bias`` (V,)."""

    kernel: Tensor
    bias: Tensor
    visible_bias: Tensor
    visible: Units = "binary"
    hidden: Units = "binary"

    def hidden_mean(self, visible: Tensor) -> Tensor:
        """E[h | v] (n, H) for visible states (n, V)."""
        return _mean(ops.matmul(visible, self.kernel) + self.bias, self.hidden)

    def visible_input(self, hidden: Tensor) -> Tensor:
        """What the visible units get from hidden states (n, H), their bias included: (n, V)."""
        return ops.matmul(hidden, ops.transpose(self.kernel)) + self.visible_bias

    def visible_of(self, total: Tensor) -> Tensor:
        """Their means, given what they get."""
        return _mean(total, self.visible)

    def visible_mean(self, hidden: Tensor) -> Tensor:
        """E[v | h] (n, V) for hidden states (n, H)."""
        return self.visible_of(self.visible_input(hidden))

    def free_energy(self, visible: Tensor) -> Tensor:
        """F(v) = −ln Σ_h exp(−E(v, h)), up to a constant of Gaussian hidden units: (n,)."""
        total = ops.matmul(visible, self.kernel) + self.bias
        hidden = ops.softplus(total) if self.hidden == "binary" else 0.5 * ops.square(total)
        return self._own_energy(visible, self.visible_bias, self.visible) - ops.sum(hidden, axis=-1)

    def log_partition(self) -> Tensor:
        """ln Z, by all states of the fewer binary units: a scalar. See :func:`dlx.energies.can_enumerate`."""
        by_hidden = self.hidden == "binary" and (self.visible != "binary" or self.bias.shape[0] <= self.kernel.shape[0])
        if not by_hidden:
            energies = self.free_energy(_states(self.kernel.shape[0]))
            constant = 0.0 if self.hidden == "binary" else 0.5 * self.bias.shape[0] * math.log(2 * math.pi)
            return ops.logsumexp(-energies) + constant
        hidden = _states(self.bias.shape[0])
        total = ops.matmul(hidden, ops.transpose(self.kernel)) + self.visible_bias
        if self.visible == "binary":
            visible = ops.sum(ops.softplus(total), axis=-1)
        else:
            squares = 0.5 * (ops.square(total) - ops.square(self.visible_bias))
            visible = ops.sum(squares, axis=-1) + 0.5 * self.kernel.shape[0] * math.log(2 * math.pi)
        return ops.logsumexp(ops.matmul(hidden, self.bias) + visible)

    def log_likelihood(self, visible: Tensor) -> Tensor:
        """ln p(v) (n,): exact, of a machine small enough."""
        constant = 0.0 if self.hidden == "binary" else 0.5 * self.bias.shape[0] * math.log(2 * math.pi)
        return constant - self.free_energy(visible) - self.log_partition()

    def pseudo_log_likelihood(self, visible: Tensor) -> Tensor:
        """V · ln p(v_i | the other units), i being one unit for each example, by its place in the batch: (n,).

        An estimate of Σ_i ln p(v_i | v_−i) (Besag 1975) at the cost of two free energies.
        """
        units = visible.shape[-1]
        places = ops.arange(ops.shape(visible)[0], dtype="int32")
        chosen = ops.one_hot((places * _STRIDE) % units, units, dtype="float32")
        flipped = visible + chosen * (1.0 - 2.0 * visible)
        return units * ops.log_sigmoid(self.free_energy(flipped) - self.free_energy(visible))

    def statistics(self, visible: Tensor, hidden: Tensor) -> list[Tensor]:
        """Means over a batch of what the energy's derivatives are made of: of W, c and b, with the sign of −∂E."""
        count = ops.cast(ops.shape(visible)[0], "float32")
        return [
            ops.matmul(ops.transpose(visible), hidden) / count,
            ops.mean(hidden, axis=0),
            ops.mean(visible, axis=0),
        ]

    def contrast(self, model: tuple[Tensor, Tensor], data: tuple[Tensor, Tensor]) -> list[Tensor]:
        """:meth:`statistics` of the model's (visible, hidden) less those of the data's: gradients of −ln p, estimated.

        One product for both kernels: on a CPU its result is what takes time, twenty rows little more than ten.
        """
        (visible, hidden), (given, answer) = model, data
        ours, theirs = (1.0 / ops.cast(ops.shape(states)[0], "float32") for states in (visible, given))
        states = ops.concatenate([visible * ours, given * -theirs])
        return [
            ops.matmul(ops.transpose(states), ops.concatenate([hidden, answer])),
            ops.mean(hidden, axis=0) - ops.mean(answer, axis=0),
            ops.mean(visible, axis=0) - ops.mean(given, axis=0),
        ]

    def _own_energy(self, states: Tensor, bias: Tensor, units: Units) -> Tensor:
        if units == "binary":
            return -ops.matmul(states, bias)
        return 0.5 * ops.sum(ops.square(states - bias), axis=-1)


_STRIDE = 7919
"""A prime: neighbouring examples look at units far from one another, and all units have their turn."""


def uniform(shape: Any, key: Any) -> Tensor:
    """Numbers in [0, 1) of the engine's key for a step, or of any generator of Keras' seeds."""
    own = getattr(key, "uniform", None)
    return random.uniform(shape, seed=key) if own is None else own(shape)


def draw(means: Tensor, units: Units, key: Any) -> Tensor:
    """States of units with these means."""
    if units == "binary":
        return ops.cast(uniform(ops.shape(means), key) < means, "float32")
    return means + random.normal(ops.shape(means), seed=key)


def _mean(total: Tensor, units: Units) -> Tensor:
    return ops.sigmoid(total) if units == "binary" else total


def _states(units: int) -> Tensor:
    """All states of so many binary units: (2^units, units)."""
    numbers = ops.arange(2**units, dtype="int32")[:, None]
    return ops.cast((numbers // (2 ** ops.arange(units, dtype="int32"))[None, :]) % 2, "float32")
