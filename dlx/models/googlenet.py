"""GoogLeNet: the first Inception net."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.activations import ActivationName
from dlx.fields import Fraction, NonNegative
from dlx.initializers import Initializer, KernelAndBias
from dlx.layers import Activation, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Pair, Pooling2D, Shape
from dlx.layers.images import Concatenate, LocalResponseNormalization, verify_images
from dlx.models import ModelSpec, Published, _blocks
from dlx.network import Network, Node

# Table 1: 1x1, then those before 3x3, 3x3, before 5x5, 5x5, behind the pooling.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOLED_AFTER = ("3b", "4e")
CLASSIFIED_AFTER = ("4a", "4d")
SMALLEST = 32
SMALLEST_WITH_CLASSIFIERS = 65


class Spec(ModelSpec):
    """Nine modules of 1×1, 3×3 and 5×5 convolutions and a pooling side by side, for 224 × 224.

    Convolutions have biases and there is no batch normalisation, as published: 6,998,552
    parameters for 1,000 classes. Two auxiliary classifiers, behind modules 4a and 4d, are learned
    from in training, their losses weighted; they are no part of what predicts, are not counted,
    and their rows of the tables have no layer number. With them 13,378,280 parameters are trained.
    """

    summary: ClassVar[str] = "GoogLeNet (Inception v1), with auxiliary classifiers in training"
    source: ClassVar[str] = (
        "Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke, Rabinovich 2015, Going Deeper with Convolutions"
    )

    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "GoogLeNet",
            2014,
            "Inception modules; auxiliary classifiers in training",
            parameters="6.8 million",
            multiply_adds="1.5 billion",
            top1=65.8,
            top5=87.1,
            accuracy_source="MatConvNet, Princeton's weights, centre crop (2014: top-5 89.9)",
        ),
    )

    name: Literal["googlenet"] = "googlenet"
    auxiliary: NonNegative = Field(
        default=0.3, description="weight of the loss of each auxiliary classifier in training; 0: there are none"
    )
    local_response_normalization: bool = Field(
        default=True, description="normalisation over neighbouring maps, around the first convolutions"
    )
    dropout: Fraction = Field(default=0.4, description="fraction of the averaged maps dropped in training")
    auxiliary_dropout: Fraction = Field(
        default=0.7, description="fraction of an auxiliary classifier's 1,024 units dropped in training"
    )
    activation: ActivationName = Field(default="relu", description="nonlinearity of all hidden layers")
    initializer: Initializer = Field(
        default=KernelAndBias(), description="initial weights: a name, or {kernel: …, bias: …}"
    )

    def network(self, input_shape: Shape, outputs: int) -> Network:
        smallest = SMALLEST_WITH_CLASSIFIERS if self.auxiliary else SMALLEST
        verify_images(self.name, input_shape, smallest)
        network = Network(self.name, input_shape)
        self._convolve(network, "conv_1", 64, (7, 7), (2, 2))
        network.add(Pooling2D("pool_1", "max", (3, 3), (2, 2), "same"))
        self._normalize(network, "conv_1")
        self._convolve(network, "conv_2_reduce", 64, (1, 1))
        self._convolve(network, "conv_2", 192, (3, 3))
        self._normalize(network, "conv_2")
        network.add(Pooling2D("pool_2", "max", (3, 3), (2, 2), "same"))
        classifiers: list[Node] = []
        latest = network.output
        for name, maps in MODULES.items():
            latest = self._add_module(network, f"inception_{name}", maps, latest)
            if self.auxiliary and name in CLASSIFIED_AFTER:
                classifiers.append(self._classify(network, f"auxiliary_{len(classifiers) + 1}", outputs, latest))
            if name in POOLED_AFTER:
                latest = network.add(Pooling2D(f"pool_{name[0]}", "max", (3, 3), (2, 2), "same"), latest)
        network.add(GlobalAveragePooling2D("pool"), latest)
        _blocks.drop(network, "dropout", self.dropout)
        network.add(Dense("output", outputs, self.initializer))
        for classifier in classifiers:
            network.add_auxiliary(classifier, self.auxiliary)
        network.arrange()
        return network

    def _add_module(self, network: Network, name: str, maps: tuple[int, ...], source: Node) -> Node:
        alone, before_3x3, of_3x3, before_5x5, of_5x5, behind_pool = maps
        branches = [self._convolve(network, f"{name}_1x1", alone, (1, 1), source=source)]
        for window, before, filters in (("3x3", before_3x3, of_3x3), ("5x5", before_5x5, of_5x5)):
            self._convolve(network, f"{name}_{window}_reduce", before, (1, 1), source=source)
            size = int(window[0])
            branches.append(self._convolve(network, f"{name}_{window}", filters, (size, size)))
        network.add(Pooling2D(f"{name}_pool", "max", (3, 3), (1, 1), "same"), source)
        branches.append(self._convolve(network, f"{name}_pool_projection", behind_pool, (1, 1)))
        return network.add(Concatenate(f"{name}_joined"), *branches)

    def _classify(self, network: Network, name: str, outputs: int, source: Node) -> Node:
        """Section 5: 5×5 averages at stride 3, 128 maps, 1,024 units, 70 % of them dropped, logits."""
        network.add(Pooling2D(f"{name}_pool", "average", (5, 5), (3, 3)), source)
        self._convolve(network, f"{name}_conv", 128, (1, 1))
        network.add(Flatten(f"{name}_flatten"))
        network.add(Dense(f"{name}_dense", 1024, self.initializer))
        network.add(Activation(f"{name}_dense_activation", self.activation))
        _blocks.drop(network, f"{name}_dropout", self.auxiliary_dropout)
        return network.add(Dense(f"{name}_output", outputs, self.initializer))

    def _convolve(
        self,
        network: Network,
        name: str,
        filters: int,
        kernel: Pair,
        stride: Pair = (1, 1),
        source: Node | None = None,
    ) -> Node:
        layer = Conv2D(name, filters, kernel, self.initializer, stride, "same")
        network.add(layer, *([source] if source else []))
        return network.add(Activation(f"{name}_activation", self.activation))

    def _normalize(self, network: Network, name: str) -> None:
        if self.local_response_normalization:
            network.add(LocalResponseNormalization(f"{name}_normalization"))
