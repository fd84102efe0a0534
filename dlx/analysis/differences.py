"""How rows differ from a baseline, or from the best: by pairs of seeds where they share them, else by Welch's test."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from dlx.analysis import folds, statistics
from dlx.analysis.measurements import Cell
from dlx.analysis.metrics import Metric, Share
from dlx.analysis.rows import Row
from dlx.analysis.statistics import Difference
from dlx.errors import UsageError


@dataclass(frozen=True)
class Against:
    """One row against the baseline in one metric: ``difference`` is the row's mean minus the baseline's.

    None where there is nothing to compare. ``comparisons`` are made together: p-values are
    corrected for so many. ``seeds_needed`` would settle a difference that is not detected.
    """

    metric: int
    row: Row
    baseline: Row
    difference: Difference | None
    comparisons: int = 1
    seeds_needed: int | None = None


def differences(rows: Sequence[Row], metrics: Sequence[Metric], baselines: Sequence[Row] | None) -> list[Against]:
    """Every row against the baseline of its own data, by metric; p-values corrected (Holm) within each metric.

    ``baselines`` has at most one row of each kind of data; None: the best of each, where
    neither more nor less is better the first. Raises :class:`~dlx.errors.UsageError`.
    """
    kinds: dict[object, list[Row]] = {}
    for row in rows:
        kinds.setdefault(data_of(row), []).append(row)
    found: list[Against] = []
    for number, metric in enumerate(metrics):
        family: list[Against] = []
        for alike in kinds.values():
            baseline = _choose(alike, number, metric, baselines)
            if baseline is not None:
                family += [
                    Against(number, row, baseline, difference_of(metric, row.cells[number], baseline.cells[number]))
                    for row in alike
                    if row is not baseline
                ]
        found += _corrected(family)
    return found


def data_of(row: Row) -> object:
    """What a row was trained on: rows of different data are not compared."""
    setting = row.pooled.setting
    names = ("dataset.name", "digests.dataset", "evaluation.folds", "evaluation.test", "evaluation.stratified")
    return tuple(setting.get(name) for name in names)


def _choose(alike: Sequence[Row], number: int, metric: Metric, baselines: Sequence[Row] | None) -> Row | None:
    if baselines is not None:
        named = [row for row in alike if any(row is baseline for baseline in baselines)]
        if len(named) > 1:
            listed = "; ".join(row.label for row in named[:8])
            raise UsageError(f"--baseline names {len(named)} rows: {listed}", hint="add conditions until it names one")
        return named[0] if named else None
    measured = [row for row in alike if math.isfinite(row.cells[number].mean)]
    if not measured:
        return None
    return max(measured, key=lambda row: row.cells[number].mean * metric.better) if metric.better else measured[0]


def difference_of(metric: Metric, one: Cell, other: Cell) -> Difference | None:
    """A row's mean minus another's, by pairs where most trials have one.

    None where one has no values, one is not finite, or trials never got there: a mean of the rest misleads.
    """
    values = [list(cell.values.values()) for cell in (one, other)]
    if not all(values) or not all(map(math.isfinite, [*values[0], *values[1]])) or one.never or other.never:
        return None
    shared = [replicate for replicate in one.values if replicate in other.values]
    if one.overlap or other.overlap:
        return _of_folds(one, other, shared)
    if isinstance(metric, Share) and {*values[0], *values[1]} <= {0.0, 1.0}:
        return statistics.shares(*values)
    if _by_pairs(len(shared), *map(len, values)):
        return statistics.paired([one.values[seed] for seed in shared], [other.values[seed] for seed in shared])
    return statistics.welch(values[0], values[1])


def _by_pairs(pairs: int, one: int, other: int) -> bool:
    """Whether so many pairs say more than all values of both: as long as most of them have a partner.

    A single pair of several values has no scatter, and the means of all of them have.
    """
    return 2 * pairs >= max(one, other) and (pairs >= 2 or one == other == 1)


def _of_folds(one: Cell, other: Cell, shared: Sequence[Hashable]) -> Difference:
    """The corrected resampled t-test, over the folds that both have, each with the seeds that both have."""
    overlap = max(one.overlap, other.overlap)
    if _by_pairs(len(shared), len(one.values), len(other.values)):
        pairs = [folds.means({replicate: cell.values[replicate] for replicate in shared}) for cell in (one, other)]
        return statistics.paired(list(pairs[0].values()), list(pairs[1].values()), overlap)
    divisions = [list(folds.means(cell.values).values()) for cell in (one, other)]
    return statistics.welch(divisions[0], divisions[1], overlap)


def _corrected(family: Sequence[Against]) -> list[Against]:
    ps = [against.difference.p if against.difference else None for against in family]
    made = sum(p is not None for p in ps)
    found = []
    for against, holm in zip(family, statistics.holm(ps), strict=True):
        difference = replace(against.difference, holm=holm) if against.difference else None
        needed = None
        if difference is not None and holm is not None and not difference.detected:
            needed = statistics.seeds_needed(difference, made)
            # It was missed with as many as these: with the correction it takes more than were trained.
            needed = None if needed is None else max(needed, max(difference.n) + 1)
        found.append(replace(against, difference=difference, comparisons=max(1, made), seeds_needed=needed))
    return found
