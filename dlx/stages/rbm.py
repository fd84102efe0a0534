"""A layer trained as a restricted Boltzmann machine of what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.energies import Units, can_enumerate
from dlx.errors import FieldError
from dlx.fields import Positive
from dlx.initializers import KernelInitializer, Normal
from dlx.layers import Dense
from dlx.layerwise import Block
from dlx.stages import Batch, Group, PlannedStage, Stage, StepResult, Tensor, ValueAndGrad, Values
from dlx.stages._layerwise import (
    Call,
    LayerwiseSpec,
    activation_limits,
    build_below,
    cross_entropy,
    input_limits,
    verify_unit_interval,
    watched_model,
)

if TYPE_CHECKING:
    import numpy as np

    from dlx.boltzmann import Machine
    from dlx.sources import Splits
    from dlx.spec import Setting

PARTS = ("train", "val", "test")


class Spec(LayerwiseSpec):
    """Contrastive divergence: statistics of the data against those of a short chain of Gibbs sampling.

    Hidden units are binary where the layer is a sigmoid, Gaussian of variance 1 where it is
    linear. The chain begins at the data, or, persistent, where it stood after the last step.
    """

    summary: ClassVar[str] = "one layer as a restricted Boltzmann machine; a stack of them is a deep belief net"
    source: ClassVar[str] = "Hinton 2002, Training Products of Experts by Minimizing Contrastive Divergence"

    name: Literal["rbm"] = "rbm"
    visible: Literal["binary", "gaussian"] | None = Field(
        default=None, description="units that are read; null: binary, above a linear layer gaussian"
    )
    k: Positive = Field(default=1, description="steps of Gibbs sampling: CD-k")
    persistent: bool = Field(default=False, description="chains go on from one step to the next (PCD)")
    initializer: KernelInitializer = Field(
        default=Normal(name="normal", stddev=0.01), description="initial kernel; biases are 0"
    )

    def units(self, setting: Setting, block: Block) -> tuple[Units, Units]:
        """The kinds of visible and hidden units; raises :class:`~dlx.errors.FieldError` where there is none."""
        visible = self.visible or ("gaussian" if block.input_activation == "linear" else "binary")
        if block.activation not in ("sigmoid", "linear"):
            raise FieldError(
                f"hidden units of an RBM are sigmoid (binary) or linear (Gaussian), and {block.name} is "
                f"{block.activation}: set model.activation to sigmoid"
            )
        hidden: Units = "binary" if block.activation == "sigmoid" else "gaussian"
        if visible == hidden == "gaussian":
            raise FieldError(f"{block.name} would have Gaussian units on both sides, which have no bounded energy")
        return visible, hidden

    def for_layer(self, number: int) -> Spec:
        # What the data are says nothing of the layers above.
        return self.model_copy(update={"layer": number} | ({"visible": None} if number > 1 else {}))

    def check(self, setting: Setting) -> None:
        block = self.block(setting)
        if not isinstance(block.layer, Dense):
            raise FieldError(f"pretrains dense layers, and {block.name} is a {block.layer.type}: autoencoder can")
        if len(block.after) > 1:
            raise FieldError(f"{block.name} is normalised, which an RBM's hidden units are not: normalization: none")
        visible, _ = self.units(setting, block)
        if visible == "binary" and input_limits(setting, block) != (0.0, 1.0):
            if block.input_activation is not None:
                message = f"binary units are in [0, 1], and the layer below {block.name} is {block.input_activation}"
            else:
                message = (
                    "binary visible units need data in [0, 1]: dataset.scaling: unit; or visible: gaussian, "
                    "with dataset.scaling: standardize"
                )
            raise FieldError(message, ("visible",))

    def columns(self, setting: Setting) -> tuple[str, ...]:
        names = self._metrics(setting, self.block(setting)).names
        return (*(f"{part}_{name}" for name in names for part in PARTS if name != "loss"), "free_energy_gap")

    def build(self, setting: Setting, splits: Splits, planned: PlannedStage) -> BoltzmannStage:
        block = self.block(setting)
        visible, _ = self.units(setting, block)
        if visible == "binary" and block.input_activation is None:
            verify_unit_interval(splits, "an RBM with binary visible units")
        rows = len(splits.train) if planned.batch_size == "full" else min(planned.batch_size, len(splits.train))
        metrics = self._metrics(setting, block)
        return BoltzmannStage(self, setting, block, planned, metrics, splits.info.input_shape, rows)

    def _metrics(self, setting: Setting, block: Block) -> BoltzmannMetrics:
        visible, hidden = self.units(setting, block)
        looked_at = ["free_energy", *(["pseudo_log_likelihood"] if visible == "binary" else [])]
        looked_at += ["log_likelihood"] if can_enumerate(*_sides(block), visible, hidden) else []
        return BoltzmannMetrics(tuple(looked_at))


@dataclass(frozen=True)
class BoltzmannMetrics:
    """Means over examples.

    ``loss``: of the reconstruction, cross-entropy (Gaussian units: half the squared error) summed
    over units; ``reconstruction_error``: mean squared difference of a unit. ``looked_at``: what is
    measured after an epoch only, of the training part over its first examples, as many as are
    held out: so that the two can be compared.
    """

    looked_at: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column endings."""
        return ("loss", "reconstruction_error", *self.looked_at)

    @property
    def gap(self) -> str:
        """What is compared between held-out and training examples: less likely ones have a higher free energy."""
        return "free_energy"

    def finish(self, sums: Mapping[str, Any], count: int, variation: np.ndarray | None = None) -> dict[str, float]:
        return {name: float(sums[name]) / count for name in self.names}


