"""Text for a terminal: rows in columns, and sentences in lines."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence

LEAST = 40
"""Columns that text is broken to at least, however narrow the terminal."""
_TOGETHER = re.compile(r"(?<=\d) %(?: CI\b)?| [=<] ")
"""What a line does not end within: a number and its unit, ``p = 0.03``."""
_JOIN = "\u00a0"


def terminal_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """A text in lines of so many columns, the first after ``first``, the others after ``rest``."""
    whole = _TOGETHER.sub(lambda found: found[0].replace(" ", _JOIN), text)
    lines = textwrap.wrap(
        whole,
        max(LEAST, width),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_JOIN, " ") for line in lines]


def listed(rows: Sequence[tuple[str, str]], width: int | None) -> list[str]:
    """Names with what is said of each beside them: in lines below each other on a terminal, in one line elsewhere."""
    column = max((len(name) for name, _text in rows), default=0) + 2
    lines = []
    for name, text in rows:
        head = f"{name:<{column}}"
        lines += [f"{head}{text}".rstrip()] if width is None else wrapped(text, width, head, " " * column) or [name]
    return lines


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """A line per row; the columns numbered in ``right`` stand to the right, as numbers do."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            room = " " * (width - cell_len(cell))
            cells.append(room + cell if number in right else cell + room)
        lines.append("  ".join(cells).rstrip())
    return lines
