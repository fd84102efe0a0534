"""From a spec to an experiment: the one way in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path

from dlx.errors import SpecError, dotted
from dlx.spec import axes, document, search
from dlx.spec.axes import Axis, Group
from dlx.spec.claims import Claim, about_nothing, claims_of
from dlx.spec.document import Node, Place
from dlx.spec.expand import Expansion, Trial, count
from dlx.spec.overrides import Assignment, apply, in_order, parse_set
from dlx.spec.problems import Findings, show
from dlx.spec.schema import NAME
from dlx.spec.sections import SECTIONS, check_evaluation, unknown_sections
from dlx.spec.seeds import Seeds, seeds_of
from dlx.spec.smoke import SUFFIX, Smoke, smoke_of
from dlx.spec.written import written

CAP = 10_000
"""Trials of an experiment, unless another cap is given."""

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@dataclass(frozen=True)
class Experiment:
    """A spec with all its trials.

    ``source`` is the text as submitted, or, where the command line says more, what both amount
    to; ``path`` its file (None for text), ``axes`` the dotted paths in which trials differ,
    ``notes`` what the person should know and is no error, ``claims`` what the trials are expected
    to show.
    """

    name: str
    description: str
    source: str
    path: Path | None
    trials: tuple[Trial, ...]
    axes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    claims: tuple[Claim, ...] = ()


def load(
    path: str | PathLike[str],
    sets: Sequence[str] = (),
    axes: Mapping[str, str] | None = None,
    seeds: str | None = None,
    *,
    random: int | None = None,
    default_seeds: int = 1,
    cap: int = CAP,
    smoke: bool = False,
) -> Experiment:
    """The experiment of a spec file.

    ``sets`` are ``path=value`` as of ``--set``; ``axes`` maps paths or short names to values as
    text (``1..8``, ``relu,sigmoid``) and replaces the spec's axes of those names; ``seeds``
    replaces the spec's, and where neither says there are ``default_seeds``; ``random`` draws
    that many combinations of all axes; ``smoke`` makes it as small as its ``smoke:`` says. Raises
    :class:`~dlx.errors.SpecError` with everything that is wrong.
    """
    text, root = document.read(path)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(path).stem).strip(".-_")[:100] or "experiment"
    request = _Request(sets, axes or {}, seeds, random, default_seeds, cap, smoke)
    return _experiment(root, text, Path(path), name, request)


def load_text(
    text: str,
    sets: Sequence[str] = (),
    axes: Mapping[str, str] | None = None,
    seeds: str | None = None,
    *,
    name: str = "experiment",
    file: str = "<spec>",
    random: int | None = None,
    default_seeds: int = 1,
    cap: int = CAP,
    smoke: bool = False,
) -> Experiment:
    """The experiment of a spec that is in no file; ``name`` where it has none. Otherwise as :func:`load`."""
    root = document.parse(text, file)
    return _experiment(root, text, None, name, _Request(sets, axes or {}, seeds, random, default_seeds, cap, smoke))


@dataclass(frozen=True)
class _Request:
    """What is asked of a spec besides what it says."""

    sets: Sequence[str]
    axes: Mapping[str, str]
    seeds: str | None
    random: int | None
    default_seeds: int
    cap: int
    smoke: bool

    @property
    def changes(self) -> bool:
        """Whether the spec alone would not make the same trials."""
        return bool(self.sets or self.axes or self.seeds or self.random or self.default_seeds != 1 or self.smoke)


def _experiment(root: Node, source: str, path: Path | None, name: str, request: _Request) -> Experiment:
    if root.content is None:
        raise SpecError([root.place.problem("is empty: the shortest spec is `model: mlp`")])
    if not isinstance(root.content, Mapping):
        raise SpecError([root.place.problem(f"must be a mapping with at least model, not {show(root.value)}")])
    findings = Findings()
    notes: list[str] = []
    sets = _sets(request.sets, findings)
    with findings.collect():
        changed, _ = apply(root, in_order(one for one in sets if one.path[0] not in SECTIONS))
        root = changed or root
    findings.problems += unknown_sections(root)
    with findings.collect():
        name = _name(root.child("name"), name)
    with findings.collect():
        description = _description(root.child("description"))
    groups: list[Group] = []
    with findings.collect():
        groups = axes.groups_of(root.child("sweep"))
    small: Smoke | None = None
    with findings.collect():
        small = smoke_of(root.child("smoke"), groups)
    if request.smoke:
        with findings.collect():
            root, name, sets, groups = _smallest(small, root, name, sets, groups, request)
    elsewhere = _trained_elsewhere(groups, sets, request)
    with findings.collect():
        groups = _with_request(groups, sets, request, notes, findings)
    seeds = Seeds(range(1))
    with findings.collect():
        seeds = _seeds(root.child("seeds"), request)
    evaluation, wrong = check_evaluation(root.child("evaluation"))
    findings.problems += wrong
    with findings.collect():
        count(groups, seeds, request.cap, root, evaluation.times if evaluation else 1)
    if findings.problems:
        # The sections are still looked at, without axes, so that all problems are told at once.
        groups, seeds = [], Seeds(range(1))
    claims: tuple[Claim, ...] = ()
    with findings.collect():
        claims = claims_of(root.child("expect"))
    if claims and elsewhere is not None:
        notes.append(f"expect: is about the spec as it stands, and {elsewhere} changes what is trained: it is left out")
        claims, root = (), root.without_item("expect")
    searched: list[Axis] = []
    with findings.collect():
        searched = axes.searched(root.child("search"))
    expansion = Expansion(root, sets, groups, findings, notes, evaluation)
    trials = expansion.trials(seeds)
    if searched:
        search.check(root, sets, searched)
        notes.append("search: is for dlx tune; a run trains the spec as it stands")
    varied = [dotted(axis.path) for group in groups if len(group) > 1 for axis in group.axes]
    if request.changes:
        # What makes the spec small is about the spec as it stands.
        source = written(root.without_item("smoke"), name, in_order(sets), groups, seeds)
    elif small is not None:
        _experiment(root, source, path, name, replace(request, smoke=True))
    claims = _claims(claims, trials, request, notes)
    return Experiment(name, description, source, path, trials, tuple(varied), tuple(notes), claims)


def _smallest(
    small: Smoke | None,
    root: Node,
    name: str,
    sets: list[Assignment],
    groups: list[Group],
    request: _Request,
) -> tuple[Node, str, list[Assignment], list[Group]]:
    """Document, name, values and axes of the smallest size; what the command line says goes before it."""
    if small is None:
        message = "has no smoke: (for instance smoke: {training.epochs: 1, seeds: 1}), so there is no smallest size"
        raise SpecError([root.place.problem(message)])
    said = [one.path for one in sets]
    for axis in request.axes:
        with suppress(SpecError):
            said.append(axes.axis_path(axis, Place(axis)))
    small = small.without(said)
    sets = in_order([*small.sets, *sets])
    changed, _ = apply(root.without_item("search"), [one for one in small.sets if one.path[0] not in SECTIONS])
    if unknown := unknown_sections(changed or root):
        raise SpecError(unknown)
    return changed or root, f"{name[: 100 - len(SUFFIX)]}{SUFFIX}", sets, small.groups(groups)


def _trained_elsewhere(groups: Sequence[Group], sets: Sequence[Assignment], request: _Request) -> str | None:
    """What of the command line makes other trials than the spec has, which its claims are not about.

    More seeds do not, nor other values of what the spec varies; claims that are given there, too, are about these.
    """
    if any(one.path[0] == "expect" for one in sets):
        return None
    if request.smoke:
        return "--smoke"
    varied = {dotted(axis.path) for group in groups for axis in group.axes}
    changed = [dotted(one.path) for one in sets if one.path[0] in axes.SWEPT]
    for name in request.axes:
        with suppress(SpecError):
            changed.append(dotted(axes.axis_path(name, Place(name))))
    return next((path for path in changed if path not in varied), None)


def _claims(
    claims: tuple[Claim, ...], trials: Sequence[Trial], request: _Request, notes: list[str]
) -> tuple[Claim, ...]:
    """The claims that there are trials for; of others, an error, or a note where the command line made the trials."""
    idle = about_nothing(claims, trials)
    if idle and not request.changes:
        raise SpecError(idle)
    notes += [f"{dotted(problem.path)}: {problem.message}: the claim is left out" for problem in idle]
    left_out = {problem.path[1] for problem in idle}
    return tuple(claim for claim in claims if claim.number not in left_out)


def _sets(texts: Sequence[str], findings: Findings) -> list[Assignment]:
    sets: list[Assignment] = []
    for text in texts:
        with findings.collect():
            assignment = parse_set(text)
            if assignment.path[0] == "sweep":
                raise SpecError([assignment.place.problem("axes are not set: give them to `dlx sweep`", ("sweep",))])
            sets.append(assignment)
    return sets


def _with_request(
    groups: list[Group], sets: Sequence[Assignment], request: _Request, notes: list[str], findings: Findings
) -> list[Group]:
    """Groups with the axes of the command line, without the axes of paths that are set, drawn at random if asked."""
    given: list[Axis] = []
    for name, text in request.axes.items():
        with findings.collect():
            given.append(axes.axis_from_text(name, text))
    paths = {assignment.path for assignment in sets}
    for axis in given:
        if axis.path in paths:
            findings.problems.append(axis.place.problem(f"{dotted(axis.path)} is both set and swept"))
    for axis in [axis for group in groups for axis in group.axes if axis.path in paths]:
        notes.append(f"{dotted(axis.path)} is set: the spec's axis of that name is left out")
        groups = axes.without(groups, axis.path)
    drawn = request.random is not None
    groups = axes.replace_axes(groups, given, drawn=drawn)
    return axes.at_random(groups, request.random) if request.random is not None else groups


def _seeds(node: Node | None, request: _Request) -> Seeds:
    if request.seeds is not None:
        place = Place(f"--seeds {request.seeds}")
        node = document.parse_value(request.seeds, place)
    return seeds_of(node, request.default_seeds)


def _name(node: Node | None, default: str) -> str:
    if node is None or node.content is None:
        return default
    name = node.content
    if not isinstance(name, str) or not re.fullmatch(NAME, name) or name.endswith("."):
        message = "names a folder: letters, digits, '.', '_' and '-', beginning with a letter or digit"
        raise SpecError([node.place.problem(f"{message}, not {show(node.value)}", ("name",))])
    if name.partition(".")[0].lower() in _RESERVED:
        raise SpecError([node.place.problem(f"{name!r} cannot be a folder on Windows", ("name",))])
    return name


def _description(node: Node | None) -> str:
    if node is None or node.content is None:
        return ""
    if not isinstance(node.content, str):
        raise SpecError([node.place.problem(f"must be text, not {show(node.value)}", ("description",))])
    return node.content
