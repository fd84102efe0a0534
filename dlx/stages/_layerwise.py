"""What the stages that train one hidden layer without labels share: which layer, what it reads, how it is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from dlx import activations
from dlx.errors import FieldError, UsageError
from dlx.fields import NonNegative, Positive
from dlx.layerwise import Block, blocks
from dlx.stages import StageSpec, Tensor, Variable

if TYPE_CHECKING:
    from dlx.sources import Splits
    from dlx.spec import Setting


class LayerwiseSpec(StageSpec):
    """A stage that trains one hidden layer on the outputs of those below it, which are frozen."""

    layer: Positive | None = Field(
        default=None, description="which layer, counted from the input from 1 (in `stages`, where it is needed)"
    )
    l1: NonNegative = Field(default=0.0, description="adds l1·Σ|W| over kernels to the objective")
    l2: NonNegative = Field(default=0.0, description="adds (l2/2)·‖W‖² over kernels to the objective: weight decay")

    def usual_name(self, setting: Setting, position: int) -> str:
        return f"layer{self.layer}"

    def block(self, setting: Setting) -> Block:
        """The layer; raises :class:`~dlx.errors.FieldError` where there is none to pretrain, or not this one."""
        found = blocks(setting.network())
        if self.layer is None:
            raise FieldError("which layer? (`layer: 1` is the first)", ("layer",))
        if self.layer > len(found):
            raise FieldError(f"the network has {len(found)} layers to pretrain, not {self.layer}", ("layer",))
        return found[self.layer - 1]

    def check_all(self, layers: int) -> None:
        """Raises :class:`~dlx.errors.FieldError` where ``pretraining`` of so many layers cannot have these settings."""

    def for_layer(self, number: int) -> LayerwiseSpec:
        """The same stage for a layer of its own: ``pretraining`` as an item of ``stages``."""
        return self.model_copy(update={"layer": number})

    def check(self, setting: Setting) -> None:
        self.block(setting)


def input_limits(setting: Setting, block: Block) -> tuple[float, float] | None:
    """The limits of what a block reads as far as the spec says: those of the data, or of the layer below."""
    if block.input_activation is not None:
        return block.input_limits
    scaling, largest = setting.dataset.scaling, setting.dataset.info().largest
    if scaling == "unit":
        return 0.0, 1.0
    divide = 1.0 if scaling == "none" else getattr(scaling, "divide", None)
    return None if divide is None or largest > divide else (0.0, 1.0)


def verify_unit_interval(splits: Splits, what: str) -> None:
    """Raises :class:`~dlx.errors.UsageError` where scaled training inputs are not in [0, 1], whatever the spec says."""
    import numpy as np

    inputs, _ = splits.train.arrays or splits.train.read(np.arange(min(len(splits.train), 1000)))
    lowest, highest = inputs.min(), inputs.max()
    scaled = splits.scaling.apply(np.stack([np.broadcast_to(one, inputs.shape[1:]) for one in (lowest, highest)]))
    if scaled.min() < 0.0 or scaled.max() > 1.0:
        raise UsageError(
            f"{what} needs inputs in [0, 1], and these go from {scaled.min():g} to {scaled.max():g}: choose "
            "`dataset.scaling: unit` for data from 0 up, or what the stage offers for other data"
        )


def build_below(block: Block, shape: Sequence[int]) -> tuple[Any, Any]:
    """Keras tensors: the network's input, and what the block reads, through frozen layers under the network's names."""
    import keras

    start = values = keras.Input(tuple(shape), name="input")
    for layer in block.before:
        built = layer.build()
        built.trainable = False
        values = built(values)
    return start, values


def activation_limits(setting: Setting, block: Block) -> dict[str, tuple[float, float]]:
    """The limits of the nonlinearities up to the block's own, by the name of their layer."""
    found = {one.name: activations.get(one.activation).limits for one in blocks(setting.network())[: block.number]}
    return {name: limits for name, limits in found.items() if limits}


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """−x·ln σ(z) − (1−x)·ln(1−σ(z)) of each unit: for metrics, not to be differentiated (at z = 0 it has a corner)."""
    from keras import ops

    # On a CPU, XLA's log1p takes twice as long as its log, and 1 + exp(−|z|) is between 1 and 2.
    return ops.maximum(logits, 0.0) + ops.log(1.0 + ops.exp(-ops.abs(logits))) - logits * targets


class Call:
    """Calls models that share variables, with values by variable instead of what the variables hold."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self._places = {id(variable): place for place, variable in enumerate(variables)}

    def __call__(self, model: Any, values: Sequence[Tensor], inputs: Tensor, *, training: bool) -> tuple[Any, Any]:
        """The model's outputs, and new values of its state by the place of the variable."""
        trainable = [values[self._places[id(variable)]] for variable in model.trainable_variables]
        frozen = [values[self._places[id(variable)]] for variable in model.non_trainable_variables]
        outputs, state = model.stateless_call(trainable, frozen, inputs, training=training)
        places = [self._places[id(variable)] for variable in model.non_trainable_variables]
        return outputs, dict(zip(places, state, strict=True))


def watched_model(model: Any) -> Any:
    """A model that gives every nonlinearity's output by the name of its layer."""
    import keras

    from dlx.keras_graph import nonlinearity_outputs

    return keras.Model(model.inputs, nonlinearity_outputs(model))
