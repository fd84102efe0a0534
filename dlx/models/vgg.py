"""Simonyan's and Zisserman's nets."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.applications import Application, application
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """Thirteen or sixteen 3×3 convolutions in five blocks, each block pooled, and three dense layers.

    As in ``keras.applications``, without the paper's dropout. For CIFAR there is cifar_vgg.
    """

    summary: ClassVar[str] = "VGG-16 and VGG-19: 3x3 convolutions alone, one after the other"
    source: ClassVar[str] = (
        "Simonyan, Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition"
    )

    name: Literal["vgg"] = "vgg"
    depth: Literal[16, 19] = Field(default=16, description="layers with weights")

    def application(self) -> Application:
        return application(f"VGG{self.depth}")
