"""``trial.yaml``: a trial with every default written out, enough to run it again anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from dlx import plugins
from dlx.datasets import Fold
from dlx.datasets._files import find_again
from dlx.errors import SpecError
from dlx.fields import MemberFields
from dlx.members import plain
from dlx.scalars import write
from dlx.spec import document
from dlx.spec.document import Node
from dlx.spec.expand import Trial
from dlx.spec.identity import trial_id
from dlx.spec.pretraining import NO_PRETRAINING
from dlx.spec.problems import Findings
from dlx.spec.schema import DEFAULT_PROBES, Setting
from dlx.spec.sections import SECTIONS, SectionName, check_section, complete
from dlx.spec.seeds import Seed, seeds_of

OPTIONAL = ("stages", "pretraining")
"""Sections that are written where they say something: other trials' files stay as they are."""

_ABOUT = ("trial", "experiment", "seed", "digests", "revisions")
_HELD_OUT = ("repeat", "fold", "evaluation")
"""Of a trial that is one of several folds."""
_FILES = "files"
"""Where data of one's own were: last, and no part of what is trained (``dlx.records.environment.portable``)."""


def resolved(trial: Trial, experiment: str = "") -> str:
    """The text of a trial's ``trial.yaml``."""
    setting = trial.setting
    members: dict[str, MemberFields] = {
        "dataset": setting.dataset,
        "model": setting.model,
        "optimizer": setting.training.optimizer,
    }
    digests = {"dataset": setting.dataset.digest()}
    makers = [*members.values(), setting.pretraining, *setting.stages, *setting.training.augmentation]
    if used := next((one.plugins for one in (*makers, *setting.probes.values()) if one.plugins), None):
        digests["plugins"] = used
    about: dict[str, Any] = {
        "trial": trial.id,
        "experiment": experiment,
        "seed": trial.seed.plain(),
        **_held_out(trial.fold),
        "digests": digests,
        "revisions": {kind: member.revision for kind, member in members.items()},
    }
    files = {field: getattr(setting.dataset, field) for field in setting.dataset.path_fields}
    return write({**about, **settings(setting)} | ({_FILES: files} if files else {}))


def settings(setting: Setting) -> dict[str, Any]:
    """The sections of a setting as plain values, every field written out but those that say where data are.

    With how it is tested, where that is in folds.
    """
    values: dict[str, Any] = {name: plain(getattr(setting, name)) for name in SECTIONS if _is_written(setting, name)}
    for field in setting.dataset.path_fields:
        del values["dataset"][field]
    del values["training"]["devices"]  # how it is trained at one place, as the engine is
    if setting.dataset.fold is not None:
        values["evaluation"] = setting.dataset.fold.plain()
    return {**values, "probes": {name: _without_name(probe) for name, probe in values["probes"].items()}}


def _is_written(setting: Setting, name: SectionName) -> bool:
    return name not in OPTIONAL or getattr(setting, name) not in ((), NO_PRETRAINING)


