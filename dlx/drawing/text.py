"""Curves as text, for a terminal without pictures: each series is a line of a character of its own."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dlx.drawing.axes import MOST_TICKS, log_ticks, whole_ticks
from dlx.drawing.tidy import Tidy

CHARACTERS = string.digits[1:] + string.ascii_lowercase
"""What series are drawn with: those named by a digit with that digit."""
LEAST_WIDTH, MOST_WIDTH = 40, 110
MOST_PANELS = 12
_HEIGHT, _LOWER = 18, 14


@dataclass(frozen=True)
class Curves:
    """Which columns of a tidy table are drawn as curves.

    ``series`` and ``panels`` are told apart by the values of one or several columns each;
    ``where``: only rows with these values.
    """

    x: str
    y: str
    series: tuple[str, ...]
    panels: tuple[str, ...] = ()
    log: bool = False
    where: Mapping[str, Any] = field(default_factory=dict)


def lines(tidy: Tidy, curves: Curves, width: int, *, coloured: bool) -> list[str]:
    """The panels one below the other, ``width`` columns wide, with a common vertical scale; empty where none can be."""
    rows = [row for row in tidy.rows if all(row.get(name) == value for name, value in curves.where.items())]
    words = [str(value) for value in tidy.distinct(curves.x)] if curves.x in tidy.orders else []
    if words:  # words in an order stand at 1, 2, 3, …, and below it is said which is which
        places = {word: place for place, word in enumerate(words, start=1)}
        rows = [{**row, curves.x: places[str(row[curves.x])]} for row in rows]
    rows = [row for row in rows if _is_drawn(row.get(curves.x)) and _is_drawn(row.get(curves.y), log=curves.log)]
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        panel = panels.setdefault(_named(row, curves.panels, tidy), {})
        panel.setdefault(_named(row, curves.series, tidy), []).append((float(row[curves.x]), float(row[curves.y])))
    values = [float(row[curves.y]) for row in rows]
    found: list[str] = []
    for name, series in list(panels.items())[:MOST_PANELS]:
        found += ["", name] if name else [""]
        found += _panel(series, values, curves, max(LEAST_WIDTH, min(width, MOST_WIDTH)), len(panels), coloured)
    if len(panels) > MOST_PANELS:
        found += ["", f"… {len(panels) - MOST_PANELS}"]
    if words and found:
        found += ["", *_listed([f"{place} {word}" for place, word in enumerate(words, start=1)], width)]
    return found[1:]


def _panel(
    series: Mapping[str, Sequence[tuple[float, float]]],
    values: Sequence[float],
    curves: Curves,
    width: int,
    panels: int,
    coloured: bool,
) -> list[str]:
    import plotext

    plotext.clear_figure()
    plotext.plotsize(width, _HEIGHT if panels == 1 else _LOWER)
    plotext.theme("pro" if coloured else "clear")
    characters = _characters(list(series))
    for character, points in zip(characters, series.values(), strict=True):
        ordered = sorted(points)
        heights = [math.log10(y) if curves.log else y for _x, y in ordered]
        plotext.plot([x for x, _y in ordered], heights, marker=character)
    along = sorted({x for points in series.values() for x, _y in points})
    if all(x == int(x) for x in along):
        ticks = along if len(along) <= MOST_TICKS else whole_ticks(along[0], along[-1])
        plotext.xticks(ticks, [f"{tick:g}" for tick in ticks])
    if curves.log:
        # A scale of plotext's own has powers with their decimals; ticks as in a picture are set by hand.
        low, high, ticks = log_ticks(values)
        plotext.ylim(math.log10(low), math.log10(high))
        plotext.yticks([math.log10(tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
    elif values and min(values) < max(values):
        plotext.ylim(min(values), max(values))
    plotext.xlabel(curves.x)
    drawn: str = plotext.build()
    text = drawn if coloured else plotext.uncolorize(drawn)
    return [*_key(characters, list(series), width), *(line.rstrip() for line in text.splitlines())]


def _key(characters: Sequence[str], names: Sequence[str], width: int) -> list[str]:
    """What each character stands for, in a line or as many as it takes: within the plot it would hide the curves."""
    entries = [f"{character} = {name}" for character, name in zip(characters, names, strict=True) if name]
    return _listed(entries, width)


def _listed(entries: Sequence[str], width: int) -> list[str]:
    """In one line, or in columns."""
    if len(" ".join(entries)) + 2 * len(entries) <= width:
        return ["   ".join(entries)] if entries else []
    column = max(map(len, entries)) + 3
    abreast = max(1, width // column)
    rows = [entries[at : at + abreast] for at in range(0, len(entries), abreast)]
    return ["".join(f"{entry:<{column}}" for entry in row).rstrip() for row in rows]


def _characters(names: Sequence[str]) -> list[str]:
    """A character for each series: its own digit where every name ends in another one, else in order."""
    own = [name[-1:] for name in names]
    if len(set(own)) == len(own) and all(name[-1:].isdigit() and not name[-2:-1].isdigit() for name in names):
        return own
    return [CHARACTERS[at % len(CHARACTERS)] for at in range(len(names))]


def _named(row: Mapping[str, Any], columns: Sequence[str], tidy: Tidy) -> str:
    """``layer 2``, ``depth 4, activation relu``, ``validation``: parameters and layers by name, the rest for itself."""
    words = []
    for column in columns:
        value = row.get(column)
        if value is not None:
            numbered = column == "layer" and column not in tidy.orders
            words.append(f"{column} {value}" if column in tidy.axes or numbered else str(value))
    return ", ".join(words)


def _is_drawn(value: Any, *, log: bool = False) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return number and (not log or value > 0)
