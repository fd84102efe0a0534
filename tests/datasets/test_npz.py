"""Arrays of one's own: what is taken from them, and what is refused before any code in them could run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.datasets import DatasetSpec, Places, registry
from dlx.errors import FieldError

NOWHERE = Places(download=False)
Write = Callable[..., DatasetSpec]
BYTES = np.arange(4 * 5 * 5, dtype=np.uint8).reshape(4, 5, 5)
FLOATS = np.linspace(-3, 2, 12).reshape(4, 3)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """The spec of a file with these arrays."""

    def made(_settings: dict[str, Any] | None = None, **arrays: Any) -> DatasetSpec:
        np.savez_compressed(tmp_path / "own.npz", **arrays)
        return registry.get("npz")(**{"path": str(tmp_path / "own.npz"), "validation": 0} | (_settings or {}))

    return made


def test_as_keras_names_them(write: Write) -> None:
    spec = write(x_train=BYTES, y_train=np.array([[7], [3], [7], [3]]), x_test=BYTES[:1], y_test=np.array([[3]]))
    info, splits = spec.info(), spec.load(NOWHERE)
    assert (info.input_shape, info.task, info.outputs, info.largest) == ((5, 5, 1), "classification", 2, 255.0)
    assert (info.class_names, info.train_counts, info.test_counts) == (("3", "7"), (2, 2), (0 + 1, 0))
    assert splits.train.arrays[0].dtype == np.uint8
    assert np.array_equal(splits.train.arrays[0][..., 0], BYTES)
    assert splits.train.arrays[1].tolist() == [1, 0, 1, 0]
    assert splits.test.arrays[1].tolist() == [0]


@pytest.mark.parametrize(
    ("x", "shape", "dtype", "largest"),
    [
        (FLOATS, (3,), np.float32, 3.0),
        (FLOATS.astype(">f4"), (3,), np.float32, 3.0),
        (np.asfortranarray(FLOATS), (3,), np.float32, 3.0),
        (FLOATS[:, 0], (1,), np.float32, 3.0),
        (BYTES.astype(np.int64), (5, 5, 1), np.float32, 99.0),
        (BYTES > 50, (5, 5, 1), np.uint8, 1.0),
        (np.stack([BYTES] * 3, axis=-1), (5, 5, 3), np.uint8, 255.0),
    ],
)
def test_inputs(write: Write, x: np.ndarray, shape: tuple[int, ...], dtype: Any, largest: float) -> None:
    spec = write({"test": 0}, x=x, y=np.array(["a", "b", "b", "a"]))
    got = spec.load(NOWHERE).train.arrays[0]
    assert (spec.info().input_shape, got.dtype, spec.info().largest) == (shape, dtype, largest)
    assert np.array_equal(got, x.reshape(4, *shape).astype(np.float32))
    assert spec.info().class_names == ("a", "b")


@pytest.mark.parametrize(
    ("y", "settings", "task", "outputs"),
    [
        (np.array([0.5, 1, 2, 3]), {}, "regression", 1),
        (np.array([[0, 1], [1, 0], [2, 2], [0, 0]]), {}, "regression", 2),
        (np.array([1, 2, 3, 1]), {"task": "regression"}, "regression", 1),
        (np.array([1.0, 2, 1, 2]), {"task": "classification"}, "classification", 2),
        (np.array([True, False, True, False]), {}, "classification", 2),
    ],
)
def test_targets(write: Write, y: np.ndarray, settings: dict[str, Any], task: str, outputs: int) -> None:
    spec = write({"test": 0, **settings}, x=FLOATS, y=y)
    assert (spec.info().task, spec.info().outputs) == (task, outputs)
    got = spec.load(NOWHERE).train.arrays[1]
    assert np.array_equal(
        got.reshape(y.shape) if task == "regression" else got, y if task == "regression" else y == y.max()
    )


class Bomb:
    """Leaves a file behind if it is ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_objects_are_refused_and_never_made(write: Write, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    for arrays in (
        {"x": np.array([Bomb(mark)] * 4), "y": [0, 1, 0, 1]},
        {"x": FLOATS, "y": np.array([Bomb(mark)] * 4)},
    ):
        with pytest.raises(FieldError, match="pickled Python objects, which could run code") as caught:
            write(**arrays).sizes()
        assert caught.value.path == ("path",)
    own = tmp_path / "own.npz"
    own.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(FieldError, match="is no .npz"):
        registry.get("npz")(path=str(own)).sizes()
    assert not mark.exists()


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"a": FLOATS}, "it needs x_train and y_train, or x and y, and there are a"),
        ({}, "there is no array at all"),
        ({"x": FLOATS, "y": [0, 1]}, "x has 4 examples, and y 2: shapes 4 × 3 and 2"),
        ({"x": FLOATS, "y": [1, 1, 1, 1]}, "all of its examples are of class 1"),
        ({"x": FLOATS, "y": [1.5, 1.5, 1.5, 1.5]}, "y is 1.5 in every example"),
        ({"x": FLOATS * np.nan, "y": [0, 1, 0, 1]}, r"x\[0, 0\] is nan"),
        ({"x": FLOATS, "y": [0.0, np.inf, 0, 1]}, r"y\[1\] is \[inf\]"),
        ({"x": np.array(list("abcd")), "y": [0, 1, 0, 1]}, "x holds <U1, not numbers"),
        ({"x": FLOATS.astype(complex), "y": [0, 1, 0, 1]}, "x holds complex128"),
        ({"x": np.zeros((0, 3)), "y": []}, "x is empty: its shape is 0 × 3"),
        ({"x": np.zeros((4, 1, 1, 1, 1)), "y": [0, 1, 0, 1]}, "x has 5 axes"),
        ({"x": FLOATS, "y": np.zeros(4, "M8[s]")}, "y holds datetime64"),
        ({"x_train": FLOATS, "y_train": [0, 1, 0, 1], "x_test": FLOATS}, "there is x_test without y_test"),
        ({"x_train": FLOATS, "y_train": [0, 1, 0, 1], "x_test": FLOATS[:, :2], "y_test": [0] * 4}, "examples are 2 in"),
        ({"x_train": FLOATS, "y_train": [0, 1, 0, 1], "x_test": FLOATS, "y_test": [0, 5, 0, 0]}, "has the class 5"),
    ],
)
def test_one_clear_message(write: Write, arrays: dict[str, Any], says: str) -> None:
    with pytest.raises(FieldError, match=says) as caught:
        write(**arrays).sizes()
    assert caught.value.path == ("path",)
    assert "\n" not in caught.value.message and "damaged" not in caught.value.message
    assert caught.value.message.count(".npz") == 1


