"""Writes a trial's tables: rows are appended, reach the system at once, and are never rewritten.

A checkpoint remembers how far each table had come (:meth:`Recorder.positions`). Continuing
from it takes the tables back to there; the rows past it are kept in ``<table>.csv.tail`` and
compared with those that training derives again. When they all came out equal the file goes;
a row that differs is reported and the former rows stay in ``<table>.csv.tail.<n>``.

Taking a table back writes it anew and renames, which also cuts off the descriptor of a
process that believes it still owns the trial.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dlx.errors import TrialError
from dlx.records import atomic
from dlx.records.cells import Cell, split_rows
from dlx.records.tables import Table

_BLOCK = 1 << 20
_RESTART = "the trial cannot be continued: --restart begins it again"


@dataclass(frozen=True)
class Position:
    """How far a table had come: its length in bytes and rows (header not counted) and the hash of those bytes."""

    bytes: int
    rows: int
    sha256: str


class Recorder:
    """The tables of one trial, open for appending.

    ``positions`` are those of the checkpoint that training continues from (None: from the
    beginning, also where earlier attempts left rows). ``report`` is told in a sentence of
    every difference between rows recorded before and derived now. Raises
    :class:`~dlx.errors.TrialError` naming the file where a table is not what the checkpoint
    says, or cannot be written.
    """

    def __init__(
        self,
        directory: Path,
        tables: Iterable[Table],
        positions: Mapping[str, Mapping[str, Any]] | None = None,
        report: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.directory = directory
        self._files: dict[str, _TableFile] = {}
        try:
            for table in tables:
                position = None
                if positions is not None:
                    if table.name not in positions:
                        raise TrialError(f"the checkpoint knows no {directory / table.file_name}", hint=_RESTART)
                    position = Position(**positions[table.name])
                self._files[table.name] = _TableFile(directory, table, position, report)
        except BaseException:
            self.close()
            raise

    def append(self, table: Table, rows: Iterable[Mapping[str, Cell]]) -> None:
        """Append rows, given as values by column; one write per call, with the system when this returns.

        Raises :class:`~dlx.errors.TrialError` when there is no room; the table then ends with a whole row.
        """
        self._files[table.name].append([table.row(dict(row)) for row in rows])

    def __contains__(self, table: Table) -> bool:
        return table.name in self._files

    def positions(self) -> dict[str, dict[str, Any]]:
        """The position of every table by name, ready for JSON, once all rows are on the disk."""
        return {name: asdict(file.sync()) for name, file in self._files.items()}

    def finish(self) -> None:
        """Close the tables of a trial that is done: rows recorded before and not derived again are reported."""
        try:
            for file in self._files.values():
                file.finish()
        finally:
            self.close()

    def close(self) -> None:
        """Close the tables of a trial that will be continued; a second call does nothing."""
        for file in self._files.values():
            file.close()


class _TableFile:
    """One table: the open file, its position, and the earlier rows yet to be derived again."""

    def __init__(self, directory: Path, table: Table, position: Position | None, report: Callable[[str], None]) -> None:
        self.table = table
        self.path = directory / table.file_name
        self.report = report
        self.tail = _Tail(self.path)
        self._descriptor: int | None = None
        self._hash = hashlib.sha256()
        existed = self.path.exists()
        self._on_disk = existed or position is not None  # a new file may be lost with a power cut until the first sync
        with atomic.explained("read", self.path):
            self._take_back(position, existed)
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with atomic.explained("write", self.path):
            self._descriptor = os.open(self.path, flags)

    def _take_back(self, position: Position | None, existed: bool) -> None:
        """Leave exactly what the position covers in the table, and the whole rows past it in the tail."""
        header = self.table.header
        if not existed:
            if position is not None:
                raise TrialError(f"{self.path} is gone", hint=_RESTART)
            self._keep_tail(0, [])
            self._hash.update(header)
            self.bytes, self.rows = len(header), 0
            atomic.write_bytes(self.path, header, durable=False)
            return
        self.bytes, self.rows = (len(header), 0) if position is None else (position.bytes, position.rows)
        with atomic.replacing(self.path) as new, self.path.open("rb") as old:
            found = old.read(len(header))
            if found != header and (position is not None or not header.startswith(found)):
                raise TrialError(f"{self.path} has other columns than this trial writes", hint=_RESTART)
            size = os.fstat(old.fileno()).st_size
            if position is not None and size < self.bytes:
                sentence = f"{self.path} has {size} bytes where the checkpoint recorded {self.bytes}: rows were lost"
                raise TrialError(sentence, hint=_RESTART)
            old.seek(len(header))
            for block in itertools.chain([header], _blocks(old, self.bytes - len(header))):
                new.write(block)
                self._hash.update(block)
            if position is not None and self._hash.hexdigest() != position.sha256:
                raise TrialError(f"{self.path} was changed since the checkpoint recorded it", hint=_RESTART)
            self._keep_tail(self.rows, split_rows(old.read()))

    def _keep_tail(self, first: int, rows: list[bytes]) -> None:
        """Keep the table's rows from number ``first`` on, and what an earlier interruption left beyond them."""
        earlier = _Tail(self.path)
        if not earlier.read():
            self.report(f"{earlier.set_aside()} is damaged: the rows in it are not compared")
        end = first + len(rows)
        if earlier.rows and earlier.first > end:
            aside = earlier.set_aside()
            lost = f"rows {end + 1} to {earlier.first} were lost"
            self.report(f"{self.path}: {lost}; those after them are in {aside.name}")
        for number in range(max(first, earlier.first), min(end, earlier.end)):
            if self._differs(earlier, number, rows[number - first]):
                break
        self.tail.write(first, rows + earlier.rows[max(0, end - earlier.first) :])

    def append(self, rows: list[bytes]) -> None:
        if not rows:
            return
        content = b"".join(rows)
        assert self._descriptor is not None, "the recorder is closed"
        with atomic.explained("append to", self.path):
            try:
                written = os.write(self._descriptor, content)
                while written < len(content):
                    written += os.write(self._descriptor, content[written:])
            except BaseException:
                with contextlib.suppress(OSError):  # the half row would be cut on resumption all the same
                    os.truncate(self.path, self.bytes)
                raise
        self._hash.update(content)
        self.bytes += len(content)
        for row in rows:
            self._differs(self.tail, self.rows, row)
            self.rows += 1
        if self.tail.rows and self.rows >= self.tail.end:
            self.sync()  # only then may the other copy of these rows go
            self.tail.remove()

    def _differs(self, tail: _Tail, number: int, row: bytes) -> bool:
        """Whether a row is not what the tail has in its place; if so, it is reported and the tail set aside."""
        before = tail.row(number)
        if not self.table.reproducible or before is None or before == row:
            return False
        self.report(
            f"{self.path}, row {number + 1}: {_shown(before)} was recorded before the interruption, "
            f"{_shown(row)} now; the former rows are kept in {tail.path.name}.1 or the next free number"
        )
        tail.set_aside()  # after the report: whoever is killed in between reports twice rather than never
        return True

    def sync(self) -> Position:
        assert self._descriptor is not None, "the recorder is closed"
        with atomic.explained("write", self.path):
            os.fsync(self._descriptor)
            if not self._on_disk:
                atomic.sync_directory(self.path.parent)
                self._on_disk = True
        return Position(self.bytes, self.rows, self._hash.hexdigest())

    def finish(self) -> None:
        self.sync()
        if self.tail.rows and self.table.reproducible:
            missing = self.tail.end - self.rows
            self.report(
                f"{self.path}: {missing} rows recorded before the interruption were not derived again; "
                f"they are kept in {self.tail.path.name}.1 or the next free number"
            )
            self.tail.set_aside()
        elif self.tail.rows:
            self.tail.remove()

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _Tail:
    """``<table>.csv.tail``: rows past a checkpoint, from row number ``first`` on (the file's first line says which)."""

    def __init__(self, table_path: Path) -> None:
        self.path = table_path.with_name(table_path.name + ".tail")
        self.first = 0
        self.rows: list[bytes] = []

    @property
    def end(self) -> int:
        return self.first + len(self.rows)

    def row(self, number: int) -> bytes | None:
        index = number - self.first
        return self.rows[index] if 0 <= index < len(self.rows) else None

    def read(self) -> bool:
        """Take in what is on the disk, if anything; False where it makes no sense."""
        if not self.path.exists():
            return True
        with atomic.explained("read", self.path):
            head, _, content = self.path.read_bytes().partition(b"\n")
        try:
            self.first = int(json.loads(head)["first_row"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        self.rows = split_rows(content)
        return True

    def write(self, first: int, rows: list[bytes]) -> None:
        """Become these rows, on the disk as well."""
        if rows:
            content = json.dumps({"first_row": first}).encode() + b"\n" + b"".join(rows)
            atomic.write_bytes(self.path, content)
        else:
            self.remove()
        self.first, self.rows = first, rows

    def remove(self) -> None:
        with atomic.explained("remove", self.path):
            self.path.unlink(missing_ok=True)
        self.rows = []

    def set_aside(self) -> Path:
        """Take the file out of the comparison but keep it; gives where."""
        with atomic.explained("rename", self.path):
            aside = atomic.set_aside(self.path)
        self.rows = []
        return aside


def _blocks(file: Any, count: int) -> Iterable[bytes]:
    while count > 0 and (block := file.read(min(_BLOCK, count))):
        count -= len(block)
        yield block


def _shown(row: bytes) -> str:
    return repr(row.decode("utf-8", "replace").rstrip("\n"))
