"""The nonlinearities by their Keras names, and what probes need to know of them.

``saturated`` of ``activations.csv`` is defined by an activation's ``limits``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dlx.errors import UsageError, nearest

ActivationName = Literal[
    "celu",
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "mish",
    "relu",
    "relu6",
    "scaled_tanh",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
]

# LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition, appendix A.
SCALED_TANH_AMPLITUDE = 1.7159
SCALED_TANH_SLOPE = 2.0 / 3.0

_LIMITS: dict[str, tuple[float, float]] = {
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
    "scaled_tanh": (-SCALED_TANH_AMPLITUDE, SCALED_TANH_AMPLITUDE),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
}


@dataclass(frozen=True)
class Activation:
    """One nonlinearity.

    ``limits``: the values it approaches on either side, None where one side is unbounded.
    """

    name: str
    limits: tuple[float, float] | None

    def function(self) -> Callable[[Any], Any]:
        """The Keras function of this name."""
        import keras

        from dlx import keras_layers

        own = self.name == "scaled_tanh"
        found: Callable[[Any], Any] = keras_layers.scaled_tanh if own else keras.activations.get(self.name)
        return found


_ACTIVATIONS = {name: Activation(name, _LIMITS.get(name)) for name in get_args(ActivationName)}


def names() -> list[str]:
    """The activations there are."""
    return sorted(_ACTIVATIONS)


def get(name: str) -> Activation:
    """An activation by name; raises :class:`~dlx.errors.UsageError` with the nearest name."""
    if name not in _ACTIVATIONS:
        raise UsageError(f"unknown activation {name!r}", hint=nearest(name, _ACTIVATIONS))
    return _ACTIVATIONS[name]


def find(name: str) -> Activation | None:
    """An activation by name, None for one that only somebody else's Keras model knows."""
    return _ACTIVATIONS.get(name)
