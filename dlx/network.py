"""A network before there is one: a graph of layer descriptors.

From it come the tables of ``dlx show`` and ``layers.csv`` in plain Python, and the Keras
model itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dlx.blocks import blocks_of
from dlx.errors import FieldError, PathKey
from dlx.layers import Layer, Shape, Variable


@dataclass(frozen=True)
class Field:
    """What a position of a layer sees of the network's input, per axis.

    ``size`` in pixels, padding included; ``jump``: pixels between neighbouring positions.
    """

    size: tuple[int, ...]
    jump: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """A layer applied to the outputs of others; the network's input has no layer."""

    layer: Layer | None
    inputs: tuple[Node, ...]
    shape: Shape
    field: Field

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple(node.shape for node in self.inputs)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return self.layer.variables(*self.input_shapes) if self.layer else ()


@dataclass(frozen=True)
class LayerRow:
    """One line of the layer table.

    ``layer``: number of the layer with a kernel, from the input, from 1; a normalisation or
    trainable pooling has that of the layer before; None where there are no weights.
    ``receptive_field``: how many pixels of the input a unit can see, per axis. ``block``: where
    deep nets have blocks, the layer's, by its name (:mod:`dlx.blocks`).
    """

    name: str
    type: str
    layer: int | None
    output_shape: Shape
    parameters: int
    trainable_parameters: int
    multiply_adds: int
    connections: int
    receptive_field: tuple[int, ...]
    block: str = ""


