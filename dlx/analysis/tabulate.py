"""A comparison as a grid: one row per setting, per trial, or spread over two parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.analysis.comparison import Comparison
from dlx.analysis.conditions import resolve
from dlx.analysis.grid import Grid, Text
from dlx.analysis.measurements import Cell
from dlx.analysis.rows import Row
from dlx.analysis.settings import ABSENT, shown
from dlx.analysis.writing import heading, scale
from dlx.errors import UsageError
from dlx.language import _


def settings_grid(comparison: Comparison, metrics: Sequence[int] | None = None, *, intervals: bool = True) -> Grid:
    """One row per setting: parameters, how many trials count, each metric's mean, deviation and interval."""
    wanted = range(len(comparison.metrics)) if metrics is None else metrics
    several = len(comparison.engines) > 1
    folded = any(cell.overlap for row in comparison.rows for cell in row.cells)
    headings = [*comparison.columns.values(), *(["engine"] if several else []), "n", "not done"]
    for number in wanted:
        headings += [heading(comparison.metrics[number]), *(["95 % CI"] if intervals else [])]
        headings += list(_BETWEEN) if folded else []
    best = {number: comparison.best(number) for number in wanted}
    rows = []
    for row in comparison.rows:
        cells = [Text(shown(row.value(path))) for path in comparison.columns]
        cells += [Text(row.pooled.engine or "")] if several else []
        cells += [Text(_counted(row)), Text(", ".join(f"{count} {state}" for state, count in row.not_done.items()))]
        for number in wanted:
            cell = row.cells[number]
            cells += _measured(cell, cell.mean == best[number] and len(comparison.rows) > 1, intervals)
            cells += _between(cell) if folded else []
        rows.append(cells)
    return Grid(headings, rows).without_empty() if rows else Grid(headings, rows)


def _counted(row: Row) -> str:
    return str(row.done) if row.done == len(row.trials) else f"{row.done}/{len(row.trials)}"


def _measured(cell: Cell, best: bool, intervals: bool) -> list[Text]:
    written = scale(cell.metric)
    if cell.estimate is None:
        text = _("never") if cell.never else "–"
        return [Text(text), *([Text("")] if intervals else [])]
    text = written.estimate(cell.estimate)
    if cell.never:
        text += " " + _("({never} of {all} never)").format(never=cell.never, all=cell.never + len(cell.values))
    if cell.without:
        every = len(cell.values) + cell.never + cell.without
        text += " " + _("({without} of {all} have none)").format(without=cell.without, all=every)
    interval = written.interval(cell.estimate.low, cell.estimate.high)
    return [Text(text, best), *([Text(interval)] if intervals else [])]


_BETWEEN = {"sd of folds": "folds", "sd of repeats": "repeats", "sd of seeds": "seeds"}
"""Where trials are folds, what of the scatter is between what: heading and field of a spread."""


def _between(cell: Cell) -> list[Text]:
    written = scale(cell.metric)
    stds = [getattr(cell.spread, name) if cell.spread else None for name in _BETWEEN.values()]
    return [Text("" if std is None else written.spread(std, cell.mean)) for std in stds]


def trials_grid(comparison: Comparison) -> Grid:
    """One row per trial."""
    trials = [(row, trial) for row in comparison.rows for trial in row.trials]
    repeated = any(trial.repeat is not None for _row, trial in trials)
    folded = any(trial.fold is not None for _row, trial in trials)
    several = len(comparison.engines) > 1
    headings = [*comparison.columns.values(), "seed", *(["repeat"] if repeated else []), *(["fold"] if folded else [])]
    headings += [*(["engine"] if several else []), "state", "trial", *map(heading, comparison.metrics)]
    rows = []
    for row, trial in trials:
        cells = [shown(row.value(path)) for path in comparison.columns] + [str(trial.seed)]
        cells += [str(trial.repeat)] if repeated else []
        cells += [str(trial.fold)] if folded else []
        cells += [trial.engine] if several else []
        cells += [trial.state, trial.id]
        for number, metric in enumerate(comparison.metrics):
            value = comparison.value(trial, number)
            cells.append("–" if value is None else scale(metric).value(value))
        rows.append([Text(cell) for cell in cells])
    return Grid(headings, rows)


