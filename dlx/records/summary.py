"""A finished trial's numbers for ``trials.csv``, taken from its tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dlx.errors import ResultsError
from dlx.records.reader import Rows, read_table
from dlx.records.tables import GRADIENTS, METRICS

_MEASURE = re.compile(r"(train|val|test)_\w+")
_NORMS = ("bias", "kernel")


def summarise(directory: Path) -> dict[str, Any]:
    """The last metrics, and per layer the first and last gradient norms over the probe sample.

    Of the last stage in each table. Names are those of the columns of ``trials.csv``
    (``val_accuracy``, ``grad_bias_first_1``, …); a table that is missing or not readable
    adds nothing.
    """
    summary: dict[str, Any] = {}
    for table, taken in ((METRICS, _last_metrics), (GRADIENTS, _gradient_norms)):
        try:
            rows = read_table(directory / table.file_name)
            if len(rows):
                summary |= taken(rows)
        except ResultsError:
            continue
    return summary


def _last_metrics(rows: Rows) -> dict[str, Any]:
    measures = [name for name in rows.columns if _MEASURE.fullmatch(name)]
    return {"epochs": rows.ints("epoch")[-1], **{name: rows.floats(name)[-1] for name in measures}}


def _gradient_norms(rows: Rows) -> dict[str, Any]:
    columns = [rows.column(name) for name in ("stage", "source", "parameter", "layer", "epoch", "step", "grad_norm")]
    stage = columns[0][-1]
    norms: dict[str, str] = {}
    first: tuple[str, str] | None = None
    last: tuple[str, str] | None = None
    for at, source, parameter, layer, epoch, step, norm in zip(*columns, strict=True):
        if at != stage or source != "probe" or parameter not in _NORMS or not layer:
            continue
        record = (epoch, step)
        first = first or record
        if record != last:
            last = record
            norms = {name: value for name, value in norms.items() if "_first_" in name}
        # A normalisation's or pooling's parameters count with the layer before, which comes first and is the one meant.
        if record == first:
            norms.setdefault(f"grad_{parameter}_first_{layer}", norm)
        norms.setdefault(f"grad_{parameter}_last_{layer}", norm)
    return {name: float(norm) if norm else None for name, norm in norms.items()}
