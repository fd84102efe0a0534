"""The fields of a spec, with their defaults and what they mean.

Members of the open sets are resolved by name when a value names them; the rest of the
language (seeds, axes) is in :mod:`dlx.spec.axes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from dlx import augmentations, datasets, losses, models, optimizers, probes, stages
from dlx.augmentations import AugmentationSpec
from dlx.datasets import DatasetSpec
from dlx.every import Every
from dlx.fields import Count, Fields, Finite, MemberFields, NonNegative, Positive
from dlx.losses import Loss, LossName
from dlx.members import OneOf
from dlx.models import ListOf, ModelSpec
from dlx.optimizers import OptimizerSpec
from dlx.probes import ProbeSpec
from dlx.spec.evaluation import Evaluation
from dlx.spec.pretraining import NO_PRETRAINING, NoPretraining, Pretraining, stages_of
from dlx.stages import PlannedStage, StageSpec

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from dlx.datasets import DatasetInfo
    from dlx.network import Network

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""Names that are folders on every system."""

DEFAULT_DATASET = "digits"
DEFAULT_PROBES = ("activations", "gradients")
DEFAULT_STAGE = "supervised"
USUAL_BATCH = 32

Dataset = Annotated[DatasetSpec, OneOf(datasets.registry, DEFAULT_DATASET)]
Model = Annotated[ModelSpec, OneOf(models.registry)]
Augmentations = ListOf[Annotated[AugmentationSpec, OneOf(augmentations.registry)]]
Optimizer = Annotated[OptimizerSpec, OneOf(optimizers.registry, "adam")]
Stages = ListOf[Annotated[StageSpec, OneOf(stages.registry, DEFAULT_STAGE)]]


class EarlyStopping(Fields):
    """Stop when a metric of the validation set no longer improves; arguments as in Keras."""

    monitor: Literal["val_loss", "val_accuracy", "val_top5_accuracy", "val_mae", "val_rmse", "val_r2"] = Field(
        default="val_loss", description="the column of metrics.csv that is watched"
    )
    min_delta: NonNegative = Field(default=0.0, description="the least change that counts as an improvement")
    patience: Count = Field(default=5, description="epochs without improvement that are waited for")
    mode: Literal["auto", "min", "max"] = Field(
        default="auto", description="whether less or more is better; auto: more for accuracies and r2"
    )
    restore_best_weights: bool = Field(default=True, description="end with the weights of the best epoch")
    start_from_epoch: Count = Field(default=0, description="epochs before improvement is looked for")

    @property
    def more_is_better(self) -> bool:
        """The direction, with ``auto`` decided."""
        return self.mode == "max" or (self.mode == "auto" and self.monitor.endswith(("accuracy", "r2")))


class Checkpoint(Fields):
    """When to save what exact resumption needs."""

    every: Every = Field(default=Every(1, "epochs"), description="1 epoch, 500 steps or 5 minutes")


class Training(Fields):
    """How a model is trained."""

    loss: LossName | None = Field(
        default=None, description="default: cross_entropy for classes, mean_squared_error for values"
    )
    optimizer: Optimizer = Field(
        default_factory=lambda: optimizers.registry.get("adam")(), description="an optimizer of Keras and its arguments"
    )
    augmentation: Augmentations = Field(
        default=(),
        description="what is done to the images of a training batch, after scaling, one after the other; [] leaves "
        "them as they are. Validation, test, probes and stages without labels see plain data",
    )
    reduction: Literal["mean", "sum"] = Field(
        default="mean",
        description="of the loss over a batch's examples: what the optimizer descends. Losses and gradient norms in "
        "the tables are those of the mean either way",
    )
    l1: NonNegative = Field(default=0.0, description="adds l1·Σ|W| over kernels to the objective")
    l2: NonNegative = Field(default=0.0, description="adds (l2/2)·‖W‖² over kernels to the objective")
    batch_size: Positive | Literal["full"] = Field(
        default=USUAL_BATCH,
        description=f"examples per step; full: gradient descent. Where there are fewer than {USUAL_BATCH}, that means "
        "all; more than there are is a mistake otherwise",
    )
    epochs: Count = Field(default=10, description="passes over the training part; 0 records the start only")
    early_stopping: EarlyStopping | None = Field(default=None, description="null: train all epochs")
    class_weights: dict[str, NonNegative] | Literal["balanced"] | None = Field(
        default=None, description="weight of each class (label or name) in the loss; balanced: by inverse frequency"
    )
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = Field(
        default="float32", description="type that layers compute in; variables stay float32"
    )
    checkpoint: Checkpoint | None = Field(default=None, description="when to save for resumption; null: dlx decides")
    devices: Positive = Field(
        default=1,
        description="GPUs of one machine among which each batch is divided; as the engine, no part of what is trained",
    )

    @field_validator("class_weights", mode="after")
    @classmethod
    def _some_weight(cls, weights: Any) -> Any:
        if isinstance(weights, dict) and not any(weights.values()):
            raise ValueError("must give some class a weight above 0")
        return weights


