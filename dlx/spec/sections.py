"""The sections of a spec, each checked by itself, and then what they ask of one another."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from dlx import losses, probes, stages
from dlx.datasets import DatasetSpec
from dlx.errors import FieldError, PathKey, Problem, nearest
from dlx.fields import MemberFields
from dlx.members import OneOf
from dlx.probes import ProbeSpec
from dlx.spec import schema
from dlx.spec.document import Node, Place
from dlx.spec.evaluation import Evaluation
from dlx.spec.pretraining import NO_PRETRAINING
from dlx.spec.problems import Alternative, Path, alternatives, show, translate
from dlx.spec.schema import Records, Setting, Training
from dlx.stages import StageSpec

SectionName = Literal["dataset", "model", "training", "probes", "records", "stages", "pretraining"]
SECTIONS: tuple[SectionName, ...] = ("dataset", "model", "training", "probes", "records", "stages", "pretraining")

Checked = tuple[Any, list[Problem]]
"""A section's value (None if it could not be made) and what is wrong."""


def check_section(name: SectionName, node: Node | None, top: Place) -> Checked:
    """A section from its node, None where the spec has none; ``top`` is where the spec begins."""
    given = node if node is not None and node.content is not None else None
    if name == "probes":
        return ({}, []) if node is not None and given is None else _check_probes(given)
    if name == "stages":
        return _check_stages(given)
    field = alternatives(schema.Spec.model_fields[name].annotation, schema.Spec.model_fields[name].metadata)
    at = given or Node(None, (node or Node(None, top)).place)
    value, problems = _validated(field, given, _DEFAULTS[name], at, (name,))
    return (located(value, at) if name == "dataset" and value is not None else value), problems


def located(dataset: DatasetSpec, at: Node) -> DatasetSpec:
    """A data set whose files are named from the root: relative ones are relative to the file that names them.

    On a command line that is the folder in which it is called.
    """
    if not dataset.path_fields:
        return dataset
    from dlx.datasets._files import resolve

    found = {}
    for field in dataset.path_fields:
        path = getattr(dataset, field)
        if path is not None:
            file = pathlib.Path(at.find((field,)).file)
            found[field] = resolve(path, file.parent if file.is_file() else pathlib.Path())
    return dataset.model_copy(update=found)


_DEFAULTS: Mapping[str, Any] = {
    "dataset": schema.DEFAULT_DATASET,
    "model": {},
    "training": {},
    "records": {},
    "pretraining": {},
}


def _validated(field: Sequence[Alternative], node: Node | None, default: Any, at: Node, path: Path) -> Checked:
    validate = _validator(field)
    try:
        return validate(default if node is None else node.value), []
    except ValidationError as error:
        return None, translate(error, field, node, at, path)


def _validator(field: Sequence[Alternative]) -> Callable[[Any], Any]:
    ((annotation, metadata),) = field
    member = next((data for data in metadata if isinstance(data, OneOf)), None)
    return member.validate if member is not None else annotation.model_validate


def _check_probes(node: Node | None) -> Checked:
    found: dict[str, ProbeSpec] = {}
    problems: list[Problem] = []
    if node is not None and not isinstance(node.content, Mapping):
        message = f"must be a mapping from names of probes to their settings, not {show(node.value)}"
        return None, [node.place.problem(message, ("probes",))]
    names = set(probes.registry.names())
    for name in sorted({*schema.DEFAULT_PROBES, *(key for key, _ in node.items())} if node else schema.DEFAULT_PROBES):
        entry = node.child(name) if node is not None else None
        path = ("probes", name)
        if name not in names:
            assert node is not None
            problems.append(node.keys[name].problem(f"unknown probe ({nearest(name, names)})", path))
        elif entry is not None and not isinstance(entry.content, Mapping | None):
            message = f"must be a mapping of settings ({{}} for the defaults), or null for off, not {show(entry.value)}"
            problems.append(entry.place.problem(message, path))
        elif entry is None or entry.content is not None:
            settings = entry or Node({}, Place(""))
            if settings.value.get("name", name) != name:
                problems.append(settings.find(("name",)).problem(f"must be {name}, or left out", (*path, "name")))
                continue
            field = alternatives(ProbeSpec, [OneOf(probes.registry, name)])
            value, wrong = _validated(field, settings, {}, settings, path)
            problems += wrong
            if not wrong:
                found[name] = value
    return (None if problems else found), problems


