"""What reacts to a pointer in HTML: a click on the legend hides a series, hovering shows the numbers.

In a static picture the same functions give nothing, so that no invisible marks swell the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlx.drawing.picture import Canvas

SHOWN, HOVERED = "shown", "hovered"


class Series:
    """The series of a chart by one field: their opacity, and the parameters that change it."""

    def __init__(self, canvas: Canvas, field: str, values: Sequence[Any]) -> None:
        self._interactive = canvas.interactive
        self._theme = canvas.theme
        if canvas.interactive:
            import altair as alt

            # Every series is selected at first; a click takes one out, and its legend entry fades.
            self._shown = alt.selection_point(
                name=SHOWN,
                fields=[field],
                bind="legend",
                toggle="true",
                clear=False,
                empty=False,
                value=[{field: value} for value in values],
            )

    @property
    def parameter(self) -> Any:
        """What a chart is given by ``add_params`` for the legend to hide its series; only of an interactive one."""
        return self._shown

    def opacity(self, value: float = 1.0) -> Any:
        """The opacity of a mark whose series may be hidden."""
        import altair as alt

        if not self._interactive:
            return alt.value(value)
        return alt.when(self._shown).then(alt.value(value)).otherwise(alt.value(0))

    def hoverable(self, layers: Any, points: Any, tooltip: Sequence[Any]) -> Any:
        """The layered chart with ``points`` over it that show themselves and ``tooltip`` under the pointer."""
        import altair as alt

        if not self._interactive:
            return alt.layer(*layers)
        hovered = alt.selection_point(name=HOVERED, on="pointerover", clear="pointerout", empty=False)
        marks = (
            points.mark_point(size=self._theme.point * 6, filled=True)
            .encode(
                opacity=alt.when(hovered, self._shown).then(alt.value(1)).otherwise(alt.value(0)),
                tooltip=list(tooltip),
            )
            .add_params(hovered)
        )
        first, *others = layers
        return alt.layer(first.add_params(self._shown), *others, marks)
