"""Images changed in ways that should not change what is seen in them.

Each gives the changed images of a set (n, height, width, channels), in stored units, once
for every variant that its strength has: a shift to four sides, a rotation both ways.
Between pixels values are interpolated bilinearly, beyond the border its pixels go on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[Any]
_VALUES_AT_ONCE = 1 << 22
"""Values of images that are moved together, 8 bytes each."""


def shift(images: Images, pixels: float) -> Iterator[Images]:
    """By so many pixels to the left, the right, up and down."""
    for down, right in ((0.0, -pixels), (0.0, pixels), (-pixels, 0.0), (pixels, 0.0)):
        yield _moved(images, np.eye(2), (-down, -right))


def rotate(images: Images, degrees: float) -> Iterator[Images]:
    """About the centre, both ways."""
    for angle in (math.radians(degrees), -math.radians(degrees)):
        yield _moved(images, np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]))


def scale(images: Images, factor: float) -> Iterator[Images]:
    """What is seen becomes so many times as large, about the centre."""
    yield _moved(images, np.eye(2) / factor)


def brightness(images: Images, factor: float, largest: float = 255.0) -> Iterator[Images]:
    """Every value times ``factor``, at most ``largest``."""
    yield np.clip(images.astype(np.float32) * np.float32(factor), None, np.float32(largest))


def occlude(images: Images, side: float) -> Iterator[Images]:
    """A square of so many pixels is set to 0: in the centre, and in the middle of each quarter."""
    height, width = images.shape[1:3]
    size = round(side)
    for down, right in ((0.5, 0.5), (0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)):
        top, left = max(0, round(height * down - size / 2)), max(0, round(width * right - size / 2))
        changed = images.copy()
        changed[:, top : top + size, left : left + size] = 0
        yield changed


PERTURBATIONS: dict[str, Callable[..., Iterator[Images]]] = {
    "shift": shift,
    "rotate": rotate,
    "scale": scale,
    "brightness": brightness,
    "occlude": occlude,
}


def _moved(images: Images, matrix: npt.NDArray[Any], offset: tuple[float, float] = (0.0, 0.0)) -> Images:
    """Each pixel taken from ``matrix`` times its place relative to the centre, plus ``offset``: float32."""
    count, height, width, channels = images.shape
    weights = _interpolation(height, width, matrix, offset)
    moved = np.empty(images.shape, np.float32)
    at_once = max(1, _VALUES_AT_ONCE // max(1, height * width * channels))
    for start in range(0, count, at_once):
        part = images[start : start + at_once]
        by_pixel = part.transpose(1, 2, 0, 3).reshape(height * width, -1).astype(np.float64)
        moved[start : start + at_once] = (
            (weights @ by_pixel).reshape(height, width, len(part), channels).transpose(2, 0, 1, 3)
        )
    return moved


def _interpolation(height: int, width: int, matrix: npt.NDArray[Any], offset: tuple[float, float]) -> Any:
    """What each pixel of a moved image has of each of an image's: sparse, (pixels, pixels), rows of sum 1.

    The same for all images, so that a set of them is moved by one product.
    """
    from scipy import sparse

    size = np.array([height, width])
    places = np.indices((height, width)).reshape(2, -1)
    centre = ((size - 1) / 2)[:, None]
    taken = matrix @ (places - centre) + centre + np.reshape(offset, (2, 1))
    taken = np.clip(taken, 0, (size - 1)[:, None])
    lower = np.floor(taken).astype(np.int64)
    upper = np.minimum(lower + 1, (size - 1)[:, None])
    share = taken - lower
    pixels = np.arange(height * width)
    entries = [
        (vertical * horizontal, pixels, row * width + column)
        for row, vertical in ((lower[0], 1 - share[0]), (upper[0], share[0]))
        for column, horizontal in ((lower[1], 1 - share[1]), (upper[1], share[1]))
    ]
    values, rows, columns = (np.concatenate(each) for each in zip(*entries, strict=True))
    return sparse.csr_array((values, (rows, columns)), shape=(height * width, height * width))
