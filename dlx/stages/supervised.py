"""Training with labels: a model, a loss, an optimiser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import AugmentationSpec, Pixels, augment
from dlx.errors import FieldError, nearest
from dlx.losses import Loss
from dlx.metrics import Metrics, recall_names
from dlx.models import ListOf
from dlx.stages import (
    Batch,
    Group,
    PlannedStage,
    Stage,
    StageSpec,
    StepResult,
    Tensor,
    ValueAndGrad,
    Values,
    Variable,
)
from dlx.stages._layerwise import verify_unit_interval

if TYPE_CHECKING:
    from dlx.sources import Splits
    from dlx.spec import Setting

PARTS = ("train", "val", "test")


class Spec(StageSpec):
    """Gradient descent on the loss of the answers, over all layers or some of them."""

    summary: ClassVar[str] = "training with labels, of all layers or of some"
    source: ClassVar[str] = "Rumelhart, Hinton, Williams 1986, Learning representations by back-propagating errors"
    supervised: ClassVar[bool] = True
    whole_network: ClassVar[bool] = True

    name: Literal["supervised"] = "supervised"
    layers: ListOf[str] | None = Field(
        default=None,
        min_length=1,
        description="names of the layers that are trained, the others being frozen; null: all",
    )

    def usual_name(self, setting: Setting, position: int) -> str:
        last = setting.network().kernel_layers()[-1:]
        if self.layers is not None and list(self.layers) == [node.layer.name for node in last if node.layer]:
            return "output"
        return "finetune" if position else "train"

    def check(self, setting: Setting) -> None:
        network = setting.network()
        names = [row.name for row in network.rows() if row.parameters]
        for position, layer in enumerate(self.layers or ()):
            if layer in network.frozen:
                raise FieldError(
                    f"{layer!r} is one of the layers that the model keeps as they are", ("layers", position)
                )
            if layer not in names:
                message = f"the network has no layer {layer!r} with weights ({nearest(layer, names)})"
                raise FieldError(message, ("layers", position))

    def columns(self, setting: Setting) -> tuple[str, ...]:
        names = recall_names(setting.learned.outputs) if setting.recalls else ()
        return tuple(f"{part}_{name}" for name in names for part in PARTS)

    def build(self, setting: Setting, splits: Splits, planned: PlannedStage) -> Supervised:
        return build(setting, splits, planned, self.layers)


def build(setting: Setting, splits: Splits, planned: PlannedStage, layers: Sequence[str] | None = None) -> Supervised:
    """The stage that a trial's setting asks for: its model, loss and optimiser as Keras objects.

    The model is built in the setting's precision; what follows its logits is float32. Layers
    that are not in ``layers`` (None: all are) keep their weights and their moving statistics.
    """
    import keras

    from dlx import activations
    from dlx.keras_graph import nonlinearities

    training, info, network = setting.training, splits.info, setting.network()
    loss, outputs = setting.loss, setting.outputs
    activation = loss.activation(setting.model.output_activation, setting.task)
    if setting.model.reconstructs and loss.name == "sigmoid_cross_entropy":
        verify_unit_interval(splits, "the cross-entropy of a reconstruction")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(training.precision)
    try:
        model = setting.model.build(info.input_shape, outputs)
    finally:
        keras.config.set_dtype_policy(before)
    if layers is not None:
        for layer in model.layers:
            layer.trainable = layer.trainable and layer.name in layers
    optimizer = planned.optimizer.build()
    if training.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    watched = nonlinearities(model)
    limits = {name: found.activation.limits for name, found in watched.items() if found.activation}
    # Models end in logits: the nonlinearity behind them is the loss's business.
    ends = [name for name, found in watched.items() if found.tensor is model.outputs[0]]
    limits |= dict.fromkeys(ends, activations.get(activation).limits)
    return Supervised(
        model,
        loss,
        activation,
        Metrics(
            setting.learned.task,
            setting.learned.outputs if setting.recalls else outputs,
            activation,
            splits.target_scaling,
            pooled=setting.model.reconstructs,
            recalls=setting.recalls,
        ),
        optimizer,
        name=planned.name,
        l1=training.l1,
        l2=training.l2,
        class_weights=_class_weights(training.class_weights, splits),
        reduction=training.reduction,
        augmentation=training.augmentation,
        pixels=_pixels(splits),
        reconstructs=setting.model.reconstructs,
        unnumbered=network.decoder | network.beside,
        nonlinearities={name: found.tensor for name, found in watched.items()},
        limits={name: found for name, found in limits.items() if found},
        auxiliary=tuple(network.auxiliary.values()),
    )


def _pixels(splits: Splits) -> Pixels | None:
    """How the scaled values of images stand to pixels from 0 to 1; None where they are the same."""
    scaling, largest = splits.scaling, splits.info.largest
    subtract, divide = scaling.subtract / largest, scaling.divide / largest
    return Pixels(subtract, divide) if subtract.any() or (divide != 1.0).any() else None


def _class_weights(given: Mapping[str, float] | str | None, splits: Splits) -> list[float] | None:
    """One weight per class; ``balanced`` weighs a class by n / (classes · its examples), as in scikit-learn."""
    if given is None:
        return None
    classes = splits.info.outputs
    if not isinstance(given, str):
        names = splits.info.class_names or [str(label) for label in range(classes)]
        return [given.get(str(label), given.get(name, 1.0)) for label, name in enumerate(names)]
    import numpy as np

    labels = splits.train.targets
    counts = np.bincount(labels, minlength=classes)
    return [len(labels) / (classes * count) if count else 0.0 for count in counts.tolist()]


class Supervised(Stage):
    """Gradient descent on the data loss of a mini-batch, its mean or, by ``reduction``, its sum over examples.

    The inputs of a step go through ``augmentation`` first; nothing else does. With ``reconstructs``
    the targets are the inputs as they came.

    ``activation`` is the output activation; ``class_weights`` (classes,) multiply the loss
    of an example by the weight of its class, the mean still being over examples.
    ``nonlinearities``: the model's tensor behind each layer with a kernel, by Keras name.
    ``auxiliary``: the weights of the losses of the model's further outputs, in what is descended and
    differentiated; losses and metrics in the tables are those of its first.
    """

    metrics: Metrics
    whole_network = True

    def __init__(
        self,
        model: Any,
        loss: Loss,
        activation: str,
        metrics: Metrics,
        optimizer: Any,
        *,
        name: str = "train",
        l1: float = 0.0,
        l2: float = 0.0,
        class_weights: Sequence[float] | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        augmentation: Sequence[AugmentationSpec] = (),
        pixels: Pixels | None = None,
        reconstructs: bool = False,
        unnumbered: frozenset[str] = frozenset(),
        nonlinearities: Mapping[str, Any] | None = None,
        limits: Mapping[str, tuple[float, float]] | None = None,
        auxiliary: Sequence[float] = (),
    ) -> None:
        self.name = name
        self.model = model
        self.metrics = metrics
        self._loss = loss
        self._activation = activation
        self._class_weights = class_weights
        self._reduction = self.updates_are = reduction
        self._augmentation = tuple(augmentation)
        self.view = next((one.view for one in self._augmentation if one.view is not None), None)
        self._pixels = pixels
        self._reconstructs = reconstructs
        self.unnumbered = unnumbered
        variables: list[Variable] = list(model.trainable_variables)
        penalised = [variable.name.endswith("kernel") for variable in variables]
        self.groups = {"model": Group(variables, optimizer, l1=l1, l2=l2, penalised=penalised)}
        self.state = list(model.non_trainable_variables)
        self.limits = limits or {}
        self._nonlinearities = dict(nonlinearities or {})
        self._auxiliary = tuple(auxiliary)

    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        return self.metrics.shapes()

    def step(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, key: Any, differentiate: ValueAndGrad
    ) -> StepResult:
        from keras import ops

        inputs, targets = augment(self._augmentation, batch.inputs, key, self._pixels), self._targets(batch)

        def objective(weights: list[Tensor]) -> tuple[Tensor, Any]:
            outputs, new_state = self._outputs(weights, state, inputs, training=True)
            losses = self._losses(outputs[0], targets)
            return self._weighted(losses, outputs, targets), (losses, outputs[0], new_state)

        (_, (losses, logits, new_state)), gradients = differentiate(objective, groups["model"])
        sums = self.metrics.sums(losses, logits, targets)
        if self._reduction == "mean":
            return StepResult({"model": gradients}, new_state, sums)
        count = ops.cast(ops.shape(batch.targets)[0], "float32")
        updates = [gradient * count for gradient in gradients]
        return StepResult({"model": updates}, new_state, sums, {"model": gradients})

    def loss(self, groups: Values, state: Sequence[Tensor], batch: Batch) -> Tensor:
        outputs, _ = self._outputs(groups["model"], state, batch.inputs, training=False)
        targets = self._targets(batch)
        return self._weighted(self._losses(outputs[0], targets), outputs, targets)

    def evaluate(self, groups: Values, state: Sequence[Tensor], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        logits, _ = self._forward(groups["model"], state, batch.inputs, training=False)
        targets = self._targets(batch)
        return self.metrics.sums(self._losses(logits, targets), logits, targets, weights)

    def predict(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        from dlx.losses import answer, decided

        logits, _ = self._forward(groups["model"], state, inputs, training=False)
        if self.metrics.task == "regression":
            return {"values": self.metrics.restored(answer(logits, self._activation))}
        return {"values": self._loss.probabilities(logits, self._activation), "labels": decided(logits)}

    def activations(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        import keras

        from dlx.losses import answer

        watched = keras.Model(self.model.inputs, self._nonlinearities)
        outputs = self._call(watched, groups["model"], state, inputs)
        return {
            name: answer(outputs[name], self._activation) if tensor is self.model.outputs[0] else outputs[name]
            for name, tensor in self._nonlinearities.items()
        }

    def trace(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> dict[str, dict[str, Tensor]]:
        from keras import ops

        from dlx.keras_graph import with_offsets

        traced = super().trace(groups, state, batch, differentiate)
        model, names = with_offsets(self.model)
        rows = ops.shape(batch.inputs)[0]
        # Adding nothing to a layer's output and differentiating with respect to it gives the error term.
        nothing = [ops.zeros((rows, *one.shape[1:]), one.dtype) for one in model.inputs[len(self.model.inputs) :]]

        def total(offsets: list[Tensor]) -> tuple[Tensor, Any]:
            outputs = self._call(model, groups["model"], state, [batch.inputs, *offsets])
            losses = self._losses(ops.cast(outputs["output"], "float32"), batch.targets)
            return ops.sum(losses), [outputs[f"preactivation {name}"] for name in names]

        (_, preactivations), errors = differentiate(total, nothing)
        for name, value, error in zip(names, preactivations, errors, strict=True):
            traced[name] = {"preactivation": value, **traced.get(name, {}), "error": error}
        return traced

    def _call(self, model: Any, weights: Sequence[Tensor], state: Sequence[Tensor], inputs: Any) -> Any:
        """In inference mode, another model of the same layers: its variables may be in another order."""
        own = [*self.groups["model"].variables, *self.state]
        values = {id(variable): value for variable, value in zip(own, [*weights, *state], strict=True)}
        outputs, _ = model.stateless_call(
            [values[id(variable)] for variable in model.trainable_variables],
            [values[id(variable)] for variable in model.non_trainable_variables],
            inputs,
            training=False,
        )
        return outputs

    def _targets(self, batch: Batch) -> Tensor:
        """What the network is to give: the targets, or, for an autoencoder, its inputs in a row."""
        if not self._reconstructs:
            return batch.targets
        from keras import ops

        return ops.reshape(batch.inputs, (ops.shape(batch.inputs)[0], -1))

    def _forward(
        self, weights: Sequence[Tensor], state: Sequence[Tensor], inputs: Tensor, *, training: bool
    ) -> tuple[Tensor, list[Tensor]]:
        outputs, new_state = self._outputs(weights, state, inputs, training=training)
        return outputs[0], new_state

    def _outputs(
        self, weights: Sequence[Tensor], state: Sequence[Tensor], inputs: Tensor, *, training: bool
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Logits, then those of auxiliary classifiers, in float32."""
        from keras import ops

        outputs, new_state = self.model.stateless_call(list(weights), list(state), inputs, training=training)
        every = outputs if isinstance(outputs, list | tuple) else [outputs]
        return [ops.cast(logits, "float32") for logits in every], new_state

    def _weighted(self, losses: Tensor, outputs: Sequence[Tensor], targets: Tensor) -> Tensor:
        """What is descended: the mean loss, and those of auxiliary classifiers, each by its weight."""
        from keras import ops

        total = ops.mean(losses)
        for weight, logits in zip(self._auxiliary, outputs[1:], strict=True):
            total = total + weight * ops.mean(self._losses(logits, targets))
        return total

    def _losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        losses = self._loss.per_example(logits, self.metrics.scaled(targets), self._activation)
        if self._class_weights is None:
            return losses
        from keras import ops

        return losses * ops.take(ops.convert_to_tensor(self._class_weights, dtype="float32"), targets)
