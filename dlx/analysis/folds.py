"""What folds ask of statistics: their training sets share examples, so that they are fewer trials than they seem.

Nadeau and Bengio (2003), Inference for the Generalization Error, Machine Learning 52:239, section 3: the variance of a
mean over J divisions is not s²/J but (1/J + n_test/n_train)·s², with J - 1 degrees of freedom. With k folds,
n_test/n_train is 1/(k - 1). Over seeds of one fold, the mean is taken first.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Division = tuple[int | None, int | None]
"""Repeat and fold."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations (n - 1), None where there is nothing to take them over.

    ``folds``: between the folds of one repeat (their variances averaged over the repeats, each fold being the mean of
    its seeds); ``repeats``: between the means of the repeats; ``seeds``: between the seeds of one fold.
    """

    folds: float | None
    repeats: float | None
    seeds: float | None


def overlap_of(setting: Mapping[str, Any]) -> float:
    """Examples tested on for each one trained on; 0 where a setting is not tested in folds."""
    folds, test = setting.get("evaluation.folds"), setting.get("evaluation.test")
    if isinstance(folds, int) and folds > 1:
        return 1 / (folds - 1)
    return test / (1 - test) if isinstance(test, float) and 0.0 < test < 1.0 else 0.0


def division_of(replicate: Hashable) -> Division:
    """Repeat and fold of a replicate, as :attr:`dlx.analysis.trials.Trial.replicate` begins."""
    assert isinstance(replicate, tuple)
    return replicate[1], replicate[2]


def by_division(values: Mapping[Hashable, float]) -> dict[Division, list[float]]:
    """The values of each division, one of every seed."""
    found: dict[Division, list[float]] = {}
    for replicate, value in values.items():
        found.setdefault(division_of(replicate), []).append(value)
    return found


def means(values: Mapping[Hashable, float]) -> dict[Division, float]:
    """The mean of each division over its seeds."""
    return {division: math.fsum(some) / len(some) for division, some in by_division(values).items()}


def spread(values: Mapping[Hashable, float]) -> Spread:
    """The spread of a metric over folds, over repeats and over seeds told apart."""
    repeats: dict[int | None, list[float]] = {}
    for (repeat, _fold), mean in means(values).items():
        repeats.setdefault(repeat, []).append(mean)
    return Spread(
        _pooled(repeats.values()),
        _std([math.fsum(some) / len(some) for some in repeats.values()]),
        _pooled(by_division(values).values()),
    )


def _pooled(groups: Iterable[Sequence[float]]) -> float | None:
    """The root of the mean variance within groups, weighted by their degrees of freedom."""
    several = [(len(group) - 1, std) for group in groups if (std := _std(group)) is not None]
    freedom = sum(df for df, _std_ in several)
    return math.sqrt(sum(df * std * std for df, std in several) / freedom) if freedom else None


def _std(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
