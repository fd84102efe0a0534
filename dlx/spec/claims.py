"""``expect:``: what an experiment is expected to show, to be confirmed or refuted by its trials.

::

    expect:
      - {metric: test_accuracy@last, at: {model.depth: 2}, above: {model.depth: 1}}
      - {metric: test_accuracy@last, between: [0.96, 0.975]}
      - {metric: grad_ratio, decreasing_over: model.depth}
      - {state: diverged, at: {training.optimizer.learning_rate: 10.0}}

Without ``at`` a claim is about all trials. Where other parameters vary, it is about each of their
values. Here only its form is looked at, and whether there are trials that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pydantic import ValidationError

from dlx.errors import PathKey, Problem, SpecError, dotted, nearest
from dlx.spec.axes import axis_path
from dlx.spec.document import Node, Place
from dlx.spec.expand import Trial
from dlx.spec.pretraining import NONE
from dlx.spec.problems import show, translate
from dlx.spec.schema import ClaimFields

Relation = Literal["above", "below", "between", "at_least", "at_most", "decreasing_over", "increasing_over"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)


@dataclass(frozen=True)
class Claim:
    """A claim as the spec has it.

    ``at`` and ``other`` (of ``above`` and ``below``) are values by dotted path, ``over`` the
    path of ``decreasing_over``; ``bounds`` are of ``between``, ``at_least`` and ``at_most``, None
    on an open side. ``relation`` is None for a claim on a state.
    """

    number: int
    node: Node
    metric: str | None
    state: str | None
    at: Mapping[str, Any]
    relation: Relation | None = None
    other: Mapping[str, Any] | None = None
    over: str | None = None
    bounds: tuple[float | None, float | None] = (None, None)

    def problem(self, message: str, *path: PathKey) -> Problem:
        """Something wrong with it, at a place within it."""
        return self.node.find(path).problem(message, ("expect", self.number, *path))

    @property
    def paths(self) -> Iterator[tuple[tuple[str, ...], str, Any]]:
        """Every path that it names: where it stands in the claim, the path, and its value (None: of ``over``)."""
        for path, value in self.at.items():
            yield ("at", path), path, value
        for path, value in (self.other or {}).items():
            yield (str(self.relation), path), path, value
        if self.over is not None:
            yield (str(self.relation),), self.over, None


def claims_of(node: Node | None) -> tuple[Claim, ...]:
    """The claims under ``expect:``. Raises :class:`~dlx.errors.SpecError` with all that is wrong with their form."""
    if node is None or node.content is None:
        return ()
    if not isinstance(node.content, tuple):
        raise SpecError([node.place.problem(f"must be a list of claims, not {show(node.value)}", ("expect",))])
    problems: list[Problem] = []
    claims = []
    for number, entry in enumerate(node.content):
        try:
            fields = ClaimFields.model_validate(entry.value)
        except ValidationError as error:
            problems += translate(error, [(ClaimFields, ())], entry, entry, ("expect", number))
            continue
        claim, wrong = _claim(number, entry, fields)
        problems += wrong
        claims.append(claim)
    if problems:
        raise SpecError(problems)
    return tuple(claims)


def _claim(number: int, node: Node, fields: ClaimFields) -> tuple[Claim, list[Problem]]:
    given: list[Relation] = [name for name in RELATIONS if getattr(fields, name) is not None]
    relation = given[0] if given else None
    claim = Claim(number, node, fields.metric, fields.state, {}, relation)
    problems: list[Problem] = []
    if (fields.metric is None) == (fields.state is None):
        problems.append(claim.problem("must say either a metric or a state"))
    elif fields.state is not None and given:
        problems.append(claim.problem(f"a state is not {given[0]} anything", given[0]))
    elif fields.metric is not None and len(given) != 1:
        which = "only one of " if given else "one of "
        problems.append(claim.problem(f"must say {which}{', '.join(given or RELATIONS)}"))
    named: dict[str, dict[str, Any]] = {"at": {}}
    for key, values in (("at", fields.at), ("above", fields.above), ("below", fields.below)):
        for path, value in (values or {}).items():
            try:
                named.setdefault(key, {})[_path(path, node.find((key, path), key=True))] = value
            except SpecError as error:
                problems += [claim.problem(problem.message, key, path) for problem in error.problems]
            if isinstance(value, Mapping):
                problems.append(claim.problem("must be one value: name its fields by path", key, path))
    over = None
    if fields.decreasing_over is not None or fields.increasing_over is not None:
        text = fields.decreasing_over or fields.increasing_over or ""
        try:
            over = _path(text, node.place)
        except SpecError as error:
            problems += [claim.problem(problem.message, *given[:1]) for problem in error.problems]
    low, high = fields.between or (fields.at_least, fields.at_most)
    if low is not None and high is not None and low > high:
        problems.append(claim.problem(f"the lower end comes first: [{high:g}, {low:g}]", "between"))
    other = named.get("above") or named.get("below")
    if other is not None and all(named["at"].get(path) == value for path, value in other.items()):
        problems.append(claim.problem("is what it is compared with: at and this say the same", *given[:1]))
    return Claim(number, node, fields.metric, fields.state, named["at"], relation, other, over, (low, high)), problems


def _path(text: str, place: Place) -> str:
    """A dotted path, or an axis by its short name (``depth``)."""
    return dotted(int(key) if key.isdigit() else key for key in axis_path(text, place))


def about_nothing(claims: Sequence[Claim], trials: Sequence[Trial]) -> list[Problem]:
    """What claims say of paths or values that no trial has."""
    if not claims:
        return []
    settings = [flat(trial) for trial in {id(trial.setting): trial for trial in trials}.values()]
    return [problem for claim in claims for problem in _idle(claim, settings)]


def _idle(claim: Claim, settings: Sequence[Mapping[str, Any]]) -> list[Problem]:
    found = []
    for place, path, value in claim.paths:
        there = list(dict.fromkeys(str(setting[path]) for setting in settings if path in setting))
        if not there:
            known = dict.fromkeys(known for setting in settings for known in setting)
            found.append(claim.problem(f"no trial has {path} ({nearest(path, known)})", *place))
        elif place[0] != "at" and len(place) == 1:
            if len(there) < 2:
                found.append(claim.problem(f"{path} does not vary: it is {there[0]} in all trials", *place))
        elif not _chosen(settings, {path: value}):
            found.append(claim.problem(f"no trial has {path} {value} (there are: {', '.join(there)[:200]})", *place))
    if found:
        return found
    for key, values in (("at", claim.at), (str(claim.relation), {**claim.at, **(claim.other or {})})):
        if not _chosen(settings, values):
            wanted = ", ".join(f"{path} {value}" for path, value in values.items())
            return [claim.problem(f"no trial has all of {wanted}", key)]
    return []


def _chosen(settings: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> bool:
    return any(all(path in s and same(s[path], value) for path, value in values.items()) for s in settings)


def flat(trial: Trial) -> dict[str, Any]:
    """A trial's setting by dotted path, a member also by its own path (``training.optimizer``: its name)."""
    from dlx.spec.trialfile import settings

    flattened: dict[str, Any] = {}

    def add(path: str, value: Any) -> None:
        if isinstance(value, Mapping):
            if "name" in value:
                flattened[path] = value["name"]
            for key, item in value.items():
                add(f"{path}.{key}", item)
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                add(f"{path}[{number}]", item)
        else:
            flattened[path] = value

    # The section is left out where there is no pretraining, and a claim may be of just that.
    for section, value in {"pretraining": {"name": NONE}, **settings(trial.setting)}.items():
        add(section, value)
    return flattened


def same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are equal; true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
