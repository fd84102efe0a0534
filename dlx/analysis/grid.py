"""A table of text and the forms it is printed in: aligned for a terminal, Markdown, LaTeX, CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from dlx.records.cells import format_row, format_text

BOLD = ("\x1b[1m", "\x1b[0m")


@dataclass(frozen=True)
class Text:
    """One cell; ``bold`` where it is the best of its column."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class Grid:
    """Headings, and rows of as many cells."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Text]]

    def without_empty(self) -> Grid:
        """Without the columns in which no row has anything."""
        keep = [at for at in range(len(self.headings)) if any(row[at].text for row in self.rows)]
        return Grid([self.headings[at] for at in keep], [[row[at] for at in keep] for row in self.rows])

    @property
    def width(self) -> int:
        """Columns of a terminal that a line of :meth:`lines` takes."""
        return sum(self._widths()) + 2 * (len(self.headings) - 1)

    @property
    def numeric(self) -> list[bool]:
        """Of each column whether it holds numbers, which stand to the right."""
        return [
            any(cell.text for cell in column) and all(_is_number(cell.text) for cell in column)
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(self.headings)

    def lines(self, *, bold: bool = False) -> list[str]:
        """Aligned columns under their headings, numbers to the right; ``bold`` with a terminal's codes."""
        widths, numeric = self._widths(), self.numeric
        headings = self._line([Text(heading) for heading in self.headings], widths, numeric, bold=False)
        return [headings, "─" * self.width, *(self._line(row, widths, numeric, bold=bold) for row in self.rows)]

    def markdown(self) -> str:
        """A table for a README, an issue or a notebook."""
        rules = ["---:" if number else "---" for number in self.numeric]
        rows = [
            [f"**{_for_markdown(cell.text)}**" if cell.bold else _for_markdown(cell.text) for cell in row]
            for row in self.rows
        ]
        everything = [[_for_markdown(heading) for heading in self.headings], rules, *rows]
        return "".join(f"| {' | '.join(row)} |\n" for row in everything)

    def latex(self) -> str:
        """A ``tabular`` for papers; needs the package booktabs."""
        form = "".join("r" if number else "l" for number in self.numeric)
        lines = [rf"\begin{{tabular}}{{{form}}}", r"\toprule"]
        lines += [" & ".join(map(_for_latex, self.headings)) + r" \\", r"\midrule"]
        for row in self.rows:
            cells = [rf"\textbf{{{_for_latex(cell.text)}}}" if cell.bold else _for_latex(cell.text) for cell in row]
            lines.append(" & ".join(cells) + r" \\")
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])

    def csv(self, decimal: str = ".") -> str:
        """For spreadsheets; with a decimal comma, semicolons between cells."""
        return csv_text([list(self.headings), *([cell.text for cell in row] for row in self.rows)], decimal)

    def _widths(self) -> list[int]:
        columns = zip(*[[Text(heading) for heading in self.headings], *self.rows], strict=True)
        return [max(cell_len(cell.text) for cell in column) for column in columns]

    def _line(self, row: Sequence[Text], widths: Sequence[int], numeric: Sequence[bool], *, bold: bool) -> str:
        cells = []
        for cell, width, number in zip(row, widths, numeric, strict=True):
            room = " " * (width - cell_len(cell.text))
            text = f"{BOLD[0]}{cell.text}{BOLD[1]}" if bold and cell.bold else cell.text
            cells.append(room + text if number else text + room)
        return "  ".join(cells).rstrip()


def csv_text(rows: Sequence[Sequence[str]], decimal: str = ".") -> str:
    """CSV of formatted cells. ``decimal``: ``,`` writes numbers so, and separates cells by semicolons."""
    lines = []
    for row in rows:
        cells = [(_NUMBER.fullmatch(cell) and cell.replace(".", decimal)) or format_text(cell) for cell in row]
        if decimal == ",":
            quoted = ['"' + cell.replace('"', '""') + '"' if re.search('[";\r\n]', cell) else cell for cell in cells]
            lines.append(";".join(quoted) + "\n")
        else:
            lines.append(format_row(cells))
    return "".join(lines)


_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


def _is_number(text: str) -> bool:
    return not text or text[0].isdigit() or text[0] in "+-−.[–" or text in ("nan", "inf")


def _for_markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<])", r"\\\1", text)


_LATEX = {
    "\\": r"\textbackslash{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "<": "$<$",
    ">": "$>$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\rightarrow$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _for_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
