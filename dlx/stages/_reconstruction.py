"""A layer trained as an autoencoder: its inputs, spoiled or not, are to come out of a decoder behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from dlx import activations
from dlx.activations import ActivationName
from dlx.errors import FieldError
from dlx.fields import NonNegative
from dlx.layers import Conv2D, transposed_positions
from dlx.layerwise import Block
from dlx.losses import answer
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

    from dlx.sources import Splits
    from dlx.spec import Setting

LossName = Literal["cross_entropy", "squared_error"]
Corrupt = Callable[[Tensor, Any], Tensor]
"""(clean inputs, seed generator) ↦ spoiled inputs."""


class ReconstructionSpec(LayerwiseSpec):
    """The settings of every autoencoder of one layer."""

    tied: bool = Field(default=True, description="decode with the encoder's kernel, transposed; false: with its own")
    loss: LossName | None = Field(
        default=None,
        description="of the reconstruction, summed over inputs; null: cross_entropy for inputs in [0, 1], "
        "else squared_error",
    )
    decoder_activation: ActivationName | None = Field(
        default=None, description="null: sigmoid with cross_entropy, else linear (in an autoencoder, its own)"
    )
    activity_l1: NonNegative = Field(default=0.0, description="adds activity_l1·Σ|h| over the layer's outputs")
    activity_l2: NonNegative = Field(default=0.0, description="adds (activity_l2/2)·Σh² over the layer's outputs")

    def loss_for(self, setting: Setting, block: Block) -> LossName:
        """The loss, with null decided by what the layer reads."""
        unit = input_limits(setting, block) == (0.0, 1.0)
        return self.loss or (
            "cross_entropy" if unit and self.decoder_activation in (None, "sigmoid") else "squared_error"
        )

    def decoder_activation_for(self, setting: Setting, block: Block) -> str:
        """The decoder's nonlinearity, with null decided by the loss, and by the model where it keeps the decoder."""
        if self.decoder_activation:
            return self.decoder_activation
        if self.loss_for(setting, block) == "cross_entropy":
            return "sigmoid"
        kept = block.decoder in setting.network().decoder
        return (block.input_activation or setting.model.output_activation or "linear") if kept else "linear"

    def check(self, setting: Setting) -> None:
        block = self.block(setting)
        if self.loss_for(setting, block) == "cross_entropy":
            if self.decoder_activation not in (None, "sigmoid"):
                raise FieldError(
                    f"cross_entropy goes with a sigmoid, not with {self.decoder_activation}", ("decoder_activation",)
                )
            if input_limits(setting, block) != (0.0, 1.0):
                what = (
                    f"layer {block.number - 1} gives {block.input_activation}" if block.input_activation else "the data"
                )
                raise FieldError(
                    f"cross_entropy needs inputs in [0, 1], and {what} may be outside: squared_error, or for data "
                    "from 0 up dataset.scaling: unit",
                    ("loss",),
                )
        shares = {node.layer.name for node in setting.network().nodes if node.layer and node.layer.kernel_of}
        if not self.tied and block.decoder in shares:
            message = (
                f"{block.decoder} has the kernel of {block.name} (model.tied), so that one of its own would be lost"
            )
            raise FieldError(message, ("tied",))
        if isinstance(block.layer, Conv2D):
            _check_size(block, "tied weights" if self.tied else "a transposed convolution")

    def columns(self, setting: Setting) -> tuple[str, ...]:
        return tuple(f"{part}_reconstruction_error" for part in ("train", "val", "test"))

    def corruption_of(self, setting: Setting, block: Block) -> Corrupt | None:
        """What spoils the inputs in training; None: nothing."""
        return None

    def build(self, setting: Setting, splits: Splits, planned: PlannedStage) -> LayerAutoencoder:
        block = self.block(setting)
        loss = self.loss_for(setting, block)
        if loss == "cross_entropy" and block.input_activation is None:
            verify_unit_interval(splits, "cross-entropy")
        return LayerAutoencoder(self, setting, block, planned, splits.info.input_shape)


