"""How a command names trials.

=====================  =========================================================================
``results``            a directory: of results, of an experiment, of a trial; globs too
``depth``              an experiment by name, in the results directory
``experiment:NAME``    one of ``dlx experiments`` that comes with its finished tables
``a1b2c3``             a trial by the beginning of its id, four digits at least
``depth:width=30``     of an experiment (or any of these), the trials of which that holds
``best@depth``         of them, the trial that validated best; the test set is not looked at
=====================  =========================================================================
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlx import shipped
from dlx.analysis import conditions
from dlx.analysis.metrics import Metric, parse
from dlx.analysis.trials import Reader, Reads, Tables, Trial, is_trial, trials_of
from dlx.errors import DlxError, ResultsError, UsageError, nearest

_HEX = re.compile(r"[0-9a-f]{4,12}")
_CONDITIONS = re.compile(r"(.+?):(?=[A-Za-z_][\w.\[\]-]*\s*(?:!=|<=|>=|=|<|>))(.*)", re.DOTALL)
_SHIPPED = "experiment:"
_GLOB = re.compile(r"[*?\[]")


@dataclass
class Found:
    """The trials that selectors name, each once, in the order of selectors, experiments and specs.

    ``damaged`` has an error per trial that could not be read and is left out.
    """

    trials: list[Trial] = field(default_factory=list)
    damaged: list[DlxError] = field(default_factory=list)


def default_results() -> Path:
    """Where results are unless told otherwise: ``DLX_RESULTS``, else ``results``."""
    return Path(os.environ.get("DLX_RESULTS") or "results")


def find(selectors: Sequence[str | Path] = (), results: Path | None = None, reader: Reads | None = None) -> Found:
    """The trials that ``selectors`` name; without any, all of the results directory.

    ``results``: where names and ids are looked up, by default :func:`default_results`.
    ``reader``: what reads them, :class:`~dlx.analysis.summaries.Summaries` where many are
    compared. Raises
    :class:`~dlx.errors.UsageError` or :class:`~dlx.errors.ResultsError` for a selector that
    names nothing.
    """
    results = results or default_results()
    reader, found = reader or Reader(), Found()
    seen: set[Path] = set()
    for selector in selectors or [results]:
        try:
            named = _select(str(selector), results, reader, found)
        except ResultsError as error:
            # What a shell makes of `results/*` has other people's files and folders in it.
            if len(selectors) < 2 or not Path(selector).exists():
                raise
            found.damaged.append(error)
            continue
        for trial in named:
            place = trial.path.absolute()
            if place not in seen:
                seen.add(place)
                found.trials.append(trial)
    if not found.trials and found.damaged:
        raise found.damaged[0]
    return found


def one(selector: str | Path, results: Path | None = None) -> Trial:
    """The only trial that a selector names. Raises :class:`~dlx.errors.UsageError` where it names more."""
    found = find([selector], results)
    if len(found.trials) > 1:
        example = found.trials[0].id
        raise UsageError(
            f"{str(selector)!r} names {len(found.trials)} trials and one is wanted",
            hint=f"choose one: best@{found.trials[0].experiment}, or an id such as {example}",
        )
    if not found.trials:
        raise found.damaged[0] if found.damaged else UsageError(f"{str(selector)!r} names no trial")
    return found.trials[0]


def _select(selector: str, results: Path, reader: Reads, found: Found) -> list[Trial]:
    if selector.startswith("best@") and not Path(selector).exists():
        return [_best(selector, _select(selector.removeprefix("best@"), results, reader, found))]
    wanted: list[conditions.Condition] = []
    where = selector
    if not Path(selector).exists() and (parts := _CONDITIONS.fullmatch(selector)):
        where, wanted = parts[1], conditions.parse(parts[2])
    trials, skipped = [], 0
    for place, experiment in _places(where, results):
        try:
            trials.append(reader.read(place, experiment))
        except ResultsError as error:
            found.damaged.append(error)
            skipped += 1
    if not trials and skipped:
        raise ResultsError(f"{where}: none of its {skipped} trials can be read: {found.damaged[-1].message}")
    return conditions.select_some(trials, wanted, f"no trial of {where} has {selector[len(where) + 1 :]}")


def _places(where: str, results: Path) -> Iterator[tuple[Path, str | None]]:
    """The trial directories of one selector without conditions, with the name of the experiment where it is known."""
    path = Path(where)
    if where.startswith(_SHIPPED) and not path.exists():
        yield from _inside(shipped.tables(where.removeprefix(_SHIPPED)))
        return
    for place in (path, results / where):
        if place.is_dir() and (places := list(_inside(place))):
            yield from places
            return
    if path.is_dir():
        raise ResultsError(f"{path} holds no results of dlx", hint="give a results directory, or one within it")
    if _GLOB.search(where):
        matches = [match for base in (Path(), results) for match in _glob(base, where)]
        places = [place for match in dict.fromkeys(matches) for place in _inside(match)]
        if not places:
            raise ResultsError(f"{where} matches no results of dlx")
        yield from dict.fromkeys(places)
        return
    if _HEX.fullmatch(where):
        if places := [place for place in _inside(results) if place[0].name.startswith(where)]:
            yield from _one_id(where, places)
            return
    elif path.exists():
        raise ResultsError(f"{path} is not a results directory", hint="give a results directory, or one within it")
    if not results.exists():
        raise ResultsError(f"there is no {where}, and no results directory {results}", hint="dlx run SPEC makes one")
    known = sorted(place.name for place in results.iterdir() if (place / "trials").is_dir())
    raise ResultsError(f"no experiment, trial or directory {where!r} in {results}", hint=nearest(where, known))


def _one_id(prefix: str, places: Sequence[tuple[Path, str | None]]) -> Sequence[tuple[Path, str | None]]:
    """A trial may lie in several experiments; a prefix of several ids is refused."""
    ids = sorted({place.name for place, _ in places})
    if len(ids) > 1:
        raise UsageError(
            f"{prefix!r} begins the ids of {len(ids)} trials", hint=f"write more of it: {', '.join(ids[:6])}"
        )
    return places


def _glob(base: Path, pattern: str) -> list[Path]:
    try:
        if Path(pattern).is_absolute():
            anchor = Path(Path(pattern).anchor)
            return sorted(anchor.glob(str(Path(pattern).relative_to(anchor))))
        return sorted(base.glob(pattern))
    except (OSError, ValueError, NotImplementedError):
        return []  # no pattern that pathlib can follow: it matches nothing, which the caller says


def _inside(place: Path) -> Iterator[tuple[Path, str | None]]:
    """The trials at or below a directory: one, an experiment's in the order of its spec, or all results'."""
    if is_trial(place) or (place.parent.name == "trials" and place.is_dir()):
        yield place, None
    elif (place / "trials").is_dir() or _holds_trials(place):
        place = place if (place / "trials").is_dir() else place.parent
        name = place.absolute().name
        yield from ((trial, name) for trial in _in_order(place))
    elif place.is_dir():
        for experiment in _experiments(place):
            yield from ((trial, experiment.name) for trial in _in_order(experiment))


def _holds_trials(place: Path) -> bool:
    """Whether this is the folder ``trials`` of an experiment."""
    return place.name == "trials" and place.is_dir() and (place.parent / "experiment.yaml").exists()


def _experiments(results: Path) -> Iterable[Path]:
    try:
        return sorted(place for place in results.iterdir() if (place / "trials").is_dir())
    except OSError as error:
        raise ResultsError(f"cannot read {results}: {error.strerror or error}") from error


def _in_order(experiment: Path) -> list[Path]:
    """An experiment's trials as ``trials.csv`` lists them, in the order of the spec; others after them, by id."""
    order: dict[str, int] = {}
    try:
        with (experiment / "trials.csv").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                order.setdefault(line.partition(",")[0], len(order))
    except OSError:
        pass
    return sorted(trials_of(experiment), key=lambda path: (order.get(path.name, len(order)), path.name))


VALIDATION = ("val_accuracy", "val_loss")
"""What chooses between trials, the first that was measured."""


def _best(selector: str, trials: Sequence[Trial]) -> Trial:
    done = [trial for trial in trials if trial.state == "done"]
    if not done:
        raise UsageError(f"{selector}: none of its {len(trials)} trials is done")
    for column in VALIDATION:
        best: tuple[float, Trial] | None = None
        for trial in done:
            metric = _at_the_end(column, trial)
            value = metric.measure(Tables(trial.path)).value * metric.better
            if value == value and (best is None or value > best[0]):
                best = value, trial
        if best is not None:
            return best[1]
    raise UsageError(f"{selector}: its trials have no validation set to choose by", hint="set dataset.validation")


def _at_the_end(column: str, trial: Trial) -> Metric:
    """A validation metric of the weights that the trial ended with."""
    restored = trial.setting.get("training.early_stopping.restore_best_weights")
    return parse(f"{column}@{'best' if restored else 'last'}")
