"""What `write` wrote is read back by the quick reader and by YAML alike; nothing else is taken for it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dlx.scalars import inline, read, read_inline, write

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["no", "null", "12:30", "1e-3", "", " ", "a: b", "[x", "#x", "1 epoch", "he_normal", "'", '"', "\\"]
)
FLOATS = st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS.filter(bool), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS.filter(bool), VALUES, min_size=1, max_size=5))
def test_reading_inverts_writing(mapping: dict[str, Any]) -> None:
    assert read(write(mapping)) == mapping


@given(VALUES)
def test_reading_inline_inverts_inline(value: Any) -> None:
    assert read_inline(inline(value)) == value


def test_not_finite() -> None:
    assert math.isnan(read("x: .nan\n")["x"])
    assert read("x: [.inf, -.inf]\n") == {"x": [math.inf, -math.inf]}


@given(st.text(st.sampled_from('ab:,[]{}" \n\\0.1-\t#'), max_size=30))
def test_any_text_is_a_mapping_as_yaml_reads_it_or_refused(text: str) -> None:
    try:
        found = read(text)
    except ValueError:
        return
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    "text",
    ["a: [1, 2", "a: {b 1}", 'a: "x', "a: 1\na: 2", " a: 1", "a:\n    b: 1", "- a", "a: [1]]", "a: {b: }", "a: ]", "a"],
)
def test_what_dlx_does_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


def test_agrees_with_yaml() -> None:
    text = write({"model": {"hidden": [30, 30], "initializer": {"kernel": {"name": "normal", "stddev": 0.5}}}, "x": {}})
    assert read(text) == yaml.safe_load(text)
