"""Chapters as one page of HTML. What specs and names say is text wherever it stands, never markup."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from dlx import __version__
from dlx.analysis.writing import state_said
from dlx.drawing import vega
from dlx.drawing.picture import DATA
from dlx.drawing.themes import GREY, INK, PALE
from dlx.drawing.tidy import Tidy, Value
from dlx.language import _, plural, spoken
from dlx.report.chapters import Chapter, counted
from dlx.report.curves import Curves
from dlx.report.figures import Figure
from dlx.report.templates import templates

_COLOUR = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)
_NEUTRAL = {INK: "--ink", GREY: "--soft", PALE: "--rule", "white": "--page"}
_LOCALES = {"es": "es-ES"}


def page(chapters: Sequence[Chapter], title: str, notes: Sequence[str] = (), refresh: int | None = None) -> str:
    """The whole page. ``refresh``: seconds after which it loads itself again, while trials are still running."""
    import vl_convert
    from jinja2 import Environment, StrictUndefined

    palette: dict[str, str] = {}
    shapes = templates([told.curves for chapter in chapters for told in chapter.trials])
    data = {
        "charts": [_chart(figure, palette) for chapter in chapters for figure in chapter.figures],
        "trials": [_curves(told.curves) for chapter in chapters for told in chapter.trials],
        "templates": [_recoloured(shape, palette) for shape in shapes],
        "locale": vl_convert.get_format_locale(_LOCALES[spoken()]) if spoken() in _LOCALES else None,
        "refresh": refresh,
    }
    around = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    around.filters["script"] = script
    place = files("dlx.report")
    template = around.from_string((place / "page.html").read_text("utf-8"))
    return template.render(
        _=_,
        plural=plural,
        counted=counted,
        state_said=state_said,
        verdict_said={"confirmed": _("confirmed"), "refuted": _("refuted"), "undecided": _("undecided")},
        setting_said=lambda where: ", ".join(f"{path} {value}" for path, value in where.items()),
        language=spoken(),
        title=title,
        version=__version__,
        chapters=chapters,
        notes=notes,
        refresh=refresh,
        data=data,
        light=_variables(palette, dark=False),
        dark=_variables(palette, dark=True),
        style=(place / "page.css").read_text("utf-8"),
        program=(place / "page.js").read_text("utf-8"),
        vega=vega.script(),
    )


def script(value: Any) -> Any:
    """JSON that may stand in a script: nothing in it ends the element."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704


def _chart(figure: Figure, palette: dict[str, str]) -> dict[str, Any]:
    spec = {key: value for key, value in figure.picture.spec.items() if key != "datasets"}
    others = {name: rows for name, rows in figure.picture.spec["datasets"].items() if name != DATA}
    return {
        "spec": _recoloured(spec, palette),
        "datasets": others,
        "columns": columns_of(figure.tidy),
    }


def columns_of(tidy: Tidy) -> dict[str, Any]:
    """The rows by column, as short as they go: ``all`` one value, words by number (``of``, ``at``), or a list."""
    rows = tidy.values()
    return {name: _packed([row.get(name) for row in rows]) for name in tidy.columns}


def _packed(values: list[Value]) -> Any:
    distinct = list(dict.fromkeys((type(value), value) for value in values))
    if len(distinct) == 1:
        return {"all": values[0]}
    if any(isinstance(value, str) for value in values):
        numbers = {key: number for number, key in enumerate(distinct)}
        return {"of": [value for _type, value in distinct], "at": [numbers[type(value), value] for value in values]}
    return values


def _curves(curves: Curves) -> dict[str, Any]:
    return {"metrics": curves.metrics, "gradients": curves.gradients, "parameter": curves.parameter}


def _recoloured(value: Any, palette: dict[str, str]) -> Any:
    """The definition with a variable of the style sheet for each colour: so the page has them for light and dark."""
    if isinstance(value, Mapping):
        return {key: _recoloured(item, palette) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_recoloured(item, palette) for item in value]
    if not isinstance(value, str):
        return value
    if value in _NEUTRAL:
        return f"var({_NEUTRAL[value]})"
    if _COLOUR.fullmatch(value):
        name = f"--c{value[1:].lower()}"
        palette[name] = value
        return f"var({name})"
    return value


def _variables(palette: Mapping[str, str], *, dark: bool) -> str:
    return "".join(f"{name}:{lightened(colour) if dark else colour};" for name, colour in palette.items())


def lightened(colour: str) -> str:
    """A colour for dark ground: mixed with white the more, the darker it is, so that what is in order stays so."""
    channels = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    light = (0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]) / 255
    share = 0.45 * (1 - light) ** 1.5
    return "#{:02x}{:02x}{:02x}".format(*(round(channel + share * (255 - channel)) for channel in channels))
