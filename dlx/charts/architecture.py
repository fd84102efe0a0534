"""The network as a diagram: a small dense net as circles and lines, any other as blocks with shapes and parameters."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.palette import categories, pale
from dlx.drawing.picture import Canvas
from dlx.drawing.themes import GREY, INK
from dlx.drawing.tidy import Tidy
from dlx.language import _
from dlx.network import Network, Node

_FOLDED = ("Activation", "ReLU", "Dropout", "BatchNormalization", "LayerNormalization", "Flatten")
"""Layers that change neither what is looked at nor its shape: they are named with the layer before."""
_MOST_CIRCLES = 8
_MOST_ABREAST = 9


class Spec(ChartSpec):
    """Options of ``dlx plot architecture``."""

    name: Literal["architecture"] = "architecture"
    summary: ClassVar[str] = "the network as a diagram, with shapes and parameters; of a model, a spec or a trial"
    source: ClassVar[str] = "LeCun et al., Gradient-based learning applied to document recognition (1998), figure 2"

    style: Literal["circles", "blocks"] | None = Field(
        default=None, description="circles or blocks; null: circles for dense nets of up to eight layers"
    )

    @property
    def needs(self) -> Need:
        return "model"

    def heading(self) -> str:
        return _("Architecture")

    def data(self, subject: Network) -> Tidy:
        """Per block: the layers in it, the shape that leaves it, parameters, multiply-adds, and what it is fed by."""
        blocks = blocks_of(subject)
        rows: list[dict[str, Any]] = [
            {
                "block": number,
                "name": block.name,
                "type": block.type,
                "window": block.window,
                "also": ", ".join(block.also),
                "shape": "×".join(map(str, block.shape)),
                "parameters": block.parameters,
                "multiply_adds": block.multiply_adds,
                "inputs": " ".join(map(str, block.inputs)),
            }
            for number, block in enumerate(blocks)
        ]
        counts = _("{parameters} parameters, {multiply_adds} multiply-adds").format(
            parameters=f"{subject.parameters:,}", multiply_adds=f"{subject.multiply_adds:,}"
        )
        if subject.auxiliary:
            counts += _("; and {parameters} parameters of auxiliary classifiers, in training only").format(
                parameters=f"{subject.auxiliary_parameters:,}"
            )
        return Tidy(
            ("block", "name", "type", "window", "also", "shape", "parameters", "multiply_adds", "inputs"),
            rows,
            caption=_("Network {name}: {layers}; {counts}.").format(
                name=subject.name, layers=" → ".join(f"{row['name']} {row['shape']}" for row in rows), counts=counts
            ),
            subtitle=f"{subject.name}: {counts}",
        )

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        dense = all(row["type"] in ("Dense", "input") and "×" not in str(row["shape"]) for row in tidy.rows[1:])
        if self.style == "circles" or (self.style is None and dense and len(tidy.rows) <= 9):
            return _circles(tidy, canvas)
        return _blocks(tidy, canvas)


@dataclass
class Block:
    """A layer that is drawn, and those that only change its values, which are named with it."""

    name: str
    type: str
    shape: tuple[int, ...]
    inputs: list[int]
    window: str = ""
    parameters: int = 0
    multiply_adds: int = 0
    also: list[str] = field(default_factory=list)


def blocks_of(network: Network) -> list[Block]:
    """The network as blocks, the input first, each with the numbers of those it is applied to."""
    blocks = [Block("input", "input", network.input.shape, [])]
    standing: dict[Node, int] = {network.input: 0}
    for node, row in zip(network.nodes, network.rows(), strict=True):
        sources = list(dict.fromkeys(standing[source] for source in node.inputs))
        foldable = row.type in _FOLDED and len(sources) == 1 and sources[0] > 0
        if row.type == "Flatten" and sources == [0]:
            foldable = True
        if foldable:
            number = sources[0]
            block = blocks[number]
            if row.type != "Flatten":
                block.also.append(_said(node, row.type))
        else:
            number = len(blocks)
            window = node.layer.window if node.layer else None
            size = "×".join(map(str, window.size)) if window else ""
            block = Block(row.name, row.type, row.output_shape, sources, size)
            blocks.append(block)
        block.parameters += row.parameters
        block.multiply_adds += row.multiply_adds
        standing[node] = number
    return blocks


def _said(node: Node, kind: str) -> str:
    layer: Any = node.layer
    words: dict[str, Callable[[], str]] = {
        "Activation": lambda: str(layer.function),
        "ReLU": lambda: "relu",
        "Dropout": lambda: f"dropout {layer.rate:g}",
        "BatchNormalization": lambda: "batch norm",
        "LayerNormalization": lambda: "layer norm",
    }
    return words[kind]()


class _Marks:
    """Rectangles, circles, lines and words at places in points, from the top left."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, mark: str, **values: Any) -> None:
        rounded = {key: round(value, 1) if isinstance(value, float) else value for key, value in values.items()}
        self.rows.append({"mark": mark, **rounded})

    def chart(self, width: float, height: float, canvas: Canvas) -> Any:
        import altair as alt

        theme = canvas.theme
        x = alt.X("x:Q", scale=alt.Scale(domain=[0, width], nice=False), axis=None)
        y = alt.Y("y:Q", scale=alt.Scale(domain=[height, 0], nice=False), axis=None)

        def some(mark: str) -> Any:
            values = [row for row in self.rows if row["mark"] == mark]
            return alt.Chart(alt.InlineData(values=values)) if values else None

        layers = []
        if lines := some("line"):
            layers.append(
                lines.mark_rule(stroke=GREY, strokeWidth=theme.line / 4, opacity=0.5).encode(
                    x=x, y=y, x2="x2:Q", y2="y2:Q"
                )
            )
        if arrows := some("arrow"):
            layers.append(
                arrows.mark_rule(stroke=GREY, strokeWidth=theme.line / 2).encode(x=x, y=y, x2="x2:Q", y2="y2:Q")
            )
        if heads := some("head"):
            size = (theme.text * 0.45) ** 2
            layers.append(
                heads.mark_point(shape="triangle-right", filled=True, color=GREY, size=size, opacity=1).encode(x=x, y=y)
            )
        if boxes := some("box"):
            colour = alt.Color("fill:N", scale=None)
            layers.append(
                boxes.mark_rect(stroke=INK, strokeWidth=theme.line / 4, opacity=1).encode(
                    x=x, y=y, x2="x2:Q", y2="y2:Q", color=colour, tooltip=alt.Tooltip("about:N")
                )
            )
        if circles := some("circle"):
            colour = alt.Color("fill:N", scale=None)
            layers.append(
                circles.mark_point(filled=True, stroke=INK, strokeWidth=theme.line / 4, opacity=1).encode(
                    x=x, y=y, color=colour, size=alt.Size("size:Q", scale=None), tooltip=alt.Tooltip("about:N")
                )
            )
        for weight in ("bold", "normal"):
            for row_colour in (INK, GREY):
                values = [
                    r for r in self.rows if r["mark"] == "text" and r["weight"] == weight and r["colour"] == row_colour
                ]
                if values:
                    words = alt.Chart(alt.InlineData(values=values))
                    size = theme.text * (0.9 if weight == "bold" else 0.8)
                    layers.append(
                        words.mark_text(fontWeight=weight, fontSize=size, color=row_colour, baseline="middle").encode(
                            x=x, y=y, text="text:N"
                        )
                    )
        return alt.layer(*layers).properties(width=width, height=height)


