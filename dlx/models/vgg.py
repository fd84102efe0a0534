"""Simonyan's and Zisserman's nets."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.applications import Application, application
from dlx.models import Published
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """Thirteen or sixteen 3×3 convolutions in five blocks, each block pooled, and three dense layers.

    As in ``keras.applications``, without the paper's dropout. For CIFAR there is cifar_vgg.
    """

    summary: ClassVar[str] = "VGG-16 and VGG-19: 3x3 convolutions alone, one after the other"
    source: ClassVar[str] = (
        "Simonyan, Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition"
    )

    depths: ClassVar[str] = "16,19"
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "VGG-16",
            2014,
            "3x3 convolutions alone",
            {"depth": 16},
            parameters="138 million",
            top1=71.3,
            top5=90.1,
            accuracy_source="keras.io/api/applications",
        ),
        Published(
            "VGG-19",
            2014,
            "3x3 convolutions alone",
            {"depth": 19},
            parameters="144 million",
            top1=71.3,
            top5=90.0,
            accuracy_source="keras.io/api/applications",
        ),
    )

    name: Literal["vgg"] = "vgg"
    depth: Literal[16, 19] = Field(default=16, description="layers with weights")

    def application(self) -> Application:
        return application(f"VGG{self.depth}")
