"""The curves of one trial, small enough that a hundred trials fit in a page."""

from __future__ import annotations

from dataclasses import dataclass

from dlx.analysis.trials import Tables
from dlx.drawing.subjects import rows_of_stage, thinned
from dlx.errors import ResultsError
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

    ``metrics``: ``train_accuracy``, ``val_loss``, …; ``gradients``: the norm of each layer by
    its number, of ``parameter``, from ``source``. Empty where nothing was recorded.
    """

    metrics: dict[str, Column]
    gradients: dict[str, Column]
    parameter: str = ""


def curves_of(tables: Tables, trials: int) -> Curves:
    """The curves of a trial's last stage; ``trials``: how many share the page.

    A table that is damaged has none: what is wrong with it is said elsewhere.
    """
    metrics, gradients = _read(tables, "metrics"), _read(tables, "gradients")
    found = _metrics(metrics, trials) if metrics is not None else {}
    norms, parameter = _gradients(gradients, trials) if gradients is not None else ({}, "")
    return Curves(found, norms, parameter)


def _read(tables: Tables, name: str) -> Rows | None:
    try:
        return tables.get(name)
    except ResultsError:
        return None


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


def _gradients(rows: Rows, trials: int) -> tuple[dict[str, Column], str]:
    """Of the bias where there is one, of the fixed sample where it was taken: as ``dlx plot learning-speed``."""
    positions = rows_of_stage(rows, None)
    source, parameter = rows.column("source"), rows.column("parameter")
    layer, epoch, norm = rows.column("layer"), rows.column("epoch"), rows.column("grad_norm")
    kinds = {(source[at], parameter[at]) for at in positions if layer[at]}
    order = [(origin, name) for origin in ("probe", "train") for name in ("bias", "kernel", "all")]
    kind = next((kind for kind in order if kind in kinds), None)
    if kind is None:
        return {}, ""
    points: dict[int, dict[str, str]] = {}
    for at in positions:
        if (source[at], parameter[at]) == kind and layer[at]:
            points.setdefault(int(epoch[at]), {}).setdefault(layer[at], norm[at])
    layers = sorted({name for point in points.values() for name in point}, key=int)
    epochs = thinned(sorted(points), _points(trials, len(layers)))
    found: dict[str, Column] = {"epoch": list(epochs)}
    for name in layers:
        found[name] = [_number(points[at].get(name, "")) for at in epochs]
    return found, kind[1]


def _number(cell: str) -> float | None:
    try:
        return _short(float(cell)) if cell else None
    except ValueError:
        return None


def _short(value: float | None) -> float | None:
    if value is None or value != value or value in (float("inf"), float("-inf")):
        return None
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e6 else short
