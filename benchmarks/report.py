"""The table that a run ends with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Bound = Literal["≥", "≤", "<"]


@dataclass(frozen=True)
class Figure:
    """One line: what was measured, for dlx and for what it is compared with, and what was promised.

    ``value`` is what the promise is about, in ``unit``, None where it could not be measured;
    without ``target`` it is only reported.
    """

    group: str
    what: str
    dlx: str
    against: str
    value: float | None
    unit: Literal["×", "%", "s"]
    bound: Bound | None = None
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the promise is kept."""
        if self.target is None or self.value is None:
            return None
        return {"≥": self.value >= self.target, "≤": self.value <= self.target, "<": self.value < self.target}[
            self.bound or "≤"
        ]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "met": self.met}

    def cells(self) -> list[str]:
        """As it stands in the table."""
        target = "" if self.target is None else f"{self.bound} {self.target:g}{_unit(self.unit)}"
        verdict = {None: "", True: "yes", False: "**no**"}[self.met]
        return [self.what, self.dlx, self.against, self._shown(), target, verdict]

    def _shown(self) -> str:
        if self.value is None:
            return "not yet measured"
        digits = 1 if self.unit == "×" and self.value >= 10 else 2
        return f"{self.value:.{digits}f}{_unit(self.unit)}"


HEADER = ["what", "dlx", "compared with", "figure", "target", "met"]


def _unit(unit: str) -> str:
    return unit if unit == "×" else f" {unit}"


def markdown(figures: Sequence[Figure]) -> str:
    """A Markdown table, columns aligned, with the notes below it."""
    notes = list(dict.fromkeys(figure.note for figure in figures if figure.note))
    rows = [HEADER]
    for figure in figures:
        cells = figure.cells()
        rows.append([f"{cells[0]} [{notes.index(figure.note) + 1}]" if figure.note else cells[0], *cells[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    table = [line(rows[0]), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows[1:])]
    return "\n".join([*table, *(f"\n[{number}] {note}" for number, note in enumerate(notes, start=1))])


def microseconds(seconds: float) -> str:
    """A time of a step: µs, or ms where that is easier to read."""
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
