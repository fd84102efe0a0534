"""Colours that people with any kind of colour vision can tell apart.

Categories: M. A. Petroff, *Accessible Color Sequences for Data Visualization* (2021,
arXiv:2107.02270), of six, eight and ten. What has an order (layers, depths): the middle of
viridis (van der Walt and Smith, 2015), whose lightness grows evenly, so that the order is
there in grey, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SIX = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
_EIGHT = ("#1845fb", "#ff5e02", "#c91f16", "#c849a9", "#adad7d", "#86c8dd", "#578dff", "#656364")
_TEN = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")

_VIRIDIS = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b")

POSITIVE, NEGATIVE = "#e08214", "#2166ac"
HEAT = "viridis"
DIVERGING = "purpleorange"
"""A scheme of Vega for signed values: two hues that no kind of colour vision confuses."""


def categories(count: int) -> list[str]:
    """Colours of ``count`` things without an order; beyond ten they repeat."""
    for colours in (_SIX, _EIGHT, _TEN):
        if count <= len(colours):
            return list(colours[:count])
    return [_TEN[index % len(_TEN)] for index in range(count)]


def ordered(count: int) -> list[str]:
    """``count`` colours from dark to light for things in an order; the lightest still stands out from white."""
    if count <= 1:
        return [_VIRIDIS[3]] * count
    last = len(_VIRIDIS) - 1.35
    return [_between(index * last / (count - 1)) for index in range(count)]


def for_values(values: Sequence[Any]) -> list[str]:
    """Colours of the values of a setting: an order where they are numbers, categories otherwise."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return ordered(len(values)) if numeric and len(values) > 2 else categories(len(values))


def pale(colour: str, share: float = 0.35) -> str:
    """A colour mixed with white, for areas that carry words or lines."""
    channels = (round(int(colour[at : at + 2], 16) * (1 - share) + 255 * share) for at in (1, 3, 5))
    return "#{:02x}{:02x}{:02x}".format(*channels)


def _between(position: float) -> str:
    index = min(int(position), len(_VIRIDIS) - 2)
    share = position - index
    channels = [
        round(int(_VIRIDIS[index][at : at + 2], 16) * (1 - share) + int(_VIRIDIS[index + 1][at : at + 2], 16) * share)
        for at in (1, 3, 5)
    ]
    return "#{:02x}{:02x}{:02x}".format(*channels)
