"""The image moved, by fractions of pixels too."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from dlx.augmentations import AugmentationSpec, Tensor
from dlx.fields import Fraction


class Spec(AugmentationSpec):
    """Moved up or down and left or right, uniformly within the limits; bilinear interpolation."""

    summary: ClassVar[str] = "moved by a fraction of its size, up or down and left or right"
    source: ClassVar[str] = (
        "Simard, Steinkraus and Platt 2003, Best Practices for Convolutional Neural Networks, section 2"
    )

    name: Literal["shift"] = "shift"
    vertical: Fraction = Field(default=0.1, description="farthest, as a fraction of the image's height")
    horizontal: Fraction = Field(default=0.1, description="farthest, as a fraction of the image's width")

    @model_validator(mode="after")
    def _moves(self) -> Spec:
        if not self.vertical and not self.horizontal:
            raise ValueError("vertical and horizontal are both 0: nothing is moved")
        return self

    def apply(self, images: Tensor, key: object) -> Tensor:
        from dlx.augmentations._resampling import uniform

        down, across = uniform(key, images, 2, -1.0, 1.0)
        _, height, width, _ = images.shape
        return shifted(images, down * (self.vertical * height), across * (self.horizontal * width))


def shifted(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Each image moved by ``down`` and ``across`` (batch, 1, 1), in pixels."""
    from dlx.augmentations._resampling import around_the_centre, look_up_around_the_centre

    rows, columns = around_the_centre(images)
    return look_up_around_the_centre(images, rows - down, columns - across)
