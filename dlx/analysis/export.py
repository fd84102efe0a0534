"""A comparison for other programs: JSON with everything, CSV with every number in full."""

from __future__ import annotations

import math
from typing import Any

from dlx.analysis.comparison import Comparison
from dlx.analysis.differences import Against
from dlx.analysis.grid import csv_text
from dlx.analysis.measurements import Cell
from dlx.analysis.rows import Row
from dlx.analysis.sentences import footnote, sentence
from dlx.analysis.settings import ABSENT, shown
from dlx.analysis.tabulate import Try, tries


def as_json(comparison: Comparison, *, changes: bool = False) -> dict[str, Any]:
    """The content of what ``dlx compare --json`` prints; ``changes`` adds the diary."""
    return {
        "metrics": [{"metric": metric.text, "better": metric.better} for metric in comparison.metrics],
        "parameters": dict(comparison.columns),
        "rows": [_row(comparison, row) for row in comparison.rows],
        "differences": [_difference(comparison, one) for one in comparison.against],
        "footnote": footnote(comparison),
        "warnings": comparison.warnings,
        **({"changes": [_try(comparison, one) for one in tries(comparison)]} if changes else {}),
    }


def _row(comparison: Comparison, row: Row) -> dict[str, Any]:
    return {
        "label": row.label,
        "parameters": {path: _plain(row.value(path)) for path in comparison.columns},
        "engine": row.pooled.engine,
        "counts": row.pooled.counts,
        "metrics": {
            metric.text: _cell(row.cells[number]) for number, metric in enumerate(comparison.metrics)
        },
        "trials": [
            {
                "id": trial.id,
                "experiment": trial.experiment,
                "directory": str(trial.path),
                "seed": trial.seed,
                "repeat": trial.repeat,
                "fold": trial.fold,
                "engine": trial.engine or None,
                "state": trial.state,
                "reason": trial.reason,
                "values": {
                    metric.text: comparison.value(trial, number) for number, metric in enumerate(comparison.metrics)
                },
            }
            for trial in row.trials
        ],
    }  # fmt: skip


def _cell(cell: Cell) -> dict[str, Any]:
    estimate = cell.estimate
    return {
        "n": estimate.n if estimate else 0,
        "mean": estimate.mean if estimate else None,
        "std": estimate.std if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
        "missing": dict(cell.missing),
        **({"spread": dict(vars(cell.spread))} if cell.spread else {}),
    }


def _difference(comparison: Comparison, one: Against) -> dict[str, Any]:
    found = one.difference
    return {
        "metric": comparison.metrics[one.metric].text,
        "row": one.row.label,
        "baseline": one.baseline.label,
        "kind": found.kind if found else None,
        "n": list(found.n) if found else None,
        "difference": found.value if found else None,
        "low": found.low if found else None,
        "high": found.high if found else None,
        "p": found.p if found else None,
        "p_holm": found.holm if found else None,
        "comparisons": one.comparisons,
        "effect": found.effect if found else None,
        "effect_is": {"paired": "d_z", "welch": "hedges_g"}.get(found.kind) if found else None,
        "detected": found.detected if found else None,
        "seeds_needed": one.seeds_needed,
        "sentence": sentence(comparison, one),
    }


def _try(comparison: Comparison, one: Try) -> dict[str, Any]:
    return {
        "started": one.started or None,
        "label": one.row.label,
        "changed": {name: {"from": _plain(old), "to": _plain(new)} for name, old, new in one.changed},
        "metrics": {
            metric.text: {
                "mean": one.row.cells[number].mean,
                "change": None if math.isnan(one.moved[number]) else one.moved[number],
            }
            for number, metric in enumerate(comparison.metrics)
        },
    }


def _plain(value: Any) -> Any:
    return None if value is ABSENT else value


def as_csv(comparison: Comparison, decimal: str = ".") -> str:
    """One line per setting, every number in full: accuracies as fractions, as in the trials' tables."""
    headings = [*comparison.columns.values(), "engine", "trials", "done", "not_done"]
    for metric in comparison.metrics:
        headings += [metric.text] + [f"{metric.text} {name}" for name in _NUMBERS]
    rows = [headings]
    against = {(one.metric, id(one.row)): one for one in comparison.against}
    for row in comparison.rows:
        cells = ["" if row.value(path) is ABSENT else shown(row.value(path)) for path in comparison.columns]
        cells += [row.pooled.engine or "", str(len(row.trials)), str(row.done)]
        cells.append(" ".join(f"{count} {state}" for state, count in row.not_done.items()))
        for number in range(len(comparison.metrics)):
            cells += _numbers(row.cells[number], against.get((number, id(row))))
        rows.append(cells)
    return csv_text(rows, decimal)


_NUMBERS = ("n", "std", "low", "high", "difference", "difference_low", "difference_high", "p_holm", "effect")


def _numbers(cell: Cell, against: Against | None) -> list[str]:
    estimate, difference = cell.estimate, against.difference if against else None
    numbers: list[float | None] = [estimate.mean if estimate else None, estimate.n if estimate else 0]
    numbers += [estimate.std, estimate.low, estimate.high] if estimate else [None] * 3
    if difference:
        numbers += [difference.value, difference.low, difference.high, difference.holm, difference.effect]
    else:
        numbers += [None] * 5
    return ["" if number is None else f"{number:.10g}" for number in numbers]
