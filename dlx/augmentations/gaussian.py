"""Gaussian noise on every input."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import AugmentationSpec, Tensor
from dlx.fields import NonNegative


class Spec(AugmentationSpec):
    """Normal numbers of mean 0 are added to all values of every example; examples of any shape; nothing is clipped."""

    summary: ClassVar[str] = "Gaussian noise is added"
    source: ClassVar[str] = "Bishop 1995, Training with Noise is Equivalent to Tikhonov Regularization"

    name: Literal["gaussian"] = "gaussian"
    level: NonNegative = Field(default=0.1, description="standard deviation of the noise, of scaled values")

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Any shape will do."""

    def apply(self, images: Tensor, key: Any) -> Tensor:
        from keras import ops, random

        return images + self.level * random.normal(ops.shape(images), dtype=images.dtype, seed=key)