class BoltzmannStage(Stage):
    """One layer as a machine; its updates are statistics, no gradients of anything."""

    metrics: BoltzmannMetrics

    def __init__(
        self,
        spec: Spec,
        setting: Setting,
        block: Block,
        planned: PlannedStage,
        metrics: BoltzmannMetrics,
        shape: Sequence[int],
        rows: int,
    ) -> None:
        import keras

        from dlx.keras_layers.boltzmann import BoltzmannLayer

        self.name = planned.name
        self.metrics = metrics
        self._spec = spec
        self._block = block
        visible, hidden = spec.units(setting, block)
        start, below = build_below(block, shape)
        assert isinstance(block.layer, Dense)
        self._layer = BoltzmannLayer(
            block.layer.units, visible, hidden, spec.initializer.build(), "zeros", name=block.name
        )
        outputs = self._layer(below)
        self.model = keras.Model(start, outputs)
        self._below = keras.Model(start, below)
        self._watched = watched_model(self.model)
        variables = [self._layer.kernel, self._layer.bias, self._layer.visible_bias]
        optimizer = planned.optimizer.build()
        self.groups = {"model": Group(variables, optimizer, l1=spec.l1, l2=spec.l2, penalised=[True, False, False])}
        self.state = list(self.model.non_trainable_variables)
        self._call = Call([*variables, *self.state])
        self._chains: list[Any] = []
        self.divisible = not spec.persistent  # a chain for each example of a batch
        if spec.persistent:
            # Of hidden states: from them a step of Gibbs sampling costs no more than one from the data.
            states = keras.ops.zeros((rows, block.output_shape[-1]))
            self._chains = [keras.Variable(states, trainable=False, name=f"{block.name}_chains")]
        self.state += self._chains
        self.limits = activation_limits(setting, block)
        self._kept = block.decoder in setting.network().decoder

    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self.metrics.names, ())

    def step(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, key: Any, differentiate: ValueAndGrad
    ) -> StepResult:
        from keras import ops

        from dlx.boltzmann import draw

        machine = self._layer.machine(*groups["model"])
        data = self._read(groups["model"], state, batch.inputs)
        means = machine.hidden_mean(data)
        hidden = draw(means, machine.hidden, key)
        if self._chains:
            # Chains and the reconstruction that the tables tell of: one product for both.
            both = machine.visible_input(ops.concatenate([hidden, state[-1]]))
            logits, total = both[: data.shape[0]], both[data.shape[0] :]
        else:
            logits = total = machine.visible_input(hidden)
        for step in range(self._spec.k):
            visible = draw(machine.visible_of(total), machine.visible, key)
            answer = machine.hidden_mean(visible)
            if self._chains or step < self._spec.k - 1:
                hidden = draw(answer, machine.hidden, key)
            if step < self._spec.k - 1:
                total = machine.visible_input(hidden)
        updates = machine.contrast((visible, answer), (data, means))
        kept = [*state[: len(state) - len(self._chains)], *([hidden] if self._chains else [])]
        sums = self._reconstruction(machine, data, logits)
        return StepResult({"model": updates}, kept, sums | {name: ops.zeros(()) for name in self.metrics.looked_at})

    def loss(self, groups: Values, state: Sequence[Tensor], batch: Batch) -> Tensor:
        """mean F(v) − mean F(v′), v′ the mean-field reconstruction taken as given: its gradient is that of CD-1."""
        from keras import ops

        machine = self._layer.machine(*groups["model"])
        data = self._read(groups["model"], state, batch.inputs)
        answer = ops.stop_gradient(machine.visible_mean(machine.hidden_mean(data)))
        return ops.mean(machine.free_energy(data)) - ops.mean(machine.free_energy(answer))

    def evaluate(self, groups: Values, state: Sequence[Tensor], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        from keras import ops

        machine = self._layer.machine(*groups["model"])
        data = self._read(groups["model"], state, batch.inputs)
        values = self._reconstruction(machine, data, machine.visible_input(machine.hidden_mean(data)))
        values = {name: ops.sum(value, axis=-1) for name, value in values.items()}
        for name in self.metrics.looked_at:
            values[name] = getattr(machine, name)(data)
        return {name: ops.sum(value * weights) for name, value in values.items()}

    def activations(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        outputs, _ = self._call(self._watched, [*groups["model"], *state], inputs, training=False)
        return dict(outputs)

    def own_state(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        # Anywhere will do: after some steps nothing is left of it.
        shapes = {chains.path: tuple(chains.shape) for chains in self._chains}
        return {path: rng.integers(0, 2, shape).astype("float32") for path, shape in shapes.items()}

    def hand_on(self, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        handed = dict(weights)
        if self._kept:
            handed[f"{self._block.decoder}/kernel"] = weights[f"{self._block.name}/kernel"].T
            handed[f"{self._block.decoder}/bias"] = weights[f"{self._block.name}/visible_bias"]
        return handed

    def _read(self, weights: Sequence[Tensor], state: Sequence[Tensor], inputs: Tensor) -> Tensor:
        data, _ = self._call(self._below, [*weights, *state], inputs, training=False)
        return data

    def _reconstruction(self, machine: Machine, data: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Of each unit of each example: its part of the loss and of the mean squared error of what ``logits`` give."""
        from keras import ops

        squares = ops.square(data - machine.visible_of(logits))
        losses = cross_entropy(logits, data) if machine.visible == "binary" else 0.5 * squares
        return {"loss": losses, "reconstruction_error": squares / machine.kernel.shape[0]}


def _sides(block: Block) -> tuple[int, int]:
    return block.input_shape[-1], block.output_shape[-1]
