"""From a document, values to set and axes to trials.

A section is checked once for each distinct combination of the axes that touch it, a
setting once for each distinct combination of sections, and the seeds cost nothing more.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dlx.datasets import DatasetSpec, Fold
from dlx.errors import FieldError, SpecError, dotted
from dlx.scalars import inline
from dlx.spec.axes import Group
from dlx.spec.document import Node
from dlx.spec.evaluation import Evaluation
from dlx.spec.identity import Fingerprint
from dlx.spec.overrides import Assignment, apply, in_order, naming
from dlx.spec.problems import Findings
from dlx.spec.schema import Setting
from dlx.spec.sections import SECTIONS, Complaint, SectionName, check_section, complete
from dlx.spec.seeds import Seed, Seeds

Choice = tuple[int, ...]
"""Which row of each group of axes."""


@dataclass(frozen=True)
class Trial:
    """One fully resolved setting with one seed.

    Its place in an experiment, ``index`` and ``parameters`` (what differs between the trials, by
    dotted path), is no part of what ``trial.yaml`` says: adding cells changes no trial.
    """

    id: str
    seed: Seed
    setting: Setting
    index: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fold(self) -> Fold | None:
        """What is held out for testing, where that is part of the experiment."""
        return self.setting.dataset.fold


@dataclass(frozen=True)
class _Part:
    """A section as one combination of axes leaves it."""

    node: Node | None
    value: Any


@dataclass
class Expansion:
    """The trials of a document, and what is to be said about them."""

    root: Node
    sets: Sequence[Assignment]
    groups: Sequence[Group]
    findings: Findings = field(default_factory=Findings)
    notes: list[str] = field(default_factory=list)
    evaluation: Evaluation | None = None
    times: int | None = None
    """So many of the folds, from the first; None: all."""

    def __post_init__(self) -> None:
        self._rows = [group.rows() for group in self.groups]
        self._touching = {
            name: [at for at, group in enumerate(self.groups) if any(axis.path[0] == name for axis in group.axes)]
            for name in SECTIONS
        }
        self._parts: dict[tuple[SectionName, Choice], _Part] = {}
        self._settings: dict[tuple[int, ...], list[tuple[Setting, Fingerprint]]] = {}

    def trials(self, seeds: Seeds) -> tuple[Trial, ...]:
        """All trials: the first axis varies slowest, then folds, seeds fastest; raises SpecError with what is wrong."""
        found: dict[str, Trial] = {}
        repeated = 0
        for choice in itertools.product(*(range(len(rows)) for rows in self._rows)):
            made = self._in_folds(choice)
            parameters = self._parameters(choice)
            for (setting, fingerprint), seed in itertools.product(made, seeds):
                name = fingerprint.trial_id(seed)
                repeated += name in found
                found.setdefault(name, Trial(name, seed, setting, len(found), parameters))
        self.findings.raise_any()
        if repeated:
            self._note(f"{repeated} of the combinations are the same trial as another and are left out")
        return tuple(found.values())

    def _in_folds(self, choice: Choice) -> list[tuple[Setting, Fingerprint]]:
        """A setting once for every fold."""
        parts = {name: self._part(name, tuple(choice[at] for at in self._touching[name])) for name in SECTIONS}
        key = tuple(id(part) for part in parts.values())
        if key not in self._settings:
            self._settings[key] = self._complete(parts)
        return self._settings[key]

    def _complete(self, parts: Mapping[SectionName, _Part]) -> list[tuple[Setting, Fingerprint]]:
        values = {name: part.value for name, part in parts.items()}
        if any(value is None for value in values.values()):
            return []
        found: dict[int | None, Setting] = {}
        folds = self._folds(values["dataset"])
        complaints: dict[Complaint, None] = {}
        for fold in folds:
            dataset = values["dataset"].in_fold(fold)
            number = fold.fold if fold is not None else None
            if fold is not None and number in found:  # every division has parts of the same sizes
                continue
            setting, wrong = complete(*({**values, "dataset": dataset}[name] for name in SECTIONS))
            complaints |= dict.fromkeys(wrong)
            if setting is not None:
                found[number] = setting
        for path, message in complaints:
            section = path[0]
            node = parts[section].node  # type: ignore[index]  # a path begins with its section
            place = node.find(path[1:]) if node is not None else self.root.place
            self.findings.problems.append(place.problem(message, path))
        if complaints or not found:
            return []
        for note in next(iter(found.values())).dataset.notes():
            self._note(note)
        made = []
        for fold in folds:
            setting = found[fold.fold if fold is not None else None]
            setting = replace(setting, dataset=setting.dataset.in_fold(fold))
            made.append((setting, Fingerprint(setting)))
        return made

    def _folds(self, dataset: DatasetSpec) -> Sequence[Fold | None]:
        """What is held out of a data set in turn; nothing but its test part where there are no folds."""
        if self.evaluation is None:
            return [None]
        try:
            folds = self.evaluation.cells(dataset)[: self.times]
            folds[0].info(dataset.divisible())
        except FieldError as error:
            path = ("evaluation", *error.path)
            self.findings.problems.append(self.root.find(path).problem(error.message, path))
            return []
        if dataset.divisible().train < dataset.whole().train + dataset.whole().test and dataset.classes is None:
            self._note(f"{dataset.name} is divided without its official test part, which stays unseen")
        return folds

    def _part(self, name: SectionName, choice: Choice) -> _Part:
        key = (name, choice)
        if key not in self._parts:
            self._parts[key] = self._make_part(name, choice)
        return self._parts[key]

    def _make_part(self, name: SectionName, choice: Choice) -> _Part:
        chosen = (self._rows[at][row] for at, row in zip(self._touching[name], choice, strict=True))
        assignments = [*self.sets, *itertools.chain.from_iterable(chosen)]
        mine = in_order(assignment for assignment in assignments if assignment.path[0] == name)
        node = self.root.child(name)
        try:
            node, notes = apply(node, mine, (name,))
        except SpecError as error:
            self.findings.problems += error.problems
            return _Part(node, None)
        for note in notes:
            self._note(note)
        value, problems = check_section(name, node, self.root.place)
        self.findings.problems += problems
        return _Part(node, value)

    def _parameters(self, choice: Choice) -> dict[str, Any]:
        return {
            dotted(assignment.path): shown(assignment.node)
            for rows, row in zip(self._rows, choice, strict=True)
            if len(rows) > 1
            for assignment in rows[row]
        }

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def shown(node: Node) -> Any:
    """A value of an axis as it stands in tables: a scalar, a member's name, else YAML on one line."""
    name = naming(node)
    if isinstance(node.content, Mapping) and name is not None and len(node.content) == 1:
        return name.value
    return inline(node.value) if isinstance(node.content, Mapping | tuple) else node.value


def count(groups: Sequence[Group], seeds: Seeds, cap: int, at: Node, folds: int = 1) -> int:
    """How many trials there would be; raises SpecError above the cap, before any of them costs anything."""
    total = len(seeds) * folds
    for group in groups:
        total *= len(group)
    if total > cap:
        factors = " × ".join(str(size) for size in [*map(len, groups), len(seeds), folds] if size != 1)
        message = f"would make {total:,} trials ({factors}), more than the {cap:,} that are allowed"
        path = ("sweep",) if groups else ("seeds",)
        raise SpecError([at.find(path).problem(message, path)])
    return total