def _check_stages(node: Node | None) -> Checked:
    if node is None:
        return (), []
    if not isinstance(node.content, tuple) or not node.content:
        given = "an empty one" if node.content == () else show(node.value)
        message = f"must be a list of stages, one after the other, not {given}"
        return None, [node.place.problem(message, ("stages",))]
    field = alternatives(StageSpec, [OneOf(stages.registry, schema.DEFAULT_STAGE)])
    checked = [_validated(field, item, {}, item, ("stages", at)) for at, item in enumerate(node.content)]
    problems = [problem for _, wrong in checked for problem in wrong]
    return (None if problems else tuple(value for value, _ in checked)), problems


def check_evaluation(node: Node | None) -> tuple[Evaluation | None, list[Problem]]:
    """The protocol of an ``evaluation:``, None where there is none."""
    if node is None or node.content is None:
        return None, []
    if isinstance(node.content, str):
        node = Node({"method": node}, node.place, {"method": node.place})
    return _validated(alternatives(Evaluation), node, {}, node, ("evaluation",))


Complaint = tuple[tuple[PathKey, ...], str]
"""A path from the top of the spec, and what is wrong there."""


def complete(
    dataset: Any,
    model: Any,
    training: Training,
    probing: Mapping[str, ProbeSpec],
    records: Records,
    staged: tuple[StageSpec, ...] = (),
    pretraining: MemberFields = NO_PRETRAINING,
) -> tuple[Setting | None, list[Complaint]]:
    """A setting from its sections, with what they ask of one another checked and written in."""
    complaints: list[Complaint] = []
    try:
        info, sizes = dataset.info(), dataset.sizes()
    except FieldError as error:
        return None, [(("dataset", *error.path), error.message)]
    task: losses.Task = "reconstruction" if model.reconstructs else info.task
    info = model.learned(info)
    loss = losses.get(training.loss or losses.default_for(task))
    if task not in loss.tasks:
        suited = [name for name in losses.names() if task in losses.get(name).tasks]
        complaints.append((("training", "loss"), f"{loss.name} is not for {task}: {', '.join(suited)} are"))
        return None, complaints
    activation = loss.activation(model.output_activation, task)
    if not loss.allows(activation):
        wanted = " or ".join(loss.output_activations or ())
        message = f"{activation} does not go with the loss {loss.name}, which wants {wanted}"
        complaints.append((("model", "output_activation"), message))
    if task == "regression" and dataset.scales_targets() and activation != "linear":
        message = (
            f"{activation} does not reach targets of mean 0 and variance 1 (dataset.target_scaling: none leaves them)"
        )
        complaints.append((("model", "output_activation"), message))
    try:
        model.check(info.input_shape, loss.outputs(info))
    except FieldError as error:
        complaints.append((("model", *error.path), error.message))
    if model.wants_unit_scaling and dataset.scaling != "unit":
        complaints.append(
            (("dataset", "scaling"), f"must be unit: {model.name} scales the pixels by itself from there")
        )
    complaints += [(("training", *path), message) for path, message in _training(training, dataset, info, sizes)]
    if records.recalls and task != "classification":
        complaints.append((("records", "recalls"), f"are of classes, and this is a {task}"))
    if dataset.rebalance is not None and model.reconstructs:
        message = f"gives classes more labelled examples, and {model.name} learns without labels"
        complaints.append((("dataset", "rebalance"), message))
    if complaints:
        return None, complaints
    training = training.model_copy(update={"loss": loss.name})
    model = model.model_copy(update={"output_activation": activation})
    setting = Setting(dataset, model, training, probing, records, staged, pretraining)
    complaints += _stages(setting, sizes)
    for name, size in setting.undivided(training.devices) if not complaints else ():
        message = f"{training.devices} devices cannot have equal parts of {size} examples, a batch of stage {name}"
        complaints.append((("training", "devices"), message))
    tied = [node.layer.name for node in setting.network().nodes if node.layer and node.layer.kernel_of]
    if records.model == "final" and tied:
        message = f"{tied[0]} has the kernel of another layer, which model.keras cannot hold (weights.npz does)"
        complaints.append((("records", "model"), message))
    for name, probe in () if complaints else probing.items():
        try:
            probe.check(setting)
        except FieldError as error:
            complaints.append((("probes", name, *error.path), error.message))
    return (None if complaints else setting), complaints


