"""Values that a few characters stand for: ``1..8``, ``log(1e-4, 1e-1, 4)``, ``lin(0, 1, 5)``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from dlx.errors import PathKey, SpecError
from dlx.spec.document import Node, parse_value

_RANGE = re.compile(r"\s*(-?\d{1,18})\s*\.\.\s*(-?\d{1,18})\s*(?:\.\.\s*(\d{1,18})\s*)?", re.ASCII)
_SPREAD = re.compile(
    r"\s*(log|lin)\(\s*([^,()\s]{1,40})\s*,\s*([^,()\s]{1,40})\s*(?:,\s*(\d{1,18})\s*)?\)\s*", re.ASCII
)


_BEGUN = re.compile(r"\s*(?:log|lin)\s*\(.*", re.ASCII | re.DOTALL | re.IGNORECASE)
_NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
_BETWEEN = re.compile(rf"\s*({_NUMBER})\s*\.\.+\s*({_NUMBER})\s*", re.ASCII)
FORMS = "log(1e-4, 1e-1), lin(0, 0.5), or with a number of points log(1e-4, 1e-1, 4)"


@dataclass(frozen=True)
class Spread:
    """``log(low, high, points)`` or ``lin(…)``; without points a continuous range to draw from."""

    scale: str
    low: float
    high: float
    points: int | None

    def __len__(self) -> int:
        return self.points or 0

    def at(self, share: float) -> int | float:
        """The value at a share between 0 (low) and 1 (high)."""
        if share in (0.0, 1.0):
            return self.high if share else self.low
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        if self.scale == "log":
            value = math.exp(math.log(self.low) + (math.log(self.high) - math.log(self.low)) * share)
            if whole:
                return round(value)
        else:
            value = self.low + (self.high - self.low) * share
            if whole and value.is_integer():
                return int(value)
        # Twelve digits: 0.001 and not 0.0009999999999999998, and the same on every machine.
        return float(f"{value:.12g}")

    def values(self) -> list[int | float]:
        """The points, ends included."""
        last = max((self.points or 1) - 1, 1)
        return [self.at(index / last) for index in range(self.points or 0)]


def is_range(text: str) -> bool:
    """Whether text has the form of a range or a spread."""
    return bool(_RANGE.fullmatch(text) or _SPREAD.fullmatch(text))


def is_begun(content: object) -> bool:
    """Whether a scalar begins as a spread does, whatever becomes of it."""
    return isinstance(content, str) and _BEGUN.fullmatch(content) is not None


def instead(content: object) -> str | None:
    """What to write for a range of numbers that :func:`parse_range` does not take, such as 0.1..0.5 and 1...8."""
    between = _BETWEEN.fullmatch(content) if isinstance(content, str) and len(content) <= 80 else None
    if between is None or is_range(str(content)):
        return None
    low, high = between.groups()
    whole = all(re.fullmatch(r"[-+]?\d+", end) for end in (low, high))
    return f"{low}..{high}" if whole else f"lin({low}, {high}, 5)"


def parse_range(text: str, node: Node, where: tuple[PathKey, ...]) -> range | None:
    """``1..8`` or ``1..9..2`` with both ends; None for other text. Raises SpecError for an empty range."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    low, high, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if step < 1 or high < low:
        raise SpecError([node.place.problem(f"the range {text.strip()} is empty: write the lower end first", where)])
    return range(low, high + 1, step)


def parse_spread(text: str, node: Node, where: tuple[PathKey, ...]) -> Spread | None:
    """``log(…)`` or ``lin(…)``; None for other text. Raises SpecError for what only begins so."""
    match = _SPREAD.fullmatch(text)
    if match is None:
        if is_begun(text):
            raise SpecError([node.place.problem(f"{text.strip()[:80]} is none of {FORMS}", where)])
        return None
    ends = [parse_value(match[part], node.place).value for part in (2, 3)]
    if not all(type(end) in (int, float) and abs(end) < 1e300 for end in ends) or not ends[0] < ends[1]:
        raise SpecError([node.place.problem(f"{text.strip()}: the ends must be two numbers, the lower first", where)])
    if match[1] == "log" and ends[0] <= 0:
        raise SpecError(
            [node.place.problem(f"{text.strip()}: a logarithm begins above 0, as log(1e-4, 1e-1) does", where)]
        )
    points = int(match[4]) if match[4] else None
    if points is not None and points < 2:
        raise SpecError([node.place.problem(f"{text.strip()}: both ends are points, so there are at least 2", where)])
    return Spread(match[1], ends[0], ends[1], points)
