"""Checkpoints on the disk: named arrays and a JSON state, whole or not at all.

``checkpoints/<number>/`` holds ``arrays.bin`` (the arrays' bytes one after another, each
at a multiple of 64), ``state.json`` (their names, types, shapes and places, and the state)
and ``manifest.json`` (length and SHA-256 of both), written last. The directory is filled
under another name, flushed and renamed. Plain bytes rather than ``.npz``: no pickle, no
names that are paths, every dtype, and the speed of the disk.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import TrialError
from dlx.records import atomic

if TYPE_CHECKING:
    import numpy as np

_FORMAT = 1
_ALIGNMENT = 64
_ARRAYS, _STATE, _MANIFEST = "arrays.bin", "state.json", "manifest.json"
_NUMBERS = {"bool", "complex64", "complex128", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
_NUMBERED = re.compile(r"(\d{1,12})(\..*)?")


@dataclass
class Checkpoint:
    """What was saved, as it was: writable arrays by name, and the state as JSON gives it back (tuples are lists)."""

    number: int
    arrays: dict[str, np.ndarray]
    state: Any


class _DamagedError(Exception):
    """Why a checkpoint cannot be used."""


@dataclass
class CheckpointStore:
    """The newest ``keep`` checkpoints of a trial.

    ``check`` is called just before a checkpoint takes its name and may raise to prevent
    it: the ownership of the trial.
    """

    directory: Path
    keep: int = 2
    check: Callable[[], None] | None = None

    def save(self, arrays: Mapping[str, np.ndarray], state: Any) -> int:
        """Write a checkpoint and drop all but the newest; gives its number.

        Any names, any dtype but objects. Raises :class:`~dlx.errors.TrialError` when it
        cannot be written; earlier ones are untouched.
        """
        with atomic.explained("write", self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
        number = max(self._taken(), default=0) + 1
        with atomic.committing(self.directory / f"{number:06d}", check=self.check) as place:
            index, arrays_entry = _write_arrays(place / _ARRAYS, arrays)
            content = json.dumps({"byteorder": sys.byteorder, "arrays": index, "state": state}).encode()
            atomic.write_durably(place / _STATE, content)
            files = {_ARRAYS: arrays_entry, _STATE: _entry(len(content), hashlib.sha256(content).hexdigest())}
            manifest = json.dumps({"format": _FORMAT, "files": files}, indent=2).encode()
            atomic.write_durably(place / _MANIFEST, manifest)
        self._prune()
        return number

    def load_latest(
        self, note: Callable[[str], None] = lambda sentence: None, *, not_beyond: int | None = None
    ) -> Checkpoint | None:
        """The newest checkpoint that is whole (and has no number beyond that given), or None.

        A damaged one is renamed to ``<number>.damaged``, the one before is tried, and
        ``note`` is told in a sentence each time.
        """
        numbers = [number for number in self.numbers() if not_beyond is None or number <= not_beyond]
        for number in reversed(numbers):
            place = self.directory / f"{number:06d}"
            try:
                with atomic.explained("read", place):
                    return _read(place, number)
            except _DamagedError as damage:
                with atomic.explained("rename", place):
                    aside = atomic.set_aside(place, ".damaged")
                note(f"checkpoint {place} is damaged ({damage}); it is set aside as {aside.name}")
        if numbers:
            note(f"no checkpoint in {self.directory} is whole: the trial begins again")
        return None

    def states(self) -> Iterator[tuple[int, Any]]:
        """Number and state of each checkpoint that is whole, oldest first; nothing is changed."""
        for number in self.numbers():
            place = self.directory / f"{number:06d}"
            try:
                with atomic.explained("read", place):
                    state = _read(place, number).state
            except _DamagedError:
                continue
            yield number, state

    def numbers(self) -> list[int]:
        """The numbers of the checkpoints present, oldest first, damaged ones set aside not counted."""
        found = [name for name in self._names() if name.isdigit() and name == f"{int(name):06d}"]
        return sorted(map(int, found))

    def clear(self) -> None:
        """Remove all checkpoints, of a trial that needs none any more; damaged ones too."""
        if self.directory.exists():
            with atomic.explained("remove", self.directory):
                atomic.remove_directory(self.directory)

    def sweep(self) -> None:
        """Remove what attempts that died while writing left; only the owner of the trial may call this."""
        atomic.sweep(self.directory, every_process=True)

    def _names(self) -> list[str]:
        with atomic.explained("read", self.directory):
            return [place.name for place in self.directory.iterdir()] if self.directory.exists() else []

    def _taken(self) -> list[int]:
        """Numbers that may not be given again, those set aside among them: order must stay that of time."""
        return [int(match[1]) for name in self._names() if (match := _NUMBERED.fullmatch(name))]

    def _prune(self) -> None:
        for number in self.numbers()[: -self.keep]:
            with contextlib.suppress(OSError):  # one too many harms nobody
                atomic.remove_directory(self.directory / f"{number:06d}")


def _entry(length: int, digest: str) -> dict[str, Any]:
    return {"bytes": length, "sha256": digest}


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Write all arrays into one file; gives where each stands, and the file's entry in the manifest."""
    import numpy as np

    index: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    offset = 0
    with path.open("xb") as file:
        for name, value in arrays.items():
            array = np.ascontiguousarray(value)
            if _dtype(array.dtype.name) != array.dtype:
                raise TypeError(f"a checkpoint cannot hold {name!r}, whose dtype is {array.dtype}")
            padding = b"\0" * (-offset % _ALIGNMENT)
            content = array.reshape(-1).view(np.uint8).data if array.size else b""
            for part in (padding, content):
                file.write(part)
                digest.update(part)
            offset += len(padding)
            index.append({"name": name, "dtype": array.dtype.name, "shape": list(np.shape(value)), "offset": offset})
            offset += array.nbytes
        file.flush()
        os.fsync(file.fileno())
    return index, _entry(offset, digest.hexdigest())


