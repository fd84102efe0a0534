"""The archives of CIFAR-10 and CIFAR-100, packed or unpacked, in the binary and in the python version."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dlx.datasets import DatasetInfo
from dlx.datasets._containers import Container, is_there

if TYPE_CHECKING:
    from dlx.sources import Official

PIXELS = 3 * 32 * 32
"""Bytes of one image, as published: 1,024 of red, 1,024 of green, 1,024 of blue, each row by row."""


@dataclass(frozen=True)
class _Archive(Container):
    """``archives`` are file names, ``folder`` is what they unpack to; ``train`` and ``test`` the files therein."""

    archives: tuple[str, ...]
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    def wanted(self) -> str:
        return self.archives[0]

    def find(self, folder: Path) -> Path | None:
        unpacked = folder / self.folder
        if all(is_there(unpacked / name) for name in (*self.train, *self.test)):
            return unpacked
        return next((folder / name for name in self.archives if is_there(folder / name)), None)

    def read(self, path: Path, info: DatasetInfo) -> Official:
        import numpy as np

        from dlx.datasets import _formats
        from dlx.sources import Official

        files = (*self.train, *self.test)
        names = files if path.is_dir() else tuple(f"{self.folder}/{name}" for name in files)
        images = np.empty((info.train + info.test, *info.input_shape), np.uint8)
        labels = np.empty(info.train + info.test, np.int32)
        for position, stream in _formats.files_of(path, names):
            file = path / files[position] if path.is_dir() else f"{path} ({files[position]})"
            if position < len(self.train):
                count = info.train // len(self.train)
                start = position * count
            else:
                count = info.test // len(self.test)
                start = info.train + (position - len(self.train)) * count
            with _formats.reading(file):
                pixels, numbers = self._decode(stream, count)
                labels[start : start + count] = _formats.labels(numbers, info.outputs)
            images[start : start + count] = pixels.reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
        return Official(images[: info.train], labels[: info.train], images[info.train :], labels[info.train :])

    @abstractmethod
    def _decode(self, stream: IO[bytes], count: int) -> tuple[Any, Any]:
        """Pixels (count, 3072) uint8 and labels (count,) of one file; ValueError for anything else."""


@dataclass(frozen=True)
class Binary(_Archive):
    """The binary version: per image ``label_bytes`` bytes of labels, of which the last counts, then the pixels."""

    label_bytes: int = 1

    def _decode(self, stream: IO[bytes], count: int) -> tuple[Any, Any]:
        import numpy as np

        from dlx.datasets import _formats

        records = np.empty((count, self.label_bytes + PIXELS), np.uint8)
        _formats.fill(stream, records, "it")
        _formats.nothing_after(stream, "it")
        return records[:, self.label_bytes :], records[:, self.label_bytes - 1]


@dataclass(frozen=True)
class Python(_Archive):
    """The python version, whose pickles are interpreted and never run; ``key`` holds the labels."""

    key: str = "labels"

    def _decode(self, stream: IO[bytes], count: int) -> tuple[Any, Any]:
        import numpy as np

        from dlx.datasets import _formats, _pickled

        longest = count * (PIXELS + 256) + (1 << 16)  # pixels, labels, file names
        found = _pickled.read_dict(_read_up_to(stream, longest))
        _formats.nothing_after(stream, "it")
        numbers = found.get(self.key)
        if not isinstance(numbers, list) or len(numbers) != count or not all(type(n) is int for n in numbers):
            raise ValueError(f"its {self.key!r} are not {count} numbers")
        pixels = np.frombuffer(_pickled.array_bytes(found.get("data"), (count, PIXELS)), np.uint8)
        return pixels.reshape(count, PIXELS), np.array(numbers)


def _read_up_to(stream: IO[bytes], longest: int) -> bytes:
    pieces, size = [], 0
    while size < longest and (piece := stream.read(min(1 << 20, longest - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
