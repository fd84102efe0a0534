"""From selectors to a picture: which results, which kind of chart with which options, how large.

The one function that ``dlx plot`` and reports call::

    plotted = plot("learning-speed", ["depth"], {"parameter": "kernel"}, theme_of("paper"))
    plotted.picture.write(Path("fig.pdf"))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import ValidationError

from dlx import scalars
from dlx.analysis.folds import overlap_of
from dlx.analysis.selectors import find
from dlx.analysis.settings import ABSENT, columns_of, label, pool, shown, value_at
from dlx.analysis.trials import Tables, Trial
from dlx.analysis.writing import state_said
from dlx.charts import ChartSpec, kinds, registry
from dlx.drawing.picture import Picture, compose
from dlx.drawing.subjects import Group, Run
from dlx.drawing.themes import Theme
from dlx.drawing.tidy import Tidy, Value
from dlx.errors import ResultsError, UsageError, nearest
from dlx.language import _

MOST_SETTINGS = 24
"""More panels or colours than this cannot be told apart; of ``sweep``, whose settings are points, any number can."""

_MOST_DAMAGED = 3
"""Trials that cannot be read and are named one by one."""

_DRAWN = ("done", "diverged", "running", "interrupted")
_NAMES = ("name", "method")
_RESERVED = {"setting", "moment", "part", "epoch", "step", "layer", "metric", "quantity", "n", "mean", "low", "high"}


@dataclass(frozen=True)
class Plotted:
    """A chart that is ready to be written; ``notes`` say what was left out or chosen."""

    kind: str
    picture: Picture
    tidy: Tidy
    notes: tuple[str, ...] = ()


def plot(
    kind: str,
    selectors: Sequence[str],
    options: Mapping[str, str | None],
    theme: Theme,
    *,
    title: str | None = None,
    interactive: bool = False,
    results: Path | None = None,
    data_dir: Path | None = None,
) -> Plotted:
    """The chart of a kind.

    ``options`` are the kind's, as text; those that are None were not given. ``title`` in
    place of the kind's own; empty for none. ``data_dir``: where data sets are looked for first. Raises
    :class:`~dlx.errors.UsageError` for a kind, an option or a selector that does not
    exist, and for results that do not hold what the kind draws.
    """
    spec, tidy, notes = numbers(kind, selectors, options, results=results, data_dir=data_dir)
    heading = tidy.heading or spec.heading() if title is None else title
    heading = heading[:1].upper() + heading[1:]
    picture = compose(lambda canvas: spec.draw(tidy, canvas), tidy, theme, heading, interactive=interactive)
    return Plotted(kind, picture, tidy, (*notes, *tidy.notes))


def numbers(
    kind: str,
    selectors: Sequence[str],
    options: Mapping[str, str | None],
    *,
    results: Path | None = None,
    data_dir: Path | None = None,
) -> tuple[ChartSpec, Tidy, tuple[str, ...]]:
    """A kind with its options, the numbers it draws, and notes on the choice; arguments as of :func:`plot`."""
    spec = chart_of(kind, options)
    subject, notes = subject_of(spec, kind, selectors, results, data_dir)
    tidy, more = data_of(spec, subject)
    return spec, tidy, (*notes, *more)


def data_of(spec: ChartSpec, subject: Any) -> tuple[Tidy, tuple[str, ...]]:
    """What a kind draws; of settings without the trials whose tables are damaged, which the notes name.

    Raises :class:`~dlx.errors.ResultsError` where nothing is left.
    """
    notes: list[str] = []
    while True:
        try:
            return spec.data(subject), tuple(notes)
        except ResultsError as error:
            rest = _without(subject, error) if spec.needs == "settings" else []
            if not rest:
                raise
            notes.append(_("left out: {others}").format(others=error.message))
            subject = rest


def _without(groups: Sequence[Group], error: ResultsError) -> list[Group]:
    """Settings without the trial in whose directory the file lies that cannot be read; none where there is no such."""
    parents = error.path.parents if error.path is not None else ()
    kept = [replace(group, runs=tuple(run for run in group.runs if run.directory not in parents)) for group in groups]
    same = sum(len(group.runs) for group in kept) == sum(len(group.runs) for group in groups)
    return [] if same else [group for group in kept if group.runs]


def chart_of(kind: str, options: Mapping[str, str | None]) -> ChartSpec:
    """The kind with its options; raises :class:`~dlx.errors.UsageError` naming the option that is wrong."""
    name = kind.replace("-", "_")
    if name not in registry.names():
        raise UsageError(f"no kind of chart {kind!r}", hint=nearest(kind, kinds()))
    member = registry.get(name)
    known = {field: info for field, info in member.model_fields.items() if field != "name"}
    given: dict[str, Any] = {}
    for option, text in options.items():
        if text is None:
            continue
        field = option.replace("-", "_")
        if field not in known:
            takes = ", ".join(sorted(known)) or "none"
            raise UsageError(f"dlx plot {kind} has no option {option!r}", hint=f"its options: {takes}")
        given[field] = _value(text, known[field].annotation, option)
    try:
        return member.model_validate({"name": name, **given})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:1])
        message = str(first["msg"]).removeprefix("Value error, ")
        description = known[where].description if where in known else None
        raise UsageError(f"dlx plot {kind}: {where}: {message[:1].lower()}{message[1:]}", hint=description) from None


def _value(text: str, annotation: Any, option: str) -> Any:
    """What an option's text stands for: words where the field takes words, else YAML; lists without brackets, too."""
    kinds_ = _kinds(annotation)
    if kinds_ <= {str, type(None)}:
        return text
    if tuple in kinds_ and not text.strip().startswith("["):
        text = f"[{text}]"
    try:
        return scalars.read_inline(text)
    except ValueError:
        if str in kinds_:
            return text
        raise UsageError(f"--{option}: {text!r} is not a value") from None


