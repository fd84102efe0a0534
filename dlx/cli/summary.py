"""The end of a run: per trial, or per setting when there are many, what was reached and how fast layers learned."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.analysis.grid import Grid, Text
from dlx.blocks import Together, grouped
from dlx.cli.progress import GRADIENT_SYMBOLS, ends, metric, scientific
from dlx.errors import ResultsError
from dlx.language import _, plural
from dlx.records.reader import read_table
from dlx.records.tables import LAYERS

if TYPE_CHECKING:
    from dlx.schedule import Outcome

MOST_TRIALS = 20  # with more, seeds of a setting are pooled
MOST_ROWS = 50
MOST_LAYERS = 12
PARTS = ("train", "val", "test")
SCORES = (("accuracy",), ("rmse", "r2"), ("loss",))  # the first of these that was measured is shown

_METRIC = re.compile(r"(train|val|test)_\w+")
_GRADIENT = re.compile(r"grad_(\w+)_(first|last)_(\d+)")


@dataclass(frozen=True)
class TrialSummary:
    """What there is to say of a trial; ``gradients[parameter]["first" | "last"]`` has a norm per layer, input first."""

    id: str
    state: str
    parameters: Mapping[str, Any]
    seed: Any
    metrics: Mapping[str, float]
    gradients: Mapping[str, Mapping[str, Sequence[float | None]]]
    reason: str | None = None
    directory: str | None = None
    repeat: int | None = None
    fold: int | None = None


def of_outcome(outcome: Outcome) -> list[TrialSummary]:
    """The trials of a run as they stand on disk at its end, in spec order."""
    return [
        replace(
            summarise(
                {"trial": ending.trial.id, "state": ending.status.state, "reason": ending.held or ending.status.reason}
                | ending.status.summary,
                ending.trial.parameters,
                ending.trial.seed.plain(),
                str(ending.directory.path),
            ),
            repeat=ending.trial.fold.repeat if ending.trial.fold else None,
            fold=ending.trial.fold.fold if ending.trial.fold else None,
        )
        for ending in outcome.endings
    ]


def summarise(
    row: Mapping[str, Any], parameters: Mapping[str, Any], seed: Any, directory: str | None = None
) -> TrialSummary:
    """A trial from the numbers that its status and ``trials.csv`` list by column; None does not apply."""
    metrics: dict[str, float] = {}
    gradients: dict[str, dict[str, dict[int, float | None]]] = {}
    for column, value in row.items():
        if _METRIC.fullmatch(column) and value is not None:
            metrics[column] = float(value)
        elif found := _GRADIENT.fullmatch(column):
            name, when, layer = found.groups()
            gradients.setdefault(name, {}).setdefault(when, {})[int(layer)] = value
    return TrialSummary(
        id=row["trial"],
        state=row["state"],
        parameters=parameters,
        seed=seed,
        metrics=metrics,
        gradients={
            name: {
                when: trimmed([layers.get(n) for n in range(1, max(layers) + 1)]) for when, layers in by_time.items()
            }
            for name, by_time in gradients.items()
        },
        reason=row.get("reason") or None,
        directory=directory,
    )


def trimmed(norms: list[float | None]) -> list[float | None]:
    """Without the empty cells at the end, which belong to deeper nets in the same table."""
    while norms and norms[-1] is None:
        norms = norms[:-1]
    return norms


def as_json(trial: TrialSummary) -> dict[str, Any]:
    """A trial as ``dlx run --json`` gives it."""
    return {
        "id": trial.id,
        "state": trial.state,
        "parameters": dict(trial.parameters),
        "seed": trial.seed,
        **({"repeat": trial.repeat, "fold": trial.fold} if trial.repeat is not None else {}),
        "metrics": dict(trial.metrics),
        "gradients": {
            name: {when: list(norms) for when, norms in by_time.items()}
            for name, by_time in trial.gradients.items()
            if any(by_time.values())
        },
        "reason": trial.reason,
        "directory": trial.directory,
    }


@dataclass
class Line:
    """One row to print: a trial, or those of one setting that are done, pooled over seeds."""

    cells: dict[str, str]
    trials: list[TrialSummary] = field(default_factory=list)


def report(trials: Sequence[TrialSummary], width: int | None = None, *, pooled: bool | None = None) -> list[str]:
    """The lines to print: a table of scores and one of gradient norms.

    ``width`` is the terminal's, if there is one; ``pooled``: whether seeds are, by default where there are many trials.
    """
    pooled = len(trials) > MOST_TRIALS if pooled is None else pooled
    lines = _pooled(trials) if pooled else _single(trials)
    if not lines:
        return []
    scores = next((s for s in SCORES if any(f"{p}_{s[0]}" in t.metrics for t in trials for p in PARTS)), ())
    rows = []
    for line in lines[:MOST_ROWS]:
        cells = dict(line.cells)
        for name in scores:
            for part in PARTS:
                cells[f"{part} {name}"] = _pool(f"{part}_{name}", line.trials)
        if not pooled and any(trial.reason for trial in trials):
            cells["reason"] = line.trials[0].reason or ""
        rows.append(cells)
    output = table(_without_empty(rows))
    output += _gradient_table(lines[:MOST_ROWS], width)
    if len(lines) > MOST_ROWS:
        more = len(lines) - MOST_ROWS
        output += ["", plural("{n} more row in trials.csv", "{n} more rows in trials.csv", more).format(n=f"{more:,}")]
    return output


def _single(trials: Sequence[TrialSummary]) -> list[Line]:
    names = _short_names(trials)
    seeds = {trial.seed for trial in trials}
    lines = []
    for trial in trials:
        cells = {names[path]: _value(trial.parameters.get(path)) for path in names}
        held = {"repeat": trial.repeat, "fold": trial.fold}
        cells |= {name: str(number) for name, number in held.items() if number is not None}
        if len(seeds) > 1 or not cells:
            cells["seed"] = str(trial.seed)
        lines.append(Line({**cells, "state": trial.state}, [trial]))
    return lines


def _pooled(trials: Sequence[TrialSummary]) -> list[Line]:
    names = _short_names(trials)
    settings: dict[tuple[str, ...], Line] = {}
    for trial in trials:
        cells = {names[path]: _value(trial.parameters.get(path)) for path in names}
        settings.setdefault(tuple(cells.values()), Line(cells)).trials.append(trial)
    for line in settings.values():
        done = [trial for trial in line.trials if trial.state == "done"]
        line.cells["done"] = f"{len(done)}/{len(line.trials)}"
        line.trials = done  # as in `dlx compare`: what diverged or was interrupted has no part in a mean
    return list(settings.values())


def _pool(column: str, trials: Sequence[TrialSummary]) -> str:
    values = [trial.metrics[column] for trial in trials if column in trial.metrics]
    if not values:
        return ""
    if len(trials) == 1:
        return metric(column, values[0])
    mean = statistics.fmean(values)
    if len(values) == 1 or not all(map(math.isfinite, values)):
        return metric(column, mean)
    spread = statistics.stdev(values)
    if column.endswith("accuracy"):
        return f"{100 * mean:.2f} ± {100 * spread:.2f} %"
    return f"{mean:.4g} ± {spread:.2g}"


def _gradient_table(lines: Sequence[Line], width: int | None) -> list[str]:
    there = {
        name: max((_count(trial.gradients.get(name, {})) for line in lines for trial in line.trials), default=0)
        for name in GRADIENT_SYMBOLS
    }
    parameter = max(there, key=lambda name: there[name])  # the first of those that most layers have
    if not there[parameter]:
        return []
    times = {"first": _("before training"), "last": _("after training")}
    rows = []
    for line in lines:
        identity = {name: cell for name, cell in line.cells.items() if name not in ("state", "done")}
        for when, said in times.items():
            norms = _median([trial.gradients.get(parameter, {}).get(when, ()) for trial in line.trials])
            if norms:
                rows.append((identity, said, norms))
                identity = dict.fromkeys(identity, "")
    layers = max((len(norms) for _, _, norms in rows), default=0)
    if not layers:
        return []
    room = MOST_LAYERS
    if width is not None:
        taken = sum(max([len(name), *(len(identity[name]) for identity, _, _ in rows)]) + 2 for name in rows[0][0])
        room = max(3, min(room, (width - taken - max(map(len, times.values()))) // len("  1.0e-01")))
    groups = _blocks(lines, layers, room) if layers > room else None
    heads = (
        [group.name for group in groups]
        if groups
        else [_("layer {number}").format(number=1), *(str(number) for number in range(2, layers + 1))]
    )
    columns = ends(len(heads), room)
    cells = [
        {
            **identity,
            "": said,
            **{
                "…" if at is None else heads[at]: "" if at is None else _norm(norms, groups[at] if groups else at)
                for at in columns
            },
        }
        for identity, said, norms in rows
    ]
    head = _("{norm} per layer, from the input").format(norm=GRADIENT_SYMBOLS[parameter])
    if any(len(line.trials) > 1 for line in lines):
        folds = any(trial.repeat is not None for line in lines for trial in line.trials)
        head += _(", median over seeds and folds") if folds else _(", median over seeds")
    head += _("; of layers together the geometric mean") if groups else ""
    return ["", head, *table(cells)]


def _count(norms: Mapping[str, Sequence[float | None]]) -> int:
    """Layers that have a norm."""
    return max((sum(norm is not None for norm in by_time) for by_time in norms.values()), default=0)


def _blocks(lines: Sequence[Line], layers: int, room: int) -> list[Together] | None:
    """So many layers by block or stage, where all trials have the same ones and there is room for that; else None."""
    names: set[tuple[str, ...]] = set()
    for line in lines:
        for trial in line.trials[:1]:  # the others differ in their seed
            if trial.directory is None:
                return None
            try:
                rows = read_table(Path(trial.directory) / LAYERS.file_name)
                numbers, called = rows.column("layer"), rows.column("name")
            except ResultsError:
                return None
            first = {number: name for number, name in reversed(list(zip(numbers, called, strict=True))) if number}
            names.add(tuple(first.get(str(number + 1), "") for number in range(layers)))
    if len(names) != 1:
        return None
    groups = grouped(names.pop(), room)
    return groups if len(groups) <= room else None


def _norm(norms: Sequence[float | None], of: int | Together) -> str:
    """The norm of a layer, or the mean of several; empty where one is missing."""
    mine = [norms[at] if at < len(norms) else None for at in ((of,) if isinstance(of, int) else of.positions)]
    there = [norm for norm in mine if norm is not None]
    return scientific(Together("", tuple(range(len(there)))).mean(there)) if len(there) == len(mine) else ""


def _median(series: Iterable[Sequence[float | None]]) -> list[float | None]:
    present = [norms for norms in series if norms]
    result: list[float | None] = []
    for layer in range(max(map(len, present), default=0)):
        norms = [norm for values in present if layer < len(values) and (norm := values[layer]) is not None]
        result.append(statistics.median(norms) if norms else None)
    return result


def _short_names(trials: Sequence[TrialSummary]) -> dict[str, str]:
    """Spec paths by the shortest ending that tells them apart: ``model.depth`` → ``depth``."""
    paths = list(dict.fromkeys(path for trial in trials for path in trial.parameters))
    last = [path.rsplit(".", 1)[-1] for path in paths]
    reserved = {"seed", "repeat", "fold", "state", "done", "reason"}
    return {
        path: name if last.count(name) == 1 and name not in reserved else path
        for path, name in zip(paths, last, strict=True)
    }


def _value(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _without_empty(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    keep = [name for name in rows[0] if any(row.get(name) for row in rows)]
    return [{name: row.get(name, "") for name in keep} for row in rows]


def table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Aligned columns under their names; text to the left, numbers to the right."""
    if not rows:
        return []
    names = list(rows[0])
    return Grid(names, [[Text(row[name]) for name in names] for row in rows]).lines()
