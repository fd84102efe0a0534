"""A column of a table epoch by epoch: which rows of it are meant, and their numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from dlx.analysis.conditions import split
from dlx.analysis.trials import End, Tables
from dlx.blocks import Together, blocks_of, within
from dlx.errors import UsageError
from dlx.records.reader import Rows
from dlx.records.tables import ACTIVATIONS, GRADIENTS, TIMING

_PLACE = ("stage", "epoch", "step")
_ABOUT = ("layer", "name", "parameter", "source", "quantity", "index", "unit", "id", "label", "stage")
_SERIES = re.compile(r"(?:([A-Za-z_]\w*)\.)?([A-Za-z_]\w*)\s*(?:\[(.*)\])?", re.DOTALL)
_PICK = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.+)", re.DOTALL)
_HOME = {
    column: table.name
    for table in (TIMING, ACTIVATIONS, GRADIENTS)
    for column in table.columns
    if column not in (*_PLACE, "layer", "name", "parameter", "source")
}
"""The table of the columns that need none named, because a probe of dlx has them."""

LAYER, WORD, BLOCK = "layer", "", "block"
"""What picks rows besides a column's name: a layer by its number, a word that stands in any text column, a block."""


class Absent(Exception):  # no error: a trial may well not have been asked for it
    """A trial does not have what a metric asks for, and why."""


Shorthand = Literal["last", "init"]


