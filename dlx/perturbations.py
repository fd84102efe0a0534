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
    """Each pixel taken from ``matrix`` times its place relative to the centre, plus ``offset``."""
    from scipy import ndimage

    centre = (np.array(images.shape[1:3]) - 1) / 2
    start = centre - matrix @ centre + np.asarray(offset)
    whole = np.eye(3)
    whole[:2, :2] = matrix
    moved = np.empty(images.shape, np.float32)
    for image, place in zip(images, moved, strict=True):
        ndimage.affine_transform(image.astype(np.float32), whole, (*start, 0.0), output=place, order=1, mode="nearest")
    return moved
