"""Inception v3: the third of the Inception nets."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.applications import Application, application
from dlx.models import Published
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """Blocks of branches side by side, large windows in steps of small and of one-sided ones; for 299 × 299.

    As in ``keras.applications``, which has no auxiliary classifier.
    """

    summary: ClassVar[str] = "Inception v3: branches of factorised convolutions"
    source: ClassVar[str] = (
        "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, Rethinking the Inception Architecture for Computer Vision"
    )

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "Inception v3",
            2015,
            "factorised convolutions, batch normalisation",
            input_shape=(299, 299, 3),
            parameters="less than 25 million",
            multiply_adds="5 billion",
            top1=77.9,
            top5=93.7,
            accuracy_source="keras.io/api/applications",
        ),
    )

    name: Literal["inception_v3"] = "inception_v3"

    def application(self) -> Application:
        return application("InceptionV3")
