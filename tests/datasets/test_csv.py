"""CSV files: what becomes of their cells, by another route, and one clear message for each thing that is wrong."""

from __future__ import annotations

import csv
import hashlib
import pickle
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlx.datasets import DatasetSpec, Places, _files, _table, registry
from dlx.datasets._table import MISSING
from dlx.errors import DataError, FieldError, SpecError
from dlx.sources import Splits
from dlx.spec import load

NOWHERE = Places(download=False)
Write = Callable[..., DatasetSpec]

PEOPLE = """age,income,city,code,bought
30,1000.5,Bilbao,1,yes
41,2000,Donostia,2,no
52,3000,Bilbao,1,yes
28,4000,Gasteiz,3,no
35,5000,Bilbao,1,no
61,6000,Donostia,2,yes
22,7000,Gasteiz,3,no
47,8000,Bilbao,2,yes
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The spec of a file with this text."""

    def made(text: str | bytes, **settings: Any) -> DatasetSpec:
        path = tmp_path / "own.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return registry.get("csv")(**{"path": str(path), "validation": 0, "test": 0, "scaling": "none"} | settings)

    return made


def inputs(splits: Splits) -> np.ndarray:
    return splits.train.arrays[0]


def test_numbers_and_categories(write: Write) -> None:
    spec = write(PEOPLE, label="bought", categorical=["code"])
    info, splits = spec.info(), spec.load(NOWHERE)
    cities, codes = ("Bilbao", "Donostia", "Gasteiz"), ("1", "2", "3")
    assert info.feature_names == ("age", "income", *(f"city={c}" for c in cities), *(f"code={c}" for c in codes))
    assert (info.task, info.outputs, info.class_names) == ("classification", 2, ("no", "yes"))
    assert (info.train_counts, info.input_shape, info.largest) == ((4, 4), (8,), 8000.0)
    expected = [
        [float(row["age"]), float(row["income"])]
        + [float(row["city"] == c) for c in cities]
        + [float(row["code"] == c) for c in codes]
        for row in csv.DictReader(PEOPLE.splitlines())
    ]
    assert inputs(splits).tolist() == expected
    assert inputs(splits).dtype == np.float32
    assert splits.train.arrays[1].tolist() == [1, 0, 1, 0, 0, 1, 0, 1]
    assert splits.train.arrays[1].dtype == np.int32


def test_which_columns(write: Write) -> None:
    assert write(PEOPLE, label="city", features=["income", "age"]).info().feature_names == ("income", "age")
    assert write(PEOPLE, label="city", ignore=["income", "bought"]).info().feature_names == ("age", "code")
    assert write(PEOPLE, label="code").info().class_names == ("1", "2", "3")
    assert write("x,y\n1,10\n2,9\n3,10.5\n", label="y").info().class_names == ("9", "10", "10.5")  # by value


def test_targets(write: Write) -> None:
    spec = write(PEOPLE, target=["income", "age"], task="regression", split=None)
    info, splits = spec.info(), spec.load(NOWHERE)
    assert (info.task, info.outputs, info.target_names, info.class_names) == ("regression", 2, ("income", "age"), ())
    assert splits.train.arrays[1].tolist()[0] == [1000.5, 30.0]
    assert splits.train.arrays[1].dtype == np.float32
    assert write(PEOPLE, target="income").load(NOWHERE).train.arrays[1].shape == (8, 1)


def test_parts_are_drawn_by_task(write: Write) -> None:
    rows = "".join(f"{n},{n % 2}\n" for n in range(100))
    classes = write("x,y\n" + rows, label="y", test=None, validation=0.1).load(NOWHERE)
    assert [len(part) for part in (classes.train, classes.validation, classes.test)] == [72, 8, 20]
    assert np.bincount(classes.test.arrays[1]).tolist() == [10, 10]
    values = write("x,y\n" + rows, target="y", test=0.3, validation=7, split="ordered").load(NOWHERE)
    assert values.test.ids.tolist() == list(range(70, 100))
    assert values.validation.ids.tolist() == list(range(63, 70))
    assert values.test.arrays[0][:, 0].tolist() == list(range(70, 100))
    shuffled = write("x,y\n" + rows, target="y", test=0.3, validation=7).load(NOWHERE)
    found = np.concatenate([part.ids for part in (shuffled.train, shuffled.validation, shuffled.test)])
    assert sorted(found.tolist()) == list(range(100)) != found.tolist()