def _kinds(annotation: Any) -> set[Any]:
    """The plain types that a field takes."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return {kind for part in get_args(annotation) for kind in _kinds(part)}
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _kinds(get_args(annotation)[0])
    if origin is None:
        return {annotation}
    if str(origin).endswith("Literal"):
        return {type(value) for value in get_args(annotation)}
    return {origin}


def subject_of(
    spec: ChartSpec, kind: str, selectors: Sequence[str], results: Path | None, data_dir: Path | None
) -> tuple[Any, tuple[str, ...]]:
    """What the kind is given, and notes on how it was chosen."""
    if spec.needs == "model" or spec.needs == "dataset":
        from dlx.drawing.targets import Data, dataset_of, network_of

        if len(selectors) != 1:
            raise UsageError(f"dlx plot {kind} draws one thing: a spec, a trial, or the name of a {spec.needs}")
        if spec.needs == "model":
            return network_of(selectors[0], results), ()
        return Data(dataset_of(selectors[0], results), data_dir), ()
    found = find(selectors, results)
    notes = [str(error) for error in found.damaged[:_MOST_DAMAGED]]
    if more_damaged := len(found.damaged) - len(notes):
        notes.append(f"and {more_damaged} more that cannot be read")
    if spec.needs == "settings":
        groups, more = groups_of(found.trials, data_dir)
        if len(groups) > MOST_SETTINGS and spec.name != "sweep":
            hint = "name fewer, as in NAME:depth=4; dlx plot sweep draws any number"
            raise UsageError(f"{len(groups)} settings are more than one picture can show", hint=hint)
        return groups, (*notes, *more)
    trial, more = one_of(found.trials)
    return Run(f"trial {trial.id}", trial.seed, Tables(trial.path), data_dir=data_dir), (*notes, *more)


def groups_of(trials: Sequence[Trial], data_dir: Path | None = None) -> tuple[list[Group], tuple[str, ...]]:
    """Trials by setting, in the order of the axes' values; those that have recorded nothing are left out, and said."""
    begun = [trial for trial in trials if trial.state in _DRAWN and (trial.path / "metrics.csv").exists()]
    if not begun:
        states = Counter(state_said(trial.state) for trial in trials)
        standing = ", ".join(f"{count} {state}" for state, count in states.items())
        raise UsageError(
            f"none of the {len(trials)} trials has anything to draw ({standing})", hint="dlx status says how they stand"
        )
    notes = (
        ()
        if len(begun) == len(trials)
        else (f"{len(trials) - len(begun)} of {len(trials)} trials have recorded nothing yet",)
    )
    columns = columns_of(begun)
    members = {path for path in columns if any(f"{path}.{name}" in each.setting for each in begun for name in _NAMES)}
    several = len({trial.engine for trial in begun}) > 1
    groups = []
    for pooled in pool(begun):
        values: dict[str, Value] = {
            f"{name}_" if name in _RESERVED else name: _plain(value_at(pooled.setting, path), member=path in members)
            for path, name in columns.items()
        }
        said = label(pooled.setting, columns)
        if several:
            values["engine"] = pooled.engine
            said = f"{said}, {pooled.engine}"
        runs = tuple(_run(trial, data_dir) for trial in pooled.trials)
        groups.append(Group(said, runs, values))
    return _in_order(groups), notes


def _run(trial: Trial, data_dir: Path | None) -> Run:
    division = (trial.repeat, trial.fold)
    return Run(trial.id, trial.seed, Tables(trial.path), division, overlap_of(trial.setting), trial.state, data_dir)


def one_of(trials: Sequence[Trial]) -> tuple[Trial, tuple[str, ...]]:
    """The trial that a kind draws which draws one: of one setting the first seed, and that is said."""
    done = [trial for trial in trials if trial.state == "done"] or list(trials)
    settings = {trial.setting for trial in done}
    if not done:
        raise UsageError("no trial to draw")
    if len(settings) > 1:
        columns = columns_of(done)
        example = next(iter(columns.values()), "depth")
        raise UsageError(
            f"{len(settings)} settings are selected and one trial is drawn",
            hint=f"name one: best@{done[0].experiment}, {done[0].experiment}:{example}=…, or an id: {done[0].id}",
        )
    if len(done) == 1:
        return done[0], ()
    return done[0], (f"drawn: trial {done[0].id}, seed {done[0].seed}, the first of {len(done)}",)


def _in_order(groups: list[Group]) -> list[Group]:
    """Settings by the values of their axes: numbers by size, words as the spec has them."""
    axes = list(dict.fromkeys(name for group in groups for name in group.values))
    order: dict[str, list[Any]] = {}
    for axis in axes:
        values = list(dict.fromkeys(group.values.get(axis) for group in groups))
        numeric = all(isinstance(value, int | float) for value in values)
        order[axis] = sorted(values, key=float) if numeric else values
    return sorted(groups, key=lambda group: [order[axis].index(group.values.get(axis)) for axis in axes])


def _plain(value: Any, *, member: bool) -> Value:
    """A parameter's value as it stands in a tidy table: numbers stay numbers, the rest is as people read it.

    ``member``: one such as pretraining, which a setting has or does without.
    """
    if value is ABSENT and member:
        return _("none")
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)
