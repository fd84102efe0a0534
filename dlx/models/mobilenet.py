"""MobileNet: a net for telephones."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.applications import Application, application
from dlx.models import Published
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """Convolutions in two steps: one window per map, then a 1×1 convolution over maps; for 224 × 224.

    As in ``keras.applications``, of full width.
    """

    summary: ClassVar[str] = "MobileNet v1: depthwise separable convolutions, few multiply-adds"
    source: ClassVar[str] = "Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam 2017, MobileNets"

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "MobileNet",
            2017,
            "depthwise separable convolutions",
            parameters="4.2 million",
            multiply_adds="569 million",
            top1=70.4,
            top5=89.5,
            accuracy_source="keras.io/api/applications",
        ),
    )

    name: Literal["mobilenet"] = "mobilenet"

    def application(self) -> Application:
        return application("MobileNet")