def test_standardised_by_the_training_part_alone(write: Write) -> None:
    text = "x,kind,y\n" + "".join(f"{n * n},{'ab'[n % 3 == 0]},{n % 2}\n" for n in range(60))
    splits = write(text, label="y", test=0.25, validation=9, scaling="standardize").load(NOWHERE)
    used = [float(n * n) for n in splits.train.ids]
    assert splits.scaling.subtract.tolist() == pytest.approx([statistics.fmean(used), 0, 0], rel=1e-6)
    assert splits.scaling.divide.tolist() == pytest.approx([statistics.pstdev(used), 1, 1], rel=1e-6)
    scaled = splits.scaling.apply(inputs(splits))
    assert set(scaled[:, 1:].ravel().tolist()) == {0.0, 1.0}  # a category stays 0 and 1


@pytest.mark.parametrize("how", ["mean", "median"])
def test_missing_numbers_take_the_training_parts(write: Write, how: str) -> None:
    cells = ["" if n % 7 == 3 else "NA" if n % 11 == 5 else str(n * n) for n in range(60)]
    text = "x,kind,y\n" + "".join(
        f"{cell},{'?' if n % 9 == 0 else 'ab'[n % 2]},{n % 2}\n" for n, cell in enumerate(cells)
    )
    splits = write(text, label="y", test=0.25, validation=9, missing=how, scaling="standardize").load(NOWHERE)
    there = [float(cells[n]) for n in splits.train.ids if cells[n] not in ("", "NA")]
    value = np.float32(statistics.fmean(there) if how == "mean" else statistics.median(there))
    for part in (splits.train, splits.validation, splits.test):
        got = part.arrays[0]
        for row, number in zip(got, part.ids, strict=True):
            assert row[0] == (value if cells[number] in ("", "NA") else np.float32(cells[number]))
            assert row[1:].tolist() == [
                float(number % 9 == 0 and c == 2) or float(number % 9 and number % 2 == c) for c in range(3)
            ]
    assert splits.info.feature_names == ("x", "kind=a", "kind=b", "kind=(missing)")
    assert np.isfinite(splits.scaling.subtract).all()


def test_rows_with_something_missing_can_be_dropped(write: Write) -> None:
    text = "x,z,y\n1,,a\n2,5,b\n3,6,\n4,7,a\n5,8,b\n"
    spec = write(text, label="y", missing="drop")
    assert spec.load(NOWHERE).train.ids.tolist() == [1, 3, 4]
    assert (spec.info().train, spec.info().train_counts) == (3, (1, 2))
    assert write(text, label="y", missing="drop", ignore=["z"]).info().train == 4  # what is not used may be missing


