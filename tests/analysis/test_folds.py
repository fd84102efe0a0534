"""Folds pooled: the corrected resampled t-test and the spreads, each by a second route."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dlx.analysis import folds, statistics
from dlx.analysis.differences import difference_of
from dlx.analysis.measurements import cell
from dlx.analysis.metrics import Measured, parse

METRIC = parse("test_accuracy@last")
RNG = np.random.default_rng(7)


def measured(repeats: int, count: int | None, seeds: int, shift: float = 0.0) -> dict:
    """Values by (seed, repeat, fold), the repeats and the seeds each with an effect of their own."""
    effects = RNG.normal(0, 0.02, repeats)
    return {
        (seed, repeat, fold): 0.9 + shift + effects[repeat] + RNG.normal(0, 0.01)
        for repeat in range(repeats)
        for fold in (range(count) if count else [None])
        for seed in range(seeds)
    }


def cell_of(values: dict, overlap: float):
    return cell(METRIC, [(replicate, Measured(value)) for replicate, value in values.items()], overlap)


def test_the_interval_is_that_of_nadeau_and_bengio() -> None:
    """By scipy's t-distribution with the scale of their equation: 10 folds in 3 repeats, n_test/n_train = 1/9."""
    values = measured(3, 10, 1)
    found = cell_of(values, 1 / 9).estimate
    numbers = np.array(list(values.values()))
    scale = np.sqrt((1 / 30 + 1 / 9) * numbers.var(ddof=1))
    low, high = stats.t.interval(0.95, 29, loc=numbers.mean(), scale=scale)
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-12), pytest.approx(high, rel=1e-12))
    assert found.std == pytest.approx(numbers.std(ddof=1), rel=1e-12)
    assert found.n == 30
    plain = cell_of(values, 0.0).estimate
    assert found.high - found.low > 2 * (plain.high - plain.low)


def test_seeds_of_a_fold_count_once() -> None:
    """Three seeds of ten folds are ten values: the interval is that of their means."""
    values = measured(2, 5, 3)
    found = cell_of(values, 1 / 4).estimate
    frame = pd.DataFrame([(*key, value) for key, value in values.items()], columns=["seed", "repeat", "fold", "value"])
    means = frame.groupby(["repeat", "fold"])["value"].mean()
    low, high = stats.t.interval(0.95, 9, loc=means.mean(), scale=np.sqrt((1 / 10 + 1 / 4) * means.var()))
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-12), pytest.approx(high, rel=1e-12))
    assert found.n == 30


def test_spreads_are_told_apart() -> None:
    values = measured(4, 5, 3)
    frame = pd.DataFrame([(*key, value) for key, value in values.items()], columns=["seed", "repeat", "fold", "value"])
    means = frame.groupby(["repeat", "fold"])["value"].mean()
    found = folds.spread(values)
    assert found.folds == pytest.approx(np.sqrt(means.groupby("repeat").var().mean()), rel=1e-12)
    assert found.repeats == pytest.approx(means.groupby("repeat").mean().std(), rel=1e-12)
    assert found.seeds == pytest.approx(np.sqrt(frame.groupby(["repeat", "fold"])["value"].var().mean()), rel=1e-12)


def test_draws_have_no_spread_of_folds() -> None:
    found = folds.spread(measured(6, None, 1))
    assert (found.folds, found.seeds) == (None, None)
    assert found.repeats is not None


def test_the_difference_is_paired_by_fold_and_corrected() -> None:
    one, other = measured(5, 2, 2, shift=0.03), measured(5, 2, 2)
    found = difference_of(METRIC, cell_of(one, 1.0), cell_of(other, 1.0))
    by_fold = pd.Series({key: one[key] - other[key] for key in one}).groupby(level=[1, 2]).mean()
    t = by_fold.mean() / np.sqrt((1 / 10 + 1.0) * by_fold.var())
    assert found.kind == "paired"
    assert found.n == (10, 10)
    assert found.value == pytest.approx(by_fold.mean(), rel=1e-12)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 9), rel=1e-9)
    uncorrected = stats.ttest_rel([one[key] for key in one], [other[key] for key in one])
    assert found.p > uncorrected.pvalue
    assert statistics.seeds_needed(found) is None


