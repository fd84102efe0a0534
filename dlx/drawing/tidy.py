"""The numbers of a chart before it is drawn: one row per thing to be drawn, one column per quantity."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlx.records.cells import format_row, format_text

Value = str | int | float | bool | None

DIGITS = 6
"""Significant digits in a picture's data; more cannot be seen, and make a file larger. ``--data`` has them all."""


@dataclass(frozen=True)
class Tidy:
    """A table of a fixed set of columns; a row is a mapping to :data:`Value`, and what it leaves out is empty.

    ``axes`` are the columns that tell settings apart, as ``depth``. ``caption``: a sentence that
    says what is drawn: the text alternative of the picture. ``subtitle``: the short form under
    a slide's title. ``notes``: what was left out, for stderr. ``heading``: in
    place of the kind's own, where that depends on the numbers. ``orders``: of columns whose
    values have an order of their own, all values in it.
    """

    columns: tuple[str, ...]
    rows: Sequence[dict[str, Any]]
    axes: tuple[str, ...] = ()
    caption: str = ""
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    heading: str = ""
    orders: Mapping[str, Sequence[Value]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Of a parameter with numbers and words for values (batch_size: full, 50) all are words: a scale has one type.
        mixed = [
            axis
            for axis in self.axes
            if len({isinstance(row[axis], str) for row in self.rows if row.get(axis) is not None}) > 1
        ]
        if mixed:
            said = [{axis: str(row[axis]) for axis in mixed if row.get(axis) is not None} for row in self.rows]
            rows = [{**row, **words} for row, words in zip(self.rows, said, strict=True)]
            object.__setattr__(self, "rows", rows)

    def csv(self) -> str:
        """The table as CSV, numbers in full."""
        lines = [format_row(map(format_text, self.columns))]
        lines += [format_row(_cell(row.get(column)) for column in self.columns) for row in self.rows]
        return "".join(lines)

    def values(self) -> list[dict[str, Value]]:
        """The rows as a chart takes them: rounded, what is infinite or not a number left empty."""
        return [{column: _drawn(row.get(column)) for column in self.columns} for row in self.rows]

    def distinct(self, column: str) -> list[Any]:
        """The values of a column, each once, in their order or that of appearance; empty cells left out."""
        found = dict.fromkeys(row[column] for row in self.rows if row.get(column) is not None)
        return [value for value in self.orders.get(column, found) if value in found]

    def numbers(self, *columns: str) -> list[float]:
        """All finite numbers of some columns."""
        found = (row.get(column) for column in columns for row in self.rows)
        return [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]


def _cell(value: Value) -> str:
    """In double precision, as means are; the tables of a trial hold what is single."""
    if value is None:
        return ""
    return format_text(value) if isinstance(value, str) else str(value)


def _drawn(value: Value) -> Value:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean; not a number of none."""
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan


def geometric_mean(values: Iterable[float]) -> float:
    """The mean on a logarithmic axis, of positive values; not a number of none."""
    known = list(values)
    if len(known) == 1:
        return known[0]  # the way through the logarithm would not come back to the last bit
    return math.exp(mean(map(math.log, known))) if known else math.nan