def test_a_test_file_is_read_as_the_training_file_is(write: Write, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("city,bought,age,more\nGasteiz,no,19,x\nIruña,yes,70,y\n")
    spec = write(PEOPLE, label="bought", features=["age", "city"], test=None, test_path=str(other))
    splits = spec.load(NOWHERE)
    assert splits.test.arrays[0].tolist() == [[19, 0, 0, 1], [70, 0, 0, 0]]  # a category it does not know is none
    assert splits.test.arrays[1].tolist() == [0, 1]
    assert spec.notes() == (
        f"{other}: the column 'city' has what the training file has not (Iruña): its inputs are all 0 there",
    )
    assert (spec.info().test, spec.info().test_counts, spec.sizes()["test"]) == (2, (1, 1), 2)
    digests = [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in (spec.path, other)]
    both = "".join(f"{name} {each}\n" for name, each in zip(("path", "test_path"), digests, strict=True))
    assert spec.digest() == hashlib.sha256(both.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("a;b;y\n1;2;u\n3;4;v\n", {}),
        ("a\tb\ty\n1\t2\tu\n3\t4\tv\n", {}),
        ("a|b|y\n1|2|u\n3|4|v\n", {}),
        ("a, b, y\n1, 2, u\n3, 4, v\n", {}),
        ("a b y\n1 2 u\n3 4 v\n", {"separator": "space"}),
        ('"a","b","y"\r\n"1","2","u"\r\n"3","4","v"\r\n', {}),
        ("\ufeffa,b,y\n\n1,2,u\n\n3,4,v\n\n", {}),
        ("1,2,u\n3,4,v\n", {"columns": ["a", "b", "y"]}),
        ("a,b,y\n1,2,ú\n3,4,v\n".encode("latin-1"), {"encoding": "latin-1"}),
        ("a,b,y\n1,2,u\n3,4,v\n".encode("utf-16"), {"encoding": "utf-16"}),
        ("a;b;y\n1,0;2;u\n3;4,00;v\n", {"decimal": "comma"}),
        ('a,b,y\n"1,0",2,u\n3,"4,00",v\n', {"decimal": "comma"}),
        ('a;b;y\n"1,";"2,0e0";u\n 3 ; 4,0 ;v\n', {"decimal": "comma"}),
    ],
)
def test_ways_of_writing(write: Write, text: str | bytes, settings: dict[str, Any]) -> None:
    spec = write(text, label="y", **settings)
    assert inputs(spec.load(NOWHERE)).tolist() == [[1, 2], [3, 4]]
    assert spec.info().feature_names == ("a", "b")
    assert (
        spec.info().class_names[0 if "v" in spec.info().class_names[1] else 1] in ("u", "ú")
        or "v" in spec.info().class_names
    )


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("1, 02, u", (1.0, "02", "u")),
        (' 1, NA,"u"', (1.0, None, "u")),
        ('1, "0,2", u', (1.0, "0,2", "u")),
        ("1,02,u", (1.0, "02", "u")),
        ("1,true,u", (1.0, "true", "u")),
    ],
)
def test_what_only_a_row_far_down_shows(write: Write, row: str, values: tuple[float, str | None, str]) -> None:
    """Spaces before cells, and texts that look like numbers, mean the same wherever in a file they come first."""
    others = [f"{number},a,{'uv'[number % 2]}\n" for number in range(20_000)]
    assert len("".join(others)) > 2 * _table._HEAD
    settings = {"label": "y", "categorical": ["b"], "missing": "mean"}
    last = write("x,b,y\n" + "".join([*others, row + "\n"]), **settings).load(NOWHERE)
    first = write("x,b,y\n" + "".join([row + "\n", *others]), **settings).load(NOWHERE)
    assert last.info.feature_names == first.info.feature_names
    np.testing.assert_array_equal(np.roll(inputs(last), 1, axis=0), inputs(first))
    category = "(missing)" if values[1] is None else values[1]
    wanted = [values[0], *(float(name == f"b={category}") for name in last.info.feature_names[1:])]
    assert inputs(last)[-1].tolist() == wanted and sum(wanted[1:]) == 1
    assert last.info.class_names == ("u", "v") and last.train.targets[-1] == 0


@given(
    rows=st.lists(
        st.tuples(
            st.floats(-(2.0**99), 2.0**99, width=32) | st.none(),
            st.integers(-(10**9), 10**9),
            st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=6),
            st.sampled_from("xyz"),
        ),
        min_size=2,
        max_size=30,
    )
)
def test_any_table_comes_back(rows: list[tuple[float | None, int, str, str]]) -> None:
    texts = [text.strip() for _, _, text, _ in rows]
    numeric = [text for text in texts if _is_number(text)]
    assume(all(texts) and not numeric and not set(texts) & set(MISSING))
    assume(any(number is not None for number, *_ in rows) and len({label for *_, label in rows}) > 1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.csv"
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["a", "b", "c, d", "label"])
            writer.writerows(["" if a is None else repr(a), b, c, label] for a, b, c, label in rows)
        spec = registry.get("csv")(path=str(path), label="label", missing="drop", test=0, validation=0, scaling="none")
        kept = [number for number, row in enumerate(rows) if row[0] is not None]
        assume(len({rows[number][3] for number in kept}) > 1)
        splits = spec.load(NOWHERE)
        assert splits.train.ids.tolist() == kept
        got, names = splits.train.arrays[0], splits.info.feature_names
        assert names[2:] == tuple(f"c, d={text}" for text in sorted(set(texts)))
        for row, number in zip(got, kept, strict=True):
            assert row[0] == np.float32(rows[number][0])
            assert row[1] == np.float32(rows[number][1])
            assert names[2 + int(row[2:].argmax())] == f"c, d={texts[number]}"
            assert row[2:].sum() == 1


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_classes_of_a_table(write: Write) -> None:
    spec = write(PEOPLE, label="code", classes=[3, 1], features=["age"])
    splits = spec.load(NOWHERE)
    assert splits.info.class_names == ("3", "1")  # by name first: these classes are called so
    assert inputs(splits)[:, 0].tolist() == [30, 52, 28, 35, 22]
    assert splits.train.arrays[1].tolist() == [1, 1, 0, 1, 0]


