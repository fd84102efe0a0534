"""Multilayer perceptron: fully connected hidden layers of one kind of unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.activations import ActivationName
from dlx.errors import FieldError
from dlx.fields import Count, Fraction, Positive
from dlx.initializers import Initializer, KernelAndBias
from dlx.layers import Dense, Flatten, Shape
from dlx.models import LayerWeights, ListOf, ModelSpec, _blocks, _budget, _weights
from dlx.network import Network


class Spec(ModelSpec):
    """Input, flattened → hidden layers (dense, normalisation, activation, dropout) → dense logits."""

    summary: ClassVar[str] = "multilayer perceptron; depth 0 is the linear classifier"
    source: ClassVar[str] = "Rumelhart, Hinton, Williams 1986, Learning representations by back-propagating errors"

    searched: ClassVar[Mapping[str, str]] = {
        "depth": "1..4",
        "width": "log(16, 256)",
        "activation": "[relu, tanh, gelu]",
        "normalization": "[none, batch]",
        "dropout": "lin(0.0, 0.5)",
    }

    name: Literal["mlp"] = "mlp"
    hidden: ListOf[Positive] | None = Field(
        default=None, description="units of each hidden layer, in place of depth and width"
    )
    depth: Count | None = Field(default=1, le=1000, description="number of hidden layers; 0: none, a linear classifier")
    width: Positive | None = Field(default=30, description="units of every hidden layer")
    parameters: Positive | None = Field(
        default=None,
        description="in place of width: the widest hidden layers with which the network has no more parameters, at "
        "whatever depth",
    )
    activation: ActivationName = Field(default="relu", description="nonlinearity of the hidden layers")
    initializer: Initializer = Field(
        default=KernelAndBias(), description="initial weights: a name, or {kernel: …, bias: …}"
    )
    normalization: _blocks.Normalization = Field(
        default="none", description="before each activation: none, batch or layer normalisation"
    )
    dropout: Fraction = Field(default=0.0, description="fraction of each hidden layer's outputs dropped in training")
    input_dropout: Fraction = Field(default=0.0, description="fraction of the inputs dropped in training")
    use_bias: bool = Field(default=True, description="whether layers have biases")
    initial_weights: ListOf[LayerWeights | None] | None = Field(
        default=None,
        description="explicit {kernel, bias} for each layer, output included; null: as the initializer says",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_way_to_say_the_sizes(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = [key for key in ("hidden", "depth", "width", "parameters") if data.get(key) is not None]
        if "hidden" in given:
            if others := given[1:]:
                raise ValueError(f"hidden and {' and '.join(others)} are both given: hidden alone says all")
            return {**data, "depth": None, "width": None}
        if "parameters" in given:
            if "width" in given:
                raise ValueError(
                    "parameters and width are both given: parameters chooses the width, leave it out or null"
                )
            return {**data, "width": None}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Spec:
        if self.hidden is None and (self.depth is None or (self.width is None and self.parameters is None)):
            raise ValueError("give hidden, or depth and width, or depth and parameters")
        return self

    def widths(self, input_shape: Shape, outputs: int) -> tuple[int, ...]:
        """Units of each hidden layer."""
        if self.hidden is not None:
            return self.hidden
        assert self.depth is not None
        if self.parameters is None:
            assert self.width is not None
            return (self.width,) * self.depth
        depth = self.depth
        if not depth:
            count = self._layers(input_shape, outputs, ()).parameters
            raise FieldError(f"at depth 0 there is no width to choose: the network has {count:,}", _budget.PATH)
        width = _budget.widest(
            lambda width: self._layers(input_shape, outputs, (width,) * depth).parameters, self.parameters
        )
        return (width,) * depth

    def network(self, input_shape: Shape, outputs: int) -> Network:
        return self._layers(input_shape, outputs, self.widths(input_shape, outputs))

    def _layers(self, input_shape: Shape, outputs: int, widths: Sequence[int]) -> Network:
        network = Network(self.name, input_shape)
        if len(input_shape) > 1:
            network.add(Flatten("flatten"))
        _blocks.drop(network, "input_dropout", self.input_dropout)
        for number, units in enumerate(widths, start=1):
            name = f"dense_{number}"
            network.add(Dense(name, units, self.initializer, self.use_bias))
            _blocks.normalize_and_activate(network, name, self.normalization, self.activation)
            _blocks.drop(network, f"{name}_dropout", self.dropout)
        network.add(Dense("output", outputs, self.initializer, self.use_bias))
        return network

    def initial_weights_by_variable(self, input_shape: Shape, outputs: int) -> dict[tuple[str, str], Any]:
        if self.initial_weights is None:
            return {}
        return _weights.by_variable(self.initial_weights, self.network(input_shape, outputs))
