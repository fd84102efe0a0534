"""Panels side by side, what tells series apart, and where the legend goes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dlx.drawing.palette import categories, for_values, ordered
from dlx.drawing.picture import Canvas
from dlx.drawing.subjects import thinned
from dlx.drawing.themes import GREY
from dlx.drawing.tidy import Tidy
from dlx.language import _

SETTING, LAYER = "setting", "layer"
_MOST_IN_LEGEND = 20


@dataclass(frozen=True)
class Panels:
    """A grid of panels with common axes, each of ``width`` × ``height`` points.

    ``field`` has the value of each panel, in rows of ``columns``; or ``across`` and ``down``
    have the values of the columns and of the rows.
    """

    values: tuple[Any, ...]
    field: str
    columns: int
    width: float
    height: float
    canvas: Canvas
    axes: tuple[str, ...] = ()
    across: str | None = None
    down: str | None = None
    downs: tuple[Any, ...] = ()

    def crossed(self, tidy: Tidy, across: str, down: str) -> Panels:
        """The same with the values of one field along the columns and of another along the rows."""
        columns, rows = tidy.distinct(across), tidy.distinct(down)
        height = max(self.canvas.theme.height * 1.15 / len(rows), self.canvas.theme.text * 5)
        return replace(
            self,
            values=tuple(columns),
            columns=len(columns),
            width=self.canvas.panel(len(columns)),
            height=height,
            across=across,
            down=down,
            downs=tuple(rows),
        )

    def of(self, chart: Any) -> Any:
        """``chart`` once for each value, under its name; alone if there is only one."""
        chart = chart.properties(width=self.width, height=self.height)
        if self.across and self.down:
            return chart.facet(
                column=self._facet(self.across, self.values, self.width, name=self._named(self.across)),
                row=self._facet(self.down, self.downs, self.height, name=self._named(self.down), orient="right"),
                spacing=self.canvas.gap,
            )
        if len(self.values) <= 1:
            return chart
        facet = self._facet(self.field, self.values, self.width, name=self._named(self.field))
        return chart.facet(facet=facet, columns=self.columns, spacing=self.canvas.gap)

    def _named(self, field: str) -> str | None:
        """What stands before a value in a header: the name of a parameter; other values speak for themselves."""
        return field if field in self.axes else None

    def _facet(
        self, field: str, values: Sequence[Any], room: float, *, name: str | None = None, orient: str | None = None
    ) -> Any:
        import altair as alt

        text = self.canvas.theme.text
        # What a header says is broken to the size of its panel, so that it neither overlaps nor pushes.
        most = max(6, int(room / (text * 0.52)))
        lines = {value: _lines(f"{name} {value}" if name else str(value), most) for value in values}
        cases = "".join(f"datum.value === {_literal(value)} ? {_list(text)} : " for value, text in lines.items())
        side = {"labelOrient": orient, "labelAngle": 90} if orient else {"labelAnchor": "start"}
        header = alt.Header(title=None, labelExpr=f"{cases}''", labelLineHeight=text * 1.2, **side)
        return alt.Facet(f"{escaped(field)}:N", sort=list(values), title=None, header=header)


def panels(tidy: Tidy, canvas: Canvas, field: str = SETTING, *, height: float = 1.0) -> Panels:
    """How the panels of a field's values are laid out; ``height``: of one that is alone, in that of the theme.

    Settings that are all the combinations of two parameters stand in a grid of the two.
    """
    values = tidy.distinct(field)
    text, alone = canvas.theme.text, canvas.theme.height * height
    if field == SETTING and (grid := _grid(tidy, canvas)):
        across, down = grid
        abreast, downs = tidy.distinct(across), tidy.distinct(down)
        high = max(alone * 1.15 / len(downs), alone * 0.4, text * 5)
        width = canvas.panel(len(abreast))
        return Panels(tuple(abreast), field, len(abreast), width, high, canvas, tidy.axes, across, down, tuple(downs))
    count = max(1, len(values))
    columns = math.ceil(count / math.ceil(count / (2 if canvas.theme.narrow else 4)))
    rows = math.ceil(count / columns)
    share = 1.0 if rows == 1 else max(1.15 / rows, 0.45)
    return Panels(tuple(values), field, columns, canvas.panel(columns), alone * share, canvas, tidy.axes)


def _grid(tidy: Tidy, canvas: Canvas) -> tuple[str, str] | None:
    """Of two parameters, the one with more values along the rows, if all combinations are there and have room."""
    if len(tidy.axes) != 2:
        return None
    down, across = sorted(tidy.axes, key=lambda axis: len(tidy.distinct(axis)))
    cells = {(row.get(down), row.get(across)) for row in tidy.rows}
    columns, rows = len(tidy.distinct(across)), len(tidy.distinct(down))
    most = 3 if canvas.theme.narrow else 6
    return (across, down) if len(cells) == columns * rows and rows > 1 and columns <= most else None


@dataclass(frozen=True)
class Told:
    """What tells settings apart in a picture: the colour by ``field``, and panels by ``panel`` if two parameters do."""

    field: str
    values: tuple[Any, ...]
    panel: str | None

    def colour(self, canvas: Canvas, **options: Any) -> Any:
        """The colour channel, its legend in the order of the settings."""
        import altair as alt

        title = None if self.field == SETTING else _("layer") if self.field == LAYER else self.field
        if max(len(str(value)) for value in self.values) > 22:
            # Long labels stand below each other under the picture, where none is cut off.
            options = {"orient": "bottom", "direction": "vertical", "columns": 1, "labelLimit": 0, **options}
        if self.field == LAYER and len(self.values) > _MOST_IN_LEGEND:
            # Their colours are in an order: some of them say the rest.
            options = {"values": list(thinned(self.values, _MOST_IN_LEGEND // 2)), **options}
        key = None if len(self.values) == 1 else legend(title, canvas, **options)
        return alt.Color(f"{escaped(self.field)}:N", sort=list(self.values), scale=self._scale(), legend=key)

    def _scale(self) -> Any:
        import altair as alt

        if self.field == LAYER:
            colours = ordered(len(self.values))
        else:
            colours = categories(len(self.values)) if self.field == SETTING else for_values(self.values)
        return alt.Scale(domain=list(self.values), range=colours)


def by_layer(tidy: Tidy) -> Told:
    """Layers by colour, from dark at the input to light at the output."""
    return Told(LAYER, layers(tidy), None)


def layers(tidy: Tidy) -> tuple[Any, ...]:
    """The layers of a table from the input to the output: by number, or as the table has it."""
    found = tidy.distinct(LAYER)
    return tuple(found if LAYER in tidy.orders else sorted(found))


def told_apart(tidy: Tidy) -> Told:
    """One parameter by colour, a second by panels; of three and more, each setting has a colour."""
    if len(tidy.axes) == 1:
        return Told(tidy.axes[0], tuple(tidy.distinct(tidy.axes[0])), None)
    if len(tidy.axes) == 2:
        panel, colour = sorted(tidy.axes, key=lambda axis: len(tidy.distinct(axis)))
        return Told(colour, tuple(tidy.distinct(colour)), panel)
    return Told(SETTING, tuple(tidy.distinct(SETTING)), None)


def legend(title: str | None, canvas: Canvas, **options: Any) -> Any:
    """A legend: beside the picture, or below one that is narrow."""
    import altair as alt

    columns = options.pop("columns", 6)
    if "orient" in options:
        return alt.Legend(title=title, columns=columns, **options)
    if canvas.theme.narrow:
        return alt.Legend(title=title, orient="bottom", direction="horizontal", columns=columns, **options)
    return alt.Legend(title=title, orient="right", **options)


def dashes(field: str, values: Sequence[Any], canvas: Canvas) -> Any:
    """What tells up to four things apart by the dashes of their lines: whole, dashed, dotted, long."""
    import altair as alt

    unit = canvas.theme.line
    patterns = [[1, 0], [unit * 2.4, unit * 2.4], [unit * 0.8, unit * 1.6], [unit * 5, unit * 2.4]]
    size = (canvas.theme.text * 1.5) ** 2
    key = legend(None, canvas, columns=3, symbolStrokeColor=GREY, symbolSize=size) if len(values) > 1 else None
    scale = alt.Scale(domain=list(values), range=patterns[: len(values)])
    return alt.StrokeDash(f"{escaped(field)}:N", sort=list(values), scale=scale, legend=key)


def escaped(field: str) -> str:
    """A column's name where Altair reads an expression: dots, brackets and colons stand for themselves."""
    for character in "\\.[]:":
        field = field.replace(character, "\\" + character)
    return field


def _lines(text: str, most: int) -> list[str]:
    return textwrap.wrap(text, most, break_long_words=False, break_on_hyphens=False) or [""]


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else quoted(str(value))


def cases(field: str, values: Mapping[Any, float], otherwise: float) -> str:
    """The expression of the number that belongs to a field's value."""
    found = "".join(f"datum[{quoted(field)}] === {_literal(value)} ? {number!r} : " for value, number in values.items())
    return f"{found}{otherwise!r}"


def quoted(text: str) -> str:
    """A text where Vega reads an expression."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", " ") + "'"


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(quoted, texts)) + "]"
