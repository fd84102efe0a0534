"""Xception: Inception taken to its end."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.applications import Application, application
from dlx.models import Published
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """Separable convolutions with shortcuts beside each two or three of them; for 299 × 299.

    As in ``keras.applications``.
    """

    summary: ClassVar[str] = "Xception: separable convolutions and shortcuts"
    source: ClassVar[str] = "Chollet 2017, Xception: Deep Learning with Depthwise Separable Convolutions"

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Xception",
            2016,
            "separable convolutions, shortcuts",
            input_shape=(299, 299, 3),
            parameters="22,855,952",
            top1=79.0,
            top5=94.5,
            accuracy_source="keras.io/api/applications",
        ),
    )

    name: Literal["xception"] = "xception"

    def application(self) -> Application:
        return application("Xception")
