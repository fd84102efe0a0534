"""Examples as the engine takes them: sources in their stored type, and how they are scaled.

Bytes stay bytes until the compiled step: MNIST is 47 MB here and would be 188 MB as
float32.
"""

from __future__ import annotations

import hashlib
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from dlx.datasets import Divide, Split, _info, allocate
from dlx.errors import FieldError
from dlx.images import in_parallel, in_shares

if TYPE_CHECKING:
    from dlx.datasets import DatasetInfo, DatasetSpec

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


# Raw words of a bit generator are NumPy's only stream with a promise of never changing
# (NEP 19); Generator.permutation has none, and a split is for ever.
_VALIDATION_KEY = 0x646C78_5641_4C49
TEST_KEY = 0x646C78_5445_5354


def ranks(examples: int, key: int) -> npt.NDArray[np.uint64]:
    """A number for each example, drawn once for all; ``key`` has 128 bits."""
    return np.random.Philox(key=key).random_raw(examples)


def hold_out_stratified(labels: Array, shares: Sequence[int], key: int) -> tuple[Indices, Indices]:
    """(kept, held out), both in original order; of class c, ``shares[c]`` examples chosen by a fixed draw."""
    drawn = ranks(len(labels), key)
    held = np.zeros(len(labels), dtype=bool)
    for label, share in enumerate(shares):
        members = np.flatnonzero(labels == label)
        held[members[_lowest(drawn[members], share)]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _lowest(ranks: npt.NDArray[np.uint64], count: int) -> Indices | Array:
    """Where the ``count`` lowest ranks are; of equal ones the first."""
    if not 0 < count < len(ranks):
        return np.arange(min(count, len(ranks)))
    below = np.flatnonzero(ranks <= np.partition(ranks, count - 1)[count - 1])
    return below if len(below) == count else np.argsort(ranks, kind="stable")[:count]


def hold_out_shuffled(examples: int, held: int, key: int) -> tuple[Indices, Indices]:
    """(kept, held out): the head and the tail of one fixed permutation."""
    order = np.argsort(ranks(examples, key), kind="stable")
    return order[: examples - held], order[examples - held :]


_IMBALANCE_KEY = 0x646C78_494D_4241


def arrange(spec: DatasetSpec, official: Official) -> Official:
    """The classes, the test part and the imbalance that ``spec`` asks for, out of all that is published."""
    arranged = _arranged(spec, official)
    if spec.imbalance is None:
        return arranged
    inputs, targets, counts = arranged.train_inputs, arranged.train_targets, spec.info().train_counts
    if arranged.chosen is not None:
        ours, out = arranged.chosen
        _, rows = hold_out_stratified(targets[ours], counts, _IMBALANCE_KEY)
        return replace(arranged, chosen=(ours[rows], out))
    _, rows = hold_out_stratified(targets, counts, _IMBALANCE_KEY)
    ids = _ids(arranged.train_ids, len(inputs))[rows]
    return replace(arranged, train_inputs=_rows(inputs, rows), train_targets=targets[rows], drawn=None, train_ids=ids)


def _arranged(spec: DatasetSpec, official: Official) -> Official:
    if (spec.test is not None or spec.fold is not None) and spec.drawn_test and official.drawn is not None:
        official = _rejoined(official)
    info = spec.whole()
    if spec.classes is not None:
        official = _picked(official, _info.class_numbers(info, spec.classes), info.outputs)
        info = _info.picked(info, _info.class_numbers(info, spec.classes))
    if spec.fold is not None:
        chosen = spec.fold.divided(official.train_targets, spec.divisible())
        return Official(official.train_inputs, official.train_targets, train_ids=official.train_ids, chosen=chosen)
    test = spec.test_share()
    if not test or official.test_inputs is not None:
        return official
    held = _info.share(test, len(official.train_inputs), "test")
    kept, out = _hold_out(spec.way(info), official.train_targets, held, TEST_KEY, info)
    if isinstance(kept, np.ndarray) and isinstance(out, np.ndarray):
        return replace(official, drawn=None, chosen=(kept, out))  # copied once, when it is known what to validate on
    inputs, targets = official.train_inputs, official.train_targets
    ids = _ids(official.train_ids, len(inputs))
    return Official(inputs[kept], targets[kept], inputs[out], targets[out], None, ids[kept], ids[out])


def _rejoined(official: Official) -> Official:
    """All examples in the order of the file, as before a test part was drawn from them."""
    assert official.drawn is not None and official.test_inputs is not None and official.test_targets is not None
    order = np.argsort(np.concatenate(official.drawn), kind="stable")
    inputs = np.concatenate([np.asarray(official.train_inputs), np.asarray(official.test_inputs)])[order]
    return Official(inputs, np.concatenate([official.train_targets, official.test_targets])[order])


def _picked(official: Official, numbers: Sequence[int], classes: int) -> Official:
    """The examples of some classes, labelled by their places in ``numbers``."""
    new = np.full(classes, -1, np.int32)
    new[list(numbers)] = np.arange(len(numbers), dtype=np.int32)

    def part(inputs: Rows | None, targets: Array | None, ids: Indices | None) -> tuple[Any, Any, Any]:
        if inputs is None or targets is None:
            return None, None, None
        rows = np.flatnonzero(new[targets] >= 0)
        return inputs[rows], new[targets[rows]], _ids(ids, len(inputs))[rows]

    train = part(official.train_inputs, official.train_targets, official.train_ids)
    test = part(official.test_inputs, official.test_targets, official.test_ids)
    return Official(train[0], train[1], test[0], test[1], None, train[2], test[2])


def _rows(inputs: Rows, rows: slice | Indices) -> Array:
    """A view of a slice, else a copy, made by ``take``: three times as fast as indexing where rows are short."""
    if isinstance(inputs, np.ndarray) and not isinstance(rows, slice):
        return np.take(inputs, rows, axis=0)
    return inputs[rows]


def _ids(given: Indices | None, examples: int) -> Indices:
    return np.arange(examples, dtype=np.int64) if given is None else given


def _hold_out(
    way: Split, targets: Array, held: int, key: int, info: DatasetInfo
) -> tuple[slice | Indices, slice | Indices]:
    """(kept, held out) of a part: views where the last ones are held out, else indices in original order."""
    examples = len(targets)
    if not held or way == "ordered":
        return slice(0, examples - held), slice(examples - held, examples)
    if way == "shuffled":
        return hold_out_shuffled(examples, held, key)
    counts = np.bincount(targets, minlength=info.outputs)
    shares = allocate(tuple(int(count) for count in counts), held, info.names)
    return hold_out_stratified(targets, shares, key)


def divide(spec: DatasetSpec, official: Official) -> Splits:
    """Training, validation and test parts as ``spec`` says, a pure function of spec and labels, never of a seed.

    ``ordered`` gives views of the official arrays; the others copy each part once.
    """
    info = spec.info()
    inputs, targets = official.train_inputs, official.train_targets
    ids = _ids(official.train_ids, len(inputs))

    def part(rows: slice | Indices) -> ArraySource:
        return ArraySource(_rows(inputs, rows), targets[rows], ids[rows])

    ours = slice(None) if official.chosen is None else official.chosen[0]
    learned = targets[ours]
    held = spec.held_out(len(learned))
    kept, out = _hold_out(spec.way(info), learned, held, _VALIDATION_KEY, info)
    if spec.train_limit is not None:
        kept = slice(0, spec.train_limit) if isinstance(kept, slice) else kept[: spec.train_limit]
    if isinstance(ours, np.ndarray):
        kept, out = ours[kept], ours[out]
    train = part(kept)
    validation = part(out) if held else None
    test = None if official.chosen is None else part(official.chosen[1])
    if official.test_inputs is not None and official.test_targets is not None and len(official.test_inputs):
        test = ArraySource(np.asarray(official.test_inputs), official.test_targets, official.test_ids)
    scaling = scaling_of(spec, info.largest, train, info.indicators)
    scaled = info.task == "regression" and spec.scales_targets()
    return Splits(train, validation, test, info, scaling, _target_scaling(train) if scaled else None)


_LABELLED_KEY = 0x646C78_4C41_424C


def with_labels(splits: Splits, count: int) -> Splits:
    """The parts with ``count`` labelled examples chosen, of classes by their shares, by a draw that is always the same.

    Raises :class:`~dlx.errors.FieldError` (path ``labelled``) where a class would have none.
    """
    train = splits.train
    if count == len(train):
        return splits
    targets = train.targets
    if splits.info.task == "classification":
        counts = np.bincount(targets, minlength=splits.info.outputs)
        try:
            shares = allocate(tuple(counts.tolist()), count, splits.info.names)
        except FieldError as error:
            raise FieldError(error.message, ("labelled",)) from None
        _, chosen = hold_out_stratified(targets, shares, _LABELLED_KEY)
    else:
        _, chosen = hold_out_shuffled(len(train), count, _LABELLED_KEY)
    return replace(splits, labelled=train.take(np.asarray(chosen)))


def _target_scaling(train: ArraySource) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each target of the training part (1 where it is constant there)."""
    mean, std = _moments(train.arrays[1])
    scale = np.where(std > 0, std, 1.0)
    return tuple(mean.astype(np.float32).tolist()), tuple(scale.astype(np.float32).tolist())


def scaling_of(spec: DatasetSpec, largest: float, train: Source, indicators: Sequence[int] = ()) -> Scaling:
    """The scaling that ``spec`` asks for; ``standardize`` is taken from the training part alone.

    Features in ``indicators`` stay 0 and 1: the spread of a rare category would make it enormous.
    """
    zero, one = np.zeros((), np.float32), np.ones((), np.float32)
    if spec.scaling == "none":
        return Scaling(zero, one)
    if spec.scaling == "unit":
        return Scaling(zero, np.asarray(largest, np.float32))
    if isinstance(spec.scaling, Divide):
        return Scaling(zero, np.asarray(spec.scaling.divide, np.float32))
    mean, std = _moments_of(train)
    mean[list(indicators)], std[list(indicators)] = 0.0, 1.0
    # A feature that never varies carries nothing and has no scale: it becomes 0, not NaN.
    return Scaling(mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32))


def variation_of_inputs(source: Source | None, scaling: Scaling) -> Array | None:
    """Σ(x − x̄)² of each scaled input in float64, in a row: of what an autoencoder is to give."""
    if source is None:
        return None
    total: Any = 0.0
    squares: Any = 0.0
    for start in range(0, len(source), 1000):
        inputs, _ = source.read(np.arange(start, min(start + 1000, len(source))))
        values = scaling.apply(inputs).reshape(len(inputs), -1).astype(np.float64)
        total, squares = total + values.sum(axis=0), squares + np.square(values).sum(axis=0)
    variation: Array = squares - np.square(total) / len(source)
    return variation


def variation(source: Source | None, scaling: Scaling | None = None) -> Array | None:
    """Σ(y − ȳ)² of each target in float64, for R²; None for class labels. ``scaling``, of inputs, plays no part."""
    if source is None or source.targets.ndim == 1:
        return None
    targets = source.targets.astype(np.float64)
    variation: Array = np.square(targets - targets.mean(axis=0)).sum(axis=0)
    return variation


def _moments_of(source: Source) -> tuple[Array, Array]:
    if source.arrays is not None:
        return _moments(source.arrays[0])
    # Images that are not in memory are bytes: their moments are computed exactly, whatever the blocks.
    blocks = range(0, len(source), _BLOCK)
    return _exact((source.read(np.arange(at, min(at + _BLOCK, len(source))))[0] for at in blocks), (0, 1, 2))


_BLOCK = 512


def _moments(inputs: Array) -> tuple[Array, Array]:
    """Mean and standard deviation per channel of images (n, h, w, c), per feature otherwise, in float64.

    Of whole numbers they are computed exactly, so that they are the same on every machine.
    """
    axes = (0, 1, 2) if inputs.ndim == 4 else (0,)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(inputs.shape))[1:]
    if inputs.dtype.kind not in "ui":
        rows = inputs.reshape(-1, math.prod(shape))
        mean = _total(rows, np.zeros(rows.shape[1]), 1) / len(rows)
        return mean.reshape(shape), np.sqrt(_total(rows, mean, 2) / len(rows)).reshape(shape)
    # In blocks: the squares take eight times the room of bytes.
    return _exact((inputs[start : start + _BLOCK] for start in range(0, len(inputs), _BLOCK)), axes)


def _exact(blocks: Iterable[Array], axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and standard deviation of whole numbers over ``axes`` of all blocks together."""
    count, sums, squares = 0, np.zeros((), np.int64), np.zeros((), np.int64)
    for block in blocks:
        values = block.astype(np.int64)
        total = values.sum(axis=axes, keepdims=True)[0]
        sums, squares = sums + total, squares + np.square(values).sum(axis=axes, keepdims=True)[0]
        count += values.size // total.size
    totals = [(int(total), int(square)) for total, square in zip(sums.flat, squares.flat, strict=True)]
    mean = np.array([total / count for total, _ in totals])
    variance = np.array([(count * square - total * total) / count**2 for total, square in totals])
    return mean.reshape(sums.shape), np.sqrt(variance).reshape(sums.shape)


_VALUES = 1 << 15
_ABREAST = 16


def _total(rows: Array, mean: Array, power: Literal[1, 2]) -> Array:
    """Σ(x − mean)^power of each column in float64, by blocks that stay in the cache."""
    columns = rows.shape[1]
    # Short rows are added up sixteen abreast: NumPy adds long ones many times faster.
    wide = np.tile(mean, _ABREAST)
    size = _ABREAST * max(1, _VALUES // (_ABREAST * columns))

    def of_blocks(starts: range) -> Array:
        totals, block = np.empty((len(starts), wide.size)), np.empty((size, columns))
        for start, total in zip(starts, totals, strict=True):
            taken = rows[start : start + size]
            block[: len(taken)] = taken
            if len(taken) < size:
                block[len(taken) :] = mean if power == 2 else 0.0  # adds nothing
            values = block.reshape(-1, wide.size)
            if power == 2:
                values -= wide
                np.square(values, out=values)
            values.sum(axis=0, out=total)
        return totals

    total = np.zeros(wide.size)
    for totals in in_parallel(of_blocks, in_shares(range(0, len(rows), size))):
        for each in totals:  # in their order, however many threads there were
            total += each
    found: Array = total.reshape(_ABREAST, columns).sum(axis=0)
    return found