def _read(place: Path, number: int) -> Checkpoint:
    import numpy as np

    manifest = _json(_content(place / _MANIFEST), _MANIFEST)
    try:
        if manifest["format"] != _FORMAT:
            raise _DamagedError(f"format {manifest['format']!r} is not known here")
        contents = {name: _verified(place / name, manifest["files"][name]) for name in (_ARRAYS, _STATE)}
        state = _json(contents[_STATE], _STATE)
        if state["byteorder"] != sys.byteorder:
            raise TrialError(f"{place} was written on a machine of the other byte order", hint="--restart begins again")
        arrays = {}
        for entry in state["arrays"]:
            shape = tuple(map(int, entry["shape"]))
            count = math.prod(shape)
            dtype = _dtype(entry["dtype"])
            if dtype is None or min(shape, default=0) < 0:
                raise ValueError(f"{shape} of {entry['dtype']} is no array")
            array = np.frombuffer(contents[_ARRAYS], dtype, count, entry["offset"]) if count else np.empty(0, dtype)
            arrays[entry["name"]] = array.reshape(shape)
        return Checkpoint(number, arrays, state["state"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _DamagedError(f"its content makes no sense: {error!r}") from error


def _content(path: Path) -> bytearray:
    try:
        with path.open("rb", buffering=0) as file:
            content = bytearray(os.fstat(file.fileno()).st_size)
            view, read = memoryview(content), 0
            while read < len(content) and (count := file.readinto(view[read:])):
                read += count
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise _DamagedError(f"{path.name} is missing") from error
    except OSError as error:
        if error.errno != errno.EIO:  # a refusal, not a damage: the checkpoint may be read another time
            raise
        raise _DamagedError(f"{path.name} cannot be read") from error
    return content


def _verified(path: Path, entry: Mapping[str, Any]) -> bytearray:
    content = _content(path)
    if len(content) != entry["bytes"]:
        raise _DamagedError(f"{path.name} has {len(content)} bytes instead of {entry['bytes']}")
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _DamagedError(f"{path.name} does not have its SHA-256")
    return content


def _json(content: bytes | bytearray, name: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _DamagedError(f"{name} is not JSON: {error}") from error


def _dtype(name: str) -> np.dtype[Any] | None:
    """A dtype of numbers by name, None for all others; ``bfloat16`` and the 8-bit floats are those of ml_dtypes."""
    import numpy as np

    if name in _NUMBERS:
        return np.dtype(name)
    import ml_dtypes

    kind = getattr(ml_dtypes, name, None)
    return np.dtype(kind) if isinstance(kind, type) and issubclass(kind, np.generic) else None
