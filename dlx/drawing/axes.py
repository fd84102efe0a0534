"""Where an axis begins and ends, and what stands at its ticks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

MOST_TICKS = 7


def log_axis(numbers: Iterable[float], title: str | None) -> dict[str, Any]:
    """Scale and axis of a channel that is logarithmic over the positive ``numbers``: keywords for Altair's X and Y.

    Raises :class:`ValueError` where no number is positive.
    """
    import altair as alt

    low, high, ticks = log_ticks(numbers)
    # As people write them: 0.001 and 30,000, but 1e-6, and 1e6 where d3 would say 1e+6.
    powers = "replace(format(datum.value, '~e'), '+', '')"
    labels = f"datum.value < 9e-5 || datum.value > 9e5 ? {powers} : format(datum.value, ',~r')"
    axis = alt.Axis(title=title, values=ticks, labelExpr=labels, labelOverlap=False, labelFlush=False)
    return {"scale": alt.Scale(type="log", domain=[low, high], nice=False), "axis": axis}


def count_axis(numbers: Iterable[float], title: str, width: float, text: float) -> dict[str, Any]:
    """Scale and axis of a channel of whole numbers, such as epochs: from the smallest to the largest, no margin.

    ``width`` of the axis and ``text`` size of its labels, in points, say how many ticks there is room for.
    """
    import altair as alt

    known = list(numbers) or [0]
    low, high = min(known), max(known)
    high = high if high > low else low + 1
    ticks = whole_ticks(low, high, most=max(2, 1 + int(width / (text * 0.6 * (len(f"{high:,.0f}") + 2)))))
    axis = alt.Axis(title=title, format=",d", values=ticks, grid=False, labelOverlap=False, labelFlush=False)
    return {"scale": alt.Scale(domain=[low, high], nice=False), "axis": axis}


def whole_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[int]:
    """Multiples of 1, 2, 5, 10, 20, … between ``low`` and ``high``, at most ``most``."""
    step, factors = 1, itertools.cycle((2.0, 2.5, 2.0))
    while math.floor(high / step) - math.ceil(low / step) + 1 > most:
        step = round(step * next(factors))
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def log_ticks(numbers: Iterable[float]) -> tuple[float, float, list[float]]:
    """The ends of a logarithmic axis, a little beyond the numbers, and its ticks, all between the ends.

    Powers of ten where three or more are between (every second, third, … so that there are at
    most seven), else with 3 or with 2 and 5 between them, else round numbers at even distances.
    """
    positive = [number for number in numbers if number > 0 and math.isfinite(number)]
    if not positive:
        raise ValueError("no positive number")
    low, high = min(positive), max(positive)
    if low == high:
        low, high = low / 2, high * 2
    margin = (high / low) ** 0.04
    low, high = low / margin, high * margin
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = [power for power in powers if low <= 10.0**power <= high]
    if len(decades) >= 3:
        step = math.ceil(len(decades) / MOST_TICKS)
        return low, high, [_clean(10.0**power) for power in decades if power % step == 0]
    for mantissas in ((1, 3), (1, 2, 5)):
        ticks = [mantissa * 10.0**power for power in powers for mantissa in mantissas]
        inside = [_clean(tick) for tick in ticks if low <= tick <= high]
        if len(inside) >= 3:
            return low, high, inside[:: math.ceil(len(inside) / MOST_TICKS)]
    return low, high, _even_ticks(low, high)


def _even_ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    for factor in (1, 2, 5, 10):
        first, last = math.ceil(low / (factor * step)), math.floor(high / (factor * step))
        if last - first < 5:
            return [_clean(index * factor * step) for index in range(first, last + 1)]
    raise AssertionError("ten times a twentieth to a half of the range leaves fewer than five ticks")


def _clean(value: float) -> float:
    return float(f"{value:.12g}")


def share_axis(numbers: Iterable[float], title: str) -> dict[str, Any]:
    """Scale and axis of fractions, told in per cent: from 0 to 5, 10, 25, 50 or 100."""
    import altair as alt

    largest = max(numbers, default=1.0)
    top = next((top for top in (0.05, 0.1, 0.25, 0.5) if largest <= top), 1.0)
    axis = alt.Axis(title=title, format=".0%", values=[top * part / 5 for part in range(6)], labelFlush=False)
    return {"scale": alt.Scale(domain=[0, top]), "axis": axis}
