"""All pixels of an image lighter or darker by the same amount."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import AugmentationSpec, Tensor


class Spec(AugmentationSpec):
    """An amount is added to every value of an image, uniform within the limits; nothing is clipped."""

    summary: ClassVar[str] = "lighter or darker by the same amount everywhere"
    source: ClassVar[str] = (
        "Howard 2014, Some Improvements on Deep Convolutional Neural Network Based Image Classification"
    )

    name: Literal["brightness"] = "brightness"
    amount: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = Field(
        default=0.2,
        description="the most that is added or taken away, of scaled values: 1 is black to white under unit",
    )

    def apply(self, images: Tensor, key: object) -> Tensor:
        from dlx.augmentations._resampling import uniform

        (added,) = uniform(key, images, 1, -self.amount, self.amount)
        return images + added[..., None]