def test_other_files_for_predictions(write: Write, tmp_path: Path) -> None:
    cells = [str(n) if n % 5 else "" for n in range(40)]
    spec = write(
        "x,y\n" + "".join(f"{c},{n % 2}\n" for n, c in enumerate(cells)), label="y", missing="median", test=0.2
    )
    splits = spec.load(NOWHERE)
    new = tmp_path / "new.csv"
    new.write_text("extra,x\nq,3\nq,\n")
    there = statistics.median(float(cells[n]) for n in splits.train.ids if cells[n])
    assert spec.examples(str(new), splits, labelled=False).inputs.tolist() == [[3], [there]]
    new.write_text("extra,x,y\nq,3,1\n")
    assert spec.examples(str(new), splits, labelled=True).targets.tolist() == [1]
    with pytest.raises(DataError, match="there is no column 'y'"):
        new.write_text("extra,x\nq,3\n")
        spec.examples(str(new), splits, labelled=True)
    new.write_text("z\n1\n")
    with pytest.raises(DataError, match="there is no column 'x'"):
        spec.examples(str(new), splits, labelled=False)


def test_decimal_commas_of_other_files(write: Write, tmp_path: Path) -> None:
    """Targets and files for predictions are written as the training file is, and whole numbers beyond 64 bits too."""
    settings = {"label": None, "target": "y", "decimal": "comma"}
    spec = write("x;y\n" + "".join(f"{n},5;{n},25\n" for n in range(9)) + f"{10**20};0,5\n", **settings)
    splits = spec.load(NOWHERE)
    assert inputs(splits)[:2].tolist() == [[0.5], [1.5]] and inputs(splits).max() == np.float32(1e20)
    assert splits.train.arrays[1][:2].tolist() == [[0.25], [1.25]]
    new = tmp_path / "new.csv"
    new.write_text("x\n7,5\n")  # read with the separator of its own first line
    with pytest.raises(DataError, match=r"new\.csv"):
        spec.examples(str(new), splits, labelled=False)
    new.write_text("x;z\n7,5;0\n")
    assert spec.examples(str(new), splits, labelled=False).inputs.tolist() == [[7.5]]
    new.write_text("x;z\n7.5;0\n")
    with pytest.raises(DataError, match=r"'7\.5' is not a number \(decimal: point takes it as one\)"):
        spec.examples(str(new), splits, labelled=False)


ROWS = "a,b,y\n1,2,u\n3,4,v\n5,6,u\n7,8,v\n"
COMMA = r"row 2 \(line 3\), column 'a': '1,5' is not a number \(decimal: comma takes it as one\)"