def load_trial(path: str | PathLike[str]) -> Trial:
    """The trial of a ``trial.yaml``.

    Raises :class:`~dlx.errors.SpecError`, also where its settings would now train something else.
    """
    _, root = document.read(path, times=document.MAX_TRIAL)
    findings = Findings()
    findings.problems += [
        root.keys[key].problem("unknown key", (key,))
        for key, _ in root.items()
        if key not in (*_ABOUT, *_HELD_OUT, *SECTIONS, _FILES)
    ]
    if not isinstance(root.content, Mapping):
        raise SpecError([root.place.problem("not a trial.yaml")])
    absent = [key for key in (*_ABOUT, *SECTIONS) if root.child(key) is None and key not in OPTIONAL]
    if absent:
        raise SpecError([root.place.problem(f"not a trial.yaml: {', '.join(absent)} missing")])
    digests = root.value["digests"]
    used = digests.get("plugins") if isinstance(digests, Mapping) else None
    if used is not None and plugins.loaded() is None:
        message = f"is made of modules of somebody's own (digest {str(used)[:12]}): give their folder with --plugins"
        raise SpecError([root.find(("digests",)).problem(message, ("digests", "plugins"))])
    fold = None
    with findings.collect():
        fold = _fold(root)
    values: list[Any] = []
    for name in SECTIONS:
        node = root.child(name)
        if name == "dataset" and node is not None:
            node = _with_files(node, root)
        if name == "probes" and node is not None and isinstance(node.content, Mapping):
            node = _only_these(node)
        value, problems = check_section(name, node, root.place)
        values.append(value.in_fold(fold) if name == "dataset" and value is not None else value)
        findings.problems += problems
    with findings.collect():
        seed = _seed(root)
    if not isinstance(root.value["trial"], str):
        findings.problems.append(root.find(("trial",)).problem("not as dlx writes it", ("trial",)))
    findings.raise_any()
    setting, complaints = complete(*values)
    findings.problems += [root.find(where).problem(message, where) for where, message in complaints]
    findings.raise_any()
    assert setting is not None
    trial = Trial(root.value["trial"], seed, setting)
    now = trial_id(setting, seed)
    if now != trial.id:
        message = f"{trial.id} is not what this version of dlx or its data would train under these settings (now {now})"
        before = digests.get("dataset") if isinstance(digests, Mapping) else None
        if used is not None and (found := plugins.loaded()) is not None and used != found.digest:
            message += f": the modules of --plugins have changed since (their digest was {str(used)[:12]})"
        elif isinstance(before, str) and before != (today := setting.dataset.digest()):
            message += f": its data have changed since (their digest was {before[:12]}, and is {today[:12]})"
        raise SpecError([root.find(("trial",)).problem(message, ("trial",))])
    return trial


def _held_out(fold: Fold | None) -> dict[str, Any]:
    if fold is None:
        return {}
    number = {} if fold.fold is None else {"fold": fold.fold}
    return {"repeat": fold.repeat, **number}


def _fold(root: Node) -> Fold | None:
    """What a trial's file says is held out for testing."""
    found = {key: node.value for key in _HELD_OUT if (node := root.child(key)) is not None}
    if not found:
        return None
    how = found.get("evaluation")
    if isinstance(how, Mapping) and how.keys() in ({"folds", "stratified"}, {"test", "stratified"}):
        fold = Fold(found.get("repeat", -1), how["stratified"], found.get("fold"), how.get("folds"), how.get("test"))
        if fold.sound:
            return fold
    raise SpecError([root.find(("evaluation",)).problem("not as dlx writes it", ("evaluation",))])


def _without_name(probe: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in probe.items() if key != "name"}


def _with_files(dataset: Node, root: Node) -> Node:
    """The settings of a data set with where its files are now; raises SpecError where they are nowhere."""
    files = root.child(_FILES)
    if files is None:
        return dataset
    fields = {field: node for field, node in files.items() if node.content is not None}
    digests = root.child("digests")
    digest = digests.child("dataset") if digests is not None else None
    wanted = digest.content if digest is not None else None
    if not isinstance(wanted, str) or not all(isinstance(node.content, str) for node in fields.values()):
        raise SpecError([files.place.problem("not as dlx writes it", (_FILES,))])
    were = {field: str(node.content) for field, node in fields.items()}
    found = find_again(were, wanted, Path(root.place.file).parent)
    if found is None:
        message = (
            f"{' and '.join(were.values())}: no longer there with the content that was trained on ({wanted[:12]}…), "
            "nor below the folders above this trial, nor in DLX_DATA"
        )
        raise SpecError([files.place.problem(message, (_FILES,))])
    for field, node in fields.items():
        dataset = dataset.with_item(field, Node(found[field], node.place))
    return dataset


def _only_these(node: Node) -> Node:
    """Probes that are on by default are off where a resolved trial does not name them."""
    for name in DEFAULT_PROBES:
        if node.child(name) is None:
            node = node.with_item(name, Node(None, node.place))
    return node


def _seed(root: Node) -> Seed:
    """A trial's seed: one, where an experiment's would be a number of them."""
    node = root.child("seed")
    listed = Node((node,), node.place) if node is not None and isinstance(node.content, int) else node
    seeds = seeds_of(listed)
    if len(seeds) != 1:
        raise SpecError([root.find(("seed",)).problem("must be one seed", ("seed",))])
    return next(iter(seeds))
