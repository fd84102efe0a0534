"""The training part with as many examples of every class: what ``dataset.rebalance`` asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dlx import randomness
from dlx.errors import UsageError
from dlx.sources import ArraySource

if TYPE_CHECKING:
    from dlx.rebalancing import RebalancingSpec
    from dlx.sources import Splits

NEW = -1
"""The id of an example that is in no part of the data set."""


def evened(splits: Splits, method: RebalancingSpec, seed: int, between: Callable[[], None] = lambda: None) -> Splits:
    """The parts with labelled training examples whose classes are even.

    Those that there are come first, in their order; then what is added, class by class. Stages
    with labels are trained on them; what stages without labels, validation and test have stays
    as it is. A pure function of the parts, the method and the seed. Raises
    :class:`~dlx.errors.UsageError` for a class without examples.
    """
    source = splits.labelled or splits.train
    inputs, labels = source.arrays or source.read(np.arange(len(source)))
    counts = np.bincount(labels, minlength=splits.info.outputs)
    for label in np.flatnonzero(counts == 0).tolist():
        raise UsageError(
            f"dataset.rebalance: there is no training example of class {splits.info.name_of(label)!r} to begin with",
            hint="split: stratified leaves some of every class",
        )
    parts, targets, ids = [inputs], [labels], [source.ids]
    for label, lacking in enumerate((counts.max() - counts).tolist()):
        if not lacking:
            continue
        rows = np.flatnonzero(labels == label)
        rng = randomness.generator(seed, f"rebalance/{label}")
        made, repeated = method.more(inputs[rows], lacking, splits.info.largest, rng, between)
        parts.append(made)
        targets.append(np.full(lacking, label, labels.dtype))
        ids.append(np.full(lacking, NEW, np.int64) if repeated is None else source.ids[rows[repeated]])
    return replace(splits, labelled=ArraySource(*map(np.concatenate, (parts, targets, ids))))
