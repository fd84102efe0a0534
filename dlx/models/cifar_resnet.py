"""Residual nets for CIFAR, and the same nets without their shortcuts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from dlx.activations import ActivationName
from dlx.initializers import ConstantName, Initializer, KernelAndBias, ScaledByFan
from dlx.layers import Activation, Add, Conv2D, Dense, GlobalAveragePooling2D, Shape
from dlx.layers.images import IdentityShortcut, verify_images
from dlx.models import ModelSpec, Published, _blocks
from dlx.network import Network

SMALLEST = 8


class Spec(ModelSpec):
    """A 3×3 convolution, three stages of n blocks of two with 16, 32, 64 maps, average pooling, dense logits.

    Depth 6n+2 counts the convolutions and the dense layer. Convolutions have no biases: each
    is followed by batch normalisation. Published errors on CIFAR-10: 20 8.75 %, 32 7.51 %,
    44 7.17 %, 56 6.97 %, 110 6.43 %; plain nets get worse with depth.
    """

    summary: ClassVar[str] = "residual nets of depth 6n+2 for CIFAR, and their plain twins"
    source: ClassVar[str] = "He, Zhang, Ren, Sun 2016, Deep Residual Learning for Image Recognition, section 4.2"

    depths: ClassVar[str] = "20,32,44,56"
    searched: ClassVar[Mapping[str, str]] = {"depth": "[20, 32]", "width": "[8, 16, 32]"}

    published: ClassVar[tuple[Published, ...]] = tuple(
        Published(
            f"ResNet-{depth}",
            2015,
            "shortcuts; 6n+2 layers for CIFAR",
            {"depth": depth},
            (32, 32, 3),
            10,
            data="CIFAR-10",
            parameters=f"{millions} million",
            top1=accuracy,
            accuracy_source="He et al. 2016",
        )
        for depth, millions, accuracy in (
            (20, 0.27, 91.25),
            (32, 0.46, 92.49),
            (44, 0.66, 92.83),
            (56, 0.85, 93.03),
            (110, 1.7, 93.57),
        )
    )

    name: Literal["cifar_resnet"] = "cifar_resnet"
    depth: int = Field(default=20, description="layers with weights: 6n+2, such as 20, 32, 44, 56 or 110")
    width: int = Field(default=16, ge=1, description="maps of the first stage; each stage doubles them")
    shortcuts: Literal["identity", "projection", "none"] = Field(
        default="identity",
        description="identity: maps of zeros are added where a stage begins (the paper's option A); projection: a 1x1 "
        "convolution there (option B); none: the plain net",
    )
    activation: ActivationName = Field(default="relu", description="nonlinearity after every normalisation")
    initializer: Initializer = Field(
        default=KernelAndBias(kernel=ScaledByFan(name="he_normal"), bias=ConstantName(name="zeros")),
        description="initial weights: a name, or {kernel: …, bias: …}",
    )

    @field_validator("depth")
    @classmethod
    def _is_6n_plus_2(cls, depth: int) -> int:
        if depth < 8 or (depth - 2) % 6:
            below = max(8, depth - (depth - 2) % 6)
            raise ValueError(f"must be 6n+2: {below} or {below + 6}, not {depth}")
        return depth

    def network(self, input_shape: Shape, outputs: int) -> Network:
        verify_images(self.name, input_shape, SMALLEST)
        network = Network(self.name, input_shape)
        self._convolve(network, "conv_1", self.width, 1)
        network.add(Activation("conv_1_activation", self.activation))
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                self._add_block(network, f"stage_{stage + 1}_block_{block + 1}", self.width << stage, stage, block)
        network.add(GlobalAveragePooling2D("pool"))
        network.add(Dense("output", outputs, self.initializer))
        return network

    def _add_block(self, network: Network, name: str, filters: int, stage: int, block: int) -> None:
        before, stride = network.output, 2 if stage and not block else 1
        self._convolve(network, f"{name}_conv_1", filters, stride)
        network.add(Activation(f"{name}_conv_1_activation", self.activation))
        convolved = network.add(self._convolution(f"{name}_conv_2", filters, 1))
        shortcut = before
        projects = self.shortcuts == "projection" and before.shape != convolved.shape
        if projects:
            projection = Conv2D(
                f"{name}_shortcut", filters, (1, 1), self.initializer, (stride, stride), "same", use_bias=False
            )
            shortcut = network.add(projection, before)
        output = _blocks.normalize(network, f"{name}_conv_2", "batch", convolved)
        if projects:
            shortcut = _blocks.normalize(network, f"{name}_shortcut", "batch", shortcut)
        elif self.shortcuts == "identity" and before.shape != output.shape:
            shortcut = network.add(IdentityShortcut(f"{name}_shortcut", filters, (stride, stride)), before)
        if self.shortcuts != "none":
            network.add(Add(f"{name}_add"), output, shortcut)
        network.add(Activation(f"{name}_conv_2_activation", self.activation))

    def _convolve(self, network: Network, name: str, filters: int, stride: int) -> None:
        _blocks.normalize(network, name, "batch", network.add(self._convolution(name, filters, stride)))

    def _convolution(self, name: str, filters: int, stride: int) -> Conv2D:
        return Conv2D(name, filters, (3, 3), self.initializer, (stride, stride), "same", use_bias=False)
