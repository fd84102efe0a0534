"""Reads the tables that trials leave, by column name.

Any bytes give a table or a :class:`~dlx.errors.ResultsError`, in time and memory
proportional to a bounded size. Columns that this version does not know are there like any
other; a row that was being written is left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dlx.errors import ResultsError, nearest
from dlx.records.cells import parse_text, split_rows

LIMIT = 256 * 2**20
"""The largest table read unless told otherwise, in bytes."""

_MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Rows:
    """A table in memory: per column its cells as they stand in the file, row by row.

    ``torn`` tells that the file ended in the middle of a row, as after a crash or while
    another process writes.
    """

    path: Path
    cells: dict[str, list[str]]
    torn: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names in the file's order."""
        return tuple(self.cells)

    def __len__(self) -> int:
        return len(next(iter(self.cells.values())))

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Each row as cells by column."""
        for values in zip(*self.cells.values(), strict=True):
            yield dict(zip(self.cells, values, strict=True))

    def column(self, name: str) -> list[str]:
        """The cells of a column as they stand. Raises :class:`~dlx.errors.ResultsError` for a name it has not."""
        try:
            return self.cells[name]
        except KeyError:
            raise ResultsError(
                f"{self.path} has no column {name!r}", hint=nearest(name, self.cells), path=self.path
            ) from None

    def texts(self, name: str) -> list[str]:
        """A column of text, without what was added against spreadsheets."""
        return [parse_text(cell) for cell in self.column(name)]

    def floats(self, name: str) -> list[float | None]:
        """A column of numbers, None where a cell is empty.

        Raises :class:`~dlx.errors.ResultsError` for anything else.
        """
        return [self._number(cell, name, row) for row, cell in enumerate(self.column(name))]

    def ints(self, name: str) -> list[int | None]:
        """A column of whole numbers; None where a cell is empty. Raises as :meth:`floats` does."""
        whole: list[int | None] = []
        for row, cell in enumerate(self.column(name)):
            number = self._number(cell, name, row)
            if number is not None and (not cell.lstrip("-").isdecimal()):
                raise self._not_a_number(cell, name, row)
            whole.append(None if number is None else int(cell))
        return whole

    def _number(self, cell: str, name: str, row: int) -> float | None:
        if not cell:
            return None
        try:
            if "_" not in cell and len(cell) <= 64:
                return float(cell)
        except ValueError:
            pass
        raise self._not_a_number(cell, name, row)

    def _not_a_number(self, cell: str, name: str, row: int) -> ResultsError:
        return ResultsError(
            f"{self.path}, row {row + 1}, column {name!r}: {cell[:64]!r} is not a number", path=self.path
        )


def read_table(path: Path, limit: int = LIMIT) -> Rows:
    """The whole rows of a table.

    Raises :class:`~dlx.errors.ResultsError` for a file that is missing, unreadable,
    longer than ``limit`` bytes, or no table.
    """
    return parse_table(read_content(path, limit), path)


def read_content(path: Path, limit: int = LIMIT) -> bytes:
    """The bytes of a table. Raises :class:`~dlx.errors.ResultsError` where it cannot be read or is too long."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}", path=path) from error
    if len(content) > limit:
        raise ResultsError(f"{path} is larger than {limit:,} bytes", path=path)
    return content


def parse_table(content: bytes, path: Path) -> Rows:
    """The table that ``content`` is; ``path`` only names it in messages. Raises as :func:`read_table` does."""
    whole, torn = _whole_rows(content)
    try:
        text = whole.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path} is not a table: byte {error.start} is not UTF-8", path=path) from None
    columns = _quoted_columns if '"' in text or "\r" in text else _plain_columns
    return Rows(path, columns(text, path), torn)


def _whole_rows(content: bytes) -> tuple[bytes, bool]:
    end = sum(map(len, split_rows(content))) if b'"' in content else content.rfind(b"\n") + 1
    return content[:end], end < len(content)


def _names(header: list[str], path: Path) -> list[str]:
    """The column names in a header. Raises :class:`~dlx.errors.ResultsError` for one that is none."""
    names = [parse_text(name) for name in header]
    if not header or len(names) > _MOST_COLUMNS:
        raise ResultsError(f"{path} is not a table: it has {len(names) or 'no'} columns", path=path)
    if len(set(names)) != len(names):
        raise ResultsError(f"{path} is not a table: two columns have one name", path=path)
    return names


def _plain_columns(text: str, path: Path) -> dict[str, list[str]]:
    """Cells by column, where none is quoted: all are split at once, which takes a third of the time of row by row."""
    header, *rows = text.split("\n")[:-1] or [""]
    names = _names(header.split(",") if text else [], path)
    commas = len(names) - 1
    for number, row in enumerate(rows, start=1):
        if row.count(",") != commas:
            raise _wrong_width(path, number, row.count(",") + 1, len(names))
    cells = ",".join(rows).split(",") if rows else []
    return {name: cells[column :: len(names)] for column, name in enumerate(names)}


def _quoted_columns(text: str, path: Path) -> dict[str, list[str]]:
    """Cells by column of RFC 4180's form in full."""
    lines = _quoted_rows(text, path)
    names = _names(next(lines, []), path)
    columns: list[list[str]] = [[] for _ in names]
    for number, row in enumerate(lines, start=1):
        if len(row) != len(names):
            raise _wrong_width(path, number, len(row), len(names))
        for column, cell in zip(columns, row, strict=True):
            column.append(cell)
    return dict(zip(names, columns, strict=True))


def _wrong_width(path: Path, number: int, cells: int, columns: int) -> ResultsError:
    return ResultsError(f"{path}, row {number}: {cells} cells for {columns} columns", path=path)


def _quoted_rows(text: str, path: Path) -> Iterator[list[str]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise ResultsError(f"{path}, line {rows.line_num}: {error}", path=path) from None
        yield row or [""]
