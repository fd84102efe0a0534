"""Settings side by side: the parameters in which they differ, how each is called, and seeds pooled.

columns = columns_of(trials)            # {"model.depth": "depth", …}: path → the name of its column
for pooled in pool(trials):             # one per setting, and engine, in order of first appearance
    label(pooled.setting, columns)      # "depth 2, activation relu"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlx import scalars
from dlx.analysis.conditions import paths_of, resolve, shortest, value_of
from dlx.analysis.trials import Setting, Trial
from dlx.language import _

_NAMES = ("name", "method")
_SECONDARY = ("digests.", "revisions.", "model.output_activation")
"""Follow from other parameters as a rule: shown where settings could not be told apart otherwise."""


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""The value of a parameter that a setting does not have: ``depth`` of LeNet-5."""


@dataclass(frozen=True)
class Pooled:
    """Trials taken together, which differ in seed, repeat or fold alone unless fewer parameters were asked for.

    ``values``: what they have in common, by path. ``engine`` is None where engines are pooled.
    ``settings`` are the distinct ones among them.
    """

    values: Mapping[str, Any]
    trials: tuple[Trial, ...]
    engine: str | None
    settings: tuple[Setting, ...] = field(default=())

    @property
    def setting(self) -> Setting:
        """The (first) setting."""
        return self.settings[0]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state that there is."""
        found: dict[str, int] = {}
        for trial in self.trials:
            found[trial.state] = found.get(trial.state, 0) + 1
        return found


def columns_of(trials: Iterable[Trial]) -> dict[str, str]:
    """The parameters in which trials differ, those that a spec varied first: path → column name.

    A name is the shortest ending of the path that no other parameter of any of the trials has.
    """
    trials = list(trials)
    settings = list(dict.fromkeys(trial.setting for trial in trials))
    swept = dict.fromkeys(path for trial in trials for path in trial.swept)
    names = shortest(paths_of(trials))
    return {path: names.get(path) or _short(path, names) for path in differing(settings, list(swept))}


def _short(path: str, names: Mapping[str, str]) -> str:
    last = path.rsplit(".", 1)[-1]
    return path if last in names.values() else last


def differing(settings: Sequence[Setting], swept: Sequence[str] = ()) -> list[str]:
    """The paths in which settings differ, ``swept`` ones first, then in the order of the spec.

    Of what only some have (a momentum, where the optimizer differs too) the paths that are
    the same in all of those are left out, and what follows from other parameters, unless two
    settings could not be told apart without.
    """
    if len(settings) < 2:
        return []
    paths = dict.fromkeys(path for setting in settings for path in setting)
    candidates = [path for path in paths if _distinct(settings, path) > 1]
    parents = [path for path in candidates if _is_parent(path, settings)]
    children = {
        path: parent for path in candidates for parent in parents if path.startswith((f"{parent}.", f"{parent}["))
    }
    shown = [
        path
        for path in candidates
        if (path not in parents and not path.startswith(_SECONDARY) and (_distinct_where_present(settings, path) > 1))
        or _absent_for_no_reason(settings, path, children)
    ]
    # `pretraining: null` beside `pretraining: {name: rbm}` is a column, and its fields are where they vary.
    for parent in parents:
        named = [f"{parent}.{name}" for name in _NAMES]
        below = [path for path in shown if children.get(path) == parent]
        if not below or any(name in setting for setting in settings for name in named):
            shown = [path for path in shown if path not in named] + [parent]
    order = {path: number for number, path in enumerate(dict.fromkeys([*swept, *paths]))}
    rest = [path for path in candidates if path not in shown]
    while (groups := _alike(settings, shown)) and rest:
        splitting = [path for path in rest if any(_distinct(group, path) > 1 for group in groups)]
        if not splitting:
            break
        shown.append(splitting[0])
        rest.remove(splitting[0])
    return sorted(dict.fromkeys(shown), key=lambda path: order[path] if path in order else len(order))


def value_at(setting: Mapping[str, Any], path: str) -> Any:
    """A parameter's value; of one that has fields its name, else all of them on one line; else :data:`ABSENT`."""
    if path in setting:
        return setting[path]
    for name in _NAMES:
        if f"{path}.{name}" in setting:
            return setting[f"{path}.{name}"]
    below = {key[len(path) + 1 :]: value for key, value in setting.items() if key.startswith(f"{path}.")}
    return scalars.inline(below) if below else ABSENT


def _key(value: Any) -> Any:
    return repr(value) if isinstance(value, list) else (type(value) is bool, value)


def _distinct(settings: Iterable[Setting], path: str) -> int:
    return len({_key(value_at(setting, path)) for setting in settings})


def _distinct_where_present(settings: Iterable[Setting], path: str) -> int:
    return len({_key(setting[path]) for setting in settings if path in setting})


def _is_parent(path: str, settings: Sequence[Setting]) -> bool:
    """Whether a path is a single value in some settings and has fields in others."""
    return any(path not in setting and value_at(setting, path) is not ABSENT for setting in settings)