@dataclass(frozen=True)
class Series:
    """A column of a table, and what picks its rows: (column, cell), (:data:`WORD`, cell), or (``layer``, number)."""

    text: str
    table: str
    column: str
    picks: tuple[tuple[str, str], ...] = ()

    def by_epoch(self, tables: Tables, end: End | None = None) -> dict[int, Callable[[], float]]:
        """Per epoch, what gives its number: that of the record that follows it.

        Where a probe records within epochs, the others come later than the epoch says. ``end``: only
        the first epoch is wanted, or the last with its last record; others may be missing. Raises
        :class:`Absent` where the trial has none, :class:`~dlx.errors.UsageError` where several
        rows of a record are meant.
        """
        rows = tables.get(self.table, end)
        if rows is None:
            raise Absent(tables.absence(self.table))
        picked = ("name" if name == BLOCK else name for name, _ in self.picks if name != WORD)
        for column in (self.column, "epoch", *picked):
            if column not in rows.cells:
                raise Absent(f"{self.table}.csv has no column {column!r}")
        chosen = self._chosen(rows)
        if not chosen:
            raise Absent(f"{self.table}.csv has no row of {self._picked()}")
        if end:  # the others are not looked at: of ten thousand trials that is most of the time
            epochs = rows.cells["epoch"]
            wanted = epochs[chosen[0 if end == "first" else -1]]
            chosen = [row for row in chosen if epochs[row] == wanted]
        if any(name == BLOCK for name, _ in self.picks):
            return self._mean_of_each_epoch(rows, self._one_record(rows, chosen, end))
        return self._one_of_each_epoch(rows, self._one_record(rows, chosen, end))

    def _one_record(self, rows: Rows, chosen: Sequence[int], end: End | None) -> Sequence[int]:
        """Of each epoch the rows of one record: the first, or of the ``last`` epoch the last."""
        if "step" not in rows.cells:
            return chosen
        steps, epochs = rows.cells["step"], rows.cells["epoch"]
        wanted: dict[str, str] = {}
        for row in chosen if end == "last" else reversed(chosen):
            wanted[epochs[row]] = steps[row]
        return [row for row in chosen if steps[row] == wanted[epochs[row]]]

    def _mean_of_each_epoch(self, rows: Rows, chosen: Sequence[int]) -> dict[int, Callable[[], float]]:
        """Of a block's layers together: their geometric mean in each epoch."""
        epochs = rows.cells["epoch"]
        members: dict[int, list[int]] = {}
        for row in chosen:
            members.setdefault(int(epochs[row]), []).append(row)
        for together in members.values():
            for one, other in itertools.pairwise(together):
                self._check_layers(rows, one, other)
        cells = rows.cells[self.column]
        return {epoch: _Mean(self, tuple((cells[row], row) for row in found)) for epoch, found in members.items()}

    def _check_layers(self, rows: Rows, one: int, other: int) -> None:
        differ = [name for name in _identity(rows) if rows.cells[name][one] != rows.cells[name][other]]
        if differ and not set(differ) <= {"name", LAYER}:
            self._check_one(rows, one, other)

    def _chosen(self, rows: Rows) -> Sequence[int]:
        """The rows that are picked, of the last stage there is among them."""
        chosen: Sequence[int] = range(len(rows))
        picks = list(self.picks)
        if self.table == GRADIENTS.name:
            picks += _usual_gradient(rows, self.column, picks)
        for name, cell in picks:
            if name == BLOCK:
                names = rows.cells["name"]
                meant = {name for name, block in blocks_of(names).items() if within(block, cell)}
                chosen = [row for row in chosen if names[row] in meant]
                continue
            wanted = _layer(rows, cell) if name == LAYER else cell
            if name:
                column = rows.cells[name]
                chosen = [row for row in chosen if column[row] == wanted]
            else:
                columns = _naming(rows, wanted)
                chosen = [row for row in chosen if any(column[row] == wanted for column in columns)]
        stages = rows.cells.get("stage")
        if chosen and stages is not None and len(set(stages)) > 1:
            last = stages[chosen[-1]]
            chosen = [row for row in chosen if stages[row] == last]
        return chosen

    def _one_of_each_epoch(self, rows: Rows, chosen: Sequence[int]) -> dict[int, Callable[[], float]]:
        epochs = rows.cells["epoch"]
        at: dict[str, int] = {}
        for row in chosen:
            # A normalisation's parameters count with the layer before, which comes first.
            if (first := at.setdefault(epochs[row], row)) != row:
                self._check_one(rows, first, row)
        cells = rows.cells[self.column]
        numbers: dict[int, Callable[[], float]] = {}
        for epoch, row in at.items():
            if not epoch.isdecimal():
                raise Absent(f"{self.table}.csv has an epoch {epoch[:20]!r}")
            numbers[int(epoch)] = _Number(self, cells[row], row)
        return numbers

    def _check_one(self, rows: Rows, one: int, other: int) -> None:
        differ = [name for name in _identity(rows) if rows.cells[name][one] != rows.cells[name][other]]
        if differ == ["name"] and "layer" in rows.cells:
            return
        values = sorted({rows.cells[differ[0]][row] for row in (one, other)} if differ else ())
        example = (
            f"{self.table}.{self.column}[{', '.join([*_written(self.picks), f'{differ[0]}={values[0]}'])}]"
            if differ
            else None
        )
        raise UsageError(
            f"metric {self.text!r} names several rows of {rows.path}",
            hint=f"say which {' and '.join(differ)}, as in {example}" if differ else "they differ in nothing",
        )

    def _picked(self) -> str:
        return ", ".join(_written(self.picks)) or "its own"


@dataclass(frozen=True, slots=True)
class _Number:
    """The number in one cell, read when it is called: of sixty epochs mostly one is wanted."""

    series: Series
    cell: str
    row: int

    def __call__(self) -> float:
        if not self.cell:
            raise Absent(f"{self.series.text} was not measured")
        try:
            return float(self.cell)
        except ValueError:
            raise Absent(f"{self.series.table}.csv, row {self.row + 1}: {self.cell[:40]!r} is not a number") from None


@dataclass(frozen=True, slots=True)
class _Mean:
    """The geometric mean of numbers in cells, which one that is 0 or not finite decides."""

    series: Series
    cells: tuple[tuple[str, int], ...]

    def __call__(self) -> float:
        values = [_Number(self.series, cell, row)() for cell, row in self.cells]
        return Together("", tuple(range(len(values)))).mean(values)


