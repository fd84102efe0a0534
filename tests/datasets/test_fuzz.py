"""Any bytes as a file of one's own: a message of one line, or a data set; never another exception."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlx.datasets import Places, registry
from dlx.errors import DataError, FieldError

NOWHERE = Places(download=False)


def outcome(name: str, content: bytes, **changed: Any) -> str:
    """``loaded``, or the message."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"own.{name}"
        path.write_bytes(content)
        spec = registry.get(name)(path=str(path), **changed)
        try:
            sizes = spec.sizes()
            splits = spec.load(NOWHERE)
        except (FieldError, DataError) as error:
            message = str(error.message)
            assert message
            assert "\n" not in message, message
            return message
        assert len(splits.train) == sizes["train"]
        inputs, targets = splits.train.arrays
        assert np.isfinite(splits.scaling.apply(inputs)).all()
        assert len(targets) == len(inputs)
        return "loaded"


CELLS = st.sampled_from(
    ["1", "-2.5", "3e5", "", "NA", "?", "x", "y y", '"q"', '"', "inf", "1e400", "é", "007", " 4 ", "\t"]
)
LINES = st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=8)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "missing": st.sampled_from(["drop", "mean", "median"]),
        "columns": st.sampled_from([("a", "b"), ("label", "b", "c")]),
        "categorical": st.just(("b",)),
        "separator": st.sampled_from(["space", "tab", "semicolon"]),
        "split": st.sampled_from(["ordered", "shuffled"]),
        "encoding": st.sampled_from(["latin-1", "utf-16", "ascii", "cp1252", "utf-7"]),
        "test": st.sampled_from([0, 1, 0.5]),
        "validation": st.sampled_from([0, 1, 0.5]),
    },
)


@given(LINES, SETTINGS, st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from([("label", "a"), ("target", "b")]))
@settings(max_examples=150)
def test_any_cells(lines: list[list[str]], changed: dict[str, Any], end: str, learned: tuple[str, str]) -> None:
    text = end.join([",".join(["a", "b", "c"][: len(lines[0])]), *(",".join(line) for line in lines)])
    outcome("csv", text.encode(), **{learned[0]: learned[1]}, **changed)


@given(st.binary(max_size=200), SETTINGS)
@settings(max_examples=100)
@example(b"a,b\n1,2\r3,4\n", {})
@example(b"\xef\xbb\xbf", {})
@example(b"a,b\n" + b'"' * 3, {})
def test_any_bytes_as_a_table(content: bytes, changed: dict[str, Any]) -> None:
    outcome("csv", content, label="a", **changed)


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_any_bytes_as_arrays(content: bytes) -> None:
    assert outcome("npz", content) != "loaded"


@given(st.binary(max_size=200), st.sampled_from(["x", "y"]))
@settings(max_examples=100)
@example(b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "x")
@example(b"\x93NUMPY\x01\x00\x04\x00{}  ", "y")
def test_any_bytes_as_a_member(content: bytes, name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        good = io.BytesIO()
        np.save(good, np.arange(4.0))
        archive.writestr(f"{name}.npy", content)
        archive.writestr(f"{'y' if name == 'x' else 'x'}.npy", good.getvalue())
    assert outcome("npz", file.getvalue()) != "loaded"


@pytest.mark.parametrize("at", range(0, 700, 7))
def test_a_flipped_byte(at: int) -> None:
    file = io.BytesIO()
    np.savez(file, x=np.arange(40.0).reshape(20, 2), y=np.arange(20) % 2)
    content = bytearray(file.getvalue())
    content[at % len(content)] ^= 0x10
    outcome("npz", bytes(content))


@given(LINES, st.sampled_from([None, "drop", "mean"]), st.sampled_from([("label", "a"), ("target", "b")]))
@settings(max_examples=100)
def test_any_cells_in_a_test_file(lines: list[list[str]], missing: str | None, learned: tuple[str, str]) -> None:
    good = "a,b,c\n1,2,x\n2,3,y\n1,5,x\n2,6,\n1,7,y\n2,9,x\n"
    text = "\n".join([",".join(["a", "b", "c", "d"][: len(lines[0])]), *(",".join(line) for line in lines)])
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "test.csv"
        other.write_text(text)
        changed: dict[str, Any] = {learned[0]: learned[1], "test_path": str(other), "validation": 0}
        outcome("csv", good.encode(), missing=missing or "drop", **changed)