class Records(Fields):
    """What a trial leaves on disk besides its tables and ``weights.npz``."""

    checkpoints: Literal["until_done", "keep"] = Field(
        default="until_done", description="until_done: removed when the trial is done"
    )
    model: Literal["final", "none"] = Field(
        default="none", description="final: model.keras, the whole trained model, for notebooks"
    )
    recalls: bool | None = Field(
        default=None,
        description="columns of metrics.csv with the recall of each class and balanced accuracy, their mean; null: "
        "where dataset.imbalance or dataset.rebalance is set",
    )
    test: Literal["measured", "withheld"] = Field(
        default="measured", description="withheld: the test part is not looked at, as where `dlx tune` chooses"
    )


@dataclass(frozen=True)
class ProbesByName:
    """Describes ``probes:`` to editors; :func:`dlx.spec.sections.check_section` checks it."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        registry = probes.registry
        described = {
            # A probe's key is its name, so its settings need none.
            name: {"anyOf": [OneOf(registry, name).described(name, handler), {"type": "null"}]}
            for name in registry.names()
        }
        return {"anyOf": [{"type": "object", "properties": described, "additionalProperties": False}, {"type": "null"}]}


_Range = Annotated[str, Field(pattern=r"^\s*-?[0-9]+\s*\.\.\s*-?[0-9]+\s*(\.\.\s*[0-9]+\s*)?$")]
_Spread = Annotated[str, Field(pattern=r"^\s*(log|lin)\(.*\)\s*$")]
_Seeds = Annotated[int, Field(ge=0)] | _Range | Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
_Values = Annotated[list[Any], Field(min_length=1)] | _Range | _Spread
_Axes = Annotated[dict[str, _Values], Field(min_length=1)]


_Searched = Annotated[dict[str, _Values], Field()]


class SeedFields(Fields):
    """Every pair of a seed of the initial weights and one of everything else that is random."""

    init: _Seeds = Field(default=0, description="for initial weights")
    order: _Seeds = Field(default=0, description="for the order of the data, dropout and noise")


class RandomFields(Fields):
    """Settings drawn at random."""

    n: Positive = Field(description="how many")
    seed: Count = Field(default=0, description="of the drawing")
    axes: _Axes = Field(description="values by dotted path; log(a, b) and lin(a, b) are continuous here")


class SweepFields(Fields):
    """What a sweep holds besides axes by dotted path; read by :mod:`dlx.spec.axes`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, _Values]

    zip: _Axes | list[_Axes] | None = Field(default=None, description="axes that vary together, of equal length")
    random: RandomFields | None = Field(default=None, description="settings drawn at random, combined with the axes")


_Chosen = dict[str, Any]


class ClaimFields(Fields):
    """One thing that is expected: of a metric with one relation, or of how trials end."""

    metric: str | None = Field(
        default=None, min_length=1, description="a number of a trial, as `dlx compare --metric` names it"
    )
    state: Literal["done", "diverged", "failed"] | None = Field(default=None, description="how all of them end")
    at: _Chosen = Field(default_factory=dict, description="of which trials: values by dotted path; default: of all")
    above: _Chosen | None = Field(default=None, min_length=1, description="it is more than at these values")
    below: _Chosen | None = Field(default=None, min_length=1, description="it is less than at these values")
    between: tuple[Finite, Finite] | None = Field(default=None, strict=False, description="it is in this range")
    at_least: Finite | None = Field(default=None, description="it is no less than this")
    at_most: Finite | None = Field(default=None, description="it is no more than this")
    decreasing_over: str | None = Field(default=None, description="it falls from each value of this path to the next")
    increasing_over: str | None = Field(default=None, description="it grows from each value of this path to the next")