@pytest.mark.parametrize(
    ("text", "settings", "path", "says"),
    [
        ("", {}, "path", "is empty"),
        ("\n  \n", {}, "path", "is empty"),
        ("a,b,y\n", {}, "path", "has a header and no rows"),
        (ROWS + "9,ten,u\n", {}, "path", r"row 5 \(line 6\), column 'b': 'ten' is not a number, as 4 of"),
        ('a,b,y\n"1",2,"u\nu"\n\n3,x,v\n', {}, "path", r"row 2 \(line 5\), column 'b': 'x' is not a number"),
        (ROWS, {"label": "z"}, "label", "there is no column 'z' in .*own.csv"),
        (ROWS.replace("y", "species", 1), {"label": "specis"}, "label", "did you mean 'species'"),
        ("1,2,u\n3,4,v\n", {"label": "y"}, "label", "the first line looks like data"),
        ("a b y\n1 2 u\n", {"label": "y"}, "label", "is the separator right"),
        (ROWS, {"label": None}, "label", "which column is to be learned.*of a, b, y"),
        (ROWS, {"ignore": ["c"]}, "ignore", "there is no column 'c'"),
        (ROWS, {"features": ["a", "y"]}, "features", "'y' cannot be an input"),
        (ROWS, {"label": None, "target": "a", "categorical": ["a"]}, "categorical", "'a' is a target, a number"),
        ("a,b,y\n99999999999999999999999,2,u\n1,x,v\n", {}, "path", r"row 2 \(line 3\), column 'b': 'x' is not"),
        (ROWS, {"ignore": ["a", "b"]}, "label", "no column is left"),
        ("a,b,y\n1,2,u\n3,4,v,5\n", {}, "path", "line 3 has 4 cells, and the lines before it 3"),
        ("a,b,y\n1,2,u,9\n3,4,v,9\n", {}, "path", "its rows have 4 cells, and the header 3 names"),
        ("a,b,y\n1,2,u\n\n3,4\n", {}, "path", "line 4 has 2 cells, and the header 3"),
        ("1,2\n3,4\n", {"columns": ["a", "b", "y"]}, "path", "its rows have 2 cells, and columns 3 names"),
        ("a,b,a,y\n1,2,3,u\n", {}, "path", "the column 'a' is there twice: columns 1 and 3"),
        ("a,,y\n1,2,u\n", {}, "path", "column 2 of 3 has no name"),
        ("a,b,y\n1,,u\n2,3,v\n", {}, "missing", r"row 1 \(line 2\), column 'b': the value is missing, as in 1 of 2"),
        ("a,b,y\n1,,u\n2,?,v\n", {"missing": "mean"}, "path", "all values of the column 'b' are missing"),
        ("a,b,y\n1,,u\n,2,v\n", {"missing": "drop"}, "missing", "something is missing in every row"),
        ("a,b,y\n1,1,u\n2,2,\n3,3,v\n", {"missing": "mean"}, "path", r"column 'y': the value is missing"),
        ("a,y\n1,u\n2,u\n", {}, "label", "all of its rows are of class 'u'"),
        ("a,y\n1,u\n2,v\n3,u\n4,u\n", {"test": 1}, "test", "class 'u' has 3 of the 4 examples, too few|class 'v'"),
        ("a,y\n" + "1,u\n" * 9 + "2,rare\n", {"validation": 0.2}, "validation", "class 'rare' has 1 of the 10"),
        ("a,y\n1,5\n2,5\n3,5\n", {"label": None, "target": "y"}, "target", "'y' is 5.0 in every row"),
        (ROWS, {"label": None, "target": "y"}, "target", r"row 1 \(line 2\), column 'y': 'u' is not a number"),
        ("a,b,y\n1,1e400,u\n2,2,v\n", {}, "path", r"row 1 \(line 2\), column 'b': '1e400' is not a finite number"),
        ("a,b,y\n1,inf,u\n2,2,v\n", {}, "path", r"'inf' is not a finite number"),
        ("a,y\n" + "".join(f"id{n},{n % 2}\n" for n in range(60)), {}, "path", "60 different texts in 60 rows"),
        ("a,b,y\n1,\"2,u\n3,4,v\n", {}, "path", "a quotation mark is never closed"),
        ("a,b,y\n1,2,ü\n".encode("latin-1"), {}, "path", r"line 2: the byte 0xfc is not UTF-8 text"),
        ("a,b,y\n1,2,u\n".encode("utf-16"), {}, "path", "is UTF-16 text"),
        (b"PK\x03\x04rest", {}, "path", "an Excel workbook"),
        (b"\x1f\x8brest", {}, "path", "is compressed"),
        (b"a,b\0,y\n1,2,u\n", {}, "path", "it is no text"),
        ("a;y\n2;u\n1,5;v\n2,5;u\n", {}, "decimal", COMMA),
        ("a;y\n2;1\n1,5;3\n2,5;0\n", {"label": None, "target": "a"}, "target", COMMA),
        ("a;y\n1,5;u\n1.000,5;v\n", {"decimal": "comma"}, "path", r"'1\.000,5' is not a number, as 1 of the column"),
        ("a;y\n1.5;u\n2.5;v\n", {"decimal": "comma"}, "decimal", r"'1\.5' is not a number \(decimal: point takes it"),
        ("a,y\n" + "".join(f"1,{n}.5\n" for n in range(60)), {}, "label", r"60 different numbers.*target: y learns"),
        (ROWS, {"path": "nowhere.csv"}, "path", "cannot read nowhere.csv: No such file"),
        (ROWS, {"path": "."}, "path", "is not a file"),
        (ROWS, {"test_path": "nowhere.csv", "test": None}, "test_path", "cannot read nowhere.csv"),
        (ROWS, {"classes": ["u", "w"]}, "classes", "there is no class 'w'"),
    ],
)  # fmt: skip
def test_one_clear_message(write: Write, text: Any, settings: dict[str, Any], path: str, says: str) -> None:
    spec = write(text, **{"label": "y"} | settings)
    with pytest.raises(FieldError, match=says) as caught:
        spec.sizes()
    assert caught.value.path[0] == path
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,y\n1,u\n2,w\n", r"row 2 \(line 3\), column 'y': the class 'w' is not one of the training file's \(u, v\)"),
        ("a,y\n1,u\nx,u\n", r"row 2 \(line 3\), column 'a': 'x' is not a number"),
        ("b,y\n1,u\n", "there is no column 'a'"),
        ("a,b\n1,u\n", "there is no column 'y'"),
        ("a,y\n,u\n", "the value is missing"),
    ],
)
def test_a_test_file_that_does_not_fit(write: Write, tmp_path: Path, text: str, says: str) -> None:
    other = tmp_path / "other.csv"
    other.write_text(text)
    spec = write(ROWS, label="y", ignore=["b"], test=None, test_path=str(other))
    with pytest.raises(FieldError, match=says):
        spec.sizes()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("label: y, target: a", "give either label"),
        ("label: y, task: regression", "for a regression write target: y"),
        ("target: a, task: classification", "for a classification write label: a"),
        ("label: y, target_scaling: none", "target_scaling goes with target"),
        ("target: a, target_scaling: unit", "dataset.target_scaling"),
        ("label: y, encoding: utf-9", "dataset.encoding: unknown encoding 'utf-9'"),
        ("label: y, features: []", "must name at least one column"),
        ("label: y, ignore: [a, a]", "the column 'a' is there twice"),
        ("label: y, test: 2.5", "dataset.test: must be a count"),
        ("label: y, missing: average", "dataset.missing"),
        ("labl: y", "did you mean 'label'"),
    ],
)
def test_mistakes_in_the_spec(tmp_path: Path, settings: str, says: str) -> None:
    (tmp_path / "own.csv").write_text(ROWS)
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"dataset: {{name: csv, path: own.csv, {settings}}}\nmodel: mlp\n")
    with pytest.raises(SpecError, match=says) as caught:
        load(spec)
    assert f"{spec}:1:" in str(caught.value)


