"""Brightness, contrast, saturation and hue of a photograph, changed by chance."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.augmentations import PixelAugmentationSpec, Tensor

Strength = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

LUMA = (0.299, 0.587, 0.114)
"""What each colour contributes to the brightness that is seen (ITU-R 601)."""


class Spec(PixelAugmentationSpec):
    """The image is mixed with black, with its mean grey and with itself in grey; its colours are turned.

    Each factor is uniform within its strength of 1: above 1, away from what it is mixed with.
    In this order; nothing is clipped. Grey stays grey, whatever the hue.
    """

    summary: ClassVar[str] = "brightness, contrast, saturation and hue changed by random factors"
    source: ClassVar[str] = (
        "Howard 2014, Some Improvements on Deep Convolutional Neural Network Based Image Classification, section 2.2"
    )

    name: Literal["color_jitter"] = "color_jitter"
    brightness: Strength = Field(default=0.4, description="0.4: between 0.6 and 1.4 times as bright")
    contrast: Strength = Field(default=0.4, description="0.4: 0.6 to 1.4 times as far from the image's mean grey")
    saturation: Strength = Field(default=0.4, description="0.4: 0.6 to 1.4 times as far from the image in grey")
    hue: Annotated[float, Field(ge=0.0, le=0.5, allow_inf_nan=False)] = Field(
        default=0.0, description="colours are turned by this fraction of the circle at most, either way"
    )

    def change(self, images: Tensor, key: object) -> Tensor:
        from dlx.augmentations._resampling import uniform

        draws = uniform(key, images, 4, -1.0, 1.0)
        strengths = self.brightness, self.contrast, self.saturation
        bright, contrast, saturation = (1.0 + most * draw for most, draw in zip(strengths, draws[:3], strict=True))
        return jittered(images, bright, contrast, saturation, 2 * math.pi * self.hue * draws[3])


def jittered(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, angle: Tensor) -> Tensor:
    """Images by these factors and by an angle in radians, (batch, 1, 1) each.

    All of it is linear in the colours of a pixel but for the mean grey, which is added: one
    product with a matrix for each image.
    """
    import numpy as np
    from keras import ops

    luma = np.array(LUMA, np.float32)
    grey = np.tile(luma, (3, 1))  # a colour → its grey, three times
    # Hue turns the two axes of colour of YIQ (the NTSC standard of 1953), which leaves the luma as it is.
    to_yiq = np.array([LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)])
    from_yiq = np.linalg.inv(to_yiq)
    still, cosine, sine = (
        (from_yiq @ np.array(turn) @ to_yiq).astype(np.float32)
        for turn in (
            [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
            [[0, 0, 0], [0, 1, 0], [0, 0, 1]],
            [[0, 0, 0], [0, 0, -1], [0, 1, 0]],
        )
    )
    turned = still + ops.cos(angle) * cosine + ops.sin(angle) * sine
    saturated = saturation * np.eye(3, dtype=np.float32) + (1.0 - saturation) * grey
    matrices = brightness * contrast * ops.matmul(turned, saturated)  # (batch, 3, 3)
    batch, height, width, channels = images.shape
    pixels = ops.reshape(images, (batch, height * width, channels))
    means = ops.sum(ops.mean(pixels, axis=1, keepdims=True) * luma, axis=2, keepdims=True)
    changed = ops.matmul(pixels, ops.transpose(matrices, (0, 2, 1))) + (1.0 - contrast) * brightness * means
    return ops.reshape(changed, images.shape)