def pivot_grid(comparison: Comparison, parameter: str) -> Grid:
    """The values of one parameter side by side, a row for each setting of the others; of one metric.

    Raises :class:`~dlx.errors.UsageError` for several metrics, or a parameter that is no column.
    """
    if len(comparison.metrics) != 1:
        raise UsageError(
            f"--pivot shows one metric, and {len(comparison.metrics)} are asked for", hint="give one --metric"
        )
    path = resolve(parameter, comparison.columns)
    others = [column for column in comparison.columns if column != path]
    name = comparison.columns.get(path, path)
    values = list(dict.fromkeys(shown(row.value(path)) for row in comparison.rows))
    several = len(comparison.engines) > 1
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in comparison.rows:
        key = (*(shown(row.value(other)) for other in others), *([row.pooled.engine or ""] if several else []))
        lines.setdefault(key, {}).setdefault(shown(row.value(path)), row)
    best = comparison.best(0)
    rows = []
    for key, found in lines.items():
        cells = [Text(part) for part in key]
        for value in values:
            cell = found[value].cells[0] if value in found else None
            cells += _measured(cell, cell.mean == best, intervals=False) if cell else [Text("")]
        rows.append(cells)
    headings = [*(comparison.columns[other] for other in others), *(["engine"] if several else [])]
    return Grid([*headings, *(f"{name} {value}" for value in values)], rows)


@dataclass(frozen=True)
class Try:
    """A setting in the order of trying: when its first trial began, what was ``changed`` from the one before
    (name, before, after) and by how much each metric's mean ``moved`` (nan where it cannot be told).
    """

    row: Row
    started: str
    changed: tuple[tuple[str, Any, Any], ...]
    moved: tuple[float, ...]


def tries(comparison: Comparison) -> list[Try]:
    """Settings in the order in which they were begun."""
    found: list[Try] = []
    before: Row | None = None
    for row in sorted(comparison.rows, key=started):
        changed = [] if before is None else _changed(before, row, comparison.columns)
        moved = [cell.mean - before.cells[number].mean if before else math.nan for number, cell in enumerate(row.cells)]
        found.append(Try(row, started(row), tuple(changed), tuple(moved)))
        before = row
    return found


def diary(comparison: Comparison) -> Grid:
    """What was changed from each setting to the next, and what it did."""
    best = [comparison.best(number) for number in range(len(comparison.metrics))]
    headings = ["started", "n", "changed"]
    for metric in comparison.metrics:
        headings += [heading(metric), _("change")]
    rows: list[list[Text]] = []
    for one in tries(comparison):
        cells = [Text(one.started.replace("T", " ").removesuffix("Z")[:16] or "–"), Text(_counted(one.row))]
        moves = ", ".join(f"{name} {shown(old)} → {shown(new)}" for name, old, new in one.changed)
        cells.append(Text((moves or _("nothing that the table shows")) if rows else one.row.label))
        for number, metric in enumerate(comparison.metrics):
            cell, moved = one.row.cells[number], one.moved[number]
            cells.append(_measured(cell, cell.mean == best[number] and len(comparison.rows) > 1, intervals=False)[0])
            sign = "" if moved == 0 else "+" if moved > 0 else "−"
            cells.append(Text("" if math.isnan(moved) else f"{sign}{scale(metric).value(abs(moved))}"))
        rows.append(cells)
    return Grid(headings, rows)


def started(row: Row) -> str:
    """When the first of a row's trials began, in ISO 8601; empty before."""
    return min((trial.started for trial in row.trials if trial.started), default="")


def _changed(before: Row, row: Row, columns: Mapping[str, str]) -> list[tuple[str, Any, Any]]:
    pairs = [(name, before.value(path), row.value(path)) for path, name in columns.items()]
    moved = [(name, old, new) for name, old, new in pairs if (old is ABSENT) != (new is ABSENT) or old != new]
    if not moved and before.pooled.engine != row.pooled.engine:
        return [("engine", before.pooled.engine, row.pooled.engine)]
    return moved
