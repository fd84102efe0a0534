"""Salt and pepper: some of the inputs are at their limits."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import AugmentationSpec, Probability, Tensor
from dlx.fields import Finite


class Spec(AugmentationSpec):
    """A fraction of the values of every example is set to one of two limits, evenly; examples of any shape."""

    summary: ClassVar[str] = "a fraction of the inputs is black or white"
    source: ClassVar[str] = (
        "Vincent, Larochelle, Lajoie, Bengio, Manzagol 2010, Stacked Denoising Autoencoders, JMLR 11"
    )

    name: Literal["salt_and_pepper"] = "salt_and_pepper"
    level: Probability = Field(default=0.25, description="the fraction")
    low: Finite = Field(default=0.0, description="pepper, as a scaled value")
    high: Finite = Field(default=1.0, description="salt, as a scaled value")

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Any shape will do."""

    def apply(self, images: Tensor, key: Any) -> Tensor:
        from keras import ops

        from dlx.boltzmann import uniform

        drawn = uniform(ops.shape(images), key)
        salt = ops.cast(ops.where(drawn < 0.5 * self.level, self.low, self.high), images.dtype)
        return ops.where(drawn < self.level, salt, images)
