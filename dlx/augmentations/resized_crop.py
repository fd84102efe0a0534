"""A part of the image, of random size, shape and place, enlarged to the image's size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.augmentations import AugmentationSpec, Tensor

if TYPE_CHECKING:
    from dlx.sources import View

Share = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


class Spec(AugmentationSpec):
    """A rectangle of the image is enlarged to the size of the whole; bilinear interpolation.

    Its share of the image is uniform between ``smallest`` and ``largest``, the logarithm of its
    width over its height, as fractions of the image's, uniform within ``ratio`` either way, its
    place uniform; where it would be wider or higher than the image, it is cut to that.

    ``of: image`` is the image as ``dataset.resize`` has left it, its centre, which stays in
    memory: nothing beyond it is ever seen. ``of: picture`` is the picture as it lies in its file,
    as in the papers, and ``ratio`` that of the part's own sides (to those of the image): it is
    decoded anew for every epoch, wherever it would fit.
    """

    summary: ClassVar[str] = "a part of random size, shape and place, enlarged: how nets for ImageNet are trained"
    source: ClassVar[str] = "Szegedy et al. 2015, Going Deeper with Convolutions, section 6"

    name: Literal["resized_crop"] = "resized_crop"
    smallest: Share = Field(default=0.08, description="the smallest part, as a fraction of the image's area")
    largest: Share = Field(default=1.0, description="the largest part, as a fraction of the image's area")
    ratio: Annotated[float, Field(ge=1.0, le=10.0, allow_inf_nan=False)] = Field(
        default=4 / 3, description="the longer side over the shorter one, at most; 1: of the image's own shape"
    )

    of: Literal["image", "picture"] = Field(
        default="image", description="of the image after dataset.resize, or of the whole picture before it"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Spec:
        if self.smallest > self.largest:
            raise ValueError(f"smallest ({self.smallest:g}) must not be more than largest ({self.largest:g})")
        return self

    @property
    def view(self) -> View | None:
        return self.box if self.of == "picture" else None

    def box(self, draws: Any, picture: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the part of a picture (height, width), of four draws from [0, 1)."""
        share, ratio, down, across = map(float, draws)
        height, width = picture
        area = (self.smallest + share * (self.largest - self.smallest)) * height * width
        sides = math.exp((2 * ratio - 1) * math.log(self.ratio)) * size[1] / size[0]
        wide, high = min(math.sqrt(area * sides), width), min(math.sqrt(area / sides), height)
        left, top = across * (width - wide), down * (height - high)
        return left, top, left + wide, top + high

    def apply(self, images: Tensor, key: object) -> Tensor:
        if self.of == "picture":
            return images
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
