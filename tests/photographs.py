"""Made photographs: noise around a colour, so that a class can be told by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (20, 30, 200), "green": (10, 190, 40), "red": (210, 15, 25)}


def picture(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (20, 26)) -> Image.Image:
    """Noise around a colour, as high and wide as ``size`` says."""
    noise = np.random.default_rng(seed).integers(-9, 10, (*size, 3))
    return Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))


def fill(folder: Path, each: int = 6, classes: dict[str, tuple[int, int, int]] = COLOURS, suffix: str = "png") -> Path:
    """So many images of every class."""
    for number, (name, colour) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for at in range(each):
            picture(colour, 100 * number + at).save(folder / name / f"{at:02}.{suffix}")
    return folder