def _circles(tidy: Tidy, canvas: Canvas) -> Any:
    """Layers as columns of circles, every one joined to every one of the next."""
    text = canvas.theme.text
    colours = [pale(colour) for colour in categories(2)]
    width, count = canvas.width, len(tidy.rows)
    step = width / count
    sizes = [
        int(str(row["shape"]).split("×")[-1]) if "×" not in str(row["shape"]) else _product(row["shape"])
        for row in tidy.rows
    ]
    most = max(min(size, _MOST_CIRCLES) for size in sizes) + (1 if max(sizes) > _MOST_CIRCLES else 0)
    gap = min(canvas.theme.height * 0.9 / most, step * 0.8, text * 2.2)
    head, foot = text * 2.6, text * 3.4
    height = head + gap * most + foot
    middle = head + gap * most / 2
    long = _room_for_words(tidy, step, canvas)
    marks = _Marks()
    places: list[list[tuple[float, float]]] = []
    for number, (row, size) in enumerate(zip(tidy.rows, sizes, strict=True)):
        centre = step * (number + 0.5)
        shown = min(size, _MOST_CIRCLES)
        slots = shown + (1 if size > shown else 0)
        tops = [middle + gap * (slot - (slots - 1) / 2) for slot in range(slots)]
        hidden = slots // 2 if size > shown else None
        places.append([(centre, top) for slot, top in enumerate(tops) if slot != hidden])
        if hidden is not None:
            for third in (-1, 0, 1):
                at = tops[hidden] + third * gap * 0.24
                marks.add("circle", x=centre, y=at, size=(text * 0.16) ** 2 * math.pi, fill=GREY, about=f"{size}")
        marks.add("text", x=centre, y=text * 0.8, text=str(row["name"]), weight="bold", colour=INK)
        below = middle + gap * slots / 2 + text * 0.7
        marks.add("text", x=centre, y=below, text=_units(row, size), weight="normal", colour=INK)
        for line, words in enumerate(word for word in (str(row["also"]), _parameters(row, long)) if word):
            marks.add("text", x=centre, y=below + text * 1.05 * (line + 1), text=words, weight="normal", colour=GREY)
    for before, after in itertools.pairwise(places):
        for x, y in before:
            for x2, y2 in after:
                marks.add("line", x=x, y=y, x2=x2, y2=y2)
    for number, column in enumerate(places):
        fill = colours[0] if number == 0 else colours[1] if number == count - 1 else "#dfe6f0"
        for x, y in column:
            about = f"{tidy.rows[number]['name']}: {sizes[number]}"
            marks.add("circle", x=x, y=y, size=(gap * 0.68) ** 2 * math.pi / 4, fill=fill, about=about)
    return marks.chart(width, height, canvas)