def test_bounded_answers_do_not_reach_standardised_targets(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("a,b,y\n" + "".join(f"{n},{n},{n}\n" for n in range(90)))
    spec = tmp_path / "spec.yaml"
    text = "dataset: {name: csv, path: own.csv, target: y}\nmodel: {name: mlp, output_activation: sigmoid}\n"
    spec.write_text(text)
    with pytest.raises(SpecError, match="sigmoid does not reach targets of mean 0 and variance 1"):
        load(spec)
    spec.write_text(text.replace("target: y", "target: y, target_scaling: none"))
    assert load(spec).trials[0].setting.model.output_activation == "sigmoid"


def test_where_a_mistake_in_the_file_stands_in_the_spec(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(ROWS)
    spec = tmp_path / "spec.yaml"
    spec.write_text("model: mlp\ndataset:\n  name: csv\n  path: own.csv\n  label: z\n")
    with pytest.raises(SpecError, match=r"spec.yaml:5:10: dataset.label: there is no column 'z'"):
        load(spec)
    spec.write_text("model: mlp\ndataset:\n  name: csv\n  path: onw.csv\n  label: y\n")
    with pytest.raises(SpecError, match=r"spec.yaml:4:9: dataset.path: cannot read .*onw.csv: No such file"):
        load(spec)


def test_the_digest_is_of_the_bytes_and_follows_them(write: Write) -> None:
    spec = write(ROWS, label="y")
    assert spec.digest() == hashlib.sha256(ROWS.encode()).hexdigest()
    assert spec.info().train == 4
    again = write(ROWS + "9,9,u\n", label="y")
    assert again == spec
    assert again.digest() == hashlib.sha256(f"{ROWS}9,9,u\n".encode()).hexdigest()
    assert again.info().train == 5
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_digests_of_large_files_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(_files, "_WORTH_KEEPING", 10)
    file = tmp_path / "large.bin"
    file.write_bytes(b"x" * 100)
    os.utime(file, (1e9, 1e9))
    wanted = hashlib.sha256(b"x" * 100).hexdigest()
    assert _files.digest(str(file)) == wanted
    kept = list(tmp_path.rglob("digests/*"))
    assert [path.read_text() for path in kept] == [wanted]
    _files._known().clear()
    kept[0].write_text("f" * 64)  # read from there, as the size and the time are the same
    assert _files.digest(str(file)) == "f" * 64
    file.write_bytes(b"y" * 100)
    os.utime(file, (1e9 + 1, 1e9 + 1))
    assert _files.digest(str(file)) == hashlib.sha256(b"y" * 100).hexdigest()
    _files._known().clear()
