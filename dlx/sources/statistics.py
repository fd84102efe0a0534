"""Means, spreads and variation of the examples of a source, the same on every machine where they can be exact."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from dlx.images import in_parallel, in_shares
from dlx.sources import Array, Scaling, Source


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


def moments_of(source: Source) -> tuple[Array, Array]:
    """:func:`moments` of the inputs of a source, whether or not they are in memory."""
    if source.arrays is not None:
        return moments(source.arrays[0])
    # Images that are not in memory are bytes: their moments are computed exactly, whatever the blocks.
    blocks = range(0, len(source), _BLOCK)
    return _exact((source.read(np.arange(at, min(at + _BLOCK, len(source))))[0] for at in blocks), (0, 1, 2))


_BLOCK = 512


def moments(inputs: Array) -> tuple[Array, Array]:
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
