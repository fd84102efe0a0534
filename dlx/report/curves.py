"""The curves of one trial, small enough that a hundred trials fit in a page."""

from __future__ import annotations

from dataclasses import dataclass

from dlx.analysis.trials import Tables
from dlx.drawing.norms import after_epochs, norms
from dlx.drawing.subjects import Group, Run, rows_of_stage, thinned
from dlx.errors import DlxError, ResultsError
from dlx.records.reader import Rows

DIGITS = 4
NUMBERS = 120_000
"""About as many numbers as the curves of all trials of a page may have."""
FEWEST, MOST = 24, 200
"""Points of a curve, between which that is shared out."""
_PARTS = ("train", "val", "test")

Column = list[float | int | None]


@dataclass(frozen=True)
class Curves:
    """Columns by name, all of one length: ``epoch`` and what was measured.

    ``metrics``: ``train_accuracy``, ``val_loss``, …; ``gradients``: the norm of ``parameter`` of each
    layer by its number, or of each block of a deep net by its name. Empty where nothing was recorded.
    """

    metrics: dict[str, Column]
    gradients: dict[str, Column]
    parameter: str = ""


def curves_of(tables: Tables, trials: int) -> Curves:
    """The curves of a trial's last stage; ``trials``: how many share the page.

    A table that is damaged has none: what is wrong with it is said elsewhere.
    """
    try:
        rows = tables.get("metrics")
    except ResultsError:
        rows = None
    return Curves(_metrics(rows, trials) if rows is not None else {}, *_gradients(tables, trials))


def _points(trials: int, series: int) -> int:
    return max(FEWEST, min(MOST, NUMBERS // max(1, trials * (series + 1))))


def _metrics(rows: Rows, trials: int) -> dict[str, Column]:
    quality = next((name for name in ("accuracy", "rmse") if f"train_{name}" in rows.columns), None)
    wanted = [f"{part}_{name}" for name in (quality, "loss") if name for part in _PARTS]
    columns = {name: rows.floats(name) for name in wanted if name in rows.columns}
    columns = {name: column for name, column in columns.items() if any(value is not None for value in column)}
    if not columns:
        return {}
    positions = thinned(rows_of_stage(rows, None), _points(trials, len(columns)))
    epochs = rows.ints("epoch")
    found: dict[str, Column] = {"epoch": [epochs[at] for at in positions]}
    return found | {name: [_short(column[at]) for at in positions] for name, column in columns.items()}


def _gradients(tables: Tables, trials: int) -> tuple[dict[str, Column], str]:
    """The norms that ``dlx plot learning-speed`` draws of the trial, and of which parameter they are."""
    try:
        found = norms([Group("", (Run("", 0, tables),))], None, None, None).together()
    except (DlxError, ValueError):  # nothing was recorded, or the table is damaged
        return {}, ""
    trial = found.trials[0][0]
    steps = after_epochs(trial)
    layers = found.layers or sorted({layer for _epoch, _step, layer in trial})
    epochs = thinned(sorted(steps), _points(trials, len(layers)))
    columns: dict[str, Column] = {"epoch": list(epochs)}
    for layer in layers:
        columns[str(layer)] = [_short(trial.get((epoch, steps[epoch], layer))) for epoch in epochs]
    return columns, found.parameter


def _short(value: float | None) -> float | None:
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e6 else short
