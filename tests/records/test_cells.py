"""Cells: one text per value, and back."""

from __future__ import annotations

import csv
import io
import math
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlx.records.cells import format_cell, format_float, format_row, format_setting, format_text, parse_text, split_rows

singles = st.integers(0, 2**32 - 1).map(lambda bits: struct.unpack("<f", struct.pack("<I", bits))[0])


@given(singles)
@example(2.0**-149)
@example(2.0**-126)
@example(2.0**-96)
@example(2.0**87)
@example(2.0**90)
@example(-0.0)
def test_floats_come_back_exactly_and_no_shorter_text_would_do(value: float) -> None:
    text = format_float(value)
    if math.isnan(value):
        assert text == "nan"
        return
    assert np.float32(text) == np.float32(value)
    assert math.copysign(1, float(text)) == math.copysign(1, value)
    if math.isfinite(value):  # NumPy finds the shortest digits by another algorithm (Dragon4)
        digits = np.format_float_scientific(np.float32(value), unique=True, trim="-")
        assert len(significant(text)) == len(significant(digits))


def test_every_power_of_two() -> None:
    for exponent in range(-149, 128):
        text = format_float(2.0**exponent)
        assert np.float32(text) == np.float32(2.0**exponent)
        assert significant(text) == significant(np.format_float_scientific(np.float32(2.0**exponent), unique=True))


def significant(text: str) -> str:
    """The digits of a number, without sign, point, exponent and outer zeros."""
    return text.lower().lstrip("-").partition("e")[0].replace(".", "").strip("0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (np.float32(0.1), "0.1"),
        (np.float64(0.1), "0.1"),
        (1 / 3, "0.33333334"),
        (1.0, "1.0"),
        (1e-05, "1e-05"),
        (123456789.0, "123456790.0"),
        (1e16, "1e+16"),
        (1e300, "inf"),
        (-1e300, "-inf"),
        (float("nan"), "nan"),
        (0, "0"),
        (10**30, str(10**30)),
        (np.int64(-3), "-3"),
        (np.array(2.5, "float32"), "2.5"),
        (None, ""),
        (True, "true"),
        (np.bool_(False), "false"),
        ("dense_1", "dense_1"),
        ("=1+1", "'=1+1"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert format_cell(value) == text


def test_bfloat16() -> None:
    import ml_dtypes

    assert format_cell(ml_dtypes.bfloat16(0.5)) == "0.5"


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"bytes", object()])
def test_what_a_table_cannot_hold(value: object) -> None:
    with pytest.raises(TypeError, match="cannot hold"):
        format_cell(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1 / 3, "0.3333333333333333"),
        (30, "30"),
        ("relu", "relu"),
        ([30, 30], "[30, 30]"),
        ({"name": "sgd"}, '{"name": "sgd"}'),
        ("@SUM(A1)", "'@SUM(A1)"),
    ],
)
def test_settings_stand_as_set(value: object, text: str) -> None:
    assert format_setting(value) == text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_formulas_are_neutralised(start: str) -> None:
    cell = format_text(f"{start}cmd|' /C calc'!A0")
    assert cell[0] == "'"


@given(st.text(alphabet=st.sampled_from("'=+-@\t\rab,\"\n"), max_size=8) | st.text(max_size=20))
def test_text_comes_back(text: str) -> None:
    cell = format_text(text)
    assert parse_text(cell) == text
    assert cell[:1] not in tuple("=+-@\t\r\n")


cells = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.lists(cells, min_size=2, max_size=4), max_size=5))
def test_rows_are_standard_csv(rows: list[list[str]]) -> None:
    text = "".join(map(format_row, rows))
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows


@given(st.lists(st.lists(cells, min_size=2, max_size=3), max_size=4), st.data())
def test_a_cut_leaves_the_whole_rows(rows: list[list[str]], data: st.DataObject) -> None:
    lines = [format_row(row).encode() for row in rows]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole)))
    expected, length = [], 0
    for line in lines:
        length += len(line)
        if length <= cut:
            expected.append(line)
    assert split_rows(whole[:cut]) == expected
