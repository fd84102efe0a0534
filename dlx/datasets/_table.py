"""A CSV file as columns, and one clear message for everything that such files get wrong.

pandas reads; what it would pass over in silence (short rows, a name that is there twice, a
file that is no text) is looked for here. Messages name the row (from 1, below the header)
and the line of the file.
"""

from __future__ import annotations

import contextlib
import csv
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import FieldError, nearest

if TYPE_CHECKING:
    import pandas as pd

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "?")
"""Cells that say that there is no value."""

MARKS = {"point": ".", "comma": ","}
"""What may stand before the decimals of a number, by name."""

_COMMAS = {ord(","): ".", ord("."): "\0"}
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "pipe": "|"}
_HEAD = 1 << 16
_MOST_NAMED = 12
_SIGNATURES = {
    b"PK\x03\x04": "is a zip archive or an Excel workbook: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook: save the sheet as CSV",
    b"\x1f\x8b": "is compressed: unpack it first",
    b"\x93NUMPY": "is a NumPy array: save it in an .npz and use the data set npz",
    b"PAR1": "is a Parquet file: save it as CSV",
}


@dataclass(frozen=True)
class Writing:
    """How a file is written: its separator (None: found from the first line), encoding, and names it does not have.

    ``decimal``: what stands before the decimals of a number.
    """

    separator: str | None = None
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    decimal: str = "."

    def numbers(self, texts: pd.Series) -> pd.Series:
        """What each text is as a number, NaN where it is none."""
        import pandas as pd

        # a point in a number that is written with a comma divides thousands: 1.000 is not 1
        marked = texts if self.decimal == "." else texts.str.translate(_COMMAS)
        return pd.to_numeric(marked, errors="coerce")

    @property
    def other(self) -> Writing:
        """The same with the other mark before decimals."""
        return replace(self, decimal="," if self.decimal == "." else ".")


@dataclass(frozen=True)
class Table:
    """The cells of a file, columns of text as categories; ``field`` of the spec names it."""

    path: str
    field: str
    writing: Writing
    separator: str
    frame: pd.DataFrame

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in the order of the file."""
        return tuple(self.frame.columns)

    def wrong(self, message: str, field: str | None = None) -> FieldError:
        """Something wrong with the file, told where the spec names it (or at another field)."""
        return FieldError(f"{self.path}: {message}", (field or self.field,))

    def place(self, row: int, column: str) -> str:
        """Where a cell stands: ``row 17 (line 18), column 'age'``; ``row`` counts from 0."""
        line = next((line for number, (line, _) in enumerate(self.records()) if number == row), None)
        return f"row {row + 1} (line {line}), column {column!r}" if line else f"row {row + 1}, column {column!r}"

    def cell(self, row: int, column: str) -> str:
        """The text of a cell as it stands in the file."""
        cells = next((cells for number, (_, cells) in enumerate(self.records()) if number == row), [])
        position = self.columns.index(column)
        return cells[position].strip() if position < len(cells) else ""

    def no_number(self, row: int, column: str) -> str:
        """Says that a cell is no number, and how it would be one."""
        import pandas as pd

        cell = self.cell(row, column)
        message = f"{self.place(row, column)}: {cell!r} is not a number"
        if self.writing.other.numbers(pd.Series([cell], dtype=str)).notna().all():
            name = next(name for name, mark in MARKS.items() if mark == self.writing.other.decimal)
            return f"{message} (decimal: {name} takes it as one)"
        return message

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """(line of the file, cells) of each row, by the standard library's reader; blank lines are no rows."""
        with Path(self.path).open(encoding=_encoding(self.writing), newline="") as stream:
            reader = _reader(stream, self.separator)
            rows = (
                (reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells) or len(cells) > 1
            )
            if self.writing.columns is None:
                next(rows, None)
            yield from rows

    def column(self, name: str, field: str) -> str:
        """``name`` if there is such a column; raises FieldError at ``field`` with the nearest ones."""
        if name in self.frame.columns:
            return name
        hint = nearest(name, self.columns[:_MOST_NAMED])
        numbers = self.writing.columns is None and sum(map(_is_number, self.columns)) > len(self.columns) / 2
        if numbers:
            hint = "the first line looks like data: give names with columns: [...]"
        elif len(self.columns) == 1:
            hint = f"there is a single one, {self.columns[0]!r}: is the separator right?"
        raise FieldError(f"there is no column {name!r} in {self.path} ({hint})", (field,))


