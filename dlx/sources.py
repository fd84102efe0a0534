"""Examples as the engine takes them: sources in their stored type, and how they are scaled.

Bytes stay bytes until the compiled step: MNIST is 47 MB here and would be 188 MB as
float32.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlx.datasets import Divide, allocate

if TYPE_CHECKING:
    from dlx.datasets import DatasetInfo, DatasetSpec, InMemory

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


class Source(ABC):
    """A sequence of (input, target) pairs that can be read in any order."""

    @property
    @abstractmethod
    def ids(self) -> Indices:
        """The number of each example in its official part, shape (n,)."""

    @abstractmethod
    def read(self, indices: npt.ArrayLike) -> tuple[Array, Array]:
        """Inputs (k, …) in their stored type, and targets: int32 labels (k,) or float32 (k, outputs)."""

    @property
    @abstractmethod
    def arrays(self) -> tuple[Array, Array] | None:
        """All inputs and targets without a copy, or None where they are not in memory."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that all inputs and targets take in their stored type."""

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
    """The parts of a loaded data set; ``validation`` and ``test`` are None where there is none."""

    train: Source
    validation: Source | None
    test: Source | None
    info: DatasetInfo
    scaling: Scaling


@dataclass(frozen=True)
class Official:
    """A data set as published: all examples in official order; no test part is None."""

    train_inputs: Array
    train_targets: Array
    test_inputs: Array | None = None
    test_targets: Array | None = None

    def parts(self) -> list[tuple[str, Array]]:
        """(name, array) of the arrays there are, in the order in which they are digested."""
        named = [
            ("train_inputs", self.train_inputs),
            ("train_targets", self.train_targets),
            ("test_inputs", self.test_inputs),
            ("test_targets", self.test_targets),
        ]
        return [(name, array) for name, array in named if array is not None]

    def digest(self) -> str:
        """SHA-256 over name, type, shape and bytes (little-endian, C order) of each array."""
        digest = hashlib.sha256()
        for name, array in self.parts():
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(array.reshape(-1).view(np.uint8).data)
        return digest.hexdigest()


# Raw words of a bit generator are NumPy's only stream with a promise of never changing
# (NEP 19); Generator.permutation has none, and a split is for ever.
_VALIDATION_KEY = 0x646C78_5641_4C49
TEST_KEY = 0x646C78_5445_5354


def _ranks(examples: int, key: int) -> npt.NDArray[np.uint64]:
    return np.random.Philox(key=key).random_raw(examples)


def hold_out_stratified(labels: Array, shares: Sequence[int], key: int) -> tuple[Indices, Indices]:
    """(kept, held out), both in original order; of class c, ``shares[c]`` examples chosen by a fixed draw."""
    ranks = _ranks(len(labels), key)
    held = np.zeros(len(labels), dtype=bool)
    for label, share in enumerate(shares):
        members = np.flatnonzero(labels == label)
        held[members[np.argsort(ranks[members], kind="stable")[:share]]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out_shuffled(examples: int, held: int, key: int) -> tuple[Indices, Indices]:
    """(kept, held out): the head and the tail of one fixed permutation."""
    order = np.argsort(_ranks(examples, key), kind="stable")
    return order[: examples - held], order[examples - held :]


def divide(spec: InMemory, official: Official) -> Splits:
    """Training, validation and test parts as ``spec`` says, a pure function of spec and labels, never of a seed.

    ``ordered`` gives views of the official arrays; the others copy each part once.
    """
    info = spec.info()
    inputs, targets = official.train_inputs, official.train_targets
    held = spec.held_out(len(inputs))
    kept: slice | Indices
    out: slice | Indices
    if not held or spec.split == "ordered":
        kept, out = slice(0, len(inputs) - held), slice(len(inputs) - held, len(inputs))
    elif spec.split == "shuffled":
        kept, out = hold_out_shuffled(len(inputs), held, _VALIDATION_KEY)
    else:
        counts = np.bincount(targets, minlength=info.outputs)
        shares = allocate(tuple(int(count) for count in counts), held)
        kept, out = hold_out_stratified(targets, shares, _VALIDATION_KEY)
    if spec.train_limit is not None:
        kept = slice(0, spec.train_limit) if isinstance(kept, slice) else kept[: spec.train_limit]
    ids = np.arange(len(inputs), dtype=np.int64)
    train = ArraySource(inputs[kept], targets[kept], ids[kept])
    validation = ArraySource(inputs[out], targets[out], ids[out]) if held else None
    test = None
    if official.test_inputs is not None and official.test_targets is not None and len(official.test_inputs):
        test = ArraySource(official.test_inputs, official.test_targets)
    return Splits(train, validation, test, info, scaling_of(spec, info.largest, train))


def scaling_of(spec: DatasetSpec, largest: float, train: ArraySource) -> Scaling:
    """The scaling that ``spec`` asks for; ``standardize`` is taken from the training part alone."""
    zero, one = np.zeros((), np.float32), np.ones((), np.float32)
    if spec.scaling == "none":
        return Scaling(zero, one)
    if spec.scaling == "unit":
        return Scaling(zero, np.asarray(largest, np.float32))
    if isinstance(spec.scaling, Divide):
        return Scaling(zero, np.asarray(spec.scaling.divide, np.float32))
    mean, std = _moments(train.arrays[0])
    # A feature that never varies carries nothing and has no scale: it becomes 0, not NaN.
    return Scaling(mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32))


def variation(source: Source | None) -> Array | None:
    """Σ(y − ȳ)² of each target in float64, for R²; None for class labels."""
    if source is None or source.arrays is None or source.arrays[1].ndim == 1:
        return None
    targets = source.arrays[1].astype(np.float64)
    variation: Array = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    return variation


def _moments(inputs: Array) -> tuple[Array, Array]:
    """Mean and standard deviation per channel of images (n, h, w, c), per feature otherwise, in float64.

    Of whole numbers they are computed exactly, so that they are the same on every machine.
    """
    axes = (0, 1, 2) if inputs.ndim == 4 else (0,)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(inputs.shape))[1:]
    if inputs.dtype.kind not in "ui":
        values = inputs.astype(np.float64)
        return values.mean(axis=axes).reshape(shape), values.std(axis=axes).reshape(shape)
    sums, squares = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for start in range(0, len(inputs), 512):  # in blocks: the squares take eight times the room of bytes
        block = inputs[start : start + 512].astype(np.int64)
        sums += block.sum(axis=axes).reshape(shape)
        squares += np.square(block).sum(axis=axes).reshape(shape)
    count = inputs.size // sums.size
    totals = [(int(total), int(square)) for total, square in zip(sums.flat, squares.flat, strict=True)]
    mean = np.array([total / count for total, _ in totals])
    variance = np.array([(count * square - total * total) / count**2 for total, square in totals])
    return mean.reshape(shape), np.sqrt(variance).reshape(shape)
