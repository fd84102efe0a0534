r"""How a value stands in a table: one text form per value, the same on every machine.

Floats are the shortest decimals that give the same float32 back, in Python's notation
(``0.1``, ``1e-05``, ``nan``, ``-inf``), formed here because NumPy's choice of notation
changed between its versions. None is an empty cell. Text that a spreadsheet would run as
a formula is preceded by an apostrophe, which :func:`parse_text` takes off again.
Quoting is that of RFC 4180, line ends are ``\n``.
"""

from __future__ import annotations

import math
import operator
import re
import struct
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, ROUND_UP, Context, Decimal
from typing import Any

Cell = Any
"""None, bool, int, float, str, or a NumPy scalar of such a kind."""

_SINGLE = struct.Struct("<f")
_SMALLEST_NORMAL = 2.0**-126
# OWASP, "CSV injection": what makes spreadsheets evaluate a cell; the last four are full-width forms.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NEEDS_QUOTES = re.compile('[",\r\n]')


def format_float(value: float) -> str:
    """The shortest decimal that reads back as the same float32; beyond its range ``inf``."""
    if value != value:
        return "nan"
    try:
        single: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        return "inf" if value > 0 else "-inf"
    if math.isinf(single) or single == 0.0:
        return repr(single)
    if abs(single) < _SMALLEST_NORMAL or abs(math.frexp(single)[0]) == 0.5:
        return _shortest(single)
    for digits in (6, 7, 8):  # any float32 in the normal range keeps six digits, none needs more than nine
        candidate = float(f"{single:.{digits}g}")
        if _SINGLE.unpack(_SINGLE.pack(candidate))[0] == single:
            return repr(candidate)
    return repr(float(f"{single:.9g}"))


def _shortest(single: float) -> str:
    """For powers of two, whose nearest short decimal may lie on the narrow side, and for subnormals."""
    exact = Decimal(single)
    for digits in range(1, 9):
        for rounding in (ROUND_HALF_EVEN, ROUND_UP):
            candidate = float(Context(prec=digits, rounding=rounding).plus(exact))
            if _SINGLE.unpack(_SINGLE.pack(candidate))[0] == single:
                return repr(candidate)
    return repr(float(f"{single:.9g}"))


def format_text(text: str) -> str:
    """Text that no spreadsheet evaluates: an apostrophe before what would start a formula."""
    return "'" + text if _FORMULA.match(text) else text


def parse_text(cell: str) -> str:
    """The text that :func:`format_text` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def format_cell(value: Cell) -> str:
    """The text of one cell, not yet quoted.

    Raises :class:`TypeError` for what a table cannot hold.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return format_text(value)
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "true" if value else "false"
    try:
        return str(operator.index(value))
    except TypeError:
        pass
    if hasattr(value, "__float__"):
        return format_float(float(value))
    raise TypeError(f"a table cannot hold {value!r}")


def format_setting(value: Any) -> str:
    """A value of the spec as a cell, exactly as set: floats keep all their digits, null is ``null``, lists are JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return format_text(value)
    if isinstance(value, int | float):
        return repr(value)
    import json

    return format_text(json.dumps(value, ensure_ascii=False))


def format_row(cells: Iterable[str]) -> str:
    r"""One line of CSV with its ``\n``, from formatted cells."""
    quoted = ['"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell for cell in cells]
    line = ",".join(quoted)
    return line + "\n" if line else '""\n'


def split_rows(content: bytes) -> list[bytes]:
    """The whole rows in ``content``, each with its line end (one outside of quotes); a torn one at the end is left out.

    ``content`` must start at the beginning of a row.
    """
    lines = content.split(b"\n")
    lines.pop()
    if b'"' not in content:
        return [line + b"\n" for line in lines]
    rows: list[bytes] = []
    parts: list[bytes] = []
    inside = False
    for line in lines:
        parts.append(line + b"\n")
        inside ^= line.count(b'"') % 2 == 1
        if not inside:
            rows.append(b"".join(parts))
            parts = []
    return rows
