"""Descent by the sign of the gradient: what a package needs to write to add a stage.

A step is a pure function in Keras ops. What it hands to the optimiser need not be a gradient: here it is the sign
of one, so that SGD moves every weight by its learning rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlx.stages import Batch, Stage, StageSpec, StepResult, Tensor, ValueAndGrad, Values
from dlx.stages.supervised import build

if TYPE_CHECKING:
    from dlx.sources import Splits
    from dlx.spec import Setting
    from dlx.stages import PlannedStage


class Spec(StageSpec):
    """As training with labels, each weight being moved by the same amount."""

    summary: ClassVar[str] = "descent by the sign of the gradient"
    source: ClassVar[str] = "Riedmiller and Braun 1993, A direct adaptive method for faster backpropagation learning"
    supervised: ClassVar[bool] = True
    whole_network: ClassVar[bool] = True

    name: Literal["sign_descent"] = "sign_descent"

    def usual_name(self, setting: Setting, position: int) -> str:
        return "signs"

    def build(self, setting: Setting, splits: Splits, planned: PlannedStage) -> Stage:
        return SignDescent(build(setting, splits, planned))


class SignDescent(Stage):
    """A supervised stage, of whose step the updates are changed and nothing else."""

    def __init__(self, labelled: Stage) -> None:
        self._labelled = labelled
        self.name, self.groups, self.state = labelled.name, labelled.groups, labelled.state
        self.model, self.limits, self.metrics = labelled.model, labelled.limits, labelled.metrics
        self.whole_network = True

    def step(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, key: Any, differentiate: ValueAndGrad
    ) -> StepResult:
        from keras import ops

        result = self._labelled.step(groups, state, batch, key, differentiate)
        signs = {name: [ops.sign(gradient) for gradient in some] for name, some in result.updates.items()}
        # The tables' norms are those of the gradients all the same.
        return result._replace(updates=signs, gradients=result.updates)

    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        return self._labelled.sum_shapes()

    def loss(self, groups: Values, state: Sequence[Tensor], batch: Batch) -> Tensor:
        return self._labelled.loss(groups, state, batch)

    def evaluate(self, groups: Values, state: Sequence[Tensor], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        return self._labelled.evaluate(groups, state, batch, weights)

    def activations(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        return self._labelled.activations(groups, state, inputs)

    def predict(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        return self._labelled.predict(groups, state, inputs)
