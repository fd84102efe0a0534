"""A rectangle of the image replaced by one value."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.augmentations import AugmentationSpec, Probability, Tensor
from dlx.fields import Finite

Area = Annotated[float, Field(gt=0.0, le=1.0)]
Ratio = Annotated[float, Field(ge=1.0, le=100.0)]


class Spec(AugmentationSpec):
    """Random erasing: a rectangle of random size, shape and place.

    Its share of the image is uniform between ``smallest`` and ``largest``, the logarithm of its
    height over its width uniform within ``ratio`` either way; what does not fit is cut off.
    """

    summary: ClassVar[str] = "a rectangle of random size and place replaced by one value"
    source: ClassVar[str] = "Zhong et al. 2020, Random Erasing Data Augmentation, algorithm 1"

    name: Literal["erasing"] = "erasing"
    probability: Probability = Field(default=0.5, description="of an image losing a rectangle")
    smallest: Area = Field(default=0.02, description="the smallest rectangle, as a fraction of the image's area")
    largest: Area = Field(default=0.33, description="the largest rectangle, as a fraction of the image's area")
    ratio: Ratio = Field(default=3.3, description="the longer side over the shorter one, at most; 1: squares")
    value: Finite = Field(default=0.0, description="what is put in its place, as a scaled value")

    @model_validator(mode="after")
    def _in_order(self) -> Spec:
        if self.smallest > self.largest:
            raise ValueError(f"smallest ({self.smallest:g}) is more than largest ({self.largest:g})")
        return self

    def apply(self, images: Tensor, key: object) -> Tensor:
        from keras import ops

        from dlx.augmentations._resampling import uniform

        chance, area, ratio, row, column = uniform(key, images, 5)
        _, height, width, _ = images.shape
        share = self.smallest + (self.largest - self.smallest) * area
        stretch = ops.exp((ratio - 0.5) * math.log(self.ratio))  # the root of height over width
        side = ops.sqrt(share * (height * width))
        tall = ops.where(chance < self.probability, _whole(side * stretch, height), 0.0)
        wide = _whole(side / stretch, width)
        top = ops.floor(row * (height - tall + 1.0))
        left = ops.floor(column * (width - wide + 1.0))
        return erased(images, top, left, tall, wide, self.value)


def erased(images: Tensor, top: Tensor, left: Tensor, tall: Tensor, wide: Tensor, value: float) -> Tensor:
    """Each image with its rectangle, first row and column, height and width (batch, 1, 1), set to ``value``."""
    from keras import ops

    _, height, width, _ = images.shape
    down, across = ops.arange(height, dtype="float32")[:, None], ops.arange(width, dtype="float32")
    rows = ops.logical_and(down >= top, down < top + tall)
    columns = ops.logical_and(across >= left, across < left + wide)
    inside = ops.cast(ops.logical_and(rows, columns), "float32")[..., None]
    # Products with 0 and 1 are exact, and faster on a CPU than a choice between two arrays.
    kept = images * (1.0 - inside)
    return kept + inside * value if value else kept


def _whole(side: Tensor, most: int) -> Tensor:
    """A side in whole pixels, at least one and at most the image's."""
    from keras import ops

    return ops.clip(ops.round(side), 1.0, float(most))
