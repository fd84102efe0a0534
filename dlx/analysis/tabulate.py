"""A comparison as a grid: one row per setting, per trial, or spread over two parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlx.analysis.comparison import Comparison, Row
from dlx.analysis.conditions import resolve
from dlx.analysis.grid import Grid, Text
from dlx.analysis.measurements import Cell
from dlx.analysis.settings import ABSENT, shown
from dlx.analysis.writing import heading, scale
from dlx.errors import UsageError
from dlx.language import _


def settings_grid(comparison: Comparison, metrics: Sequence[int] | None = None, *, intervals: bool = True) -> Grid:
    """One row per setting: parameters, how many trials count, each metric's mean, deviation and interval."""
    wanted = range(len(comparison.metrics)) if metrics is None else metrics
    several = len(comparison.engines) > 1
    headings = [*comparison.columns.values(), *(["engine"] if several else []), "n", "not done"]
    for number in wanted:
        headings += [heading(comparison.metrics[number]), *(["95 % CI"] if intervals else [])]
    best = {number: comparison.best(number) for number in wanted}
    rows = []
    for row in comparison.rows:
        cells = [Text(shown(row.value(path))) for path in comparison.columns]
        cells += [Text(row.pooled.engine or "")] if several else []
        cells += [Text(_counted(row)), Text(", ".join(f"{count} {state}" for state, count in row.not_done.items()))]
        for number in wanted:
            cell = row.cells[number]
            cells += _measured(cell, cell.mean == best[number] and len(comparison.rows) > 1, intervals)
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
    interval = written.interval(cell.estimate.low, cell.estimate.high)
    return [Text(text, best), *([Text(interval)] if intervals else [])]


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


def diary(comparison: Comparison) -> Grid:
    """Settings in the order in which they were begun: what was changed from each to the next, and what it did."""
    rows = sorted(comparison.rows, key=started)
    headings = ["started", "n", "changed"]
    for metric in comparison.metrics:
        headings += [heading(metric), _("change")]
    best = [comparison.best(number) for number in range(len(comparison.metrics))]
    grid: list[list[Text]] = []
    before: Row | None = None
    for row in rows:
        cells = [Text(started(row).replace("T", " ").removesuffix("Z")[:16] or "–"), Text(_counted(row))]
        cells.append(Text(_changed(before, row, comparison.columns)))
        for number, metric in enumerate(comparison.metrics):
            cell = row.cells[number]
            cells.append(_measured(cell, cell.mean == best[number] and len(rows) > 1, intervals=False)[0])
            moved = cell.mean - before.cells[number].mean if before else math.nan
            sign = "" if moved == 0 else "+" if moved > 0 else "−"
            cells.append(Text("" if math.isnan(moved) else f"{sign}{scale(metric).value(abs(moved))}"))
        grid.append(cells)
        before = row
    return Grid(headings, grid)


def started(row: Row) -> str:
    """When the first of a row's trials began, in ISO 8601; empty before."""
    return min((trial.started for trial in row.trials if trial.started), default="")


def _changed(before: Row | None, row: Row, columns: Mapping[str, str]) -> str:
    """``depth 2 → 3, dropout 0 → 0.1``; of the first row all that later rows change."""
    if before is None:
        return ", ".join(f"{name} {shown(row.value(path))}" for path, name in columns.items()) or _("the only setting")
    moved = [
        f"{name} {shown(before.value(path))} → {shown(row.value(path))}"
        for path, name in columns.items()
        if _differ(before.value(path), row.value(path))
    ]
    if not moved and before.pooled.engine != row.pooled.engine:
        moved = [f"engine {before.pooled.engine} → {row.pooled.engine}"]
    return ", ".join(moved) or _("nothing that the table shows")


def _differ(one: Any, other: Any) -> bool:
    return (one is ABSENT) != (other is ABSENT) or one != other