class Network:
    """Layers as a graph, each after the ones it is applied to.

    ``network.add(layer)`` applies a layer to what was added last;
    ``network.add(layer, a, b)`` to the outputs of given nodes. What was added last is the
    network's output.
    """

    def __init__(self, name: str, input_shape: Shape) -> None:
        self.name = name
        # The last axis of an image is its channels; a vector's components are its pixels.
        axes = input_shape[:-1] or input_shape
        self.input = Node(None, (), input_shape, Field((1,) * len(axes), (1,) * len(axes)))
        self.decoder: frozenset[str] = frozenset()
        """Names of the layers that turn a code into the input again: their rows have no number."""
        self.frozen: frozenset[str] = frozenset()
        """Names of the layers whose weights stay as they are."""
        self.auxiliary: dict[Node, float] = {}
        """Further outputs that training learns from, and the weight of the loss of each (:meth:`add_auxiliary`)."""
        self._extent = axes
        self._nodes: list[Node] = []
        self._last = self.input
        self._names: set[str] = set()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The layers in the order in which they were added."""
        return tuple(self._nodes)

    @property
    def output(self) -> Node:
        return self._last

    def add(self, layer: Layer, *inputs: Node) -> Node:
        """Applies a layer; raises :class:`~dlx.errors.FieldError` where its input does not suit it."""
        sources = inputs or (self.output,)
        if layer.name in self._names:
            raise ValueError(f"two layers are called {layer.name!r}")
        shapes = [node.shape for node in sources]
        node = Node(layer, sources, layer.output_shape(*shapes), _field(layer, sources))
        self._nodes.append(node)
        self._last = node
        self._names.add(layer.name)
        return node

    def add_auxiliary(self, classifier: Node, weight: float) -> None:
        """Makes a node an output that is learned from beside the network's own, and that nothing is predicted with."""
        self.auxiliary[classifier] = weight

    @property
    def beside(self) -> frozenset[str]:
        """Names of the layers that only the auxiliary outputs need: they are no part of what predicts."""
        if not self.auxiliary:
            return frozenset()
        needed = {self.output}
        for node in reversed(self._nodes):
            if node in needed:
                needed.update(node.inputs)
        return frozenset(node.layer.name for node in self._nodes if node.layer and node not in needed)

    def arrange(self) -> None:
        """Brings the nodes into the order in which Keras lists the layers of the model: by depth from the outputs."""
        ends = [self.output, *self.auxiliary]
        depths = dict.fromkeys(self._nodes, 0)
        for node in reversed(self._nodes):
            for source in node.inputs:
                if source.layer:
                    depths[source] = max(depths[source], depths[node] + 1)
        met: dict[Node, int] = {}
        waiting = ends[::-1]
        while waiting:
            node = waiting.pop()
            if node not in met:
                met[node] = len(met)
                waiting += node.inputs[::-1]
        output = self.output
        self._nodes.sort(key=lambda node: (-depths[node], met[node]))
        self._last = output

    def rows(self) -> list[LayerRow]:
        """The layer table, in the order of the nodes."""
        numbers = self.layer_numbers()
        blocks = blocks_of(layer.name for layer, _ in self._layers())
        return [
            LayerRow(
                name=layer.name,
                type=layer.type,
                layer=numbers.get(layer.name),
                output_shape=node.shape,
                parameters=sum(variable.size for variable in node.variables),
                trainable_parameters=sum(
                    variable.size for variable in node.variables if variable.trainable and layer.name not in self.frozen
                ),
                multiply_adds=layer.multiply_adds(*node.input_shapes),
                connections=layer.connections(*node.input_shapes),
                receptive_field=tuple(map(min, node.field.size, self._extent)),
                block=blocks[layer.name],
            )
            for layer, node in self._layers()
        ]

    def layer_numbers(self) -> dict[str, int]:
        """Layer name → number, for every layer that has weights."""
        numbers: dict[str, int] = {}
        latest: dict[Node, int] = {self.input: 0}
        count = 0
        unnumbered = self.decoder | self.beside
        for layer, node in self._layers():
            if layer.name in unnumbered:
                continue
            before = max(latest[source] for source in node.inputs)
            if layer.has_kernel:
                count += 1
                before = count
            latest[node] = before
            if node.variables:
                numbers[layer.name] = max(before, 1)
        return numbers

    def kernel_layers(self) -> list[Node]:
        """The layers with a kernel that predict, from the input."""
        beside = self.beside
        return [node for layer, node in self._layers() if layer.has_kernel and layer.name not in beside]

    @property
    def parameters(self) -> int:
        """Of what predicts; auxiliary classifiers are not counted, here and below."""
        return sum(row.parameters for row in self._predicting())

    @property
    def trainable_parameters(self) -> int:
        return sum(row.trainable_parameters for row in self._predicting())

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self._predicting())

    @property
    def connections(self) -> int:
        return sum(row.connections for row in self._predicting())

    @property
    def auxiliary_parameters(self) -> int:
        """Of the layers that only auxiliary classifiers need."""
        return sum(row.parameters for row in self.rows()) - self.parameters

    def _predicting(self) -> list[LayerRow]:
        beside = self.beside
        return [row for row in self.rows() if row.name not in beside]

    def build(self) -> Any:
        """The functional Keras model; its layers have the descriptors' names.

        Auxiliary outputs, where there are any, come after its own.
        """
        import keras

        start = keras.Input(self.input.shape, name="input")
        tensors = {self.input: start}
        built: dict[str, Any] = {}
        for layer, node in self._layers():
            sources = [tensors[source] for source in node.inputs]
            made = built[layer.name] = layer.build_beside(built)
            made.trainable = layer.name not in self.frozen
            tensors[node] = made(sources[0] if len(sources) == 1 else sources)
        outputs = [tensors[node] for node in (self.output, *self.auxiliary)]
        return keras.Model(start, outputs if self.auxiliary else outputs[0], name=self.name)

    def _layers(self) -> Iterator[tuple[Layer, Node]]:
        for node in self._nodes:
            assert node.layer is not None
            yield node.layer, node


@contextmanager
def at(*path: PathKey) -> Iterator[None]:
    """Says where in the spec a layer comes from: prefixes the path of a FieldError."""
    try:
        yield
    except FieldError as error:
        raise FieldError(error.message, (*path, *error.path)) from None


def _field(layer: Layer, sources: tuple[Node, ...]) -> Field:
    seen = [_seen(layer, source) for source in sources]
    return Field(
        tuple(max(sizes) for sizes in zip(*(field.size for field in seen), strict=True)),
        tuple(max(jumps) for jumps in zip(*(field.jump for field in seen), strict=True)),
    )


def _seen(layer: Layer, source: Node) -> Field:
    size, jump = source.field.size, source.field.jump
    if layer.sees_all:
        # All positions together span the outermost fields; after that there are no positions any more.
        positions = source.shape[: len(size)]
        spans = (one + (n - 1) * step for one, n, step in zip(size, positions, jump, strict=False))
        return Field(tuple(spans) if any(jump) else size, (0,) * len(size))
    if (window := layer.window) is None:
        return source.field
    return Field(
        tuple(one + (wide - 1) * step for one, wide, step in zip(size, window.size, jump, strict=True)),
        tuple(step * stride for step, stride in zip(jump, window.stride, strict=True)),
    )
