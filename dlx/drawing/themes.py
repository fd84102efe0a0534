"""How pictures look: for a slide, or for a column of a paper. Lengths are points, 72 to the inch."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from dlx.errors import UsageError, nearest

FONT = "Helvetica, Arial, Liberation Sans, sans-serif"
"""Liberation Sans is inside vl-convert, with the widths of the others: PNG and PDF need no font of the machine."""

INK = "#1a1a1a"
GREY = "#5f6368"
PALE = "#e3e5e8"

_UNITS = {"in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pt": 1.0, "px": 0.75}
_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*")
SMALLEST, LARGEST = 72.0, 72.0 * 60


@dataclass(frozen=True)
class Theme:
    """Sizes of everything in points; ``ppi``: pixels to the inch of a PNG.

    ``width`` is that of the whole picture, ``height`` that of a single panel. ``titled``:
    whether the picture carries its own title; in a paper the caption says it.
    """

    name: str
    width: float
    height: float
    text: float
    title: float
    line: float
    point: float
    ppi: int
    titled: bool

    @property
    def narrow(self) -> bool:
        """Whether a legend stands below the picture, not beside it."""
        return self.width < 40 * self.text

    def config(self) -> dict[str, Any]:
        """The configuration of Vega-Lite."""
        words = {"labelFontSize": self.text, "titleFontSize": self.text, "labelColor": INK, "titleColor": INK}
        plain = {"titleFontWeight": "normal", "labelFontWeight": "normal"}
        return {
            "font": FONT,
            "background": "white",
            "view": {"stroke": None},
            "axis": {
                **words,
                **plain,
                "gridColor": PALE,
                "gridWidth": self.text / 16,
                "domainWidth": self.text / 16,
                "tickWidth": self.text / 16,
                "domainColor": GREY,
                "tickColor": GREY,
                "tickSize": self.text / 3,
                "titlePadding": self.text / 2,
                "labelPadding": self.text / 4,
            },
            "legend": {
                **words,
                **plain,
                "symbolStrokeWidth": self.line,
                "symbolSize": self.text * 6,
                "labelLimit": 18 * self.text,
                "titleLimit": 18 * self.text,
                "titlePadding": self.text / 2,
                "rowPadding": self.text / 4,
                "columnPadding": self.text,
                "offset": self.text,
                "layout": {"bottom": {"direction": "vertical", "anchor": "start", "margin": self.text / 2}},
            },
            "header": {**words, **plain, "labelPadding": self.text / 3, "labelLimit": 0},
            "title": {
                "fontSize": self.title,
                "fontWeight": "bold",
                "color": INK,
                "anchor": "start",
                "subtitleFontSize": self.text * 0.9,
                "subtitleColor": GREY,
                "subtitlePadding": self.text / 3,
                "offset": self.text,
            },
            # The picture has one text alternative; labels at hundreds of points would be noise, and half of the file.
            "mark": {"aria": False},
            "line": {"strokeWidth": self.line, "strokeCap": "round", "strokeJoin": "round"},
            "rule": {"strokeWidth": self.line / 2},
            "point": {"size": self.point, "filled": True},
            "text": {"fontSize": self.text, "color": INK},
        }


THEMES = {
    theme.name: theme
    for theme in (
        Theme("slide", width=864, height=330, text=16, title=20, line=2.5, point=45, ppi=144, titled=True),
        Theme("paper", width=234, height=110, text=7.5, title=8, line=1.1, point=12, ppi=300, titled=False),
    )
}


def theme_of(name: str, width: str | None = None) -> Theme:
    """A theme by name, with a width such as ``3.25in`` in place of its own.

    Raises :class:`~dlx.errors.UsageError` for an unknown theme or an impossible length.
    """
    if name not in THEMES:
        raise UsageError(f"--theme: unknown theme {name!r}", hint=nearest(name, THEMES))
    theme = THEMES[name]
    return theme if width is None else replace(theme, width=points(width))


def points(text: str) -> float:
    """A length as points: ``3.25in``, ``8cm``, ``82mm``, ``234pt``, ``640px`` (96 to the inch)."""
    match = _LENGTH.fullmatch(text)
    known = ", ".join(_UNITS)
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--width: {text!r} is not a length such as 3.25in (units: {known})")
    length = float(match[1]) * _UNITS[match[2]]
    if not SMALLEST <= length <= LARGEST:
        raise UsageError(f"--width: {text} is not between 1in and {LARGEST / 72:.0f}in")
    return length
