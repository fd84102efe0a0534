"""Losses, computed on logits, one value per example.

A model ends in logits; the loss knows which output activation turns them into the
network's answer, so that softmax and sigmoid are never taken twice and gradients do not
vanish in a clipped probability. Facts (which pairs make sense) are plain Python; the
functions use Keras ops and run on every engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from dlx.errors import UsageError, nearest

Tensor = Any
Task = Literal["classification", "regression", "reconstruction"]
LossName = Literal[
    "cross_entropy",
    "sigmoid_cross_entropy",
    "quadratic",
    "logistic",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "log_cosh",
]

SMALLEST = 2.0**-126
"""The smallest normal float32: a share of nothing is not 0/0."""


@dataclass(frozen=True)
class Loss:
    """A loss: what it is, what it goes with, and its value per example.

    ``per_example(logits, targets, activation)`` maps float32 logits (batch, outputs) and
    targets, class labels (batch,) or values (batch, outputs), to (batch,).
    ``output_activations`` is None where any will do.
    """

    name: LossName
    summary: str
    tasks: tuple[Task, ...]
    output_activations: tuple[str, ...] | None
    default_output_activation: str
    per_example: Callable[[Tensor, Tensor, str], Tensor]

    def outputs(self, info: Any) -> int:
        """Width of the output layer for a dataset: one output per class or target.

        The logistic loss of two classes has a single output, whose sign decides.
        """
        if self.name == "logistic" and info.task == "classification" and info.outputs == 2:
            return 1
        return int(info.outputs)

    def activation(self, chosen: str | None, task: Task) -> str:
        """The output activation: what the model says, else what the loss wants (linear for values)."""
        return chosen or ("linear" if task == "regression" else self.default_output_activation)

    def allows(self, activation: str) -> bool:
        """Whether the pair makes sense: softmax for cross-entropy, and so on."""
        return self.output_activations is None or activation in self.output_activations

    def probabilities(self, logits: Tensor, activation: str) -> Tensor:
        """Of each class (batch, classes), at least 0 and with sum 1.

        A softmax's are what it says; of outputs that stand each for a class, the share of each
        (of the logistic loss, whose value is −ln σ(±h), those of σ(h)); a single such output is
        the probability of class 1.
        """
        from keras import ops

        values = answer(logits, "sigmoid" if self.name == "logistic" else activation)
        if activation == "softmax":
            return values
        if values.shape[-1] == 1:
            return ops.concatenate([1.0 - values, values], axis=-1)
        positive = ops.maximum(values, SMALLEST)
        return positive / ops.sum(positive, axis=-1, keepdims=True)


def _cross_entropy(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    log_probabilities = ops.log_softmax(logits, axis=-1)
    return -ops.sum(log_probabilities * _one_hot(logits, targets), axis=-1)


def _sigmoid_cross_entropy(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    # softplus(z) - t·z is -t·ln σ(z) - (1-t)·ln(1-σ(z)), without ever forming σ(z).
    return ops.sum(ops.softplus(logits) - _one_hot(logits, targets) * logits, axis=-1)


def _quadratic(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    return 0.5 * ops.sum(ops.square(answer(logits, activation) - _one_hot(logits, targets)), axis=-1)


def _mean_squared_error(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    return ops.mean(ops.square(answer(logits, activation) - _one_hot(logits, targets)), axis=-1)


def _mean_absolute_error(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    return ops.mean(ops.abs(answer(logits, activation) - _one_hot(logits, targets)), axis=-1)


def _huber(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    error = ops.abs(answer(logits, activation) - _one_hot(logits, targets))
    # Half the square of what lies within 1, plus whatever lies beyond: one expression for both branches.
    within = ops.minimum(error, 1.0)
    return ops.mean(0.5 * ops.square(within) + (error - within), axis=-1)


def _log_cosh(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    import math

    from keras import ops

    error = ops.abs(answer(logits, activation) - _one_hot(logits, targets))
    # ln cosh e = |e| + ln(1 + exp(−2|e|)) − ln 2, which overflows nowhere.
    return ops.mean(error + ops.softplus(-2.0 * error) - math.log(2.0), axis=-1)


def _logistic(logits: Tensor, targets: Tensor, activation: str) -> Tensor:
    from keras import ops

    if logits.shape[-1] == 1:
        labels = ops.cast(ops.reshape(targets, (-1, 1)), logits.dtype)
    else:
        labels = _one_hot(logits, targets)
    # ln(1 + exp(-y·h)) with y = ±1
    return ops.sum(ops.softplus((1.0 - 2.0 * labels) * logits), axis=-1)


def answer(logits: Tensor, activation: str) -> Tensor:
    """The network's output: the output activation of its logits."""
    from dlx import activations

    return activations.get(activation).function()(logits)


def decided(logits: Tensor) -> Tensor:
    """The class that the network decides for, int32 (batch,): the largest output, of a single one the sign."""
    from keras import ops

    if logits.shape[-1] == 1:
        return ops.cast(ops.squeeze(logits, -1) > 0, "int32")
    return ops.cast(ops.argmax(logits, axis=-1), "int32")


def _one_hot(logits: Tensor, targets: Tensor) -> Tensor:
    """Targets as values per output: labels become 0/1, values stay as they are."""
    from keras import ops

    if len(targets.shape) == len(logits.shape):
        return ops.cast(targets, logits.dtype)
    return ops.one_hot(ops.cast(targets, "int32"), logits.shape[-1], dtype=logits.dtype)


_LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "cross_entropy",
            "-ln softmax(z)[label]; one right class per example",
            ("classification",),
            ("softmax",),
            "softmax",
            _cross_entropy,
        ),
        Loss(
            "sigmoid_cross_entropy",
            "cross-entropy of each output with its 0/1 target, summed over outputs",
            ("classification", "reconstruction"),
            ("sigmoid",),
            "sigmoid",
            _sigmoid_cross_entropy,
        ),
        Loss(
            "quadratic",
            "½‖a − y‖² summed over outputs",
            ("classification", "regression", "reconstruction"),
            None,
            "sigmoid",
            _quadratic,
        ),
        Loss(
            "logistic",
            "ln(1 + exp(−y·h)) with labels y = ±1; one against the rest, summed, for more classes",
            ("classification",),
            ("linear",),
            "linear",
            _logistic,
        ),
        Loss(
            "mean_squared_error",
            "(a − y)² averaged over outputs",
            ("classification", "regression", "reconstruction"),
            None,
            "linear",
            _mean_squared_error,
        ),
        Loss(
            "mean_absolute_error",
            "|a − y| averaged over outputs",
            ("regression", "reconstruction"),
            None,
            "linear",
            _mean_absolute_error,
        ),
        Loss(
            "huber",
            "½(a − y)² where |a − y| ≤ 1, else |a − y| − ½, averaged over outputs",
            ("regression", "reconstruction"),
            None,
            "linear",
            _huber,
        ),
        Loss(
            "log_cosh",
            "ln cosh(a − y) averaged over outputs: square for small errors, absolute for large ones",
            ("regression", "reconstruction"),
            None,
            "linear",
            _log_cosh,
        ),
    )
}


def names() -> list[str]:
    """The losses there are."""
    return sorted(_LOSSES)


def get(name: str) -> Loss:
    """A loss by name; raises :class:`~dlx.errors.UsageError` with the nearest name."""
    for known, loss in _LOSSES.items():
        if known == name:
            return loss
    raise UsageError(f"unknown loss {name!r}", hint=nearest(name, _LOSSES))


def default_for(task: Task) -> LossName:
    """The loss a textbook would take for a task."""
    return "cross_entropy" if task == "classification" else "mean_squared_error"