@pytest.mark.parametrize("odd", [0.5, np.inf, np.nan])
def test_classes_that_are_not_whole_numbers(write: Write, odd: float) -> None:
    with pytest.raises(FieldError, match="not whole"):
        write({"task": "classification"}, x=FLOATS, y=[odd, 1, 0, 1]).sizes()


def npy(descr: str, shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "member",
    [
        npy("'<f8'", "(4, 3)", b"short"),
        npy("'<f8'", "(10**15, 3)", b"short"),
        npy("'<f8'", "(100000000000, 3)", b"short"),
        npy("'<f8'", "(-4, 3)", b"short"),
        npy("__import__('os').system('true')", "(4,)"),
        b"\x93NUMPY\x09\x00",
        b"nothing",
    ],
)
def test_damaged_members(tmp_path: Path, member: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "own.npz", "w") as archive:
        archive.writestr("x.npy", member)
        buffer = io.BytesIO()
        np.save(buffer, np.arange(4))
        archive.writestr("y.npy", buffer.getvalue())
    with pytest.raises(FieldError, match=r"own\.npz"):
        registry.get("npz")(path=str(tmp_path / "own.npz")).sizes()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "it is empty"), (npy("'<f8'", "(1,)", bytes(8)), "a single array"), (b"PK\x03\x04", "is no .npz")],
)
def test_other_files(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(FieldError, match=says):
        registry.get("npz")(path=str(tmp_path / "own.npz")).sizes()


def test_a_test_part_of_its_own_is_not_drawn_from(write: Write) -> None:
    arrays = {"x_train": FLOATS, "y_train": [0, 1, 0, 1], "x_test": FLOATS[:2], "y_test": [0, 1]}
    assert write(**arrays).sizes() == {"train": 4, "validation": 0, "test": 2}
    with pytest.raises(FieldError, match="there is a test set of 2 examples already"):
        write({"test": 1}, **arrays).sizes()
    assert write({"test": 2}, x=FLOATS, y=[0, 1, 0, 1]).sizes() == {"train": 2, "validation": 0, "test": 2}


def test_target_scaling_is_for_values(write: Write) -> None:
    with pytest.raises(FieldError, match="is for a regression"):
        write({"target_scaling": "none"}, x=FLOATS, y=[0, 1, 0, 1]).sizes()
    values = [0.0, 1.0, 2.0, 5.0]
    scaled = write({"test": 0}, x=FLOATS, y=values).load(NOWHERE)
    assert scaled.target_scaling == ((2.0,), (pytest.approx(np.std(values), rel=1e-6),))
    assert scaled.train.arrays[1].ravel().tolist() == values  # the parts hold them as they are
    assert write({"test": 0, "target_scaling": "none"}, x=FLOATS, y=values).load(NOWHERE).target_scaling is None
