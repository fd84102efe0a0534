"""Stages: what one step of training does, in Keras ops, on every engine.

A stage owns Keras variables, in groups that each have their own optimiser, and says what
one step makes of them. It never loops, never records and never touches a backend: the
engine does (:mod:`dlx.training`), and hands it the only way to a gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dlx.metrics import Metrics

Tensor = Any
Variable = Any
Values = Mapping[str, Sequence[Tensor]]


class Batch(NamedTuple):
    """Scaled float inputs (batch, …) and targets (batch,) or (batch, outputs)."""

    inputs: Tensor
    targets: Tensor


ValueAndGrad = Callable[
    [Callable[[list[Tensor]], tuple[Tensor, Any]], Sequence[Tensor]], tuple[tuple[Tensor, Any], list[Tensor]]
]
"""``differentiate(function, values)``: of ``function(values) -> (loss, more)``, ((loss, more), gradients)."""


@dataclass
class Group:
    """Variables that one optimiser moves, and the penalty on some of them.

    The penalty's gradient, ``l2·W + l1·sign(W)``, is added by the engine after norms have
    been recorded, to the variables whose flag in ``penalised`` is set.
    """

    variables: list[Variable]
    optimizer: Any
    l1: float = 0.0
    l2: float = 0.0
    penalised: list[bool] = field(default_factory=list)


class StepResult(NamedTuple):
    """What a step hands to the engine.

    ``updates``: per group, what its optimiser takes as gradients (they need not be any).
    ``state``: the new values of the stage's state variables. ``sums``: quantities summed
    over the batch's examples, scalars or vectors.
    """

    updates: dict[str, list[Tensor]]
    state: list[Tensor]
    sums: dict[str, Tensor]


class Stage(ABC):
    """One training phase: its variables and its step.

    ``name`` as in the tables; ``groups`` by name, in the order in which they are saved;
    ``state``: variables that a step replaces without an optimiser (moving statistics,
    the state of random generators); ``model``: the network that is recorded; ``limits``: those
    of each layer's nonlinearity by Keras name, where it is bounded; ``metrics``: the columns
    that come of its sums.
    """

    name: str
    groups: dict[str, Group]
    state: list[Variable]
    model: Any
    limits: Mapping[str, tuple[float, float]]
    metrics: Metrics

    @abstractmethod
    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each sum that :meth:`step` and :meth:`evaluate` give."""

    @abstractmethod
    def step(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, key: Any, differentiate: ValueAndGrad
    ) -> StepResult:
        """One step on a batch, as a pure function of the values given.

        ``key`` is a :class:`keras.random.SeedGenerator` that yields the same numbers whenever
        this step of this trial is taken.
        """

    @abstractmethod
    def loss(self, groups: Values, state: Sequence[Tensor], batch: Batch) -> Tensor:
        """The mean data loss over a batch in inference mode: what a probe differentiates."""

    @abstractmethod
    def evaluate(self, groups: Values, state: Sequence[Tensor], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        """The sums of :meth:`step` in inference mode; examples of weight 0 do not count."""

    @abstractmethod
    def activations(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        """What comes out of each layer with a kernel, after its nonlinearity, by Keras name."""