def _naming(rows: Rows, word: str) -> list[list[str]]:
    """The columns in which a word may stand; that of stages only where no other has it: ``train`` is also a source."""
    others = [rows.cells[name] for name in _identity(rows) if name not in (LAYER, "stage")]
    having = [column for column in others if word in column]
    return having or [rows.cells["stage"]] if "stage" in rows.cells else having


def _identity(rows: Rows) -> list[str]:
    """The columns that say what a row is about."""
    return [name for name in _ABOUT if name in rows.cells]


def _layer(rows: Rows, number: str) -> str:
    """The cell of a layer; a negative number counts from the last one."""
    if not number.startswith("-"):
        return number
    layers = sorted({int(cell) for cell in rows.cells["layer"] if cell.isdecimal()})
    at = int(number)
    return str(layers[at]) if -at <= len(layers) else number


def _usual_gradient(rows: Rows, column: str, picks: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The rows of ``gradients.csv`` that are meant where nothing is said: biases, over the probe sample.

    Of a block kernels: layers of nets with blocks have no biases where a normalisation follows.
    """
    parameter = "kernel" if any(name == BLOCK for name, _ in picks) else "bias"
    usual = {"parameter": parameter, "source": "train" if column == "update_ratio" else "probe"}
    usual = {name: cell for name, cell in usual.items() if name in rows.cells}
    words = [cell for name, cell in picks if name == WORD]
    for name in list(usual):
        if any(pick == name for pick, _ in picks) or set(words) & set(rows.cells[name]):
            del usual[name]
    return list(usual.items())


def _written(picks: Sequence[tuple[str, str]]) -> list[str]:
    return [cell if name in (WORD, LAYER) else f"{name}={cell}" for name, cell in picks]


def parse_series(name: str, text: str, known: Sequence[str] = ()) -> tuple[Series, Shorthand]:
    """The series of a name, and when it is meant where nothing says so.

    ``text`` is the whole metric, ``known`` other names, for messages. Raises :class:`~dlx.errors.UsageError`.
    """
    found = _SERIES.fullmatch(name.strip())
    if found is None:
        raise UsageError(
            f"{text!r} is not a metric", hint=f"as in test_accuracy@best, grad_norm[1], {', '.join(known)}"
        )
    table, column, inside = found.groups()
    shorthand: Shorthand = "init" if table is None and column == "grad_norm" else "last"
    table = table or _HOME.get(column, "metrics")
    picks: list[tuple[str, str]] = []
    for part in split(inside) if inside is not None else ():
        part = part.strip()
        if re.fullmatch(r"-?\d{1,6}", part):
            picks.append((LAYER, str(int(part))))
        elif pick := _PICK.fullmatch(part):
            picks.append((pick[1], _unquoted(pick[2].strip())))
        elif part:
            picks.append((WORD, _unquoted(part)))
        else:
            raise UsageError(f"metric {text!r}: an empty place in the brackets")
    if len({pick[0] for pick in picks if pick[0]}) < len([pick for pick in picks if pick[0]]):
        raise UsageError(f"metric {text!r}: something is picked twice in the brackets")
    brackets = f"[{', '.join(_written_again(picks))}]" if picks else ""
    home = column if _HOME.get(column, "metrics") == table else f"{table}.{column}"
    return Series(f"{home}{brackets}", table, column, tuple(picks)), shorthand


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _written_again(picks: Sequence[tuple[str, str]]) -> list[str]:
    quoted = [(name, f'"{cell}"' if not re.fullmatch(r"[\w.-]+", cell) else cell) for name, cell in picks]
    return _written(quoted)


def columns_of(tables: Tables) -> list[str]:
    """What a trial could be asked for, for messages: columns of ``metrics.csv``, others with their table."""
    names: list[str] = []
    for table in tables.names():
        rows = tables.get(table)
        if rows is None:
            continue
        skip = {*_PLACE, *_ABOUT}
        names += [
            column if _HOME.get(column, "metrics") == table else f"{table}.{column}"
            for column in rows.columns
            if column not in skip
        ]
    return names
