"""What the nets of ``keras.applications`` have in common, whichever member of this folder offers them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field

from dlx.applications import CLASSES, Application, File
from dlx.errors import FieldError, nearest
from dlx.layers import Shape
from dlx.layers.images import Preprocessing, verify_images
from dlx.models import ModelSpec
from dlx.network import Network

COLOURS = 3
_CAFFE = ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152")
_BYTES = ("EfficientNet", "ConvNeXt", "MobileNetV3")


def preprocessing(name: str) -> Literal["caffe", "torch", "tf", "bytes"]:
    """What a net was trained on, in Keras' words; ``bytes``: 0 to 255, and it does the rest."""
    if name in _CAFFE:
        return "caffe"
    if name.startswith(_BYTES):
        return "bytes"
    return "torch" if name.startswith("DenseNet") else "tf"


class ApplicationSpec(ModelSpec):
    """A net of ``keras.applications``, layer by layer as Keras builds it, ending in logits."""

    source: ClassVar[str] = "https://keras.io/api/applications"

    weights: Literal["imagenet"] | None = Field(
        default=None,
        description="imagenet: it begins with the weights that Keras offers, in place of random ones; images are then "
        "brought to what these were trained on, and dataset.scaling is to be unit",
    )
    head: Literal["imagenet", "new"] | None = Field(
        default=None,
        description="imagenet: the layers behind the last maps have those weights too, which are for 1,000 classes; "
        "new: they are drawn like any others; null: imagenet where there are 1,000 classes and the shapes fit",
    )
    trainable_from: str | None = Field(
        default=None,
        description="name of the first layer that is trained, those before it staying as they are; head: all that is "
        "behind the last maps; null: all layers are trained",
    )

    @classmethod
    def usual(cls) -> tuple[Shape, int]:
        """As published, else what most of these nets are for."""
        return super().usual() if cls.published else ((224, 224, 3), CLASSES)

    @abstractmethod
    def application(self) -> Application:
        """The net, by its settings."""

    @property
    def wants_unit_scaling(self) -> bool:
        """Whether its first layer takes pixels from 0 to 1: the weights were trained on certain values."""
        return self.weights is not None or preprocessing(self.application().name) == "bytes"

    def network(self, input_shape: Shape, outputs: int) -> Network:
        net = self.application()
        verify_images(net.name, input_shape, net.smallest)
        if self.wants_unit_scaling and input_shape[2] != COLOURS:
            what = "weights: imagenet are" if self.weights else f"{net.name} is"
            raise FieldError(f"{what} for images with 3 channels (red, green, blue), the data have {input_shape[2]}")
        network = Network(self.name, input_shape)
        if self.wants_unit_scaling:
            network.add(Preprocessing("preprocessing", preprocessing(net.name)))
        net.add_to(network, outputs)
        network.frozen = self._frozen(network, net)
        return network

    def check(self, input_shape: Shape, outputs: int) -> None:
        super().check(input_shape, outputs)
        if self.head is not None and self.weights is None:
            raise FieldError("says where the head's weights come from, and weights is null", ("head",))
        if self.head == "imagenet" and outputs != CLASSES:
            raise FieldError(
                f"weights for another number of classes: those of imagenet are for {CLASSES:,}, the data have "
                f"{outputs:,} (head: new draws a head of its own)",
                ("head",),
            )
        if self.head == "imagenet" and not self._fits(input_shape):
            size = self.application().size
            raise FieldError(
                f"the weights of {self.application().name}'s dense layers are for images of {size}x{size} "
                f"(`dataset.resize: {size}`; head: new draws a head of its own)",
                ("head",),
            )

    def weights_file(self, input_shape: Shape, outputs: int) -> tuple[File, frozenset[str]] | None:
        """The file that it begins with, and the names of the layers that are not in it."""
        if self.weights is None:
            return None
        net = self.application()
        if self.head == "imagenet" or (self.head is None and outputs == CLASSES and self._fits(input_shape)):
            return net.files["whole"], frozenset()
        return net.files["body"], net.top

    def _fits(self, input_shape: Shape) -> bool:
        """Whether the head's weights have the shapes that they have at the size they were trained at."""
        net = self.application()
        if "flatten" not in net.top:
            return True
        return input_shape[:2] == (net.size, net.size)

    def _frozen(self, network: Network, net: Application) -> frozenset[str]:
        if self.trainable_from is None:
            return frozenset()
        names = [node.layer.name for node in network.nodes if node.layer]
        if self.trainable_from == "head":
            return frozenset(names) - net.top
        if self.trainable_from not in names:
            hint = nearest(self.trainable_from, [*names, "head"])
            raise FieldError(f"{net.name} has no layer {self.trainable_from!r} ({hint})", ("trainable_from",))
        return frozenset(names[: names.index(self.trainable_from)])
