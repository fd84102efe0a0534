"""Xception: Inception taken to its end."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.applications import Application, application
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """Separable convolutions with shortcuts beside each two or three of them; for 299 × 299.

    As in ``keras.applications``.
    """

    summary: ClassVar[str] = "Xception: separable convolutions and shortcuts"
    source: ClassVar[str] = "Chollet 2017, Xception: Deep Learning with Depthwise Separable Convolutions"

    name: Literal["xception"] = "xception"

    def application(self) -> Application:
        return application("Xception")
