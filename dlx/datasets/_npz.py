"""An ``.npz`` of somebody's as the arrays of a data set, with one clear message for each thing that it may not hold."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from dlx.datasets import _formats
from dlx.datasets._table import listed
from dlx.errors import DataError, FieldError
from dlx.sources import Array, Official

_PAIRS = (("x_train", "y_train"), ("x", "y"), ("X_train", "y_train"), ("X", "y"))
_MOST_CLASSES = 1000
_VERSIONS = ((1, 0), (2, 0), (3, 0))
_LONGEST_HEADER = 10_000
"""What NumPy itself parses of a header without being told to trust the file."""


def read(path: str, task: str | None) -> tuple[Official, tuple[str, ...] | None]:
    """All arrays as a data set holds them, and the names of the classes (None in a regression).

    Raises :class:`~dlx.errors.FieldError`.
    """
    try:
        with _formats.reading(path), zipfile.ZipFile(path) as archive:
            return _read(_Arrays(path, archive), task)
    except DataError as error:
        message = error.message
        if not zipfile.is_zipfile(path):
            message = f"{path} is no .npz (numpy.savez writes one): {_kind(path)}"
        raise FieldError(message, ("path",)) from None
    except MemoryError:
        raise FieldError(f"{path} does not fit into memory", ("path",)) from None


def _kind(path: str) -> str:
    with Path(path).open("rb") as stream:
        head = stream.read(8)
    if not head:
        return "it is empty"
    return "it is a single array, an .npy" if head.startswith(b"\x93NUMPY") else "it is no zip archive"


class _Arrays:
    """The arrays of an archive by name."""

    def __init__(self, path: str, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self.names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]

    def wrong(self, message: str, field: str = "path") -> FieldError:
        return FieldError(f"{self.path}: {message}", (field,))

    def pair(self) -> tuple[str, str]:
        """The names of the training inputs and targets."""
        for pair in _PAIRS:
            if set(pair) <= set(self.names):
                return pair
        there = f"there are {listed(self.names)}" if self.names else "there is no array at all"
        raise self.wrong(f"it needs x_train and y_train, or x and y, and {there}")

    def read(self, name: str) -> Array:
        """One array; no object in it is ever made."""
        with self._archive.open(f"{name}.npy") as stream:
            shape, fortran, dtype = self._header(stream, name)
            if dtype.hasobject:
                raise self.wrong(
                    f"{name} holds pickled Python objects, which could run code when they are read: it is refused "
                    f"(save it as numbers, {name}.astype(float) for instance)"
                )
            array = np.empty(shape, dtype, order="F" if fortran else "C")
            _formats.fill(stream, array.T if fortran else array, name)
            _formats.nothing_after(stream, name)
        return array

    def _header(self, stream: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        version = np.lib.format.read_magic(stream)
        if version not in _VERSIONS:
            raise self.wrong(f"{name} has npy version {version}, which this NumPy does not read")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream, max_header_size=_LONGEST_HEADER)
        return shape, bool(fortran), dtype


def _read(arrays: _Arrays, task: str | None) -> tuple[Official, tuple[str, ...] | None]:
    inputs_name, targets_name = arrays.pair()
    x, y = _inputs(arrays, inputs_name), arrays.read(targets_name)
    tests = (inputs_name.replace("train", "test"), targets_name.replace("train", "test"))
    x_test = y_test = None
    if inputs_name != tests[0] and (there := [name for name in tests if name in arrays.names]):
        if len(there) == 1:
            raise arrays.wrong(f"there is {there[0]} without {tests[1] if there[0] == tests[0] else tests[0]}")
        x_test, y_test = _inputs(arrays, tests[0]), arrays.read(tests[1])
        if x_test.shape[1:] != x.shape[1:]:
            raise arrays.wrong(f"examples are {_times(x_test.shape[1:])} in {tests[0]} and {_times(x.shape[1:])} in "
                               f"{inputs_name}")  # fmt: skip
        if x_test.dtype != x.dtype:
            x, x_test = x.astype(np.float32), x_test.astype(np.float32)
        _as_many(arrays, tests[0], x_test, tests[1], y_test)
    _as_many(arrays, inputs_name, x, targets_name, y)
    for each in (y, *([y_test] if y_test is not None else [])):
        if each.dtype.kind not in "iufbU":
            raise arrays.wrong(f"{targets_name} holds {each.dtype}, neither numbers nor texts")
    task = task or ("regression" if y.dtype.kind == "f" or (y.ndim == 2 and y.shape[1] > 1) else "classification")
    if task == "classification":
        names, labels, test_labels = _labels(arrays, (targets_name, tests[1]), y, y_test)
        return Official(x, labels, x_test, test_labels), names
    values = _values(arrays, targets_name, y)
    same = np.flatnonzero((values == values[0]).all(axis=0))
    if len(same):
        raise arrays.wrong(f"{targets_name} is {values[0, same[0]]} in every example: there is nothing to learn")
    test_values = None if y_test is None else _values(arrays, tests[1], y_test)
    if test_values is not None and test_values.shape[1] != values.shape[1]:
        raise arrays.wrong(f"{tests[1]} has {test_values.shape[1]} targets, and {targets_name} {values.shape[1]}")
    return Official(x, values, x_test, test_values), None


def _as_many(arrays: _Arrays, inputs_name: str, x: Array, targets_name: str, y: Array) -> None:
    if y.ndim == 0 or len(x) != len(y):
        raise arrays.wrong(
            f"{inputs_name} has {len(x):,} examples, and {targets_name} {len(y) if y.ndim else 0:,}: shapes "
            f"{_times(x.shape)} and {_times(y.shape)}"
        )


def _inputs(arrays: _Arrays, name: str) -> Array:
    """Examples in the type in which they are kept: bytes, or float32; every axis but the first is of an example."""
    array = arrays.read(name)
    if array.dtype.kind not in "iufb":
        raise arrays.wrong(f"{name} holds {array.dtype}, not numbers")
    if array.ndim == 0 or array.size == 0:
        raise arrays.wrong(f"{name} is empty: its shape is {_times(array.shape)}")
    if array.ndim > 4:
        raise arrays.wrong(f"{name} has {array.ndim} axes: at most four (examples, height, width, channels)")
    if array.dtype == bool:
        array = array.view(np.uint8)
    if array.dtype != np.uint8:
        with np.errstate(over="ignore"):
            array = array.astype(np.float32)
        if not np.isfinite(array).all():
            where = tuple(int(place) for place in np.argwhere(~np.isfinite(array))[0])
            raise arrays.wrong(f"{name}{list(where)} is {array[where]}: all must be finite numbers of float32")
    if array.ndim == 1:
        return array[:, None]
    return np.ascontiguousarray(array[..., None] if array.ndim == 3 else array)


def _values(arrays: _Arrays, name: str, y: Array) -> Array:
    if y.dtype.kind not in "iuf" or y.ndim > 2:
        raise arrays.wrong(f"{name} is {_times(y.shape)} of {y.dtype}; targets are numbers, (n,) or (n, k)")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(y.reshape(len(y), -1).astype(np.float32))
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise arrays.wrong(f"{name}[{row}] is {values[row]}: all must be finite numbers of float32")
    return values


def _labels(
    arrays: _Arrays, names: tuple[str, str], y: Array, y_test: Array | None
) -> tuple[tuple[str, ...], Array, Array | None]:
    """The classes, sorted, and the number of each example's."""
    flat = [_flat(arrays, name, each) for name, each in zip(names, (y, y_test), strict=True) if each is not None]
    found, numbers = np.unique(flat[0], return_inverse=True)
    if len(found) < 2:
        raise arrays.wrong(f"there is nothing to learn from {names[0]}: all of its examples are of class {found[0]!s}")
    if len(found) > _MOST_CLASSES:
        raise arrays.wrong(
            f"{names[0]} has {len(found)} different values, too many for classes (task: regression learns a number)"
        )
    test = None
    if len(flat) > 1:
        unknown = flat[1][~np.isin(flat[1], found)]
        if len(unknown):
            raise arrays.wrong(f"{names[1]} has the class {unknown[0]!s}, which {names[0]} does not have")
        test = np.searchsorted(found, flat[1]).astype(np.int32)
    return tuple(str(value) for value in found), numbers.reshape(-1).astype(np.int32), test


def _flat(arrays: _Arrays, name: str, y: Array) -> Array:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise arrays.wrong(f"{name} is {_times(y.shape)}; classes are (n,), one whole number or text for each example")
    if y.dtype.kind == "f":
        if not np.isfinite(y).all() or not np.array_equal(y, np.floor(y)):
            raise arrays.wrong(f"{name} holds numbers that are not whole: no classes (task: regression learns them)")
        y = y.astype(np.int64)
    return y


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "none"