def _blocks(tidy: Tidy, canvas: Canvas) -> Any:
    """Feature maps as stacks of squares, vectors as bars, from left to right; long nets in several rows."""
    text = canvas.theme.text
    width, count = canvas.width, len(tidy.rows)
    abreast = min(count, _MOST_ABREAST if not canvas.theme.narrow else 5)
    lines = math.ceil(count / abreast)
    abreast = math.ceil(count / lines)
    step = width / abreast
    most = min(step * 0.62, canvas.theme.height * 0.5)
    names = [_named(str(row["name"]), step, canvas) for row in tidy.rows]
    head = text * (1.4 + max(map(len, names)))
    tall = head + most + text * 5.8
    shapes = [[int(part) for part in str(row["shape"]).split("×")] for row in tidy.rows]
    largest = max((shape[0] for shape in shapes if len(shape) == 3), default=1)
    longest = max((shape[0] for shape in shapes if len(shape) == 1), default=1)
    long = _room_for_words(tidy, step, canvas)
    marks = _Marks()
    ends: list[tuple[float, float, float, int]] = []
    for number, (row, shape) in enumerate(zip(tidy.rows, shapes, strict=True)):
        line, column = divmod(number, abreast)
        centre, middle = step * (column + 0.5), tall * line + head + most / 2
        about = f"{row['name']} ({row['type']}): {row['shape']}, {row['parameters']:,}"
        if len(shape) == 3:
            sheets = 1 if shape[2] == 1 else min(5, 2 + int(math.log2(shape[2]) / 2)) if shape[2] > 3 else shape[2]
            side = max(most * 0.16, most * 0.74 * math.sqrt(shape[0] / largest))
            shift = most * 0.26 / 5
            half = (side + shift * (sheets - 1)) / 2
            for sheet in range(sheets):
                left, top = centre - half + shift * sheet, middle - half + shift * sheet
                marks.add(
                    "box", x=left, y=top, x2=left + side, y2=top + side, fill=_colour(str(row["type"])), about=about
                )
            reach = half
        else:
            high = max(most * 0.18, most * math.log2(shape[0] + 1) / math.log2(longest + 1))
            wide = max(text * 0.7, most * 0.1)
            marks.add(
                "box", x=centre - wide / 2, y=middle - high / 2, x2=centre + wide / 2, y2=middle + high / 2,
                fill=_colour(str(row["type"])), about=about,
            )  # fmt: skip
            reach = wide / 2
        ends.append((centre - reach, centre + reach, middle, line))
        for place, word in enumerate(reversed(names[number])):
            at = tall * line + head - text * (1.4 + place)
            marks.add("text", x=centre, y=at, text=word, weight="bold", colour=INK)
        below = tall * line + head + most + text * 0.8
        words = [
            str(row["shape"]),
            _operation(str(row["type"]), str(row["window"]), step, canvas),
            *_wrapped(str(row["also"]), step, canvas),
        ]
        words.append(_parameters(row, long))
        for place, word in enumerate(word for word in words if word):
            colour = INK if place == 0 else GREY
            marks.add("text", x=centre, y=below + text * 1.02 * place, text=word, weight="normal", colour=colour)
    for number, row in enumerate(tidy.rows):
        for source in map(int, str(row["inputs"]).split()):
            _arrow(marks, ends[source], ends[number], number - source, text, most)
    return marks.chart(width, tall * lines, canvas)