class Spec(Fields):
    """An experiment: what is trained, what is measured, what is kept, and what varies."""

    name: str | None = Field(
        default=None, pattern=NAME, description="folder of the results; default: the file's name without .yaml"
    )
    description: str = Field(default="", description="what the experiment asks")
    dataset: Dataset = Field(
        default_factory=lambda: datasets.registry.get(DEFAULT_DATASET)(name=DEFAULT_DATASET),
        description="what is learned: the name of a dataset, or its settings",
    )
    model: Model = Field(description="what learns: the name of a model, or its settings")
    pretraining: Pretraining = Field(
        default_factory=NoPretraining,
        description="how hidden layers are trained before, one by one and without labels: a method, or its settings",
    )
    training: Training = Field(default_factory=Training, description="how it is trained")
    stages: Stages | None = Field(
        default=None,
        min_length=1,
        description="what it is trained in, one after the other; each begins with the weights of those before",
    )
    probes: Annotated[Mapping[str, ProbeSpec | None] | None, ProbesByName()] = Field(
        default_factory=dict,
        description=f"settings of probes by name; {' and '.join(DEFAULT_PROBES)} are on unless null, others when named",
    )
    records: Records = Field(default_factory=Records, description="what stays on disk besides the tables")
    seeds: _Seeds | SeedFields | None = Field(
        default=None, description="a number of seeds, a range such as 0..9, a list, or {init: …, order: …}"
    )
    expect: list[ClaimFields] | None = Field(
        default=None, description="claims to be confirmed or refuted by the trials; they change nothing that is trained"
    )
    evaluation: Literal["kfold", "repeated_kfold", "holdout"] | Evaluation | None = Field(
        default=None,
        description="what is held out for testing in turn, each a trial of its own; null: the test part of the dataset",
    )
    smoke: dict[str, Any] | None = Field(
        default=None,
        description="values by dotted path for `dlx run --smoke`: the same experiment on less data for fewer steps, "
        "over in seconds; a list for a path of sweep: takes the place of its values",
    )
    search: _Searched | None = Field(
        default=None, description="values by dotted path that `dlx tune` chooses among; log(a, b) and lin(a, b) too"
    )
    sweep: SweepFields | None = Field(
        default=None, description="values by dotted path, every combination of which is trained; also zip: and random:"
    )


@dataclass(frozen=True)
class Setting:
    """Everything a trial is made of but its seed, checked and complete.

    ``training.loss`` and ``model.output_activation`` are never None here: what the data and
    the loss want is written in. ``probes`` is by name.
    """

    dataset: DatasetSpec
    model: ModelSpec
    training: Training
    probes: Mapping[str, ProbeSpec]
    records: Records
    stages: tuple[StageSpec, ...] = ()
    """As the spec lists them; empty: those that ``pretraining`` stands for."""
    pretraining: MemberFields = NO_PRETRAINING

    @cached_property
    def pipeline(self) -> tuple[PlannedStage, ...]:
        """The stages one after the other, each with its name and all settings."""
        training = self.training
        specs = self.stages or stages_of(self.pretraining, self)
        return tuple(
            PlannedStage(
                spec.stage or spec.usual_name(self, position),
                spec,
                training.epochs if spec.epochs is None else spec.epochs,
                spec.optimizer or training.optimizer,
                spec.batch_size or training.batch_size,
                training.early_stopping if spec.epochs is None else None,
            )
            for position, spec in enumerate(specs)
        )

    def undivided(self, devices: int) -> Iterator[tuple[str, int]]:
        """The name of each stage whose batches cannot be divided equally among devices, and their size."""
        for planned in self.pipeline:
            size = self.dataset.sizes()["train"] if planned.batch_size == "full" else planned.batch_size
            if size % devices:
                yield planned.name, size

    def steps(self, *, labelled: bool) -> int:
        """Steps in an epoch with training's batch size, of stages with or without labels."""
        examples = self.dataset.sizes()["train"]
        if labelled and not self.model.reconstructs:
            examples = self.dataset.labelled or examples
        batch_size = self.training.batch_size
        return 1 if batch_size == "full" else math.ceil(examples / batch_size)

    @property
    def loss(self) -> Loss:
        """The loss."""
        return losses.get(self.training.loss or losses.default_for(self.task))

    @property
    def learned(self) -> DatasetInfo:
        """The data set as the model learns it: an autoencoder has its inputs as targets."""
        return self.model.learned(self.dataset.info())

    @property
    def task(self) -> losses.Task:
        """What losses are chosen by."""
        return "reconstruction" if self.model.reconstructs else self.dataset.info().task

    @property
    def outputs(self) -> int:
        """Width of the output layer."""
        return self.loss.outputs(self.learned)

    @property
    def recalls(self) -> bool:
        """Whether the tables have a recall of each class."""
        if self.records.recalls is not None:
            return self.records.recalls
        made_uneven = self.dataset.imbalance is not None or self.dataset.rebalance is not None
        return made_uneven and self.task == "classification"

    def network(self) -> Network:
        """The network's layers, shapes and counts, in plain Python."""
        return self.model.network(self.dataset.info().input_shape, self.outputs)
