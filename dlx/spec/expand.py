"""From a document, values to set and axes to trials.

A section is checked once for each distinct combination of the axes that touch it, a
setting once for each distinct combination of sections, and the seeds cost nothing more.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlx.errors import SpecError, dotted
from dlx.scalars import inline
from dlx.spec.axes import Group
from dlx.spec.document import Node
from dlx.spec.identity import Fingerprint
from dlx.spec.overrides import Assignment, apply, in_order, naming
from dlx.spec.problems import Findings
from dlx.spec.schema import Setting
from dlx.spec.sections import SECTIONS, SectionName, check_section, complete
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

    def __post_init__(self) -> None:
        self._rows = [group.rows() for group in self.groups]
        self._touching = {
            name: [at for at, group in enumerate(self.groups) if any(axis.path[0] == name for axis in group.axes)]
            for name in SECTIONS
        }
        self._parts: dict[tuple[SectionName, Choice], _Part] = {}
        self._settings: dict[tuple[int, ...], tuple[Setting, Fingerprint] | None] = {}

    def trials(self, seeds: Seeds) -> tuple[Trial, ...]:
        """All trials, the first axis varying slowest, seeds fastest; raises SpecError with all that is wrong."""
        found: dict[str, Trial] = {}
        repeated = 0
        for choice in itertools.product(*(range(len(rows)) for rows in self._rows)):
            made = self._setting(choice)
            if made is None:
                continue
            setting, fingerprint = made
            parameters = self._parameters(choice)
            for seed in seeds:
                name = fingerprint.trial_id(seed)
                repeated += name in found
                found.setdefault(name, Trial(name, seed, setting, len(found), parameters))
        self.findings.raise_any()
        if repeated:
            self._note(f"{repeated} of the combinations are the same trial as another and are left out")
        return tuple(found.values())

    def _setting(self, choice: Choice) -> tuple[Setting, Fingerprint] | None:
        parts = {name: self._part(name, tuple(choice[at] for at in self._touching[name])) for name in SECTIONS}
        key = tuple(id(part) for part in parts.values())
        if key not in self._settings:
            self._settings[key] = self._complete(parts)
        return self._settings[key]

    def _complete(self, parts: Mapping[SectionName, _Part]) -> tuple[Setting, Fingerprint] | None:
        if any(part.value is None for part in parts.values()):
            return None
        setting, complaints = complete(*(parts[name].value for name in SECTIONS))
        for path, message in complaints:
            section = path[0]
            node = parts[section].node  # type: ignore[index]  # a path begins with its section
            place = node.find(path[1:]) if node is not None else self.root.place
            self.findings.problems.append(place.problem(message, path))
        if setting is None:
            return None
        for note in setting.dataset.notes():
            self._note(note)
        return setting, Fingerprint(setting)

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


def count(groups: Sequence[Group], seeds: Seeds, cap: int, at: Node) -> int:
    """How many trials there would be; raises SpecError above the cap, before any of them costs anything."""
    total = len(seeds)
    for group in groups:
        total *= len(group)
    if total > cap:
        factors = " × ".join(str(size) for size in [*map(len, groups), len(seeds)] if size != 1)
        message = f"would make {total:,} trials ({factors}), more than the {cap:,} that are allowed"
        path = ("sweep",) if groups else ("seeds",)
        raise SpecError([at.find(path).problem(message, path)])
    return total