@lru_cache(maxsize=2)
def read_table(version: tuple[str, int, int], field: str, writing: Writing, texts: frozenset[str]) -> Table:
    """A file by the version of it that is there; ``texts`` are columns that are categories whatever they hold.

    Raises :class:`~dlx.errors.FieldError`.
    """
    import pandas as pd

    path = version[0]

    def wrong(message: str) -> FieldError:
        return FieldError(f"{path}: {message}", (field,))

    head = _head(path, writing, wrong)
    told = texts & set(head.names)
    try:
        frame = None
        if not head.spaces and _encoding(writing) == "utf-8-sig":
            # Columns whose type is told, and spaces that are skipped, cost pandas a tenth of its time each.
            with contextlib.suppress(pd.errors.ParserError):
                frame = _frame(path, head, writing, told - head.texts, texts, spaces=False)
            if frame is not None and not _as_if_told(frame, told):
                frame = None
        if frame is None:
            frame = _frame(path, head, writing, told, texts, spaces=True)
    except pd.errors.ParserError as error:
        raise wrong(_told(str(error))) from None
    except UnicodeError:
        raise wrong(_where_not_text(path, writing)) from None
    except (OSError, ValueError, OverflowError) as error:
        raise wrong(f"cannot be read: {error}") from None
    if not len(frame):
        raise wrong("has a header and no rows")
    table = Table(path, field, writing, head.separator, frame)
    if frame[head.names[-1]].hasnans:
        _same_length(table)
    return table


@dataclass(frozen=True)
class _Head:
    """What the beginning of a file says: ``texts`` are columns in whose first row there is no number.

    ``spaces``: whether there is one.
    """

    separator: str
    names: tuple[str, ...]
    texts: frozenset[str]
    spaces: bool


def _frame(
    path: str, head: _Head, writing: Writing, told: frozenset[str], texts: frozenset[str], *, spaces: bool
) -> pd.DataFrame:
    """What pandas makes of a file, columns that are no numbers as categories.

    ``told`` are columns that pandas is told to be of text; ``spaces`` before cells are skipped.
    """
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.DtypeWarning)  # mixed columns are looked at, and told of
        frame = pd.read_csv(
            path,
            sep=head.separator,
            header=None if writing.columns else 0,
            names=list(head.names),
            encoding=_encoding(writing),
            dtype=dict.fromkeys(told, str) or None,
            keep_default_na=False,
            na_values=list(MISSING),
            skipinitialspace=spaces,
            decimal=writing.decimal,
        )
    for name, dtype in frame.dtypes.items():
        if pd.api.types.is_numeric_dtype(dtype):
            continue
        if name not in texts:
            frame[name] = _numbers(frame[name], writing)
        if not pd.api.types.is_numeric_dtype(frame[name]):
            # Looked at several times, for which pandas would compare every text each time.
            codes, found = pd.factorize(frame[name].to_numpy(object))
            frame[name] = pd.Categorical.from_codes(codes, found)
    return frame


def _as_if_told(frame: pd.DataFrame, told: frozenset[str]) -> bool:
    """Whether a frame is the same as one whose text columns were told and whose spaces before cells were skipped.

    A space that matters stands at the beginning of a text: numbers are read without those before them.
    """
    import pandas as pd

    for name, dtype in frame.dtypes.items():
        found = dtype.categories if isinstance(dtype, pd.CategoricalDtype) else None
        if name in told and (found is None or not all(isinstance(text, str) for text in found)):
            return False
        if found is not None and any(isinstance(text, str) and text.startswith(" ") for text in found):
            return False
    return True


