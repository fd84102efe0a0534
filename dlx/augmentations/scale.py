"""The image made larger or smaller about its centre."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.augmentations import AugmentationSpec, Tensor

Factor = Annotated[float, Field(ge=0.1, le=10.0)]


class Spec(AugmentationSpec):
    """Enlarged by a factor, uniform between the limits, at the same size; bilinear interpolation."""

    summary: ClassVar[str] = "enlarged or reduced about its centre"
    source: ClassVar[str] = "Cireşan et al. 2010, Deep, Big, Simple Neural Nets for Handwritten Digit Recognition"

    name: Literal["scale"] = "scale"
    smallest: Factor = Field(default=0.9, description="the smallest factor; 0.5: half as large")
    largest: Factor = Field(default=1.1, description="the largest factor; 2: twice as large")

    @model_validator(mode="after")
    def _in_order(self) -> Spec:
        if self.smallest > self.largest:
            raise ValueError(f"smallest ({self.smallest:g}) is more than largest ({self.largest:g})")
        return self

    def apply(self, images: Tensor, key: object) -> Tensor:
        from dlx.augmentations._resampling import uniform

        (factors,) = uniform(key, images, 1, self.smallest, self.largest)
        return scaled(images, factors)


def scaled(images: Tensor, factors: Tensor) -> Tensor:
    """Each image enlarged by its factor (batch, 1, 1)."""
    from dlx.augmentations._resampling import around_the_centre, look_up_around_the_centre

    down, across = around_the_centre(images)
    return look_up_around_the_centre(images, down / factors, across / factors)
