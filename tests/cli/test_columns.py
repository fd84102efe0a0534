"""Text for a terminal."""

from __future__ import annotations

import itertools

from rich.cells import cell_len

from dlx.analysis.grid import Grid, Text
from dlx.cli.columns import LEAST, aligned, listed, wrapped


def test_a_line_does_not_end_between_a_number_and_its_unit() -> None:
    text = "seeds needed: for a power of 80 % at 5 %, if p = 0.03 and the 95 % CI are those seen"
    for width in range(LEAST, len(text)):
        lines = wrapped(text, width)
        assert " ".join(lines) == text
        assert all(len(line) <= width for line in lines)
        for ending, beginning in itertools.pairwise(lines):
            assert not ending.endswith(("p", "=", "95 %")) and not beginning.startswith(("%", "=", "CI"))


def test_names_stand_beside_what_is_said_of_them() -> None:
    rows = [("one", "so much that it does not fit into a line of forty columns"), ("three", "little")]
    assert listed(rows, 40) == [
        "one    so much that it does not fit into",
        "       a line of forty columns",
        "three  little",
    ]
    assert listed(rows, None) == [f"{name:<7}{text}" for name, text in rows]
    assert listed([], 40) == []


def test_wide_characters_take_two_columns() -> None:
    rows = [("数据.csv", "10"), ("a.csv", "2,000")]
    table = aligned(rows, right={1})
    assert len({cell_len(line) for line in table}) == 1
    grid = Grid(["data", "n"], [[Text(cell) for cell in row] for row in rows])
    assert {cell_len(line) for line in grid.lines()} == {grid.width}
