"""The image turned about its centre."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import AugmentationSpec, Tensor


class Spec(AugmentationSpec):
    """Turned by an angle, uniform within the limits; bilinear interpolation."""

    summary: ClassVar[str] = "turned about its centre, clockwise or not"
    source: ClassVar[str] = (
        "Simard, Steinkraus and Platt 2003, Best Practices for Convolutional Neural Networks, section 2"
    )

    name: Literal["rotation"] = "rotation"
    degrees: Annotated[float, Field(gt=0.0, le=180.0)] = Field(default=15.0, description="the largest angle either way")

    def apply(self, images: Tensor, key: object) -> Tensor:
        from dlx.augmentations._resampling import uniform

        (angles,) = uniform(key, images, 1, -math.radians(self.degrees), math.radians(self.degrees))
        return rotated(images, angles)


def rotated(images: Tensor, angles: Tensor) -> Tensor:
    """Each image turned by its angle (batch, 1, 1), in radians, counterclockwise."""
    from keras import ops

    from dlx.augmentations._resampling import around_the_centre, look_up_around_the_centre

    down, across = around_the_centre(images)
    cosine, sine = ops.cos(angles), ops.sin(angles)
    return look_up_around_the_centre(images, cosine * down + sine * across, cosine * across - sine * down)