def _absent_for_no_reason(settings: Sequence[Setting], path: str, children: Mapping[str, str]) -> bool:
    """Whether only some have a path though nothing above it differs: a field that a later version has added.

    One that is null, false or empty where it is present says nothing.
    """
    if path in children or path.startswith(_SECONDARY) or not _unexplained(settings, path):
        return False
    return any(setting.get(path) for setting in settings)


def _unexplained(settings: Sequence[Setting], path: str) -> bool:
    """Whether some settings lack a path though no member above it is another one than in those that have it."""
    having = [setting for setting in settings if path in setting]
    if len(having) == len(settings):
        return False
    lacking = [setting for setting in settings if path not in setting]
    parts = path.split(".")
    for length in range(1, len(parts)):
        for name in _NAMES:
            above = ".".join([*parts[:length], name])
            if above == path:
                continue
            kinds = [{_key(value_at(setting, above)) for setting in some} for some in (having, lacking)]
            if not kinds[0] & kinds[1]:
                return False
    return True


def of_earlier_versions(settings: Sequence[Setting]) -> list[Setting]:
    """Settings without a field that others of the same members have: what it was by default is not in their file."""
    paths = dict.fromkeys(path for setting in settings for path in setting)
    sections = {setting: {path.partition(".")[0] for path in setting} for setting in settings}
    found: dict[Setting, None] = {}
    for path in paths:
        if any(path not in setting for setting in settings) and _unexplained(settings, path):
            lacking = [setting for setting in settings if path not in setting]
            found |= dict.fromkeys(one for one in lacking if path.partition(".")[0] in sections[one])
    return list(found)


def _alike(settings: Sequence[Setting], paths: Sequence[str]) -> list[list[Setting]]:
    """Groups of settings that these paths do not tell apart."""
    groups: dict[tuple[Any, ...], list[Setting]] = {}
    for setting in settings:
        groups.setdefault(tuple(_key(value_at(setting, path)) for path in paths), []).append(setting)
    return [group for group in groups.values() if len(group) > 1]


def pool(trials: Sequence[Trial], *, by: Sequence[str] | None = None, engines: bool = False) -> list[Pooled]:
    """Trials by setting, in order of first appearance; those of different engines apart unless ``engines``.

    ``by`` names parameters (or ``seed``, ``experiment``, …) to group by instead of the whole
    setting. A trial that lies in several experiments counts once, finished if it is in one.
    Raises :class:`~dlx.errors.UsageError` for an unknown name.
    """
    paths = None if by is None else [resolve(name, paths_of(trials)) for name in by]
    groups: dict[Any, list[Trial]] = {}
    for trial in trials:
        own: Any = trial.setting if paths is None else tuple(_key(_value(trial, path)) for path in paths)
        groups.setdefault((own, None if engines else trial.engine), []).append(trial)
    pooled = []
    for group in _with_unknown_engines(groups):
        settings = tuple(dict.fromkeys(trial.setting for trial in group))
        values: Mapping[str, Any] = settings[0] if paths is None else {path: _value(group[0], path) for path in paths}
        pooled.append(Pooled(values, _each_once(group), None if engines else _engine(group), settings))
    return pooled


def _value(trial: Trial, path: str) -> Any:
    return value_at(trial.setting, path) if "." in path else value_of(trial, path)


def _engine(trials: Sequence[Trial]) -> str:
    return next((trial.engine for trial in trials if trial.engine), "")


def _with_unknown_engines(groups: Mapping[Any, list[Trial]]) -> list[list[Trial]]:
    """Trials that have not begun have no engine yet: they go with those of their setting that have."""
    merged: dict[Any, list[Trial]] = {}
    for (own, engine), trials in groups.items():
        if engine == "":
            known = next((key for key in groups if key[0] == own and key[1]), (own, engine))
            merged.setdefault(known, []).extend(trials)
        else:
            merged.setdefault((own, engine), []).extend(trials)
    return list(merged.values())


def _each_once(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """A trial in several experiments is one trial: the finished, else the first."""
    kept: dict[tuple[Setting, Any, str], Trial] = {}
    for trial in trials:
        key = (trial.setting, trial.replicate, trial.engine)
        if key not in kept or (kept[key].state != "done" and trial.state == "done"):
            kept[key] = trial
    return tuple(kept.values())


def shown(value: Any) -> str:
    """A parameter's value as people read it: ``0.1``, ``relu``, ``[30, 30]``, ``–`` where there is none."""
    if value is ABSENT:
        return "–"
    if isinstance(value, bool) or value is None:
        return scalars.inline(value)
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else scalars.inline(value)


def label(values: Mapping[str, Any], columns: Mapping[str, str]) -> str:
    """A setting in words by the parameters that tell it apart: ``depth 2, activation relu``."""
    found = {path: value_at(values, path) for path in columns}
    has = {path: value for path, value in found.items() if value is not ABSENT}
    if not has and (members := [path for path in found if path.endswith(tuple(f".{name}" for name in _NAMES))]):
        return _("no {parameter}").format(parameter=columns[members[0]])
    words = [f"{columns[path]} {shown(value)}" for path, value in (has or found).items()]
    return ", ".join(words) if words else _("the only setting")
