"""What may be concluded from a few seeds: intervals, differences, corrections, and how many seeds would settle it.

Distributions come from ``scipy.special``, which loads in a fraction of the time of ``scipy.stats``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

LEVEL = 0.95
"""Of every confidence interval."""

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000
"""More than anyone would train: a difference that needs more is no difference for practical purposes."""


@dataclass(frozen=True)
class Estimate:
    """A mean over trials. ``std`` (n - 1 in the denominator) and the interval are None for a single trial."""

    n: int
    mean: float
    std: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Difference:
    """A mean minus another.

    ``kind``: ``paired`` by seed, ``welch`` or, of shares, ``shares``. ``n`` is the number of pairs,
    or of trials in each. ``p`` and the interval are None where nothing scatters or there is too
    little to say. ``effect`` is Cohen's d_z of pairs, Hedges' g otherwise, None of shares.
    ``overlap``: examples tested on for each trained on, where trials are folds. ``distance`` is
    what the number of seeds needed depends on: d_z, d (by the mean of both variances) or Cohen's h.
    ``holm`` is ``p`` corrected for all comparisons made together.
    """

    kind: Literal["paired", "welch", "shares"]
    n: tuple[int, int]
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    effect: float | None = None
    distance: float | None = None
    holm: float | None = None
    overlap: float = 0.0

    @property
    def detected(self) -> bool:
        """Whether the difference stands after correction: p (Holm) below 0.05."""
        p = self.p if self.holm is None else self.holm
        return p is not None and p < ALPHA


def estimate(values: Sequence[float], overlap: float = 0.0) -> Estimate:
    """Mean, standard deviation and Student's 95 % interval of at least one value; not finite if a value is not.

    ``overlap``: values are of divisions of the same examples, n_test/n_train (:mod:`dlx.analysis.folds`).
    """
    n = len(values)
    mean = math.fsum(values) / n if all(map(math.isfinite, values)) else sum(values) / n
    if n < 2 or not math.isfinite(mean):
        return Estimate(n, mean)
    std = _std(values, mean)
    half = _t_quantile(n - 1) * std * math.sqrt(1 / n + overlap)
    return Estimate(n, mean, std, mean - half, mean + half)


def share(values: Sequence[float]) -> Estimate:
    """The mean of ones and zeros with Wilson's 95 % interval (Newcombe 1998, Statist. Med. 17:857, method 3)."""
    n = len(values)
    low, high = wilson(round(sum(values)), n)
    return Estimate(n, sum(values) / n, None, low, high)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion, without continuity correction."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    p = successes / n
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends both terms are the same number, and their difference is not to be what rounding leaves of it.
    low = 0.0 if successes == 0 else (middle - half) / scale
    high = 1.0 if successes == n else (middle + half) / scale
    return low, high


def paired(one: Sequence[float], other: Sequence[float], overlap: float = 0.0) -> Difference:
    """The mean of ``one - other``, pair by pair: Student's test and interval; d_z is the mean over its deviation.

    Lakens 2013 (Front. Psychol. 4:863), equations 7 and 10. ``overlap`` as in :func:`estimate`: the corrected
    resampled t-test.
    """
    differences = [a - b for a, b in zip(one, other, strict=True)]
    n = len(differences)
    mean = math.fsum(differences) / n
    if n < 2:
        return Difference("paired", (n, n), mean, overlap=overlap)
    std = _std(differences, mean)
    if _negligible(std, [*one, *other]):
        return Difference("paired", (n, n), mean, overlap=overlap)
    error = std * math.sqrt(1 / n + overlap)
    half = _t_quantile(n - 1) * error
    return Difference(
        "paired",
        (n, n),
        mean,
        mean - half,
        mean + half,
        _two_sided(mean / error, n - 1),
        mean / std,
        mean / std,
        overlap=overlap,
    )


def welch(one: Sequence[float], other: Sequence[float], overlap: float = 0.0) -> Difference:
    """The difference of two means whose variances may differ (Welch 1947); g is Hedges' (Lakens 2013, equation 4).

    ``overlap`` as in :func:`estimate`, for both.
    """
    n, m = len(one), len(other)
    value = math.fsum(one) / n - math.fsum(other) / m
    if min(n, m) < 2:
        return Difference("welch", (n, m), value, overlap=overlap)
    a, b = _std(one, math.fsum(one) / n) ** 2, _std(other, math.fsum(other) / m) ** 2
    x, y = a * (1 / n + overlap), b * (1 / m + overlap)
    error = math.sqrt(x + y)
    if _negligible(error, [*one, *other]):
        return Difference("welch", (n, m), value, overlap=overlap)
    df = (x + y) ** 2 / (x**2 / (n - 1) + y**2 / (m - 1))
    half = _t_quantile(df) * error
    pooled = math.sqrt(((n - 1) * a + (m - 1) * b) / (n + m - 2))
    small = 1 - 3 / (4 * (n + m) - 9)
    return Difference(
        "welch",
        (n, m),
        value,
        value - half,
        value + half,
        _two_sided(value / error, df),
        small * value / pooled,
        value / math.sqrt((a + b) / 2),
        overlap=overlap,
    )


