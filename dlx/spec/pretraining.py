"""``pretraining:``: each hidden layer without labels, then the output layer, then all of them.

The short form of a list of stages (:attr:`dlx.spec.Setting.pipeline`): a method, which is a
stage that trains one layer, with that stage's settings, and how to go on afterwards.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, create_model, model_validator

from dlx import stages
from dlx.errors import FieldError, UsageError, nearest
from dlx.fields import Count, Fields, MemberFields
from dlx.layerwise import blocks
from dlx.members import OneOf
from dlx.stages import StageSpec
from dlx.stages._layerwise import LayerwiseSpec

if TYPE_CHECKING:
    from dlx.spec.schema import Setting

NONE = "none"
EPOCHS = 5


class NoPretraining(MemberFields):
    """Training from random initial weights, for as long as training with pretraining would take if that is asked."""

    summary: ClassVar[str] = "from random initial weights"

    name: Literal["none"] = "none"
    match: Literal["epochs", "steps"] | None = Field(
        default=None,
        description="train so much longer that all stages of pretraining with these epochs would take as many epochs "
        "(optimiser steps); null: no longer than training says",
    )
    epochs: Count = Field(default=EPOCHS, description="of each layer, in the pretraining that is matched")
    output_epochs: Count | None = Field(default=None, description="of its output layer; null: as for a layer")

    @model_validator(mode="after")
    def _only_where_it_is_matched(self) -> NoPretraining:
        if self.match is None and (self.epochs != EPOCHS or self.output_epochs is not None):
            raise ValueError("epochs without pretraining say nothing, unless `match` says what is to be matched")
        return self


NO_PRETRAINING = NoPretraining()


class Layerwise(Fields):
    """What ``pretraining`` says besides how one layer is trained."""

    epochs: Count = Field(default=EPOCHS, description="passes over the training part for each layer")
    output_epochs: Count | None = Field(
        default=None, description="for the output layer alone, with labels; null: as for a layer, 0: leave that out"
    )
    fine_tune: bool = Field(
        default=True,
        description="train all layers afterwards, as training says; false: the output layer alone, on frozen features",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_place(cls, data: Any) -> Any:
        for key in ("layer", "stage") if isinstance(data, dict) else ():
            if data.get(key) is not None:
                raise ValueError(
                    f"has no {key}: every layer has its stage here; a list of one's own goes into `stages`"
                )
        return data


class _Methods:
    """The stages that train one layer, and none."""

    kind = "pretraining method"

    def names(self) -> list[str]:
        """All names; no member is imported."""
        return [NONE, *(name for name in stages.registry.names() if name != "supervised")]

    def get(self, name: str) -> type[MemberFields]:
        """The settings of ``pretraining`` with a method."""
        if name == NONE:
            return NoPretraining
        if name not in self.names():
            raise UsageError(f"unknown pretraining method {name!r}", hint=nearest(name, self.names()))
        return _with_method(name)


@cache
def _with_method(name: str) -> type[MemberFields]:
    member = stages.registry.get(name)
    if not issubclass(member, LayerwiseSpec):
        raise UsageError(f"the stage {name!r} does not train one layer: it is no pretraining method")
    bases: Any = (Layerwise, member)
    combined: type[MemberFields] = create_model(f"{name}_pretraining", __base__=bases, __doc__=member.__doc__)
    return combined


Pretraining = Annotated[MemberFields, OneOf(_Methods(), NONE, "method")]


def stages_of(pretraining: MemberFields, setting: Setting) -> tuple[StageSpec, ...]:
    """The stages that a ``pretraining`` section stands for; raises :class:`~dlx.errors.FieldError`."""
    supervised = stages.registry.get("supervised")
    if isinstance(pretraining, NoPretraining):
        more = _matched(pretraining, setting) if pretraining.match else 0
        epochs = setting.training.epochs + more if more else None
        return (supervised.model_validate({"name": "supervised", "epochs": epochs}),)
    assert isinstance(pretraining, Layerwise)
    found = blocks(setting.network())
    layers = [one.for_layer(block.number) for one in [_layer_of(pretraining, len(found))] for block in found]
    output = [] if setting.network().decoder else _output(pretraining, setting)
    fine_tuned = {"name": "supervised", "stage": "finetune", "epochs": None if pretraining.fine_tune else 0}
    last = [supervised.model_validate(fine_tuned)] if pretraining.fine_tune or not output else []
    return (*layers, *output, *last)


def _layer_of(pretraining: Any, layers: int) -> LayerwiseSpec:
    member = stages.registry.get(pretraining.name)
    spec = member.model_validate({name: getattr(pretraining, name) for name in member.model_fields})
    assert isinstance(spec, LayerwiseSpec)
    spec.check_all(layers)
    return spec


def _output(pretraining: Layerwise, setting: Setting) -> list[StageSpec]:
    epochs = pretraining.epochs if pretraining.output_epochs is None else pretraining.output_epochs
    if pretraining.fine_tune and not epochs:
        return []
    last = setting.network().kernel_layers()[-1].layer
    content = {
        "name": "supervised",
        "stage": "output",
        "layers": [last.name if last else ""],
        "epochs": epochs if pretraining.fine_tune else None,
    }
    return [stages.registry.get("supervised").model_validate(content)]


def _matched(pretraining: NoPretraining, setting: Setting) -> int:
    """Epochs that stages without labels and that of the output layer would take, in epochs of training with labels."""
    try:
        layers = len(blocks(setting.network()))
    except FieldError:
        return 0  # nothing can be pretrained in a linear classifier: there is nothing to match
    decodes = bool(setting.network().decoder)
    output = pretraining.epochs if pretraining.output_epochs is None else pretraining.output_epochs
    without, with_labels = layers * pretraining.epochs, 0 if decodes else output
    if pretraining.match == "epochs":
        return without + with_labels
    if setting.dataset.rebalance is not None:
        raise FieldError("steps of an epoch are not known before the classes are even: match: epochs", ("match",))
    return math.ceil(without * setting.steps(labelled=False) / setting.steps(labelled=True)) + with_labels
