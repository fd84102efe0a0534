"""A part of the image, of random size, shape and place, enlarged to the image's size."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.augmentations import AugmentationSpec, Tensor

Share = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


class Spec(AugmentationSpec):
    """A rectangle of the image is enlarged to the size of the whole; bilinear interpolation.

    Its share of the image is uniform between ``smallest`` and ``largest``, the logarithm of its
    width over its height, as fractions of the image's, uniform within ``ratio`` either way, its
    place uniform; where it would be wider or higher than the image, it is cut to that.
    """

    summary: ClassVar[str] = "a part of random size, shape and place, enlarged: how nets for ImageNet are trained"
    source: ClassVar[str] = "Szegedy et al. 2015, Going Deeper with Convolutions, section 6"

    name: Literal["resized_crop"] = "resized_crop"
    smallest: Share = Field(default=0.08, description="the smallest part, as a fraction of the image's area")
    largest: Share = Field(default=1.0, description="the largest part, as a fraction of the image's area")
    ratio: Annotated[float, Field(ge=1.0, le=10.0, allow_inf_nan=False)] = Field(
        default=4 / 3, description="the longer side over the shorter one, at most; 1: of the image's own shape"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Spec:
        if self.smallest > self.largest:
            raise ValueError(f"smallest ({self.smallest:g}) must not be more than largest ({self.largest:g})")
        return self

    def apply(self, images: Tensor, key: object) -> Tensor:
        from keras import ops

        from dlx.augmentations._resampling import uniform

        shares, ratios, down, across = uniform(key, images, 4)
        sides = ops.sqrt(self.smallest + shares * (self.largest - self.smallest))
        stretched = ops.exp((ratios - 0.5) * math.log(self.ratio))  # the square root of the ratio: of each side
        heights, widths = ops.minimum(sides / stretched, 1.0), ops.minimum(sides * stretched, 1.0)
        return enlarged(images, down * (1.0 - heights), across * (1.0 - widths), heights, widths)


def enlarged(images: Tensor, tops: Tensor, lefts: Tensor, heights: Tensor, widths: Tensor) -> Tensor:
    """The parts with these corners and sides, (batch, 1, 1) each as fractions of the image's, at the image's size."""
    from keras import ops

    from dlx.augmentations._resampling import look_up

    _, height, width, _ = images.shape
    rows = (ops.arange(height, dtype="float32") + 0.5)[:, None] * heights + tops * height - 0.5
    columns = (ops.arange(width, dtype="float32") + 0.5) * widths + lefts * width - 0.5
    # Half a pixel around the image is the image's border still, not what is outside of it.
    return look_up(images, ops.clip(rows, 0.0, height - 1.0), ops.clip(columns, 0.0, width - 1.0))