def _arrow(marks: _Marks, start: Any, end: Any, distance: int, text: float, most: float) -> None:
    """From block to block; a connection that skips blocks runs above them."""
    left, right, y, line = start[1] + text * 0.25, end[0] - text * 0.35, end[2], end[3]
    if start[3] != line:
        # From the row above: a short arrow into the block, as the beginning of a row of text.
        if distance == 1:
            marks.add("arrow", x=max(0.0, right - text * 1.6), y=y, x2=right, y2=y)
            marks.add("head", x=right, y=y)
        return
    if distance == 1:
        marks.add("arrow", x=left, y=y, x2=right, y2=y)
        marks.add("head", x=right, y=y)
        return
    above = y - most / 2 - text * 0.5
    marks.add("arrow", x=left, y=y, x2=left, y2=above)
    marks.add("arrow", x=left, y=above, x2=right - text * 0.3, y2=above)
    marks.add("arrow", x=right - text * 0.3, y=above, x2=right - text * 0.3, y2=y)


def _operation(kind: str, window: str, step: float, canvas: Canvas) -> str:
    """What a layer does, and the size of its window; shorter where blocks stand close."""
    words = {
        "input": ("", ""),
        "Conv2D": (_("convolution"), _("conv.")),
        "PartialConv2D": (_("convolution"), _("conv.")),
        "Conv2DTranspose": (_("transposed convolution"), _("transp. conv.")),
        "Dense": (_("dense"), _("dense")),
        "MaxPooling2D": (_("max pooling"), _("max pool")),
        "AveragePooling2D": (_("mean pooling"), _("mean pool")),
        "TrainablePooling2D": (_("pooling"), _("pooling")),
        "GlobalAveragePooling2D": (_("global mean"), _("mean")),
        "ZeroPadding2D": (_("zero padding"), _("padding")),
        "IdentityShortcut": (_("shortcut"), _("shortcut")),
        "Concatenate": (_("concatenation"), _("concat.")),
        "Add": (_("sum"), _("sum")),
    }
    for word in words.get(kind, (kind, kind)):
        said = f"{word} {window}".strip()
        if len(said) * canvas.theme.text * 0.44 <= step:
            break
    return said


def _colour(kind: str) -> str:
    """Of a block: one colour for each family of layers, the same in every diagram."""
    families = ("input", "Conv", "Pooling", "Dense")
    at = next((number for number, family in enumerate(families) if family in kind), len(families))
    return pale(categories(6)[at])


def _named(name: str, step: float, canvas: Canvas) -> list[str]:
    """A layer's name in lines that have room, broken at its underscores."""
    room = step / (canvas.theme.text * 0.9 * 0.6)
    if len(name) <= room:
        return [name]
    lines: list[str] = []
    for part in re.findall(r"[^_]+(?:_\d+(?=_|$))?", name):
        if lines and len(lines[-1]) + 1 + len(part) <= room:
            lines[-1] += f"_{part}"
        else:
            lines.append(part)
    return lines


def _parameters(row: dict[str, Any], long: bool) -> str:
    number = int(row["parameters"])
    if not number:
        return ""
    if long:
        return _("{number} parameters").format(number=f"{number:,}")
    return _("{number} par.").format(number=f"{number:,}" if number < 10**6 else f"{number / 1e6:.1f} M")


def _room_for_words(tidy: Tidy, step: float, canvas: Canvas) -> bool:
    """Whether the word has room after the largest number of parameters, so that all say it alike."""
    return max(len(_parameters(row, long=True)) for row in tidy.rows) * canvas.theme.text * 0.42 <= step


def _wrapped(words: str, step: float, canvas: Canvas) -> list[str]:
    import textwrap

    return textwrap.wrap(words, max(8, int(step / (canvas.theme.text * 0.42))))


def _units(row: dict[str, Any], size: int) -> str:
    shape = str(row["shape"])
    return (
        shape
        if "×" in shape
        else _("{number} units").format(number=f"{size:,}")
        if row["type"] != "input"
        else f"{size:,}"
    )


def _product(shape: Any) -> int:
    return math.prod(int(part) for part in str(shape).split("×"))