def _stages(setting: Setting, sizes: Mapping[str, int]) -> list[Complaint]:
    """What the stages ask of model and data, and of one another."""
    listed = bool(setting.stages)
    if listed and setting.pretraining != NO_PRETRAINING:
        return [(("pretraining",), "stages are listed too: one of the two says what is trained")]
    try:
        specs = [planned.spec for planned in setting.pipeline]
    except FieldError as error:
        return [(("pretraining", *error.path), error.message)]
    complaints: list[Complaint] = []
    begins = setting.model.weights_file(setting.dataset.info().input_shape, setting.outputs) is not None
    if begins and not all(spec.whole_network for spec in specs):
        message = "the model begins with weights from a file (model.weights): there is nothing left to pretrain"
        complaints.append((("stages",) if listed else ("pretraining",), message))
    for position, spec in enumerate(specs):
        where: tuple[PathKey, ...] = ("stages", position) if listed else ("pretraining",)
        try:
            spec.check(setting)
        except FieldError as error:
            complaints.append(((*where, *error.path), error.message))
        if isinstance(spec.batch_size, int) and spec.batch_size > sizes["train"]:
            complaints.append(((*where, "batch_size"), _too_large(spec.batch_size, sizes["train"])))
    names = [planned.name for planned in setting.pipeline]
    for position, name in enumerate(names):
        if name in names[:position]:
            message = f"two stages are called {name}: give one of them another name with `stage`"
            complaints.append((("stages", position), message))
    if not specs[-1].whole_network:
        last = len(specs) - 1
        complaints.append(
            (("stages", last), "the last stage must be of the whole network: supervised (epochs: 0 to look)")
        )
    return list(dict.fromkeys(complaints))


def _too_large(batch_size: int, examples: int) -> str:
    return f"{batch_size} is more than the {examples} training examples (full takes them all)"


def _training(training: Training, dataset: DatasetSpec, info: Any, sizes: Mapping[str, int]) -> list[Complaint]:
    complaints: list[Complaint] = []
    for position, augmentation in enumerate(training.augmentation):
        try:
            augmentation.check(info.input_shape)
        except FieldError as error:
            complaints.append((("augmentation", position, *error.path), error.message))
        if augmentation.view is not None and dataset.sides is None:
            message = "of: picture wants pictures that are brought to a size: dataset.resize"
            complaints.append((("augmentation", position, "of"), message))
        elif augmentation.view is not None and position:
            message = "what is made of a picture as it is read comes before all that is done to the image: put it first"
            complaints.append((("augmentation", position), message))
    # what nobody chose is no mistake: of twenty examples of one's own, a usual batch is all of them
    if isinstance(training.batch_size, int) and training.batch_size > max(sizes["train"], schema.USUAL_BATCH):
        complaints.append((("batch_size",), _too_large(training.batch_size, sizes["train"])))
    stopping = training.early_stopping
    if stopping is not None:
        if not sizes["validation"]:
            complaints.append((("early_stopping",), "needs a validation set: dataset.validation is 0"))
        ranked = ["val_top5_accuracy"] if info.outputs > 10 else []
        measured = ["val_accuracy", *ranked] if info.task == "classification" else ["val_mae", "val_rmse", "val_r2"]
        if stopping.monitor not in ("val_loss", *measured):
            message = f"{stopping.monitor} is not measured here: val_loss, {', '.join(measured)} are"
            complaints.append((("early_stopping", "monitor"), message))
    if training.class_weights is not None and info.task != "classification":
        complaints.append((("class_weights",), "are for classification, and this is a regression"))
    elif isinstance(training.class_weights, dict):
        labels = {str(label) for label in range(info.outputs)}
        for key in training.class_weights:
            if key not in labels and key not in info.class_names:
                hint = nearest(key, info.class_names) if info.class_names else f"labels are 0 to {info.outputs - 1}"
                complaints.append((("class_weights", key), f"there is no such class ({hint})"))
    return complaints


def unknown_sections(root: Node) -> list[Problem]:
    """Keys at the top of the spec that mean nothing."""
    known = schema.Spec.model_fields
    return [
        root.keys[key].problem(f"unknown key ({nearest(key, known)})", (key,))
        for key, _ in root.items()
        if key not in known
    ]