def _check_size(block: Block, what: str) -> None:
    layer = block.layer
    assert isinstance(layer, Conv2D)
    height, width, _ = block.output_shape
    found = transposed_positions((height, width), layer.kernel, layer.stride, layer.padding)
    if found != block.input_shape[:2]:
        given, wanted = ("x".join(map(str, shape)) for shape in (found, block.input_shape[:2]))
        raise FieldError(
            f"{what} cannot decode {block.name}: a transposed convolution of the same kernel and stride gives {given} "
            f"where {wanted} is needed; with stride 1, or a size that the stride divides, it can"
        )


@dataclass(frozen=True)
class ReconstructionMetrics:
    """The mean loss of an example, and the mean squared difference of an input and its reconstruction."""

    inputs: int
    names: tuple[str, ...] = ("loss", "reconstruction_error")
    looked_at: tuple[str, ...] = ()
    gap: str | None = None

    def values(self, losses: Tensor, clean: Tensor, reconstruction: Tensor) -> dict[str, Tensor]:
        """What adds up to the sums over a batch: of each unit of each example, in Keras ops."""
        from keras import ops

        squares = flat(ops.square(clean - reconstruction))
        return {"loss": losses, "reconstruction_error": squares / self.inputs}

    def sums(self, losses: Tensor, clean: Tensor, reconstruction: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Sums over a batch; ``weights`` (batch,) are 0 or 1."""
        from keras import ops

        values = self.values(losses, clean, reconstruction)
        return {name: ops.sum(ops.sum(value, axis=-1) * weights) for name, value in values.items()}

    def finish(self, sums: Mapping[str, Any], count: int, variation: np.ndarray | None = None) -> dict[str, float]:
        return {name: float(sums[name]) / count for name in self.names}


class LayerAutoencoder(Stage):
    """One layer and its decoder, trained by gradient descent to give back what the layer reads."""

    metrics: ReconstructionMetrics

    def __init__(
        self, spec: ReconstructionSpec, setting: Setting, block: Block, planned: PlannedStage, shape: Sequence[int]
    ) -> None:
        import keras

        self.name = planned.name
        self._spec = spec
        self._block = block
        self._loss = spec.loss_for(setting, block)
        self._activation = spec.decoder_activation_for(setting, block)
        self._corrupt = spec.corruption_of(setting, block)
        start, below = build_below(block, shape)
        encoder = block.layer.build()
        code = encoder(below)
        for layer in block.after:
            code = layer.build()(code)
        logits = _decoder(block, spec.tied, encoder)(code)
        self.model = keras.Model(start, logits)
        self._below = keras.Model(start, below)
        self._inner = keras.Model(below, [code, logits])
        self._watched = watched_model(self.model)
        variables = list(self.model.trainable_variables)
        penalised = [variable.name.endswith("kernel") for variable in variables]
        optimizer = planned.optimizer.build()
        self.groups = {"model": Group(variables, optimizer, l1=spec.l1, l2=spec.l2, penalised=penalised)}
        self.state = list(self.model.non_trainable_variables)
        self._call = Call([*variables, *self.state])
        self.limits = activation_limits(setting, block)
        if limits := activations.get(self._activation).limits:
            self.limits = {**self.limits, block.decoder: limits}
        self.metrics = ReconstructionMetrics(_size(block.input_shape))
        self.unnumbered = frozenset((block.decoder,))
        self._kept = block.decoder in setting.network().decoder

    def sum_shapes(self) -> dict[str, tuple[int, ...]]:
        return dict.fromkeys(self.metrics.names, ())

    def step(
        self, groups: Values, state: Sequence[Tensor], batch: Batch, key: Any, differentiate: ValueAndGrad
    ) -> StepResult:
        from keras import ops

        clean = self._read(groups["model"], state, batch.inputs)
        spoiled = clean if self._corrupt is None else self._corrupt(clean, key)

        def objective(weights: list[Tensor]) -> tuple[Tensor, Any]:
            (code, logits), new = self._call(self._inner, [*weights, *state], spoiled, training=True)
            losses = self._losses(logits, clean)
            return ops.mean(losses + self._penalty(code)), (logits, new)

        (_, (logits, new)), gradients = differentiate(objective, groups["model"])
        first = len(groups["model"])
        kept = [new.get(first + place, value) for place, value in enumerate(state)]
        sums = self.metrics.values(self._of_units(logits, clean), clean, answer(logits, self._activation))
        return StepResult({"model": gradients}, kept, sums)

    def loss(self, groups: Values, state: Sequence[Tensor], batch: Batch) -> Tensor:
        from keras import ops

        clean = self._read(groups["model"], state, batch.inputs)
        (_, logits), _ = self._call(self._inner, [*groups["model"], *state], clean, training=False)
        return ops.mean(self._losses(logits, clean))

    def evaluate(self, groups: Values, state: Sequence[Tensor], batch: Batch, weights: Tensor) -> dict[str, Tensor]:
        clean = self._read(groups["model"], state, batch.inputs)
        (_, logits), _ = self._call(self._inner, [*groups["model"], *state], clean, training=False)
        return self.metrics.sums(self._of_units(logits, clean), clean, answer(logits, self._activation), weights)

    def activations(self, groups: Values, state: Sequence[Tensor], inputs: Tensor) -> dict[str, Tensor]:
        outputs, _ = self._call(self._watched, [*groups["model"], *state], inputs, training=False)
        return {
            name: answer(value, self._activation) if name == self._block.decoder else value
            for name, value in outputs.items()
        }

    def hand_on(self, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        decoder = f"{self._block.decoder}/"
        if not self._kept:
            return {path: value for path, value in weights.items() if not path.startswith(decoder)}
        handed = dict(weights)
        if self._spec.tied:
            kernel = weights[f"{self._block.name}/kernel"]
            handed[f"{decoder}kernel"] = kernel.T if kernel.ndim == 2 else kernel
        return handed

    def _read(self, weights: Sequence[Tensor], state: Sequence[Tensor], inputs: Tensor) -> Tensor:
        """What the layer reads: the frozen layers' answer."""
        clean, _ = self._call(self._below, [*weights, *state], inputs, training=False)
        return clean

    def _losses(self, logits: Tensor, clean: Tensor) -> Tensor:
        from keras import ops

        if self._loss == "cross_entropy":
            # softplus(z) − x·z is −x·ln σ(z) − (1−x)·ln(1−σ(z)), without ever forming σ(z).
            return ops.sum(flat(ops.softplus(logits) - clean * logits), axis=-1)
        return ops.sum(flat(ops.square(answer(logits, self._activation) - clean)), axis=-1)

    def _of_units(self, logits: Tensor, clean: Tensor) -> Tensor:
        """The losses of an example's units (batch, units), to look at."""
        from keras import ops

        if self._loss == "cross_entropy":
            return cross_entropy(flat(logits), flat(clean))
        return flat(ops.square(answer(logits, self._activation) - clean))

    def _penalty(self, code: Tensor) -> Tensor:
        from keras import ops

        total = ops.zeros((), "float32")
        if self._spec.activity_l1:
            total = total + self._spec.activity_l1 * ops.sum(flat(ops.abs(code)), axis=-1)
        if self._spec.activity_l2:
            total = total + 0.5 * self._spec.activity_l2 * ops.sum(flat(ops.square(code)), axis=-1)
        return total


def flat(values: Tensor) -> Tensor:
    """(batch, everything else)."""
    from keras import ops

    return ops.reshape(values, (ops.shape(values)[0], -1))


def _size(shape: Sequence[int]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def _decoder(block: Block, tied: bool, encoder: Any) -> Any:
    """The Keras layer that turns the block's outputs into its inputs again, without nonlinearity."""
    import keras

    from dlx.keras_layers.decoders import TransposedConv2D, TransposedDense

    layer, units = block.layer, block.input_shape[-1]
    bias = layer.initializers.bias.build()
    if tied:
        kind = TransposedConv2D if isinstance(layer, Conv2D) else TransposedDense
        return kind(encoder, units, True, bias, name=block.decoder)
    common = {"kernel_initializer": layer.initializers.kernel.build(), "bias_initializer": bias, "name": block.decoder}
    if isinstance(layer, Conv2D):
        return keras.layers.Conv2DTranspose(units, layer.kernel, strides=layer.stride, padding=layer.padding, **common)
    return keras.layers.Dense(units, **common)
