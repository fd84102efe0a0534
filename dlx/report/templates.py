"""The charts of a single trial: drawn when its row is opened, from definitions that all trials of the page share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlx.charts.accuracy import part_said, said
from dlx.drawing.norms import said as norm_said
from dlx.drawing.palette import categories, ordered
from dlx.language import _
from dlx.report.curves import Curves
from dlx.report.figures import PAGE

_DASHES = ([1, 0], [6, 4], [1.5, 3])
_SIZE = {"width": 205, "height": 160}


def templates(curves: Sequence[Curves]) -> list[dict[str, Any]]:
    """What may be drawn of a trial, for the columns that any trial has.

    Each has ``table`` (``metrics`` or ``gradients``), ``parameter`` for norms, ``series`` as
    column → name (norms: none, a column is a layer), ``colours`` by the number of series, and
    ``spec``: Vega-Lite without rows, which have ``epoch``, ``series`` and ``value``.
    """
    found = []
    parts = {part: part_said(part) for part in ("train", "val", "test")}
    for metric in ("accuracy", "rmse", "loss"):
        named = {f"{part}_{metric}": name for part, name in parts.items()}
        if any(set(named) & set(each.metrics) for each in curves):
            spec = _spec(said(metric), _("data"), ".0%" if metric == "accuracy" else "~g", dashes=list(named.values()))
            colours = {count: categories(count) for count in (1, 2, 3)}
            found.append({"table": "metrics", "series": named, "colours": colours, "spec": spec})
    counts = {len(each.gradients) - 1 for each in curves if each.gradients}
    for parameter in dict.fromkeys(each.parameter for each in curves if each.gradients):
        title = _("gradient norm {symbol}").format(symbol=norm_said(parameter))
        spec = _spec(title, _("layer"), "~e", log=True)
        colours = {count: ordered(count) for count in sorted(counts)}
        found.append({"table": "gradients", "parameter": parameter, "colours": colours, "spec": spec})
    return found


def _spec(title: str, series: str, style: str, *, log: bool = False, dashes: Sequence[str] = ()) -> dict[str, Any]:
    epoch = {"field": "epoch", "type": "quantitative", "title": _("epoch")}
    value = {"field": "value", "type": "quantitative", "title": title}
    named = {"field": "series", "type": "nominal", "title": series, "sort": None}
    scale = {"type": "log", "nice": False} if log else {"zero": False}
    legend = {
        "orient": "bottom",
        "symbolType": "stroke",
        "symbolSize": 250,
        "direction": "horizontal",
        "columns": 8 if log else 3,
        "title": series if log else None,
    }
    encoding: dict[str, Any] = {
        "x": {**epoch, "axis": {"grid": False, "format": ",d", "tickMinStep": 1, "tickCount": 5}},
        "y": {**value, "scale": scale, "axis": {"format": style, "tickCount": 5}},
        "color": {**named, "legend": legend},
        "tooltip": [named, epoch, {**value, "format": ".2%" if style.endswith("%") else ".4~g"}],
    }
    if dashes:
        scale = {"domain": list(dashes), "range": list(_DASHES)}
        encoding["strokeDash"] = {**named, "scale": scale, "legend": legend}
    # Points that cannot be seen are large enough to be hit.
    mark = {"type": "line", "point": {"size": PAGE.point * 4, "opacity": 0}, "strokeWidth": PAGE.line * 0.8}
    config = {**PAGE.config(), "axis": {**PAGE.config()["axis"], "labelFontSize": 11, "titleFontSize": 11}}
    return {**_SIZE, "data": {"name": "rows"}, "mark": mark, "encoding": encoding, "config": config, "padding": 6}
