"""Sheets of small pictures: examples, filters, feature maps, reconstructions.

A tidy table has a row per pixel; here it becomes images again, enlarged without blurring.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dlx.drawing.picture import Canvas
from dlx.drawing.themes import GREY, INK
from dlx.drawing.tidy import Tidy

if TYPE_CHECKING:
    import numpy as np

COLUMNS = ("image", "row", "column", "heading", "label", "limit", "y", "x", "channel", "value")
"""Of a table of images: which one, where on the sheet, what is said of it, and its pixels."""

Colours = Literal["ink", "signed", "heat"]
_STOPS: dict[Colours, tuple[tuple[int, int, int], ...]] = {
    "ink": ((255, 255, 255), (0, 0, 0)),
    "signed": ((33, 102, 172), (146, 197, 222), (247, 247, 247), (253, 184, 99), (179, 88, 6)),
    "heat": ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)),
}
_SHARPNESS = 3.0
"""Pixels of an enlarged image per point of the picture."""


@dataclass(frozen=True)
class Image:
    """One picture of a sheet: ``pixels`` (height, width) or (height, width, 3).

    ``heading`` stands before its row, ``label`` below it. ``limit`` is the value that has the
    full colour: the largest of all images that are to be compared.
    """

    pixels: np.ndarray
    row: int
    column: int
    limit: float
    heading: str = ""
    label: str = ""


def pixel_rows(images: Iterable[Image]) -> list[dict[str, Any]]:
    """The rows of a tidy table, in the order of the images, their lines and their columns."""
    rows: list[dict[str, Any]] = []
    for number, image in enumerate(images):
        about = {
            "image": number, "row": image.row, "column": image.column, "heading": image.heading, "label": image.label,
            "limit": image.limit,
        }  # fmt: skip
        pixels = image.pixels if image.pixels.ndim == 3 else image.pixels[..., None]
        for y, line in enumerate(pixels.tolist()):
            for x, channels in enumerate(line):
                for channel, value in enumerate(channels):
                    rows.append({**about, "y": y, "x": x, "channel": channel, "value": value})
    return rows


def images_of(tidy: Tidy) -> list[Image]:
    """The images that :func:`pixel_rows` made the table of."""
    import numpy as np

    found: dict[int, list[dict[str, Any]]] = {}
    for row in tidy.rows:
        found.setdefault(row["image"], []).append(row)
    images = []
    for rows in found.values():
        last = rows[-1]
        shape = last["y"] + 1, last["x"] + 1, last["channel"] + 1
        pixels = np.array([row["value"] for row in rows], dtype=float).reshape(shape)
        images.append(
            Image(
                pixels[..., 0] if shape[2] == 1 else pixels,
                last["row"], last["column"], last["limit"], last["heading"], last["label"],
            )
        )  # fmt: skip
    return images


def sheet(tidy: Tidy, canvas: Canvas, colours: Colours) -> Any:
    """The images in their rows and columns, as large as the width and about the height of a slide let them be."""
    import altair as alt

    images = images_of(tidy)
    text = canvas.theme.text
    columns = max(image.column for image in images) + 1
    lines = max(image.row for image in images) + 1
    headings = {image.row: image.heading for image in images if image.heading}
    left = max((len(heading) for heading in headings.values()), default=0) * text * 0.52
    left += text * 0.6 if left else 0
    labelled = any(image.label for image in images)
    width = canvas.width
    cell = min((width - left) / columns, canvas.theme.height * 1.3 / lines, canvas.theme.height * 0.4)
    size = cell * 0.92
    line = size + (text * 1.35 if labelled else cell * 0.08)
    height = lines * line
    marks: list[dict[str, Any]] = []
    for image in images:
        high, wide = image.pixels.shape[:2]
        across, down = (size, size * high / wide) if wide >= high else (size * wide / high, size)
        marks.append(
            {
                "x": left + cell * image.column + cell / 2,
                "y": image.row * line + size / 2,
                "w": across,
                "h": down,
                "under": image.row * line + size + text * 0.6,
                "label": image.label,
                "url": data_uri(image.pixels, image.limit, colours, across),
            }
        )
    x = alt.X("x:Q", scale=alt.Scale(domain=[0, width], nice=False), axis=None)
    scale = alt.Scale(domain=[height, 0], nice=False)
    base = alt.Chart(alt.InlineData(values=[_rounded(mark) for mark in marks]))
    layers = [
        base.mark_image(aspect=False).encode(
            x=x,
            y=alt.Y("y:Q", scale=scale, axis=None),
            url="url:N",
            **{} if not canvas.interactive or not labelled else {"tooltip": alt.Tooltip("label:N")},
        )
    ]
    sizes = {(round(mark["w"], 2), round(mark["h"], 2)) for mark in marks}
    if len(sizes) == 1:
        across, down = sizes.pop()
        layers[0] = layers[0].mark_image(aspect=False, width=across, height=down)
    else:
        layers = [
            base.transform_filter(f"abs(datum.w - {across}) < 0.02 && abs(datum.h - {down}) < 0.02")
            .mark_image(aspect=False, width=across, height=down)
            .encode(x=x, y=alt.Y("y:Q", scale=scale, axis=None), url="url:N")
            for across, down in sorted(sizes)
        ]
    if labelled:
        layers.append(
            base.mark_text(fontSize=text * 0.75, color=GREY, baseline="middle").encode(
                x=x, y=alt.Y("under:Q", scale=scale, axis=None), text="label:N"
            )
        )
    if headings:
        said = [{"y": row * line + size / 2, "heading": heading} for row, heading in headings.items()]
        layers.append(
            alt.Chart(alt.InlineData(values=said))
            .mark_text(fontSize=text * 0.9, color=INK, align="left", baseline="middle")
            .encode(x=alt.value(0), y=alt.Y("y:Q", scale=scale, axis=None), text="heading:N")
        )
    return alt.layer(*layers).properties(width=width, height=height)


def data_uri(pixels: np.ndarray, limit: float, colours: Colours, points: float) -> str:
    """A PNG in a URI, so many points wide, every pixel a square of one colour.

    Values from 0 to ``limit`` are ``ink`` or ``heat``, from −``limit`` to ``limit`` ``signed``;
    three channels are red, green and blue from 0 to ``limit``.
    """
    import numpy as np

    limit = limit or 1.0
    if pixels.ndim == 3:
        coloured = np.clip(pixels / limit * 255, 0, 255)
    else:
        share = (pixels / limit + 1) / 2 if colours == "signed" else pixels / limit
        stops = np.array(_STOPS[colours], dtype=float)
        places = np.linspace(0, 1, len(stops))
        share = np.clip(np.nan_to_num(share), 0, 1)
        coloured = np.stack([np.interp(share, places, stops[:, channel]) for channel in range(3)], axis=-1)
    return coloured_uri(coloured, points, few_colours=pixels.ndim == 2)


def coloured_uri(coloured: np.ndarray, points: float, *, few_colours: bool = False) -> str:
    """A PNG in a URI of (height, width, 3) values from 0 to 255, so many points wide."""
    import numpy as np
    from PIL import Image as Pillow

    factor = max(1, round(points * _SHARPNESS / coloured.shape[1]))
    large = np.kron(np.rint(coloured).astype(np.uint8), np.ones((factor, factor, 1), np.uint8))
    file = io.BytesIO()
    image = Pillow.fromarray(large)
    if few_colours:
        image = image.quantize(96)  # a quarter of the bytes, and no eye sees it
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _rounded(mark: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in mark.items()}


def columns_for(count: int, most: int) -> int:
    """How many images stand side by side: rows of equal length, at most ``most``."""
    rows = -(-count // most)
    return -(-count // rows) if rows else 1


def spread(values: Sequence[Any], most: int) -> list[Any]:
    """At most ``most`` of some values, evenly spread."""
    if len(values) <= most:
        return list(values)
    return [values[index * len(values) // most] for index in range(most)]
