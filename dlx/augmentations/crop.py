"""A window of the image's own size, out of the image with a border: whole pixels, moved by chance."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.augmentations import Moves, MovingAugmentationSpec, Tensor
from dlx.errors import FieldError
from dlx.fields import Positive


class Spec(MovingAugmentationSpec):
    """Pad with zeros, then cut out the original size anywhere, every place as likely."""

    summary: ClassVar[str] = "a border of zeros is added and the image's size cut out anywhere"
    source: ClassVar[str] = "He et al. 2016, Deep Residual Learning for Image Recognition, section 4.2"

    name: Literal["crop"] = "crop"
    padding: Positive = Field(default=4, description="width of the border, in pixels")

    def check(self, input_shape: tuple[int, ...]) -> None:
        super().check(input_shape)
        height, width, _ = input_shape
        if self.padding >= min(height, width):
            raise FieldError(
                f"a border of {self.padding} pixels is too wide: of {height}x{width} images, some crops would show "
                f"nothing (at most {min(height, width) - 1})",
                ("padding",),
            )

    def moves(self, images: Tensor, key: object) -> Moves:
        from keras import ops

        from dlx.augmentations._resampling import uniform

        places = 2 * self.padding + 1
        down, across = (ops.cast(drawn * places, "int32") - self.padding for drawn in uniform(key, images, 2))
        return lambda rows, columns: (rows + down, columns + across)
