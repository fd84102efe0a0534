"""Curves as text: what stands where, by a reading of the picture itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlx.cli.main import main
from dlx.drawing.text import Curves, lines
from dlx.drawing.tidy import Tidy


def heights(picture: list[str], character: str) -> list[int]:
    """Per column of the plot, the row of a character from the bottom; columns without it are left out."""
    inside = [line.split("│", 1)[1].rsplit("│", 1)[0] if "│" in line else line.split("┤", 1)[1] for line in picture
              if "│" in line or "┤" in line]  # fmt: skip
    inside = [line.partition("┤")[2] or line for line in inside]
    found = {}
    for row, line in enumerate(inside):
        for column, drawn in enumerate(line):
            if drawn == character:
                found[column] = len(inside) - row
    return [found[column] for column in sorted(found)]


def test_a_curve_rises_where_its_numbers_do() -> None:
    rows = [
        {"epoch": epoch, "layer": layer, "mean": 10.0 ** (-layer + epoch / 5)}
        for epoch in range(11)
        for layer in (1, 2)
    ]
    tidy = Tidy(("epoch", "layer", "mean"), rows)
    picture = lines(tidy, Curves("epoch", "mean", ("layer",), log=True), 80, coloured=False)
    assert picture[0] == "1 = layer 1   2 = layer 2"
    assert max(map(len, picture)) <= 80
    first, second = heights(picture, "1"), heights(picture, "2")
    assert len(first) > 40 and first == sorted(first) and second == sorted(second)
    # On a log axis both rise alike, the one a decade above the other.
    assert first[0] - second[0] in (4, 5)
    ticks = [float(found[1]) for line in picture if (found := re.match(r" *([\d.]+)┤", line))]
    assert ticks == [10, 1, 0.1, 0.01]


def test_what_has_no_place_on_a_log_axis_is_left_out() -> None:
    rows = [{"epoch": epoch, "layer": 1, "mean": value} for epoch, value in enumerate([1.0, 0.0, float("nan"), 10.0])]
    tidy = Tidy(("epoch", "layer", "mean"), rows)
    assert lines(tidy, Curves("epoch", "mean", ("layer",), log=True), 60, coloured=False)
    assert lines(Tidy(tidy.columns, rows[1:3]), Curves("epoch", "mean", ("layer",), log=True), 60, coloured=False) == []


@pytest.mark.parametrize("kind", ["learning-speed", "accuracy", "gradients", "activations", "sweep"])
def test_without_a_file_curves_are_drawn_as_text(kind: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", kind, "grid", "--results", str(results)]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "┤" in said and "1 = " in said
    assert max(map(len, said.splitlines())) <= 80


def test_kinds_that_are_no_curves_say_so(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "architecture", "lenet5"]) == 2
    assert "cannot be drawn as text (-o fig.svg" in capsys.readouterr().err
