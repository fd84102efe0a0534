"""Examples from files, as a trained network takes them: images, arrays, rows of a CSV.

Values are in the units of the data set that the network was trained on: an image's bytes
become what the set stores (0 to 255, or 0 to 16 for the digits).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from dlx.errors import DataError

if TYPE_CHECKING:
    from dlx.sources import Splits
    from dlx.trained import Trained

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
TABLES = (".csv", ".tsv", ".txt")
ARRAYS = (".npy", ".npz")
_LARGEST_IMAGE = 64_000_000
"""Pixels: a file that says it has more is not decoded."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """Inputs (n, …) in stored units, a name for each, and targets where they were asked for."""

    inputs: Array
    names: tuple[str, ...]
    targets: Array | None = None


@runtime_checkable
class ReadsFiles(Protocol):
    """A data set that reads other files of its kind as it read its own."""

    def examples(self, path: str, splits: Splits, *, labelled: bool) -> Any:
        """Inputs, targets and row numbers of another file."""


def read(network: Trained, paths: Sequence[Path], *, resize: bool = False, invert: bool = False) -> Examples:
    """The examples in files and folders of images, in order.

    ``resize``: bring images to the network's size; ``invert``: dark becomes light. Raises
    :class:`~dlx.errors.DataError` for what cannot be read or is not of the right size.
    """
    parts: list[Array] = []
    names: list[str] = []
    for path in _files(paths):
        suffix = path.suffix.lower()
        if suffix in IMAGES:
            found = _image(path, network, resize=resize, invert=invert)[None]
        elif suffix in ARRAYS:
            found = _shaped(_array(path), network, path)
        elif suffix in TABLES:
            found, rows = _table(path, network)
        else:
            raise DataError(f"{path}: unknown kind of file", hint=f"images, {', '.join((*ARRAYS, *TABLES))}")
        parts.append(found)
        numbers = rows if suffix in TABLES else range(len(found))
        names += [str(path)] if suffix in IMAGES else [f"{path}:{number}" for number in numbers]
    kinds = {part.dtype for part in parts}
    whole = np.concatenate(parts if len(kinds) == 1 else [part.astype(np.float32) for part in parts])
    return Examples(whole, tuple(names))


def read_labelled(network: Trained, path: Path) -> Examples:
    """The rows of a CSV file that has the column to be learned as well; raises :class:`~dlx.errors.DataError`."""
    dataset = network.trial.setting.dataset
    if not isinstance(dataset, ReadsFiles):
        raise DataError(f"{path}: the network of trial {network.trial.id} was trained on {dataset.name}, not on a CSV")
    found = dataset.examples(str(path), network.splits, labelled=True)
    return Examples(found.inputs, tuple(f"{path}:{row}" for row in found.rows.tolist()), found.targets)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGES)
            if not inside:
                raise DataError(f"{path}: holds no images ({', '.join(IMAGES[:3])}, …)")
            yield from inside
        elif path.is_file():
            yield path
        else:
            raise DataError(f"{path}: there is no such file")


def _image(path: Path, network: Trained, *, resize: bool, invert: bool) -> Array:
    """One image (height, width, channels) as float32 in stored units, or as bytes where those are the units."""
    from PIL import Image

    shape = network.info.input_shape
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise DataError(f"{path}: the network of trial {network.trial.id} takes {_size(shape)} numbers, not images")
    height, width, channels = shape
    try:
        with Image.open(path) as opened:
            if opened.width * opened.height > _LARGEST_IMAGE:
                raise DataError(f"{path}: {opened.width} × {opened.height} pixels are more than an image is read with")
            if opened.size != (width, height) and not resize:
                raise DataError(
                    f"{path} is {opened.width} × {opened.height} pixels, and the network of trial {network.trial.id} "
                    f"takes {width} × {height}",
                    hint="--resize brings it to that size",
                )
            image = _grey_or_colour(opened, channels)
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's parsers raise all of them
        raise DataError(f"{path} is not an image that can be read: {error}") from None
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
    if invert:
        pixels = 255 - pixels
    largest = network.info.largest
    return pixels if largest == 255.0 else pixels.astype(np.float32) * np.float32(largest / 255.0)


def _grey_or_colour(image: Any, channels: int) -> Any:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":  # 16 bits and more: Pillow would cut off what is above 255
        values = np.asarray(image, dtype=np.float64)
        most = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max()))
        image = Image.fromarray(np.clip(values / most * 255.0, 0.0, 255.0).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        over = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(over, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _array(path: Path) -> Array:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = [name for name in ("inputs", "x", "x_test") if name in found.files] or found.files
            if len(names) != 1 and names[0] not in ("inputs", "x", "x_test"):
                raise DataError(f"{path} holds {', '.join(found.files)}", hint="name the examples `inputs`")
            array: Array = found[names[0]]
            return array
    except (OSError, ValueError, EOFError, IndexError) as error:
        raise DataError(f"{path} is not an array that can be read: {error}") from None


def _shaped(array: Array, network: Trained, path: Path) -> Array:
    """An array as examples (n, …): one example alone, or grey images without their channel, will do."""
    shape = network.info.input_shape
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {array.dtype}, not numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{path} holds numbers that are not finite")
    grey = shape[:-1] if len(shape) == 3 and shape[-1] == 1 else None
    for wanted in (shape, grey):
        if wanted is not None and array.shape == wanted:
            return array.reshape(1, *shape)
        if wanted is not None and array.shape[1:] == wanted:
            return array.reshape(len(array), *shape)
    raise DataError(
        f"{path}: examples of shape {_size(shape)} are wanted, and the array is {_size(array.shape)}",
    )


def _table(path: Path, network: Trained) -> tuple[Array, Sequence[int]]:
    """The examples of a CSV file and the numbers of their rows, from 0: not every row need be one."""
    dataset, shape = network.trial.setting.dataset, network.info.input_shape
    if isinstance(dataset, ReadsFiles):
        found = dataset.examples(str(path), network.splits, labelled=False)
        return found.inputs, found.rows.tolist()
    import csv

    rows: list[list[float]] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, cells in enumerate(csv.reader(file), start=1):
            if not cells:
                continue
            try:
                row = [float(cell) for cell in cells]
            except ValueError:
                if number == 1:  # names of the columns
                    continue
                wrong = next(cell for cell in cells if not _is_number(cell))
                raise DataError(f"{path}:{number}: {wrong!r} is not a number") from None
            if len(row) != math.prod(shape) or not np.isfinite(row).all():
                what = "not finite" if len(row) == math.prod(shape) else f"{len(row)} numbers"
                raise DataError(f"{path}:{number}: {math.prod(shape)} numbers are wanted, and there are {what}")
            rows.append(row)
    if not rows:
        raise DataError(f"{path} holds no rows of numbers")
    return np.asarray(rows, dtype=np.float32).reshape(len(rows), *shape), range(len(rows))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _size(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
