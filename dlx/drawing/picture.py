"""A chart and its numbers as a file: SVG, PNG, PDF, or a page of HTML that needs nothing else.

vl-convert carries Vega and its own fonts, so that no browser and no network is asked.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.drawing.themes import Theme
from dlx.drawing.tidy import Tidy
from dlx.drawing.vega import script
from dlx.errors import ResultsError, UsageError
from dlx.language import spoken
from dlx.records import atomic

SUFFIXES = (".svg", ".png", ".pdf", ".html")
DATA = "rows"
"""The name under which a chart finds its rows: ``altair.NamedData(DATA)``."""

_SIZE = re.compile(r'(<svg[^>]*? width="([\d.]+))(" height="[\d.]+)"')
_SLACK = 2.0
"""Points by which a picture may be narrower than asked before its margin makes up for it."""
_LOCALES = {"es": "es-ES"}


@dataclass(frozen=True)
class Canvas:
    """What a chart is drawn on.

    ``width``: points for all panels side by side, without axes and legend. ``interactive``:
    whether the result reacts to a pointer; if not, nothing is drawn that only serves that.
    """

    theme: Theme
    width: float
    interactive: bool = False

    def panel(self, columns: int) -> float:
        """The width of one of ``columns`` panels."""
        return max(20.0, (self.width - (columns - 1) * self.gap) / columns)

    @property
    def gap(self) -> float:
        """Points between two panels."""
        return self.theme.text * 1.4


@dataclass(frozen=True)
class Picture:
    """A Vega-Lite specification with its data, as wide as its theme says, and what it shows in a sentence."""

    spec: dict[str, Any]
    theme: Theme
    title: str
    caption: str

    def svg(self) -> str:
        """The picture as SVG, its size in points."""
        return _SIZE.sub(r'\1pt\3pt"', _svg(self.spec), count=1)

    def write(self, path: Path) -> None:
        """Write the file that the suffix asks for; see :data:`SUFFIXES`. Raises :class:`~dlx.errors.ResultsError`."""
        atomic.write_bytes(path, self._bytes(path.suffix), durable=False, error=ResultsError)

    def _bytes(self, suffix: str) -> bytes:
        import vl_convert

        locale = _LOCALES.get(spoken())
        if suffix == ".html":
            return self.page().encode()
        if suffix == ".svg":
            return self.svg().encode()
        drawn: bytes
        if suffix == ".png":
            drawn = vl_convert.vegalite_to_png(self.spec, ppi=self.theme.ppi, format_locale=locale)
        else:
            drawn = vl_convert.vegalite_to_pdf(self.spec, format_locale=locale)
        return drawn

    def page(self) -> str:
        """The picture as a page that works from a file: Vega is in it."""
        import vl_convert

        options: dict[str, Any] = {
            "renderer": "svg",
            "actions": {"export": True, "source": False, "compiled": False, "editor": False},
        }
        if locale := _LOCALES.get(spoken()):
            options["formatLocale"] = vl_convert.get_format_locale(locale)
        return _PAGE.format(
            language=spoken(),
            title=html.escape(self.title),
            caption=html.escape(self.caption),
            vega=script(),
            spec=_script(self.spec),
            options=_script(options),
        )


def suffix_of(path: Path) -> str:
    """The suffix of a picture's file. Raises :class:`~dlx.errors.UsageError` for any other."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"-o {path}: pictures end in {', '.join(SUFFIXES)}")
    return path.suffix


def compose(draw: Callable[[Canvas], Any], tidy: Tidy, theme: Theme, title: str, *, interactive: bool) -> Picture:
    """The picture of ``tidy`` that ``draw`` gives, made as wide as the theme says.

    How much of the width axes and legends take is known once it is drawn: so it is drawn,
    measured, and drawn again.
    """
    width = theme.width * 0.75
    rows = tidy.values()
    fits: list[tuple[float, float, dict[str, Any]]] = []
    for _ in range(5):
        # What reacts to a pointer takes no room: it is left out of the measuring, which it would slow down.
        spec = _finished(draw(Canvas(theme, width)), rows, theme, title, tidy)
        found = _SIZE.search(_svg(spec))
        assert found is not None
        rest = theme.width - float(found[2])
        fits.append((rest, width, spec))
        if 0 <= rest <= _SLACK:
            break
        # What cannot be made narrower (a long legend) must not press the panels flat.
        width = max(width + rest - _SLACK / 3, theme.width * 0.3)
    # Ticks come and go with the width, so that it may never settle: the margin takes up the rest.
    rest, width, spec = min(fits, key=lambda fit: (fit[0] < 0, abs(fit[0])))
    if interactive:
        spec = _finished(draw(Canvas(theme, width, interactive=True)), rows, theme, title, tidy)
    if rest > 0:
        spec["padding"]["right"] += rest
    return Picture(spec, theme, title, tidy.caption[:1].upper() + tidy.caption[1:])


def _finished(chart: Any, rows: list[dict[str, Any]], theme: Theme, title: str, tidy: Tidy) -> dict[str, Any]:
    # Altair checks what it is given against the schema, which for the rows would take longer than all the rest.
    spec: dict[str, Any] = chart.to_dict()
    if _asks_for_rows(spec):
        spec["datasets"] = {**spec.get("datasets", {}), DATA: rows}
    spec["config"] = {
        **theme.config(),
        **{key: value for key, value in spec.get("config", {}).items() if key != "view"},
    }
    spec["description"] = tidy.caption[:1].upper() + tidy.caption[1:]
    spec["padding"] = dict.fromkeys(("left", "top", "right", "bottom"), theme.text / 2)
    if theme.titled and title:
        spec["title"] = {"text": title, **({"subtitle": tidy.subtitle} if tidy.subtitle else {})}
    return spec


def _asks_for_rows(part: Any) -> bool:
    """Whether the chart draws the rows themselves, and not pictures made of them."""
    if isinstance(part, dict):
        return part.get("data") == {"name": DATA} or any(map(_asks_for_rows, part.values()))
    return isinstance(part, list) and any(map(_asks_for_rows, part))


def _svg(spec: dict[str, Any]) -> str:
    import vl_convert

    text: str = vl_convert.vegalite_to_svg(spec, format_locale=_LOCALES.get(spoken()))
    return text


def _script(value: Any) -> str:
    """JSON that may stand in a script: nothing in it ends the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


_PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 1.5rem; background: #fff; color: #1a1a1a; font-family: Helvetica, Arial, sans-serif }}
figure {{ margin: 0; overflow-x: auto }}
figcaption {{ max-width: 60rem; margin-top: 1rem; color: #5f6368; line-height: 1.4 }}
#chart.vega-embed {{ display: block; padding-right: 2.5rem }}
</style>
<script>{vega}</script>
</head>
<body>
<figure>
<div id="chart" role="img" aria-label="{caption}"></div>
<figcaption>{caption}</figcaption>
</figure>
<script>
vegaEmbed("#chart", {spec}, {options}).then(result => {{ window.chart = result.view; }}).catch(console.error);
</script>
</body>
</html>
"""
