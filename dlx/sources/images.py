"""Images that are made when they are read: decoded from files, or resized; each once where they fit in memory."""

from __future__ import annotations

import os
import threading
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dlx import images
from dlx.errors import DataError
from dlx.images import Array, Cut
from dlx.sources import Indices, Source, View, resident_limit

DEFAULT_KEPT_BYTES = 2 << 30
_RUN = 8
"""Images at most that a thread makes before it asks for more: handing over each costs a tenth of a small one."""


def kept_limit() -> int:
    """Bytes of made images that a part keeps of more than may be resident (``DLX_KEPT_BYTES``, default 2 GiB)."""
    return int(os.environ.get("DLX_KEPT_BYTES", DEFAULT_KEPT_BYTES))


class MadeSource(Source):
    """Images of one shape and type, made one by one, in parallel; none is made twice that there was room to keep.

    A part that fits is made whole when its arrays are asked for first, and is then as any other
    array. Of a larger one as many images are kept as fit into :func:`kept_limit`, those read
    first: every epoch reads all, so that no other choice would save more.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, targets: Array, ids: Indices | None = None
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._targets = targets
        self._ids = np.arange(len(targets), dtype=np.int64) if ids is None else ids
        self._lock = threading.Lock()
        self._whole: Array | None = None
        self._kept: Array | None = None
        self._slots: Array | None = None
        self._taken = 0

    @abstractmethod
    def make(self, row: int, cut: Cut | None = None) -> Array:
        """One image, of the source's shape and type; ``cut``: what of the picture, in place of its centre."""

    @abstractmethod
    def take(self, rows: Indices, targets: Array | None = None) -> MadeSource:
        """A source of some of the examples, in that order; with other ``targets``, where these are numbered anew."""

    def _targets_of(self, rows: Indices, others: Array | None) -> Array:
        return self._targets[rows] if others is None else others

    @property
    def ids(self) -> Indices:
        return self._ids

    @property
    def targets(self) -> Array:
        return self._targets

    @property
    def nbytes(self) -> int:
        return len(self) * self._each + self._targets.nbytes

    @property
    def arrays(self) -> tuple[Array, Array] | None:
        if self.nbytes > resident_limit():
            return None
        with self._lock:
            if self._whole is None:
                whole = np.empty((len(self), *self.shape), self.dtype)
                self._fill(whole, np.arange(len(self)), range(len(self)))
                self._whole = whole
        return self._whole, self._targets

    def read(self, indices: npt.ArrayLike) -> tuple[Array, Array]:
        rows = np.asarray(indices, dtype=np.int64)
        if self._whole is not None:
            return self._whole[rows], self._targets[rows]
        with self._lock:
            if self._slots is None:
                self._slots = np.full(len(self), -1, np.int64)
                room = min(len(self), kept_limit() // max(1, self._each))
                self._kept = np.empty((room, *self.shape), self.dtype)  # the system gives memory as it is written
            assert self._kept is not None
            found = np.empty((len(rows), *self.shape), self.dtype)
            slots = self._slots[rows]
            there = np.flatnonzero(slots >= 0)
            found[there] = self._kept[slots[there]]
            absent = np.flatnonzero(slots < 0)
            self._fill(found, rows, absent.tolist())
            for at in absent[: len(self._kept) - self._taken].tolist():
                if self._slots[rows[at]] < 0:  # it may be asked for twice
                    self._kept[self._taken] = found[at]
                    self._slots[rows[at]] = self._taken
                    self._taken += 1
        return found, self._targets[rows]

    def view(self, indices: npt.ArrayLike, view: View, draws: Array) -> tuple[Array, Array]:
        rows = np.asarray(indices, dtype=np.int64)
        found = np.empty((len(rows), *self.shape), self.dtype)

        def make(at: int) -> None:
            found[at] = self.make(int(rows[at]), partial(view, draws[at]))

        for _ in images.in_parallel(make, range(len(rows))):
            pass
        return found, self._targets[rows]

    @property
    def _each(self) -> int:
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def _fill(self, found: Array, rows: Array, places: Sequence[int]) -> None:
        """Make the images of ``rows`` that are to stand at ``places`` of ``found``, on all cores."""

        def make(run: Sequence[int]) -> None:
            for at in run:
                found[at] = self.make(int(rows[at]))

        size = max(1, min(_RUN, len(places) // images.cores()))
        for _ in images.in_parallel(make, [places[at : at + size] for at in range(0, len(places), size)]):
            pass


class Resized(MadeSource):
    """The images of another source at another size; see :func:`dlx.images.refitted`."""

    def __init__(self, source: Source, size: tuple[int, int], *, whole: bool, targets: Array | None = None) -> None:
        inputs, _ = source.read(np.arange(0, 1))
        dtype = np.uint8 if inputs.dtype == np.uint8 and whole else np.float32
        super().__init__((*size, inputs.shape[3]), dtype, source.targets if targets is None else targets, source.ids)
        self._source = source
        self._size = size
        self._round = whole

    def make(self, row: int, cut: Cut | None = None) -> Array:
        inputs, _ = self._source.read(np.array([row]))
        return images.refitted(inputs[0], self._size, whole=self._round, cut=cut)

    def take(self, rows: Indices, targets: Array | None = None) -> MadeSource:
        targets = self._targets_of(rows, targets)
        return Resized(self._source.take(rows), self._size, whole=self._round, targets=targets)


class ImageFiles(MadeSource):
    """Image files below a folder, decoded to bytes (height, width, channels); see :func:`dlx.images.decoded`."""

    def __init__(
        self,
        folder: Path,
        paths: Sequence[str],
        size: tuple[int, int],
        channels: int,
        targets: Array,
        ids: Indices | None = None,
    ) -> None:
        super().__init__((*size, channels), np.uint8, targets, ids)
        self._folder = folder
        self._paths = paths
        self._size = size

    def make(self, row: int, cut: Cut | None = None) -> Array:
        path = self._folder / self._paths[row]
        try:
            return images.decoded(path, self._size, self.shape[2], cut)
        except images.Unreadable as error:
            raise DataError(
                f"{path} could be read when the folder was looked through, and now cannot: {error}"
            ) from None

    def take(self, rows: Indices, targets: Array | None = None) -> MadeSource:
        paths = [self._paths[row] for row in rows.tolist()]
        targets = self._targets_of(rows, targets)
        return ImageFiles(self._folder, paths, self._size, self.shape[2], targets, self._ids[rows])


class Encoded(MadeSource):
    """Images in a sequence of records that is read in any order, each a mapping with the encoded file under ``key``."""

    def __init__(
        self, records: Any, key: str, size: tuple[int, int], channels: int, targets: Array, ids: Indices | None = None
    ) -> None:
        super().__init__((*size, channels), np.uint8, targets, ids)
        self._records = records
        self._key = key
        self._size = size

    def make(self, row: int, cut: Cut | None = None) -> Array:
        number = int(self._ids[row])
        try:
            return images.decoded(bytes(self._records[number][self._key]), self._size, self.shape[2], cut)
        except images.Unreadable as error:
            raise DataError(f"the image of example {number} cannot be read: {error}") from None

    def take(self, rows: Indices, targets: Array | None = None) -> MadeSource:
        targets = self._targets_of(rows, targets)
        return Encoded(self._records, self._key, self._size, self.shape[2], targets, self._ids[rows])
