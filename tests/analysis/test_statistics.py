"""Intervals, tests and sample sizes against SciPy, statsmodels and worked examples in print."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from dlx.analysis import statistics as ours

SAMPLES = st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda values: max(values) - min(values) > 1e-4)


@settings(max_examples=40)
@given(SAMPLES)
def test_an_estimate_is_students(values: list[float]) -> None:
    found = ours.estimate(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
    assert found.std == pytest.approx(stats.tstd(values), rel=1e-9)


@settings(max_examples=40)
@given(SAMPLES, st.integers(0, 1000))
def test_paired_is_scipys(values: list[float], seed: int) -> None:
    rng = random.Random(seed)
    other = [value + rng.gauss(0.1, 0.1) for value in values]
    assume(stats.tstd([a - b for a, b in zip(values, other, strict=True)]) > 1e-4)
    found, theirs = ours.paired(values, other), stats.ttest_rel(values, other)
    interval = theirs.confidence_interval()
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-7, abs=1e-9)


@settings(max_examples=40)
@given(SAMPLES, SAMPLES)
def test_welch_is_scipys(one: list[float], other: list[float]) -> None:
    found, theirs = ours.welch(one, other), stats.ttest_ind(one, other, equal_var=False)
    interval = theirs.confidence_interval()
    assert found.p == pytest.approx(theirs.pvalue, rel=1e-7, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-7, abs=1e-9)


def test_students_sleep_data() -> None:
    """Student 1908, as in R's documentation of t.test: paired t = -4.0621, p = 0.002833, -2.46 to -0.70; Welch
    p = 0.07939, -3.365 to 0.205."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    paired = ours.paired(first, second)
    assert paired.value == pytest.approx(-1.58)
    assert paired.p == pytest.approx(0.002833, abs=5e-7)
    assert (paired.low, paired.high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    welch = ours.welch(first, second)
    assert welch.p == pytest.approx(0.07939, abs=5e-6)
    assert (welch.low, welch.high) == pytest.approx((-3.3654832, 0.2054832), abs=5e-8)


def test_effect_sizes_of_lakens() -> None:
    """Lakens 2013 (Front. Psychol. 4:863), tables 1 to 3: two films, d_z = 1.50, Hedges' g_s = 1.08, t(9) = 4.74."""
    one = [9, 7, 8, 9, 8, 9, 9, 10, 9, 9]
    other = [9, 6, 7, 8, 7, 9, 8, 8, 8, 7]
    paired = ours.paired(one, other)
    assert paired.effect == pytest.approx(1.50, abs=0.005)
    assert paired.p == pytest.approx(2 * stats.t.sf(4.74, 9), rel=0.01)
    assert ours.welch(one, other).effect == pytest.approx(1.08, abs=0.005)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_shares_of_newcombe(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998 (Statist. Med. 17:857), table I, method 3."""
    assert ours.wilson(successes, n) == pytest.approx((low, high), abs=5e-5)
    assert ours.wilson(successes, n) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)


@pytest.mark.parametrize("n", range(1, 40))
def test_none_and_all_are_inside_their_interval(n: int) -> None:
    assert ours.wilson(0, n)[0] == 0
    assert ours.wilson(n, n)[1] == 1


def test_differences_of_shares_of_newcombe() -> None:
    """Newcombe 1998 (Statist. Med. 17:873), table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339."""
    found = ours.shares([1.0] * 56 + [0.0] * 14, [1.0] * 48 + [0.0] * 32)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    theirs = confint_proportions_2indep(56, 70, 48, 80, method="newcomb")
    assert (found.low, found.high) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=40)
@given(st.integers(0, 12), st.integers(1, 12), st.integers(0, 12), st.integers(1, 12))
def test_fisher_is_scipys(a: int, n: int, b: int, m: int) -> None:
    a, b = min(a, n), min(b, m)
    assert ours.fisher(a, n, b, m) == pytest.approx(stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue, rel=1e-9)


@settings(max_examples=8)  # statsmodels has Python's garbage collected each time
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_is_statsmodels(ps: list[float]) -> None:
    assert ours.holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]), abs=1e-12)


def test_holm_leaves_out_what_was_not_tested() -> None:
    """The example of R's p.adjust: 0.01, 0.02, 0.03 become 0.03, 0.04, 0.04."""
    assert ours.holm([0.01, None, 0.02, 0.03]) == pytest.approx([0.03, None, 0.04, 0.04])


def test_power_of_r() -> None:
    """R: power.t.test(n = 20, delta = 1) is 0.8689528; (power = 0.90, delta = 1) needs n = 22.02110."""
    assert ours.power_each(1.0, 20) == pytest.approx(0.8689528, abs=5e-7)  # which leaves out the far tail
    assert ours.power_each(1.0, 22) < 0.90 < ours.power_each(1.0, 23)


@pytest.mark.parametrize(
    ("effect", "n", "alpha"), list(itertools.product((0.1, 0.5, 1.3), (3, 12, 40), (0.05, 0.0125)))
)
def test_power_is_statsmodels(effect: float, n: int, alpha: float) -> None:
    assert ours.power_each(effect, n, alpha) == pytest.approx(
        TTestIndPower().power(effect, n, alpha, ratio=1, alternative="two-sided"), abs=1e-6
    )
    assert ours.power_paired(effect, n, alpha) == pytest.approx(
        TTestPower().power(effect, n, alpha, alternative="two-sided"), abs=1e-6
    )
    assert ours.power_shares(effect, n, alpha) == pytest.approx(
        NormalIndPower().power(effect, n, alpha, ratio=1, alternative="two-sided"), abs=1e-9
    )


@pytest.mark.parametrize("effect", [0.15, 0.4, 0.8, 1.5, 3.0])
@pytest.mark.parametrize("comparisons", [1, 4])
def test_seeds_needed_are_the_least_that_have_the_power(effect: float, comparisons: int) -> None:
    for kind, power in (("paired", ours.power_paired), ("welch", ours.power_each), ("shares", ours.power_shares)):
        difference = ours.Difference(kind, (3, 3), 0.1, distance=-effect)  # type: ignore[arg-type]
        needed = ours.seeds_needed(difference, comparisons)
        assert needed is not None
        assert power(effect, needed, 0.05 / comparisons) >= 0.8
        assert needed == 2 or power(effect, needed - 1, 0.05 / comparisons) < 0.8


def test_a_difference_that_is_as_good_as_none_needs_more_than_a_thousand() -> None:
    assert ours.seeds_needed(ours.Difference("paired", (5, 5), 0.001, distance=0.01)) is None


def test_no_interval_is_invented() -> None:
    assert ours.estimate([0.9]) == ours.Estimate(1, 0.9)
    assert ours.paired([0.9], [0.8]).p is None
    assert ours.welch([0.9], [0.8, 0.7]).low is None
    constant = ours.paired([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])
    assert constant.value == pytest.approx(0.1)
    assert (constant.p, constant.low, constant.effect) == (None, None, None)
    assert math.isnan(ours.estimate([0.9, math.nan]).mean)
