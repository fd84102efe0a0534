"""Conditions on trials: ``depth=4``, ``learning_rate>=0.01``, ``model.activation!=relu``.

A name is a path of the spec or the end of one that is no other's, or one of ``seed``,
``state``, ``engine``, ``experiment``, ``fold``, ``repeat``, ``id``. Values are YAML; text is compared as text.
Several conditions, separated by commas, hold together.
"""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dlx import scalars
from dlx.analysis.trials import Trial
from dlx.errors import UsageError, nearest

OWN: dict[str, Callable[[Trial], Any]] = {
    "seed": operator.attrgetter("seed"),
    "state": operator.attrgetter("state"),
    "engine": operator.attrgetter("engine"),
    "experiment": operator.attrgetter("experiment"),
    "fold": operator.attrgetter("fold"),
    "repeat": operator.attrgetter("repeat"),
    "id": operator.attrgetter("id"),
}
"""What may be said of a trial besides the paths of its setting."""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.\[\]-]*?)\s*(!=|<=|>=|<|>|==?)\s*(.*?)\s*", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """``name`` as written, one of :data:`COMPARISONS`, and the value to compare with."""

    name: str
    comparison: str
    value: Any

    def holds(self, trial: Trial, path: str) -> bool:
        """Whether it holds of a trial; ``path`` is what the name stands for. What a trial does not have is ``none``."""
        value = value_of(trial, path)
        if self.comparison in ("=", "!="):
            return _same(value, self.value) == (self.comparison == "=")
        if not _ordered(value) or not _ordered(self.value):
            return False
        return COMPARISONS[self.comparison](value, self.value)


def value_of(trial: Trial, path: str) -> Any:
    """What a trial has at a path of its setting or under a word of :data:`OWN`; None where it has no such path.

    A path that is null in one trial stands for the name of the member that is there in another.
    """
    if path in OWN:
        return OWN[path](trial)
    there = (known for known in (path, f"{path}.name", f"{path}.method") if known in trial.setting)
    return trial.setting.get(next(there, path))


def _ordered(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def has_none(value: Any, wanted: Any) -> bool:
    """Whether none is wanted (``pretraining=none``, as in a spec) and none is there."""
    return value is None and (wanted is None or wanted == "none")


def _same(value: Any, wanted: Any) -> bool:
    if value is None:
        return has_none(value, wanted)
    if _ordered(value) and _ordered(wanted):
        return bool(value == wanted)
    if isinstance(value, str) or isinstance(wanted, str):
        return str(value) == str(wanted)
    return type(value) is type(wanted) and value == wanted


def parse(text: str) -> list[Condition]:
    """The conditions in ``depth=4,activation=relu``. Raises :class:`~dlx.errors.UsageError`."""
    conditions = []
    for part in split(text):
        found = _CONDITION.fullmatch(part)
        if found is None or not found[3]:
            raise UsageError(
                f"{part.strip()!r} is not a condition",
                hint="write a parameter, one of = != < <= > >= and a value: depth=4, learning_rate>=0.01",
            )
        value: Any = found[3]
        with contextlib.suppress(ValueError):  # a text that dlx would have quoted stands for itself
            value = scalars.read_inline(found[3])
        comparison = "=" if found[2] == "==" else found[2]
        if comparison not in ("=", "!=") and not _ordered(value):
            raise UsageError(f"{part.strip()!r}: {found[2]} compares numbers, and {found[3]!r} is not one")
        conditions.append(Condition(found[1], comparison, value))
    return conditions


def split(text: str) -> list[str]:
    """The parts between commas that stand outside of brackets and quotes."""
    parts = [""]
    depth, quoted = 0, False
    for character in text:
        quoted ^= character == '"'
        if not quoted:
            depth += (character in "[{(") - (character in "]})")
        if character == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def names(paths: Iterable[str]) -> list[str]:
    """What may be written for these paths, for messages: each by its shortest unambiguous name."""
    return sorted({*shortest(list(paths)).values(), *OWN})


_VAGUE = {*OWN, "kernel", "bias", "every", "sample", "path", "value", "n"}
"""Endings that say too little by themselves, or something else."""


def shortest(paths: Sequence[str]) -> dict[str, str]:
    """Each path's shortest ending that no other path has: ``model.depth`` → ``depth``.

    ``name`` says little: ``training.optimizer.name`` is ``optimizer``.
    """
    counts: dict[str, int] = {}
    for path in paths:
        for ending in _endings(path):
            counts[ending] = counts.get(ending, 0) + 1
    return {
        path: next((ending for ending in _endings(path) if counts[ending] == 1 and ending not in _VAGUE), path)
        for path in paths
    }


def _endings(path: str) -> list[str]:
    """The names that a path may go by, the shortest first, itself last; each once."""
    parts = path.split(".")
    if parts[0] in ("digests", "revisions"):
        return [path]
    if parts[-1] in ("name", "method") and len(parts) > 1:
        parts = parts[:-1]
    endings = [".".join(parts[start:]) for start in range(len(parts) - 1, -1, -1)]
    return list(dict.fromkeys([*endings, path]))


def resolve(name: str, paths: Iterable[str]) -> str:
    """The path (or :data:`OWN` word) that a name stands for.

    Raises :class:`~dlx.errors.UsageError` with the nearest names, or those it could mean.
    """
    known = list(paths)
    if name in OWN or name in known:
        return name
    name_ = name.replace("-", "_")
    meant = [path for path in known if name_ in _endings(path)]
    if len(meant) > 1:
        exact = [path for path in meant if path.rsplit(".", 1)[-1] in ("name", "method")]
        if len(exact) == 1 and _endings(exact[0])[0] == name_:
            return exact[0]
        raise UsageError(f"{name!r} could mean {' or '.join(sorted(meant))}", hint="write more of the path")
    if not meant:
        raise UsageError(f"no parameter {name!r}", hint=nearest(name, names(known)))
    return meant[0]


def select(trials: Sequence[Trial], conditions: Sequence[Condition]) -> list[Trial]:
    """The trials of which all conditions hold. Raises :class:`~dlx.errors.UsageError` for an unknown name."""
    if not conditions:
        return list(trials)
    known = paths_of(trials)
    resolved = [(condition, resolve(condition.name, known)) for condition in conditions]
    return [trial for trial in trials if all(condition.holds(trial, path) for condition, path in resolved)]


def select_some(trials: Sequence[Trial], conditions: Sequence[Condition], otherwise: str) -> list[Trial]:
    """As :func:`select`; where none is left raises UsageError: ``otherwise``, and what there is."""
    if found := select(trials, conditions):
        return found
    for condition in conditions:
        path = resolve(condition.name, paths_of(trials))
        if not any(condition.holds(trial, path) for trial in trials):
            values = dict.fromkeys("none" if (had := value_of(trial, path)) is None else str(had) for trial in trials)
            raise UsageError(otherwise, hint=f"{condition.name} is {', '.join(list(values)[:12])}" if values else None)
    raise UsageError(otherwise, hint="each of the conditions holds of some trial, all together of none")


def paths_of(trials: Iterable[Trial]) -> list[str]:
    """Every path that a setting of these trials has, in order of first appearance."""
    seen = dict.fromkeys(trial.setting for trial in trials)
    return list(dict.fromkeys(path for setting in seen for path in setting))
