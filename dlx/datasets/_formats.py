"""Readers of the containers that data sets come in: bytes in, arrays of a known shape or a DataError out.

Every reader knows the shape it must find and compares the header with it before it
allocates or inflates anything, so a hostile or damaged file costs no more memory than a
good one. Nothing is unpickled and nothing is unpacked onto the disk.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from dlx.errors import DataError, FieldError

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged bytes into a DataError that names the file."""
    try:
        yield
    except (DataError, FieldError):  # the content is what it should not be, and that has been said
        raise
    except OSError as error:  # includes gzip.BadGzipFile
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except (EOFError, ValueError, KeyError, struct.error, RuntimeError, SyntaxError, tokenize.TokenError) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def fill(stream: IO[bytes], array: Array, what: str) -> None:
    """Read exactly ``array.nbytes`` bytes into ``array``; ValueError if the stream ends before."""
    view = array.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(view):
        # In pieces: zip and gzip streams build each piece as bytes before it is copied here.
        piece = stream.read(min(1 << 20, len(view) - done))
        if not piece:
            raise ValueError(f"{what} ends after {done:,} of {len(view):,} bytes")
        view[done : done + len(piece)] = piece
        done += len(piece)


def nothing_after(stream: IO[bytes], what: str) -> None:
    """Require the end of the stream; for gzip and zip this also makes them compare their checksums."""
    if stream.read(1):
        raise ValueError(f"{what} is longer than it should be")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, gunzipped if they begin as gzip does, whatever the file is called."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not zipped:
            yield raw
            return
        with gzip.open(raw, "rb") as stream:
            yield stream  # type: ignore[misc]  # GzipFile reads as IO[bytes] does


def read_idx(path: Path, shape: tuple[int, ...]) -> Bytes:
    """An IDX file of unsigned bytes (LeCun's format), gzipped or not, that must have ``shape``."""
    with reading(path), opened(path) as stream:
        header = stream.read(4 + 4 * len(shape))
        wanted = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
        if header != wanted:
            raise ValueError(f"its header {header.hex(' ')} is not that of an IDX file of {_times(shape)} bytes")
        array = np.empty(shape, np.uint8)
        fill(stream, array, "it")
        nothing_after(stream, "it")
    return array


def read_npz(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """The named arrays of an ``.npz`` (stored, deflated, LZMA, …), each of the given shape.

    Arrays must hold integers; (n, 1) is taken for (n,), as Keras stores CIFAR's labels.
    """
    arrays = {}
    with reading(path), zipfile.ZipFile(path) as archive:
        for name, shape in shapes.items():
            if f"{name}.npy" not in archive.namelist():
                raise ValueError(f"there is no array {name!r} in it, only {', '.join(archive.namelist()[:8])}")
            with archive.open(f"{name}.npy") as stream:
                arrays[name] = _read_npy(stream, name, shape)
    return arrays


def _read_npy(stream: IO[bytes], name: str, shape: tuple[int, ...]) -> Array:
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):  # later ones allow headers of 4 GiB, which NumPy reads before it judges them
        raise ValueError(f"array {name!r} has npy version {version}, not (1, 0)")
    found, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if found != shape and found != (*shape, 1):
        raise ValueError(f"array {name!r} is {_times(found)}, not {_times(shape)}")
    if dtype.kind not in "ui" or (fortran and len(found) > 1):
        order = "Fortran" if fortran else "C"
        raise ValueError(f"array {name!r} holds {dtype} in {order} order, not integers in C order")
    array = np.empty(found, dtype)
    fill(stream, array, f"array {name!r}")
    nothing_after(stream, f"array {name!r}")
    return array.reshape(shape)


class _Bounded:
    """A seekable stream that refuses what only a hostile archive asks for.

    tarfile reads extended headers whole, of whatever size they claim, and inflates whatever
    it skips.
    """

    LARGEST_READ = 4 << 20
    LARGEST_ARCHIVE = 1 << 30

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self.LARGEST_READ:
            raise ValueError(f"its headers claim {size:,} bytes")
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        if position > self.LARGEST_ARCHIVE:
            raise ValueError(f"it is longer than {self.LARGEST_ARCHIVE:,} bytes")
        return self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


def files_of(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, IO[bytes]]]:
    """(position in ``names``, bytes) of each named file of a folder or of a tar archive, gzipped or not.

    An archive is read where it lies: members are matched by name and nothing is written,
    so a name such as ``../x`` leads nowhere. A named member that is a link, a device or
    there twice is refused, and so is an archive without one of the names.
    """
    if path.is_dir():
        for position, name in enumerate(names):
            with reading(path / name), opened(path / name) as stream:
                yield position, stream
        return
    with reading(path), opened(path) as raw, tarfile.open(fileobj=_Bounded(raw), mode="r:") as archive:  # type: ignore[call-overload]
        missing = set(names)
        for member in archive:
            name = member.name.removeprefix("./")
            if name not in names:
                continue
            if name not in missing or not member.isreg():
                raise ValueError(f"its member {name!r} is {'there twice' if member.isreg() else 'not a plain file'}")
            missing.remove(name)
            stream = archive.extractfile(member)
            assert stream is not None
            yield names.index(name), stream
        if missing:
            raise ValueError(f"it has no {', '.join(sorted(missing))}")


def labels(values: Array, classes: int) -> Labels:
    """Class numbers as int32; ValueError where one is none of 0 … ``classes`` − 1."""
    if values.size and not (values.min() >= 0 and values.max() < classes):
        raise ValueError(f"it has labels from {values.min()} to {values.max()}, not 0 to {classes - 1}")
    return values.astype(np.int32)


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(str(size) for size in shape)


def read_digits_csv(path: Path, examples: int) -> tuple[Bytes, Labels]:
    """scikit-learn's ``digits.csv.gz``: 64 values from 0 to 16 and the digit, one example a line."""
    with reading(path), opened(path) as stream:
        text = stream.read(1 << 20)
        nothing_after(stream, "it")
        values = np.array([line.split(b",") for line in text.split()], dtype=np.float64)
        if values.shape != (examples, 65):
            raise ValueError(f"it is a table of {_times(values.shape)}, not of {examples} × 65")
        if not np.isin(values, np.arange(17)).all():
            raise ValueError("it holds something else than whole numbers from 0 to 16")
        table = values.astype(np.uint8)
        return table[:, :64].reshape(-1, 8, 8, 1), labels(table[:, 64], 10)


def read_semeion(path: Path, examples: int) -> tuple[Bytes, Labels]:
    """UCI's ``semeion.data``: a line of 256 pixels, 0 or 1, and ten indicators of the digit."""
    with reading(path), opened(path) as stream:
        text = stream.read(4 << 20)
        nothing_after(stream, "it")
        values = np.array(text.split(), dtype=np.float64)
        if values.size != examples * 266:
            raise ValueError(f"it holds {values.size:,} numbers, not {examples:,} × 266")
        table = values.reshape(examples, 266)
        if not np.isin(table, (0.0, 1.0)).all() or not (table[:, 256:].sum(axis=1) == 1).all():
            raise ValueError("it holds something else than pixels of 0 or 1 and one digit a line")
        return table[:, :256].astype(np.uint8).reshape(-1, 16, 16, 1), labels(table[:, 256:].argmax(axis=1), 10)
