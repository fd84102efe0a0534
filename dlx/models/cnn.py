"""Convolutional network: blocks of convolution and pooling, then dense layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from dlx.activations import ActivationName
from dlx.errors import FieldError, nearest
from dlx.fields import Fields, Fraction, Positive
from dlx.initializers import Initializer, KernelAndBias
from dlx.layers import Activation, Add, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Pair, Pooling2D, Shape
from dlx.models import LayerWeights, ListOf, ModelSpec, _blocks, _budget, _weights
from dlx.network import Network, Node, at

Size = Positive | Annotated[tuple[Positive, Positive], Field(strict=False)]
Padding = Literal["same", "valid"]
PoolType = Literal["max", "average", "global_average"]


class Pool(Fields):
    """A pooling; its bare type will do: ``pool: max``."""

    type: PoolType = Field(description="what is taken of each window")
    size: Size | None = Field(default=None, description="window: a number or [height, width]; null: 2")
    stride: Size | None = Field(default=None, description="step between windows; null: the window's size")
    padding: Padding = Field(default="valid", description="same: incomplete windows at the border count too")

    @model_validator(mode="after")
    def _global_has_no_window(self) -> Pool:
        given = [key for key in ("size", "stride") if getattr(self, key) is not None]
        given += ["padding"] if self.padding != "valid" else []
        if self.type == "global_average" and given:
            raise ValueError(f"global_average takes the whole map: it has no {' or '.join(given)}")
        return self


def _type_of_pool(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value not in get_args(PoolType):
        raise ValueError(f"unknown pooling {value!r} ({nearest(value, get_args(PoolType))})")
    return {"type": value}


class Block(Fields):
    """A convolution with what follows it, or a pooling alone."""

    filters: Positive | None = Field(default=None, description="feature maps of the convolution; null: no convolution")
    kernel: Size = Field(default=3, description="kernel: a number or [height, width]")
    stride: Size = Field(default=1, description="step of the convolution")
    padding: Padding = Field(default="same", description="same: zeros around the image; valid: none")
    activation: ActivationName | None = Field(default=None, description="nonlinearity; null: the model's")
    normalization: _blocks.Normalization | None = Field(default=None, description="normalisation; null: the model's")
    pool: Annotated[Pool, BeforeValidator(_type_of_pool, json_schema_input_type=PoolType | Pool)] | None = Field(
        default=None, description="pooling after the nonlinearity; its type alone will do"
    )
    skip: Positive | None = Field(
        default=None,
        description="skip connection: what goes into this block (1), or into the block so many minus one before it, is "
        "added to the convolution's output before the nonlinearity; by a 1x1 convolution where shapes differ",
    )
    dropout: Fraction = Field(default=0.0, description="fraction of the block's outputs dropped in training")

    @model_validator(mode="after")
    def _does_something(self) -> Block:
        if self.filters is not None:
            return self
        if self.pool is None and self.dropout == 0.0:
            raise ValueError("a block needs filters, a pool or both")
        convolutional = ("kernel", "stride", "padding", "activation", "normalization", "skip")
        if changed := [key for key in convolutional if getattr(self, key) != type(self).model_fields[key].default]:
            raise ValueError(f"{' and '.join(changed)} without filters: there is no convolution")
        return self


class Spec(ModelSpec):
    """Images → blocks (convolution, normalisation, activation, pooling, dropout) → dense layers → dense logits."""

    summary: ClassVar[str] = "convolutional network of freely chosen blocks"
    source: ClassVar[str] = "LeCun et al. 1989, Backpropagation Applied to Handwritten Zip Code Recognition"

    searched: ClassVar[Mapping[str, str]] = {
        "dense": "[[], [64], [256]]",
        "normalization": "[none, batch]",
        "dropout": "lin(0.0, 0.5)",
    }

    name: Literal["cnn"] = "cnn"
    blocks: ListOf[Block] = Field(
        default=(Block(filters=16, pool=Pool(type="max")), Block(filters=32, pool=Pool(type="max"))),
        description="what is done to the image, one {filters, kernel, stride, padding, pool, …} after the other",
    )
    dense: ListOf[Positive] = Field(default=(64,), description="units of the dense layers after the blocks; []: none")
    parameters: Positive | None = Field(
        default=None,
        description="makes all layers wider or narrower, filters and units in proportion: the widest network "
        "with no more parameters; null: filters and units are meant as they stand",
    )
    activation: ActivationName = Field(default="relu", description="nonlinearity of all hidden layers")
    initializer: Initializer = Field(
        default=KernelAndBias(), description="initial weights: a name, or {kernel: …, bias: …}"
    )
    normalization: _blocks.Normalization = Field(
        default="none", description="before each activation: none, batch or layer normalisation (over channels)"
    )
    dropout: Fraction = Field(
        default=0.0, description="fraction of each hidden dense layer's outputs dropped in training"
    )
    use_bias: bool = Field(default=True, description="whether layers have biases")
    initial_weights: ListOf[LayerWeights | None] | None = Field(
        default=None,
        description="explicit {kernel, bias} for each layer, output included; null: as the initializer says",
    )

    def network(self, input_shape: Shape, outputs: int) -> Network:
        if len(input_shape) != 3:
            raise FieldError(f"cnn needs images (height, width, channels), the data have shape {input_shape}")
        if self.parameters is None:
            return self._layers(input_shape, outputs, self.blocks, self.dense)
        sizes = [*(block.filters for block in self.blocks if block.filters is not None), *self.dense]
        if not sizes:
            raise FieldError("no layer has a width to choose: there are neither filters nor dense layers", _budget.PATH)
        most = max(sizes)

        def as_wide_as(width: int) -> Network:
            """With the widest layer that wide, the others in proportion, rounded to the nearest whole number."""

            def size(given: int) -> int:
                return max(1, (2 * given * width + most) // (2 * most))

            blocks = [
                block if block.filters is None else block.model_copy(update={"filters": size(block.filters)})
                for block in self.blocks
            ]
            return self._layers(input_shape, outputs, blocks, [size(units) for units in self.dense])

        return as_wide_as(_budget.widest(lambda width: as_wide_as(width).parameters, self.parameters))

    def _layers(self, input_shape: Shape, outputs: int, blocks: Sequence[Block], dense: Sequence[int]) -> Network:
        network = Network(self.name, input_shape)
        before: list[Node] = []
        for number, block in enumerate(blocks, start=1):
            before.append(network.output)
            with at("blocks", number - 1):
                self._add_block(network, block, before)
        if len(network.output.shape) > 1:
            network.add(Flatten("flatten"))
        for number, units in enumerate(dense, start=1):
            name = f"dense_{number}"
            network.add(Dense(name, units, self.initializer, self.use_bias))
            _blocks.normalize_and_activate(network, name, self.normalization, self.activation)
            _blocks.drop(network, f"{name}_dropout", self.dropout)
        network.add(Dense("output", outputs, self.initializer, self.use_bias))
        return network

    def _add_block(self, network: Network, block: Block, before: Sequence[Node]) -> None:
        """``before``: what goes into each block so far.

        Names carry the block's number: conv_2 and pool_2 are those of the second block.
        """
        number = len(before)
        if len(network.output.shape) != 3:
            raise FieldError("nothing can follow a global_average but dense layers")
        if block.filters is not None:
            name = f"conv_{number}"
            kernel, stride = _pair(block.kernel), _pair(block.stride)
            with at("kernel"):
                network.add(Conv2D(name, block.filters, kernel, self.initializer, stride, block.padding, self.use_bias))
            normalization = block.normalization or self.normalization
            if block.skip is None:
                _blocks.normalize(network, name, normalization, network.output)
            else:
                with at("skip"):
                    self._add_skip(network, block.skip, normalization, before)
            network.add(Activation(f"{name}_activation", block.activation or self.activation))
        if block.pool is not None:
            with at("pool"):
                network.add(_pooling(f"pool_{number}", block.pool))
        _blocks.drop(network, f"dropout_{number}", block.dropout)

    def _add_skip(
        self, network: Network, skip: int, normalization: _blocks.Normalization, before: Sequence[Node]
    ) -> None:
        """What went into an earlier block, added to the output of the convolution (He et al. 2016, section 3)."""
        number, output = len(before), network.output
        if skip > number:
            raise FieldError(f"reaches back over {skip} blocks, and this is number {number}")
        source = before[-skip]
        shortcut = source
        if source.shape != output.shape:
            # Their option B: a projection, which takes steps where the images have become smaller.
            pairs = list(zip(source.shape[:2], output.shape[:2], strict=True))
            stride = tuple(-(-larger // smaller) for larger, smaller in pairs)
            if any(-(-larger // step) != smaller for (larger, smaller), step in zip(pairs, stride, strict=True)):
                sizes = " to ".join("x".join(map(str, node.shape[:2])) for node in (source, output))
                raise FieldError(f"no step takes images from {sizes}: use padding same in between")
            projection = Conv2D(
                f"skip_{number}", output.shape[-1], (1, 1), self.initializer,
                (stride[0], stride[1]), "same", self.use_bias,
            )  # fmt: skip
            shortcut = network.add(projection, source)
        output = _blocks.normalize(network, f"conv_{number}", normalization, output)
        if shortcut is not source:
            shortcut = _blocks.normalize(network, f"skip_{number}", normalization, shortcut)
        network.add(Add(f"add_{number}"), output, shortcut)

    def initial_weights_by_variable(self, input_shape: Shape, outputs: int) -> dict[tuple[str, str], Any]:
        if self.initial_weights is None:
            return {}
        return _weights.by_variable(self.initial_weights, self.network(input_shape, outputs))


def _pooling(name: str, pool: Pool) -> GlobalAveragePooling2D | Pooling2D:
    if pool.type == "global_average":
        return GlobalAveragePooling2D(name)
    size = _pair(pool.size or 2)
    return Pooling2D(name, pool.type, size, _pair(pool.stride or size), pool.padding)


def _pair(size: int | Pair) -> Pair:
    return (size, size) if isinstance(size, int) else size
