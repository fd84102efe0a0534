"""Masking noise: some of the inputs are 0."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import AugmentationSpec, Probability, Tensor


class Spec(AugmentationSpec):
    """A fraction of the values of every example is set to 0, each by itself; examples of any shape.

    An autoencoder is to give what it would have read without: trained so, it takes noise away.
    """

    summary: ClassVar[str] = "a fraction of the inputs is 0: the noise of denoising autoencoders"
    source: ClassVar[str] = (
        "Vincent, Larochelle, Lajoie, Bengio, Manzagol 2010, Stacked Denoising Autoencoders, JMLR 11"
    )

    name: Literal["masking"] = "masking"
    level: Probability = Field(default=0.25, description="the fraction")

    def check(self, input_shape: tuple[int, ...]) -> None:
        """Any shape will do."""

    def apply(self, images: Tensor, key: Any) -> Tensor:
        from keras import ops

        from dlx.boltzmann import uniform

        return images * ops.cast(uniform(ops.shape(images), key) >= self.level, images.dtype)
