"""Examples as the engine takes them: sources in their stored type, and how they are scaled.

Bytes stay bytes until the compiled step: MNIST is 47 MB here and would be 188 MB as
float32.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from dlx.datasets import DatasetInfo

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


DEFAULT_RESIDENT_BYTES = 2 << 30


def resident_limit() -> int:
    """Bytes of a part that may stay in memory and on the device (``DLX_RESIDENT_BYTES``, default 2 GiB)."""
    return int(os.environ.get("DLX_RESIDENT_BYTES", DEFAULT_RESIDENT_BYTES))


View = Callable[[Array, tuple[int, int], tuple[int, int]], tuple[float, float, float, float]]
"""What is seen of a picture, given four draws from [0, 1), its (height, width) and those that it is brought to.

Left, top, right and bottom, in pixels of the picture.
"""


class Source(ABC):
    """A sequence of (input, target) pairs that can be read in any order."""

    @property
    @abstractmethod
    def ids(self) -> Indices:
        """The number of each example in its official part, shape (n,)."""

    @abstractmethod
    def read(self, indices: npt.ArrayLike) -> tuple[Array, Array]:
        """Inputs (k, …) in their stored type, and targets: int32 labels (k,) or float32 (k, outputs)."""

    def view(self, indices: npt.ArrayLike, view: View, draws: Array) -> tuple[Array, Array]:
        """As :meth:`read`, of each picture the part that ``view`` makes of its draws (k, 4): made anew each time.

        Only of sources whose images were brought to their size from other pictures.
        """
        raise TypeError(f"{type(self).__name__} has no pictures larger than its images")

    @property
    @abstractmethod
    def arrays(self) -> tuple[Array, Array] | None:
        """All inputs and targets without a copy, or None where they are not in memory."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that all inputs and targets take in their stored type."""

    @property
    def targets(self) -> Array:
        """All targets, as :meth:`read` gives them."""
        return self.read(np.arange(len(self)))[1]

    def take(self, rows: Indices) -> Source:
        """A source of some of the examples, in that order."""
        inputs, targets = self.read(rows)
        return ArraySource(inputs, targets, self.ids[rows])

    def __len__(self) -> int:
        return len(self.ids)


class ArraySource(Source):
    """Examples held as NumPy arrays or memory maps; ``ids`` defaults to their positions."""

    def __init__(self, inputs: Array, targets: Array, ids: Indices | None = None) -> None:
        self._inputs = inputs
        self._targets = targets
        self._ids = np.arange(len(inputs), dtype=np.int64) if ids is None else ids
        if not len(self._inputs) == len(self._targets) == len(self._ids):
            raise ValueError(f"{len(inputs)} inputs, {len(targets)} targets, {len(self._ids)} ids")

    @property
    def ids(self) -> Indices:
        return self._ids

    def read(self, indices: npt.ArrayLike) -> tuple[Array, Array]:
        rows = np.asarray(indices, dtype=np.int64)
        return self._inputs[rows], self._targets[rows]

    @property
    def arrays(self) -> tuple[Array, Array]:
        return self._inputs, self._targets

    @property
    def targets(self) -> Array:
        return self._targets

    @property
    def nbytes(self) -> int:
        return self._inputs.nbytes + self._targets.nbytes


@dataclass(frozen=True)
class Scaling:
    """x ↦ (float32(x) − ``subtract``) / ``divide``; both float32, broadcastable to one example."""

    subtract: Array
    divide: Array

    def apply(self, inputs: Array) -> Array:
        """The scaled inputs as float32: what the compiled step computes, in NumPy."""
        return (inputs.astype(np.float32) - self.subtract) / self.divide


@dataclass(frozen=True)
class Splits:
    """The parts of a loaded data set; ``validation`` and ``test`` are None where there is none.

    ``target_scaling``: what is subtracted from each target, and what it is then divided by, to be
    learned; None where targets are learned as they are. Parts hold them as they are.
    """

    train: Source
    validation: Source | None
    test: Source | None
    info: DatasetInfo
    scaling: Scaling
    target_scaling: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    labelled: Source | None = None
    """The training examples that have labels, where some have none."""

    def with_labels(self) -> Splits:
        """The parts that stages with labels are trained on."""
        return self if self.labelled is None else replace(self, train=self.labelled)


class Rows(Protocol):
    """Inputs of which rows can be taken: an array, or what becomes one when they are taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice | Indices, /) -> Array:
        """The inputs of some examples (k, …)."""

    def __array__(self) -> Array:
        """Those of all examples."""


@dataclass(frozen=True)
class Official:
    """A data set as published: all examples in official order; no test part is None.

    ``drawn``: where the training and the test examples stand in the file, for a test part that
    is no official one. ``train_ids`` and ``test_ids`` number the examples where some were left
    out; by default from 0. ``chosen``: the rows of ``train_inputs`` that are for training and for
    testing, where all of them are still together.
    """

    train_inputs: Rows
    train_targets: Array
    test_inputs: Rows | None = None
    test_targets: Array | None = None
    drawn: tuple[Indices, Indices] | None = None
    train_ids: Indices | None = None
    test_ids: Indices | None = None
    chosen: tuple[Indices, Indices] | None = None

    def parts(self) -> list[tuple[str, Array]]:
        """(name, array) of the arrays there are, in the order in which they are digested."""
        named = [
            ("train_inputs", self.train_inputs),
            ("train_targets", self.train_targets),
            ("test_inputs", self.test_inputs),
            ("test_targets", self.test_targets),
        ]
        return [(name, np.asarray(array)) for name, array in named if array is not None]

    def digest(self) -> str:
        """SHA-256 over name, type, shape and bytes (little-endian, C order) of each array."""
        digest = hashlib.sha256()
        for name, array in self.parts():
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()