def test_without_common_folds_variances_are_corrected_alike() -> None:
    """With an overlap of 0 it is Welch's test, by scipy; with one, both standard errors grow as the interval's does."""
    a, b = RNG.normal(0.9, 0.01, 8), RNG.normal(0.88, 0.02, 6)
    assert statistics.welch(a, b).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue, rel=1e-9)
    found = statistics.welch(a, b, 0.25)
    x, y = a.var(ddof=1) * (1 / 8 + 0.25), b.var(ddof=1) * (1 / 6 + 0.25)
    df = (x + y) ** 2 / (x**2 / 7 + y**2 / 5)
    assert found.p == pytest.approx(2 * stats.t.sf((a.mean() - b.mean()) / np.sqrt(x + y), df), rel=1e-9)


def test_shares_of_folds_are_corrected_too() -> None:
    """Fisher's test of 0 and 1 by fold would know nothing of the examples that folds share."""
    share = parse("share(test_accuracy@last>=0.9)")
    ones, fewer = [1.0] * 9 + [0.0], [1.0, 0.0] * 5

    def cell_of_shares(values: list[float], overlap: float):
        return cell(share, [((0, 0, fold), Measured(value)) for fold, value in enumerate(values)], overlap)

    found = difference_of(share, cell_of_shares(ones, 1 / 9), cell_of_shares(fewer, 1 / 9))
    differences = np.subtract(ones, fewer)
    t = differences.mean() / np.sqrt((1 / 10 + 1 / 9) * differences.var(ddof=1))
    assert (found.kind, found.n, found.overlap) == ("paired", (10, 10), 1 / 9)
    assert found.p == pytest.approx(2 * stats.t.sf(t, 9), rel=1e-9)
    plain = difference_of(share, cell_of_shares(ones, 0.0), cell_of_shares(fewer, 0.0))
    assert plain.kind == "shares"


def test_a_single_pair_of_several_values_is_no_test() -> None:
    """Of seeds 0, 1 and 1, 2 one is shared: the four values have a scatter, the pair has none."""
    one, other = {(0, None, None): 0.9, (1, None, None): 0.92}, {(1, None, None): 0.8, (2, None, None): 0.84}
    found = difference_of(METRIC, cell_of(one, 0.0), cell_of(other, 0.0))
    expected = stats.ttest_ind([0.9, 0.92], [0.8, 0.84], equal_var=False)
    assert (found.kind, found.n) == ("welch", (2, 2))
    assert found.value == pytest.approx(0.91 - 0.82, rel=1e-12)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    alone = difference_of(METRIC, cell_of({(0, None, None): 0.9}, 0.0), cell_of({(0, None, None): 0.8}, 0.0))
    assert (alone.kind, alone.n, alone.p) == ("paired", (1, 1), None)


def test_the_correction_keeps_its_promise() -> None:
    """Where nothing differs, five per cent of tests at most find something; without the correction, many times that.

    Two learners that are equally good: least squares on one or the other half of features that matter alike, of 60
    examples, fifteen draws of a fifth for testing.
    """
    rng = np.random.default_rng(0)
    false = {0.0: 0, 0.25: 0}
    for _ in range(200):
        features = rng.normal(0, 1, (2, 60, 3))
        y = features.sum(axis=(0, 2)) + rng.normal(0, 1, 60)
        errors: list[list[float]] = [[], []]
        for _draw in range(15):
            order = rng.permutation(60)
            test, train = order[:12], order[12:]
            for x, found in zip(features, errors, strict=True):
                weights = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
                found.append(float(np.mean((y[test] - x[test] @ weights) ** 2)))
        for overlap in false:
            false[overlap] += statistics.paired(*errors, overlap).p < 0.05
    assert false[0.25] <= 0.1 * 200
    assert false[0.0] > 2 * false[0.25]
