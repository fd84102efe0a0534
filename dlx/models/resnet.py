"""Residual nets for ImageNet."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.applications import Application, application
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """A 7×7 convolution, four stages of blocks of three convolutions beside a shortcut, average pooling, dense logits.

    As in ``keras.applications``: convolutions have biases, and the stride is in the first 1×1
    convolution of a block, as published. For CIFAR there is cifar_resnet.
    """

    summary: ClassVar[str] = "residual nets of 50, 101 and 152 layers"
    source: ClassVar[str] = "He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition"

    name: Literal["resnet"] = "resnet"
    depth: Literal[50, 101, 152] = Field(default=50, description="layers with weights")

    def application(self) -> Application:
        return application(f"ResNet{self.depth}")