def shares(one: Sequence[float], other: Sequence[float]) -> Difference:
    """The difference of two shares: Newcombe's hybrid score interval (1998, Statist. Med. 17:873, method 10), and
    Fisher's exact test.
    """
    n, m = len(one), len(other)
    a, b = round(sum(one)), round(sum(other))
    p, q = a / n, b / m
    (low, high), (low_, high_) = wilson(a, n), wilson(b, m)
    if min(n, m) < 2:
        return Difference("shares", (n, m), p - q)
    return Difference(
        "shares",
        (n, m),
        p - q,
        p - q - math.hypot(p - low, high_ - q),
        p - q + math.hypot(high - p, q - low_),
        fisher(a, n, b, m),
        distance=2 * math.asin(math.sqrt(p)) - 2 * math.asin(math.sqrt(q)),
    )


def fisher(a: int, n: int, b: int, m: int) -> float:
    """Two-sided p of Fisher's exact test of ``a`` of ``n`` against ``b`` of ``m``: of all tables no more likely."""
    total = a + b
    weights = [math.comb(n, k) * math.comb(m, total - k) for k in range(max(0, total - m), min(n, total) + 1)]
    observed = math.comb(n, a) * math.comb(m, b)
    return min(1.0, sum(weight for weight in weights if weight <= observed) / math.comb(n + m, total))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for their number (Holm 1979, Scand. J. Statist. 6:65); None stays None and does not count."""
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        corrected[place] = largest
    return corrected


def seeds_needed(difference: Difference, comparisons: int = 1) -> int | None:
    """Seeds of each setting that would settle it: if the true difference and scatter are those seen, a two-sided test
    at 5 % (divided by the number of comparisons made together) then finds it with a power of 80 %.

    None where more than a thousand would be needed, nothing is known of the scatter, or trials are folds.
    """
    if not difference.distance or not math.isfinite(difference.distance) or difference.overlap:
        return None  # however many divisions there are, the examples stay the same
    power = {"paired": power_paired, "welch": power_each, "shares": power_shares}[difference.kind]
    return _least(lambda n: power(difference.distance or 0.0, n, ALPHA / comparisons))


def power_paired(effect: float, n: int, alpha: float = ALPHA) -> float:
    """The power of a two-sided paired t-test with ``n`` pairs for d_z = ``effect``, by the noncentral t."""
    return _power(effect * math.sqrt(n), n - 1, alpha)


def power_each(effect: float, n: int, alpha: float = ALPHA) -> float:
    """The power of a two-sided t-test with ``n`` in each of two samples for d = ``effect``.

    What R's ``power.t.test(strict = TRUE)`` gives.
    """
    return _power(effect * math.sqrt(n / 2), 2 * n - 2, alpha)


def power_shares(effect: float, n: int, alpha: float = ALPHA) -> float:
    """The power of a two-sided test of two shares with ``n`` in each, for Cohen's h = ``effect`` (1988, chapter 6)."""
    normal = NormalDist()
    critical, shift = normal.inv_cdf(1 - alpha / 2), abs(effect) * math.sqrt(n / 2)
    return normal.cdf(shift - critical) + normal.cdf(-shift - critical)


def _power(noncentrality: float, df: float, alpha: float) -> float:
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(df, 1 - alpha / 2))
    shift = abs(noncentrality)
    upper = 1.0 - float(nctdtr(df, shift, critical))
    lower = float(nctdtr(df, shift, -critical))
    return upper + (lower if math.isfinite(lower) else 0.0)


def _least(power: Callable[[int], float]) -> int | None:
    """The least n from 2 on that has the power wanted: it grows with n, so halving finds it."""
    low, high = 1, 2
    while power(high) < POWER:
        low, high = high, 2 * high
        if low >= MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high if high <= MOST_SEEDS else None


def _std(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _negligible(std: float, values: Sequence[float]) -> bool:
    """Whether a deviation is nothing but the rounding of float32 in the tables."""
    return std <= 1e-7 * max(map(abs, values))


@functools.lru_cache(maxsize=256)
def _t_quantile(df: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, (1 + LEVEL) / 2))


def _two_sided(t: float, df: float) -> float:
    from scipy.special import stdtr

    return float(2 * stdtr(df, -abs(t)))
