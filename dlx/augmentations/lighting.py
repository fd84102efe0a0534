"""The colour of the light changed, along the directions in which the colours of photographs vary."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import PixelAugmentationSpec, Tensor

SPREADS = (0.2175, 0.0188, 0.0045)
DIRECTIONS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))
"""Principal components of the pixels of ImageNet (columns), and what AlexNet multiplies them by; pixels from 0 to 1.

The figures that are in use everywhere: those of fb.resnet.torch (Gross and Wilber 2016), the
paper printing none.
"""


class Spec(PixelAugmentationSpec):
    """To every pixel of an image the same colour is added: the sum of αᵢ λᵢ pᵢ, α normally distributed around 0.

    p are the principal components of the colours of ImageNet's pixels and λ their weights: the
    changes that another light makes in photographs.
    """

    summary: ClassVar[str] = "the colour of the light changed, as photographs vary (AlexNet)"
    source: ClassVar[str] = "Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep CNNs, section 4.1"

    name: Literal["lighting"] = "lighting"
    stddev: Annotated[float, Field(gt=0.0, le=10.0, allow_inf_nan=False)] = Field(
        default=0.1, description="of α, the standard deviation"
    )

    def change(self, images: Tensor, key: object) -> Tensor:
        import keras

        return lit(images, self.stddev * keras.random.normal((images.shape[0], 3), dtype="float32", seed=key))


def lit(images: Tensor, alphas: Tensor) -> Tensor:
    """Images under lights (batch, 3), in units of each component's weight."""
    import numpy as np
    from keras import ops

    components = (np.array(DIRECTIONS) * np.array(SPREADS)).T.astype(np.float32)
    return images + ops.reshape(ops.matmul(alphas, components), (-1, 1, 1, 3))
