"""What the kinds share: axes, colours, lengths, files of every format."""

from __future__ import annotations

import itertools
import json
import math
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.drawing import palette, vega
from dlx.drawing.axes import log_ticks, whole_ticks
from dlx.drawing.picture import suffix_of
from dlx.drawing.themes import points, theme_of
from dlx.drawing.tidy import Tidy, geometric_mean
from dlx.errors import UsageError
from dlx.plot import Plotted, plot

KINDS = ("learning-speed", "gradients", "accuracy", "activations", "sweep")


@given(st.lists(st.floats(1e-30, 1e30), min_size=1, max_size=20))
def test_a_log_axis_holds_all_numbers_and_a_few_round_ticks(numbers: list[float]) -> None:
    low, high, ticks = log_ticks(numbers)
    assert low < min(numbers) and max(numbers) < high
    assert 2 <= len(ticks) <= 8
    assert ticks == sorted(set(ticks)) and low <= ticks[0] and ticks[-1] <= high
    assert all(len(f"{tick:.12e}".split("e")[0].rstrip("0").rstrip(".")) <= 4 for tick in ticks)


def test_a_log_axis_over_decades_has_powers_of_ten() -> None:
    assert log_ticks([0.0008, 0.3])[2] == [0.001, 0.01, 0.1]
    assert log_ticks([0.02, 0.3])[2] == [0.03, 0.1, 0.3]
    with pytest.raises(ValueError, match="no positive number"):
        log_ticks([0.0, -1.0, math.nan])


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(2, 12))
def test_whole_ticks_are_few_and_at_one_distance(low: int, span: int, most: int) -> None:
    ticks = whole_ticks(low, low + span, most)
    assert len(ticks) <= most
    assert len(set(np.diff(ticks))) <= 1
    assert all(low <= tick <= low + span for tick in ticks)