def _head(path: str, writing: Writing, wrong: Any) -> _Head:
    """The separator and the names of the columns, from the beginning of the file, and what its first rows look like."""
    try:
        with Path(path).open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise wrong(f"cannot be read: {error.strerror or error}") from None
    for signature, message in _SIGNATURES.items():
        if head.startswith(signature):
            raise wrong(message)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and not writing.encoding.lower().startswith("utf-16"):
        raise wrong("is UTF-16 text: save it as UTF-8, or set encoding: utf-16")
    if b"\0" in head and not writing.encoding.lower().startswith(("utf-16", "utf-32")):
        raise wrong("holds bytes of 0: it is no text")
    try:
        with Path(path).open(encoding=_encoding(writing), newline="") as stream:
            line = next((line for line in stream if line.strip()), "")
            stream.seek(0)
            separator = SEPARATORS[writing.separator] if writing.separator else _separator(line)
            rows = (cells for cells in _reader(stream, separator) if any(cell.strip() for cell in cells))
            first: list[str] = next(rows, [])
            data = first if writing.columns else next(rows, first)
    except UnicodeError:
        raise wrong(_where_not_text(path, writing)) from None
    except (csv.Error, OSError) as error:
        raise wrong(f"cannot be read: {error}") from None
    if not first:
        raise wrong("is empty")
    names = writing.columns or tuple(cell.strip() for cell in first)
    if len(data) > len(names) or (writing.columns and len(data) < len(names)):
        # Of rows longer than one above them pandas tells, and of shorter ones we do: these it would take for an index.
        named = "columns" if writing.columns else "the header"
        raise wrong(f"its rows have {len(data)} cells, and {named} {len(names)} names")
    for position, name in enumerate(names):
        if not name:
            raise wrong(f"column {position + 1} of {len(names)} has no name in the first line")
        if name in names[:position]:
            raise wrong(f"the column {name!r} is there twice: columns {names.index(name) + 1} and {position + 1}")
    texts = frozenset(name for name, cell in zip(names, data, strict=False) if _is_text(cell))
    return _Head(separator, names, texts, b" " in head)


def _separator(line: str) -> str:
    """What most often stands in the first line, outside quotes; the comma where nothing does."""
    bare = re.sub(r'"[^"]*"', "", line)
    return max((",", ";", "\t", "|"), key=bare.count)


def _reader(stream: Any, separator: str) -> Any:
    return csv.reader(stream, delimiter=separator, skipinitialspace=True)


def _encoding(writing: Writing) -> str:
    return "utf-8-sig" if writing.encoding.lower() in ("utf-8", "utf8") else writing.encoding


def _told(message: str) -> str:
    """pandas' message about rows of another length, or a quote that never ends, in our words."""
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message):
        expected, line, saw = found.groups()
        return f"line {line} has {saw} cells, and the lines before it {expected}"
    if found := re.search(r"EOF inside string starting at row (\d+)", message):
        return f"a quotation mark is never closed (row {found[1]} or before)"
    return f"cannot be read: {message.strip()}"


def _where_not_text(path: str, writing: Writing) -> str:
    """The line of the first bytes that are no text in this encoding."""
    lines = not writing.encoding.lower().startswith(("utf-16", "utf-32", "utf-7"))  # else a line is no unit of its own
    with Path(path).open("rb") as stream:
        for number, line in enumerate(stream if lines else (), start=1):
            try:
                line.decode(_encoding(writing))
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return (
                    f"line {number}: the byte {byte} is not {writing.encoding.upper()} text; "
                    "save the file as UTF-8, or set encoding: latin-1"
                )
    return f"is not {writing.encoding.upper()} text"


def _same_length(table: Table) -> None:
    """Require as many cells in every row as there are names: pandas fills short ones up with missing values."""
    wanted = len(table.columns)
    for line, cells in table.records():
        if len(cells) != wanted:
            raise table.wrong(f"line {line} has {len(cells)} cells, and the header {wanted}")


def _numbers(values: pd.Series, writing: Writing) -> pd.Series:
    """What pandas leaves as text or as objects though all of it are numbers, such as whole ones beyond 64 bits."""
    present = values.dropna()
    found = writing.numbers(present.astype(str))
    return values if not len(present) or found.isna().any() else found.astype(float).reindex(values.index)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(cell: str) -> bool:
    """Whether pandas cannot take a cell for a number, a truth value, or one that is missing."""
    return not (cell.strip() in MISSING or cell.strip().lower() in ("true", "false") or _is_number(cell))


def listed(names: Sequence[str]) -> str:
    """Names for a message, not too many of them."""
    shown = ", ".join(names[:_MOST_NAMED])
    return f"{shown}, … ({len(names)} in all)" if len(names) > _MOST_NAMED else shown
