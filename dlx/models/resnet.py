"""Residual nets for ImageNet."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.applications import Application, application
from dlx.models import Published
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """A 7×7 convolution, four stages of blocks of three convolutions beside a shortcut, average pooling, dense logits.

    As in ``keras.applications``: convolutions have biases, and the stride is in the first 1×1
    convolution of a block, as published. For CIFAR there is cifar_resnet.
    """

    summary: ClassVar[str] = "residual nets of 50, 101 and 152 layers"
    source: ClassVar[str] = "He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition"

    depths: ClassVar[str] = "50,101,152"
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "ResNet-50",
            2015,
            "shortcuts around blocks of three convolutions",
            {"depth": 50},
            multiply_adds="3.8 billion",
            top1=74.9,
            top5=92.1,
            accuracy_source="keras.io/api/applications",
        ),
        Published(
            "ResNet-101",
            2015,
            "shortcuts around blocks of three convolutions",
            {"depth": 101},
            multiply_adds="7.6 billion",
            top1=76.4,
            top5=92.8,
            accuracy_source="keras.io/api/applications",
        ),
        Published(
            "ResNet-152",
            2015,
            "shortcuts around blocks of three convolutions",
            {"depth": 152},
            multiply_adds="11.3 billion",
            top1=76.6,
            top5=93.1,
            accuracy_source="keras.io/api/applications",
        ),
    )

    name: Literal["resnet"] = "resnet"
    depth: Literal[50, 101, 152] = Field(default=50, description="layers with weights")

    def application(self) -> Application:
        return application(f"ResNet{self.depth}")
