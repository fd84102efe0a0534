"""Models: an open set. A member's ``Spec`` holds its settings, its shapes and counts, and its build."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import Field

from dlx.activations import ActivationName
from dlx.fields import Fields, MemberFields
from dlx.layers import Shape
from dlx.network import Network
from dlx.registry import OpenSet

if TYPE_CHECKING:
    from dlx.applications import File
    from dlx.datasets import DatasetInfo

Item = TypeVar("Item")
ListOf = Annotated[tuple[Item, ...], Field(strict=False)]
"""A YAML list whose items are as strict as any field."""


class LayerWeights(Fields):
    """Explicit weights of one layer with a kernel: nested lists in the shapes that ``dlx show`` prints."""

    kernel: list[Any] | None = Field(default=None, description="kernel; null: as the initializer says")
    bias: list[Any] | None = Field(default=None, description="bias; null: as the initializer says")


@dataclass(frozen=True)
class Published:
    """A net of the literature as it was published, to be set beside what its settings here give.

    ``settings`` of the model; ``parameters`` and ``multiply_adds`` as the source words them;
    ``top1`` and ``top5``: accuracy in %, on ImageNet's validation images unless ``data`` says otherwise,
    and ``accuracy_source`` says who measured it.
    """

    net: str
    year: int
    feature: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    input_shape: Shape = (224, 224, 3)
    outputs: int = 1000
    data: str = "ImageNet"
    parameters: str = ""
    multiply_adds: str = ""
    top1: float | None = None
    top5: float | None = None
    accuracy_source: str = ""


class ModelSpec(MemberFields):
    """The contract of a model: from an input shape and a number of outputs to a network.

    Networks end in logits, linear outputs that losses are computed on. Impossible settings
    are :class:`~dlx.errors.FieldError` with a path below the model's node of the spec.
    """

    searched: ClassVar[Mapping[str, str]] = {}
    """What `dlx tune` varies where a spec says nothing: settings and their values, as in ``search:``."""

    published: ClassVar[tuple[Published, ...]] = ()
    """Nets of the literature that it is, for `dlx models --table`."""

    depths: ClassVar[str] = ""
    """What `dlx sweep depth` varies where nobody says which depths: of a family that has only certain ones, those."""

    reconstructs: ClassVar[bool] = False
    """Whether what it is to give is its input, and labels play no part."""

    output_activation: ActivationName | None = Field(
        default=None, description="what turns logits into the network's answer; null: what the loss wants"
    )

    @classmethod
    def usual(cls) -> tuple[Shape, int]:
        """The input shape and outputs that it is shown with: as first published, else those of images of digits."""
        return (cls.published[0].input_shape, cls.published[0].outputs) if cls.published else ((28, 28, 1), 10)

    @property
    def wants_unit_scaling(self) -> bool:
        """Whether it takes pixels from 0 to 1 and no others: `dataset.scaling: unit`."""
        return False

    def weights_file(self, input_shape: Shape, outputs: int) -> tuple[File, frozenset[str]] | None:
        """The file of weights that it begins with, and the names of the layers that are not in it; None: none."""
        return None

    def learned(self, info: DatasetInfo) -> DatasetInfo:
        """What it learns of a data set: its task and outputs."""
        return info

    @abstractmethod
    def network(self, input_shape: Shape, outputs: int) -> Network:
        """The layers, before there is a Keras model: shapes, parameters, multiply-adds, receptive fields.

        ``input_shape`` without the batch: (height, width, channels) or (features,).
        """

    def build(self, input_shape: Shape, outputs: int) -> Any:
        """The functional Keras model, layers named as in :meth:`network`."""
        return self.network(input_shape, outputs).build()

    def initial_weights_by_variable(self, input_shape: Shape, outputs: int) -> dict[tuple[str, str], Any]:
        """Values that the spec gives for variables, by (layer name, variable name): nested lists."""
        return {}

    def check(self, input_shape: Shape, outputs: int) -> None:
        """Raises :class:`~dlx.errors.FieldError` where the settings do not suit the data."""
        self.network(input_shape, outputs)
        self.initial_weights_by_variable(input_shape, outputs)


registry: OpenSet[ModelSpec] = OpenSet("model", "dlx.models", ModelSpec)
