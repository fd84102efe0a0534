"""Two dense layers side by side, summed: what a package needs to write to add a model."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.initializers import KernelAndBias
from dlx.layers import Dense, Layer, Shape
from dlx.models import ModelSpec
from dlx.network import Network


class Add(Layer):
    """The sum of its inputs."""

    def build(self) -> Any:
        import keras

        return keras.layers.Add(name=self.name)


class Spec(ModelSpec):
    """Input → two dense layers → their sum → dense logits."""

    summary: ClassVar[str] = "two dense layers side by side"
    source: ClassVar[str] = "an example"

    name: Literal["twins"] = "twins"
    units: int = Field(default=8, ge=1, description="units of each twin")

    def network(self, input_shape: Shape, outputs: int) -> Network:
        init = KernelAndBias()
        network = Network(self.name, input_shape)
        first = network.add(Dense("first", self.units, init), network.input)
        second = network.add(Dense("second", self.units, init), network.input)
        network.add(Add("sum"), first, second)
        network.add(Dense("output", outputs, init))
        return network
