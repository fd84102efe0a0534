"""Stages: an open set. What one step of training does, in Keras ops, on every engine.

A stage owns Keras variables, in groups that each have their own optimiser, and says what
one step makes of them. It never loops, never records and never touches a backend: the
engine does (:mod:`dlx.training`), and hands it the only way to a gradient. A member is a
module with a class ``Spec`` (:class:`StageSpec`) that builds a :class:`Stage`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

from pydantic import Field

from dlx import optimizers
from dlx.fields import Count, MemberFields, Positive
from dlx.members import OneOf
from dlx.optimizers import OptimizerSpec
from dlx.registry import OpenSet

if TYPE_CHECKING:
    import numpy as np

    from dlx.sources import Splits, View
    from dlx.spec import Setting

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
    over the batch's examples, scalars or vectors; in place of a scalar, values of which it is the
    sum, which the engine adds up in the way that suits its device. ``gradients``: per group, those of the mean
    data loss, which the tables' norms are of, where they are not the updates.
    """

    updates: dict[str, list[Tensor]]
    state: list[Tensor]
    sums: dict[str, Tensor]
    gradients: dict[str, list[Tensor]] | None = None


class StageMetrics(Protocol):
    """What a stage's sums become on the host."""

    @property
    def names(self) -> tuple[str, ...]:
        """Column endings after ``train_`` and its like, in table order."""

    @property
    def looked_at(self) -> tuple[str, ...]:
        """Those that are not summed over the steps, but looked at after an epoch, over some training examples."""

    @property
    def gap(self) -> str | None:
        """Of those, the one whose difference between held-out and training examples is a column ``…_gap``."""

    def finish(self, sums: Mapping[str, Any], count: int, variation: np.ndarray | None = None) -> dict[str, float]:
        """The columns from sums over ``count`` examples; ``variation``: Σ(y − ȳ)² per target, where there are any."""


class Stage(ABC):
    """One training phase: its variables and its step.

    ``name`` as in the tables; ``groups`` by name, in the order in which they are saved;
    ``state``: variables that a step replaces without an optimiser (moving statistics,
    the state of random generators), and those that it only reads: layers that are frozen;
    ``model``: the network that is recorded; ``limits``: those of each layer's nonlinearity by
    Keras name, where it is bounded; ``metrics``: the columns that come of its sums.
    """

    name: str
    groups: dict[str, Group]
    state: list[Variable]
    model: Any
    limits: Mapping[str, tuple[float, float]]
    metrics: StageMetrics
    whole_network: bool = False
    """Whether ``model`` is the trial's network."""
    updates_are: Literal["mean", "sum"] = "mean"
    """What a step's updates are of those that its examples would give."""
    divisible: bool = True
    """Whether a step on parts of a batch, put together, is a step on the batch."""
    view: View | None = None
    """What its training images are to be seen as when they are read, where that is not their pictures' centre."""
    unnumbered: frozenset[str] = frozenset()
    """Layers of ``model`` that are none of the final network's: their rows have no number."""

    def own_state(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What state of the stage that is none of ``model``'s begins with, by path."""
        return {}

    def hand_on(self, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What later stages begin with, by the path of their variables, given all weights of ``model`` by path."""
        return dict(weights)

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

    def trace(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> dict[str, dict[str, Tensor]]:
        """What goes through each layer with a kernel in inference mode, by Keras name, (batch, …) each.

        ``activation`` as in :meth:`activations`; from a stage with a loss also ``preactivation``,
        the layer's own output, and ``error``, the derivative of the sum of the examples' losses
        with respect to it.
        """
        return {name: {"activation": value} for name, value in self.activations(groups, state, batch.inputs).items()}

    def predict(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        """The network's answers in inference mode: ``values`` and, where it chooses a class, ``labels``.

        ``values``: probabilities (batch, classes) or values (batch, targets); ``labels`` int32
        (batch,). Empty for a stage whose network answers nothing.
        """
        return {}


Optimizer = Annotated[OptimizerSpec, OneOf(optimizers.registry, "adam")]


class StageSpec(MemberFields):
    """The contract of a stage's settings: its name in the tables, how long, how it is trained, and its build.

    What is null here is as ``training`` says.
    """

    supervised: ClassVar[bool] = False
    """Whether it learns from labels."""
    whole_network: ClassVar[bool] = False
    """Whether the network that it records is the trial's: the last stage's must be."""

    stage: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]{0,39}$", description="its name in the tables; null: the usual one"
    )
    epochs: Count | None = Field(
        default=None, description="passes over the training part; null: training's, with its early stopping"
    )
    optimizer: Optimizer | None = Field(default=None, description="null: training's")
    batch_size: Positive | Literal["full"] | None = Field(
        default=None, description="examples per step; null: training's"
    )

    @abstractmethod
    def usual_name(self, setting: Setting, position: int) -> str:
        """The stage's name where the spec gives none; ``position`` in the trial's list of stages, from 0."""

    @abstractmethod
    def build(self, setting: Setting, splits: Splits, planned: PlannedStage) -> Stage:
        """The stage with Keras objects of its own, under the settings of ``planned``."""

    def check(self, setting: Setting) -> None:
        """Raises :class:`~dlx.errors.FieldError` where its settings suit neither model nor data."""

    def columns(self, setting: Setting) -> tuple[str, ...]:
        """Columns of ``metrics.csv`` that it needs besides those of training with labels."""
        return ()


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a trial with everything written in that its spec leaves to ``training``.

    ``early_stopping``: training's rule, where the stage has its number of epochs from there.
    """

    name: str
    spec: StageSpec
    epochs: int
    optimizer: OptimizerSpec
    batch_size: int | Literal["full"]
    early_stopping: Any = None


registry: OpenSet[StageSpec] = OpenSet("stage", "dlx.stages", StageSpec)
