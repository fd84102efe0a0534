"""The reader: any bytes give a table or one clear error."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.errors import ResultsError
from dlx.records.reader import Rows, parse_table, read_table
from dlx.records.tables import Table

HERE = Path("t.csv")
TABLE = Table("t", ("stage", "epoch", "name", "loss"))


def valid(rows: Rows) -> None:
    assert rows.columns
    assert len({len(cells) for cells in rows.cells.values()}) == 1
    assert all(isinstance(cell, str) for cells in rows.cells.values() for cell in cells)
    assert len(list(rows)) == len(rows)


@given(st.binary(max_size=300) | st.text(alphabet='a,"\n\r\x00\ufeff1=', max_size=60).map(str.encode))
def test_any_bytes(content: bytes) -> None:
    try:
        rows = parse_table(content, HERE)
    except ResultsError as error:
        assert "t.csv" in str(error)
    else:
        valid(rows)


names = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
records = st.lists(
    st.fixed_dictionaries({"epoch": st.integers(), "name": names, "loss": st.none() | st.floats(width=32)})
)


@given(records)
def test_what_is_written_is_read(rows: list[dict[str, object]]) -> None:
    found = parse_table(TABLE.header + b"".join(map(TABLE.row, rows)), HERE)
    assert found.columns == TABLE.columns and not found.torn
    assert found.ints("epoch") == [row["epoch"] for row in rows]
    assert found.texts("name") == [row["name"] for row in rows]
    assert list(map(repr, found.floats("loss"))) == [
        "None" if row["loss"] is None else repr(float(TABLE.row({"loss": row["loss"]})[3:])) for row in rows
    ]


@given(records, st.data())
def test_changed_bytes(rows: list[dict[str, object]], data: st.DataObject) -> None:
    content = bytearray(TABLE.header + b"".join(map(TABLE.row, rows)))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_table(bytes(content), HERE)
        valid(found)
        found.floats("loss")
        found.ints("epoch")
    except ResultsError:
        pass


def test_cut_anywhere() -> None:
    rows = [TABLE.row({"stage": "train", "epoch": number, "name": 'a "b"\nc'}) for number in range(3)]
    whole = TABLE.header + b"".join(rows)
    for cut in range(len(TABLE.header), len(whole)):
        found = parse_table(whole[:cut], HERE)
        complete = sum(cut >= len(TABLE.header) + sum(map(len, rows[: n + 1])) for n in range(3))
        assert found.ints("epoch") == list(range(complete))
        assert found.torn == (cut != len(TABLE.header) + sum(map(len, rows[:complete])))


def test_other_columns_are_there_too() -> None:
    rows = parse_table(b"epoch,loss,of_later\n1,0.5,x\n", HERE)
    assert rows.floats("loss") == [0.5] and rows.texts("of_later") == ["x"]
    with pytest.raises(ResultsError, match=r"no column 'los'.*'loss'"):
        rows.column("los")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfa,b\r\n1,2\r\n", b'a,b\r\n"1",2\r\n', b"a,b\n1,2\n"])
def test_what_editors_make_of_it(content: bytes) -> None:
    rows = parse_table(content, HERE)
    assert rows.ints("a") == [1] and rows.ints("b") == [2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no columns"),
        (b"a,b", "no columns"),
        (b"a,a\n", "one name"),
        (b"a,b\n1,2\n3\n", "row 2: 1 cells for 2 columns"),
        (b"a\n\xff\n", "not UTF-8"),
        (b'a\n"x"y\n', "line 2"),
        (b"," * 20_000 + b"\n", "20001 columns"),
    ],
)
def test_what_is_no_table(content: bytes, message: str) -> None:
    with pytest.raises(ResultsError, match=message):
        parse_table(content, HERE)


@pytest.mark.parametrize("cell", ["x", "1_000", "0x10", "1e5e5", "9" * 5000, "--1"])
def test_what_is_no_number(cell: str) -> None:
    rows = parse_table(f"a\n{cell}\n".encode(), HERE)
    with pytest.raises(ResultsError, match="row 1, column 'a'"):
        rows.floats("a")
    with pytest.raises(ResultsError, match="row 1, column 'a'"):
        rows.ints("a")


def test_whole_numbers() -> None:
    rows = parse_table(b"a\n-3\n1.0\n", HERE)
    assert rows.floats("a") == [-3.0, 1.0]
    with pytest.raises(ResultsError, match="row 2"):
        rows.ints("a")


def test_missing_and_too_large(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot read"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(ResultsError, match="cannot read"):
        read_table(tmp_path)
    (tmp_path / "t.csv").write_bytes(b"a\n" + b"1\n" * 100)
    with pytest.raises(ResultsError, match="larger than 100 bytes"):
        read_table(tmp_path / "t.csv", limit=100)


@settings(deadline=None, max_examples=6)
@given(st.sampled_from([b'"', b'""', b'"\n', b",", b"a,b\n", b'a\n"x\n']))
def test_time_is_proportional(piece: bytes) -> None:
    """A megabyte of what parsers stumble over; anything quadratic takes minutes here."""
    began = time.process_time()
    with contextlib.suppress(ResultsError):
        parse_table(b"a,b\n" + piece * (2**20 // len(piece)), HERE)
    assert time.process_time() - began < 10
