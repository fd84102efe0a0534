"""Any net of ``keras.applications``, by its name there."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from dlx.applications import Application, application, names
from dlx.errors import nearest
from dlx.models._application import ApplicationSpec


class Spec(ApplicationSpec):
    """DenseNet, EfficientNet, ConvNeXt, NASNet, MobileNet v2 and v3, ResNet v2, …: what Keras has.

    Layers, arguments and names are Keras' own. Nets that take bytes and scale them in layers of
    their own (EfficientNet, ConvNeXt, MobileNet v3) are given them from pixels scaled to 0 … 1.
    """

    summary: ClassVar[str] = "any net of keras.applications by its name there, such as EfficientNetB0"

    name: Literal["application"] = "application"
    net: str = Field(default="MobileNetV2", description="its name in keras.applications: " + ", ".join(names()))

    @field_validator("net")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in names():
            raise ValueError(f"keras.applications has no {name!r} ({nearest(name, names())})")
        return name

    def application(self) -> Application:
        return application(self.net)