# Machado, Oliveira and Fernandes (2009), "A physiologically-based model for simulation of color vision deficiency",
# the matrices of severity 1.0, applied to linear RGB.
DEFICIENCIES = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour: str, matrix: list[list[float]] | None = None) -> np.ndarray:
    """CIE L*a*b* of a colour as someone sees it who has that deficiency."""
    rgb = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if matrix is not None:
        linear = np.clip(np.array(matrix) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ linear / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
@pytest.mark.parametrize("count", [2, 4, 6, 8, 10])
def test_colours_can_be_told_apart_by_everybody(count: int, deficiency: str | None) -> None:
    """A difference of 2.3 is just noticeable; Petroff's ten keep three times that, fewer colours more."""
    matrix = DEFICIENCIES[deficiency] if deficiency else None
    for colours in (palette.categories(count), palette.ordered(min(count, 8))):
        distances = [np.linalg.norm(lab(a, matrix) - lab(b, matrix)) for a, b in itertools.combinations(colours, 2)]
        assert min(distances) > 7


def test_ordered_colours_grow_lighter_and_stand_out_from_white() -> None:
    lightness = [lab(colour)[0] for colour in palette.ordered(10)]
    assert lightness == sorted(lightness)
    assert lightness[-1] < 85


@pytest.mark.parametrize(
    ("text", "expected"), [("3.25in", 234.0), ("25.4mm", 72.0), ("10cm", 283.46), ("400px", 300.0)]
)
def test_lengths(text: str, expected: float) -> None:
    assert points(text) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("text", ["3.25", "wide", "-3in", "0.1in", "1000in", "3 feet", ""])
def test_lengths_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--width"):
        points(text)


def test_geometric_mean() -> None:
    assert geometric_mean([1.0, 100.0]) == pytest.approx(10.0)


def test_csv_has_the_numbers_in_full_and_no_formulas() -> None:
    tidy = Tidy(("a", "b"), [{"a": 1 / 3, "b": "=1+1"}, {"a": None, "b": "x,y"}])
    assert tidy.csv() == 'a,b\n0.3333333333333333,\'=1+1\n,"x,y"\n'
    assert tidy.values()[0]["a"] == 0.333333


@pytest.fixture(scope="module")
def plotted(results: Path) -> dict[str, Plotted]:
    return {kind: plot(kind, [str(results)], {}, theme_of("paper")) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_of_every_kind(kind: str, plotted: dict[str, Plotted], tmp_path: Path) -> None:
    picture = plotted[kind].picture
    for suffix in (".svg", ".png", ".pdf", ".html"):
        picture.write(tmp_path / f"fig{suffix}")
    svg = (tmp_path / "fig.svg").read_text(encoding="utf-8")
    size = re.search(r'width="([\d.]+)pt" height="([\d.]+)pt" viewBox="0 0 ([\d.]+)', svg)
    assert size is not None
    width, height, box = map(float, size.groups())
    assert width == pytest.approx(234, abs=0.6) and box == width
    png = (tmp_path / "fig.png").read_bytes()
    assert struct.unpack(">II", png[16:24]) == (
        pytest.approx(234 / 72 * 300, abs=4),
        pytest.approx(height / 72 * 300, abs=4),
    )
    pdf = (tmp_path / "fig.pdf").read_bytes()
    media = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    assert media is not None and float(media[1]) == pytest.approx(234, abs=1)
    page = (tmp_path / "fig.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2 and "src=" not in page.split("<body>")[1]


def test_text_in_pictures_is_of_a_font_that_is_there(plotted: dict[str, Plotted]) -> None:
    """Liberation Sans, which vl-convert carries, has no superscripts beyond ³ and falls back to whatever is there."""
    allowed = set("‖∂×–…²³¹≥≤→η±½áéíñóúüçÁÉÍÑÓÚ€°µ·—’“”¿¡")
    for each in plotted.values():
        words = " ".join(re.findall(r"<text[^>]*>([^<]*)", each.picture.svg()))
        assert {character for character in words if ord(character) > 126} <= allowed, each.kind


def test_legends_are_in_layer_order(plotted: dict[str, Plotted]) -> None:
    svg = plotted["learning-speed"].picture.svg()
    words = re.findall(r"<text[^>]*>([^<]*)", svg.split('class="mark-group role-legend"')[1])
    assert [word for word in words if word.isdigit()] == ["1", "2", "3", "4"]


def test_a_page_cannot_be_broken_out_of(results: Path) -> None:
    bad = "</script><script>alert(1)</script>"
    page = plot("accuracy", [str(results)], {}, theme_of("slide"), title=bad, interactive=True).picture.page()
    assert bad not in page
    assert json.dumps(bad)[1:10].replace("<", "\\u003c") in page or "\\u003c/script>" in page


def test_a_suffix_that_is_none() -> None:
    with pytest.raises(UsageError, match=r"pictures end in \.svg, \.png, \.pdf, \.html"):
        suffix_of(Path("fig.jpg"))


def test_vega_is_kept_and_made_again_where_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import vl_convert

    monkeypatch.setattr(vega, "_place", lambda: tmp_path / "vega.js")
    made = []
    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda: made.append(1) or "x" * 600_000)
    for damage, times in ((None, 1), (None, 1), (lambda: (tmp_path / "vega.js").write_text("cut"), 2)):
        if damage:
            damage()
        assert vega.script.__wrapped__() == "x" * 600_000 + "\n"
        assert len(made) == times
    monkeypatch.setattr(vega, "_place", lambda: tmp_path / "vega.js" / "no folder")
    assert vega.script.__wrapped__().startswith("x")


def test_numbers_and_words_of_one_parameter_stand_on_one_scale() -> None:
    rows = [{"batch_size": value, "mean": 1.0} for value in ("full", 50, 5)]
    tidy = Tidy(("batch_size", "mean"), rows, axes=("batch_size",))
    assert tidy.distinct("batch_size") == ["full", "50", "5"]
    assert Tidy(("batch_size", "mean"), rows[1:], axes=("batch_size",)).distinct("batch_size") == [50, 5]
