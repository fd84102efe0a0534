"""The mirror image, of every second image by chance."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.augmentations import Moves, MovingAugmentationSpec, Probability, Tensor


class Spec(MovingAugmentationSpec):
    """Left and right, or top and bottom, change places."""

    summary: ClassVar[str] = "left and right exchanged, in half of the images"
    source: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep CNNs, section 4.1"

    name: Literal["flip"] = "flip"
    probability: Probability = Field(default=0.5, description="of an image being flipped")
    direction: Literal["horizontal", "vertical"] = Field(
        default="horizontal", description="horizontal: left and right change places; vertical: top and bottom"
    )

    def moves(self, images: Tensor, key: object) -> Moves:
        from keras import ops

        from dlx.augmentations._resampling import uniform

        (chance,) = uniform(key, images, 1)
        flipped = chance < self.probability
        _, height, width, _ = images.shape

        def before(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
            if self.direction == "horizontal":
                return rows, ops.where(flipped, width - 1 - columns, columns)
            return ops.where(flipped, height - 1 - rows, rows), columns

        return before
