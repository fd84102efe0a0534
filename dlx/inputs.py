"""Examples from files, as a trained network takes them: images, arrays, rows of a CSV.

Values are in the units of the data set that the network was trained on: an image's bytes
become what the set stores (0 to 255, or 0 to 16 for the digits).
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dlx.errors import DataError, FieldError, nearest
from dlx.images import SUFFIXES as IMAGES

if TYPE_CHECKING:
    from dlx.sources import Source, Splits
    from dlx.trained import Trained

TABLES = (".csv", ".tsv", ".txt")
ARRAYS = (".npy", ".npz")
_AT_ONCE = 1024
"""Images that are read together where all of them do not fit in memory."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """Inputs (n, …) in stored units, a name for each, and targets where they were asked for.

    ``source``: where the inputs are read from, part by part, if they do not fit in memory; they
    themselves are empty then.
    """

    inputs: Array
    names: tuple[str, ...]
    targets: Array | None = None
    source: Source | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: Source, names: Sequence[str] | None = None, notes: tuple[str, ...] = ()) -> Examples:
        """All examples of a source, by default named by their numbers."""
        names = tuple(map(str, source.ids.tolist())) if names is None else tuple(names)
        if source.arrays is not None:
            return cls(*source.arrays[:1], names, source.targets, notes=notes)
        nothing = source.read(np.arange(0))[0]
        return cls(nothing, names, source.targets, source, notes)

    def blocks(self) -> Iterator[Array]:
        """The inputs, in one block where they are in memory."""
        if self.source is None:
            yield self.inputs
            return
        for start in range(0, len(self.source), _AT_ONCE):
            yield self.source.read(np.arange(start, min(start + _AT_ONCE, len(self.source))))[0]


@runtime_checkable
class ReadsFiles(Protocol):
    """A data set that reads other files of its kind as it read its own."""

    def examples(self, path: str, splits: Splits, *, labelled: bool) -> Any:
        """Inputs, targets, row numbers and notes of another file."""


def read(network: Trained, paths: Sequence[Path], *, resize: bool = False, invert: bool = False) -> Examples:
    """The examples in files and folders of images, in order.

    ``resize``: bring images to the network's size; ``invert``: dark becomes light. Raises
    :class:`~dlx.errors.DataError` for what cannot be read or is not of the right size.
    """
    parts: list[Array] = []
    names: list[str] = []
    notes: list[str] = []
    for path in _files(paths):
        suffix = path.suffix.lower()
        if suffix in IMAGES:
            found = _image(path, network, resize=resize, invert=invert)[None]
        elif suffix in ARRAYS:
            found = _shaped(_array(path), network, path)
        elif suffix in TABLES:
            found, rows, told = _table(path, network)
            notes += told
        else:
            raise DataError(f"{path}: unknown kind of file", hint=f"images, {', '.join((*ARRAYS, *TABLES))}")
        parts.append(found)
        numbers = rows if suffix in TABLES else range(len(found))
        names += [str(path)] if suffix in IMAGES else [f"{path}:{number}" for number in numbers]
    kinds = {part.dtype for part in parts}
    whole = np.concatenate(parts if len(kinds) == 1 else [part.astype(np.float32) for part in parts])
    return Examples(whole, tuple(names), notes=tuple(notes))


def read_folder(network: Trained, path: Path, part: str) -> Examples:
    """The images in a folder of classes, whose names are those that the network knows, or some of them.

    ``part`` where the folder has several (train, validation, test). Raises
    :class:`~dlx.errors.DataError`.
    """
    from dlx.datasets import _folder
    from dlx.images import listed
    from dlx.sources.images import ImageFiles

    height, width, channels = _taken(network, str(path))
    if network.info.largest != 255.0:
        raise DataError(f"{path}: the network of trial {network.trial.id} was not trained on bytes of images")
    try:
        parts = _folder.look(str(path)).parts
    except FieldError as error:
        raise DataError(error.message) from None
    if len(parts) > 1 and part not in parts:
        raise DataError(f"{path} has no images for {part}", hint=f"--part: {', '.join(parts)}")
    found = parts["train"] if len(parts) == 1 else parts[part]
    if not found.paths:
        lost = listed([f"{image} ({why})" for image, why in found.unreadable])
        raise DataError(f"{path} has no images that can be read" + (f": {lost}" if lost else ""))
    numbers = {name: number for number, name in enumerate(network.class_names)}
    unknown = [name for name in found.classes if name not in numbers]
    if unknown:
        raise DataError(
            f"{path} has the class {unknown[0]!r}, which trial {network.trial.id} was not trained on",
            hint=nearest(unknown[0], network.class_names),
        )
    targets = np.array([numbers[name] for name in found.classes], np.int32)[np.array(found.labels)]
    source = ImageFiles(path, found.paths, (height, width), channels, targets)
    notes = []
    if found.unreadable:
        lost = listed([f"{image} ({why})" for image, why in found.unreadable])
        notes.append(f"left out, as they cannot be read: {lost}")
    return Examples.of(source, [str(path / name) for name in found.paths], tuple(notes))


def read_labelled(network: Trained, path: Path) -> Examples:
    """The rows of a CSV file that has the column to be learned as well; raises :class:`~dlx.errors.DataError`."""
    dataset = network.trial.setting.dataset
    if not isinstance(dataset, ReadsFiles):
        raise DataError(f"{path}: the network of trial {network.trial.id} was trained on {dataset.name}, not on a CSV")
    found = dataset.examples(str(path), network.splits, labelled=True)
    names = tuple(f"{path}:{row}" for row in found.rows.tolist())
    return Examples(found.inputs, names, found.targets, notes=found.notes)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            # As in training, hidden files are passed over: macOS puts a ._name.jpg beside every name.jpg it copies.
            inside = sorted(
                file for file in path.rglob("*") if file.suffix.lower() in IMAGES and not file.name.startswith(".")
            )
            if not inside:
                raise DataError(f"{path}: holds no images ({', '.join(IMAGES[:3])}, …)")
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise DataError(f"{path}: there is no such file")


def _image(path: Path, network: Trained, *, resize: bool, invert: bool) -> Array:
    """One image (height, width, channels) as float32 in stored units, or as bytes where those are the units.

    A network that was trained on photographs brings others to its size as it did those.
    """
    from dlx.images import Unreadable, decoded

    height, width, channels = _taken(network, str(path))
    resize = resize or network.trial.setting.dataset.sides is not None
    try:
        pixels = decoded(path, (height, width) if resize else None, channels)
    except Unreadable as error:
        raise DataError(f"{path} is not an image that can be read: {error}") from None
    if pixels.shape[:2] != (height, width):
        raise DataError(
            f"{path} is {pixels.shape[1]} × {pixels.shape[0]} pixels, and the network of trial {network.trial.id} "
            f"takes {width} × {height}",
            hint="--resize brings it to that size",
        )
    if invert:
        pixels = 255 - pixels
    largest = network.info.largest
    return pixels if largest == 255.0 else pixels.astype(np.float32) * np.float32(largest / 255.0)


def _taken(network: Trained, path: str) -> tuple[int, int, int]:
    """Height, width and channels of the images that a network takes; raises :class:`~dlx.errors.DataError`."""
    shape = network.info.input_shape
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise DataError(f"{path}: the network of trial {network.trial.id} takes {_size(shape)} numbers, not images")
    return shape


def _array(path: Path) -> Array:
    from dlx.datasets._formats import reading

    with reading(path):
        try:
            found = np.load(path, allow_pickle=False)
        except (ValueError, zipfile.BadZipFile) as error:
            raise _no_array(path, error) from None
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = [name for name in ("inputs", "x", "x_test") if name in found.files] or found.files
            if len(names) != 1 and names[0] not in ("inputs", "x", "x_test"):
                raise DataError(f"{path} holds {', '.join(found.files)}", hint="name the examples `inputs`")
            array: Array = found[names[0]]
            return array


def _no_array(path: Path, error: Exception) -> DataError:
    """What NumPy cannot read, in our words: its own are about pickles, which are never loaded here."""
    with path.open("rb") as stream:
        head = stream.read(6)
    if head == b"\x93NUMPY":
        why = "it holds Python objects, not numbers" if "Object arrays" in str(error) else str(error)
    elif head[:2] == b"PK":
        why = "it is a damaged .npz"
    else:
        why = "it is neither an .npy nor an .npz (numpy.save and numpy.savez write them)"
    return DataError(f"{path} is not an array that can be read: {why}")


def _shaped(array: Array, network: Trained, path: Path) -> Array:
    """An array as examples (n, …): one example alone, or grey images without their channel, will do."""
    shape = network.info.input_shape
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {array.dtype}, not numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{path} holds numbers that are not finite")
    if array.ndim and not len(array):
        raise DataError(f"{path} holds no examples: its shape is {_size(array.shape)}")
    grey = shape[:-1] if len(shape) == 3 and shape[-1] == 1 else None
    for wanted in (shape, grey):
        if wanted is not None and array.shape == wanted:
            return array.reshape(1, *shape)
        if wanted is not None and array.shape[1:] == wanted:
            return array.reshape(len(array), *shape)
    raise DataError(
        f"{path}: examples of shape {_size(shape)} are wanted, and the array is {_size(array.shape)}",
    )


def _table(path: Path, network: Trained) -> tuple[Array, Sequence[int], Sequence[str]]:
    """The examples of a CSV file, the numbers of their rows, from 0 (not every row need be one), and what to note."""
    dataset, shape = network.trial.setting.dataset, network.info.input_shape
    if isinstance(dataset, ReadsFiles):
        found = dataset.examples(str(path), network.splits, labelled=False)
        return found.inputs, found.rows.tolist(), found.notes
    rows: list[list[float]] = []
    for place, (line, cells) in enumerate(_cells(path)):
        numbers = [_is_number(cell) for cell in cells]
        if place == 0 and not any(numbers):  # names of the columns
            continue
        if not all(numbers):
            raise DataError(f"{path}:{line}: {cells[numbers.index(False)]!r} is not a number")
        row = [float(cell) for cell in cells]
        if len(row) != math.prod(shape) or not np.isfinite(row).all():
            what = "not finite" if len(row) == math.prod(shape) else f"{len(row)} numbers"
            raise DataError(f"{path}:{line}: {math.prod(shape)} numbers are wanted, and there are {what}")
        rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no rows of numbers")
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), *shape), range(len(rows)), ()


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line of each row of a CSV file, and its cells; blank lines are passed over."""
    import csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 text: save it as UTF-8") from None
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}") from None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
