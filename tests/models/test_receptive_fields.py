"""What a unit can see of the input: the rows that light it one after the other, and where its gradient is not zero."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = os.environ["DLX_ENGINE"]

from dlx.layers import Activation, Conv2D, Layer, Pair, Pooling2D, Window
from dlx.layers.images import LocalResponseNormalization
from dlx.models import registry
from dlx.network import Network

NETS: dict[str, tuple[dict[str, Any], int]] = {
    "kernels, strides, poolings, paddings": (
        {
            "name": "cnn",
            "blocks": [
                {"filters": 2, "kernel": 5, "stride": 2, "padding": "valid"},
                {"filters": 2, "kernel": [2, 3], "pool": {"type": "max", "size": 3, "stride": 2, "padding": "same"}},
                {"filters": 2, "kernel": 3, "pool": "average", "skip": 1},
                {"filters": 2, "kernel": 1},
            ],
            "dense": [],
        },
        64,
    ),
    "shortcuts of identity": ({"name": "cifar_resnet", "depth": 8, "width": 2}, 64),
    "shortcuts of projection": ({"name": "cifar_resnet", "depth": 8, "width": 2, "shortcuts": "projection"}, 64),
    "branches": ({"name": "squeezenet", "version": "1.1"}, 128),
    "inception": ({"name": "googlenet"}, 128),
    "groups": ({"name": "alexnet"}, 160),
}


NARROW = 96  # rows are what is counted; this is as narrow as the nets allow


def linear(layer: Layer) -> Layer:
    """The layer with the same windows, and nothing that a positive image does not pass."""
    if isinstance(layer, Activation):
        return replace(layer, function="linear")
    return replace(layer, kind="average") if isinstance(layer, Pooling2D) else layer


def made_linear(network: Network) -> Network:
    made = Network(network.name, network.input.shape)
    nodes = {network.input: made.input}
    for node in network.nodes:
        if not isinstance(node.layer, LocalResponseNormalization):
            nodes[node] = made.add(linear(node.layer), *(nodes[source] for source in node.inputs))
        else:
            nodes[node] = nodes[node.inputs[0]]
    return made


def seen(network: Network) -> dict[str, int]:
    """The most rows of the input on which one unit of each layer with positions depends."""
    import keras

    model = network.build()
    for variable in model.weights:
        if variable.name in ("kernel", "depthwise_kernel"):
            variable.assign(np.full(variable.shape, 1.0 / np.prod(variable.shape[:-1])))
        elif variable.name == "bias":
            variable.assign(np.zeros(variable.shape))
    layers = [layer for layer in model.layers if len(layer.output.shape) == 4 and layer.name != "input"]
    # Without biases an image of zeros leaves zeros, and the least light on one row shows.
    columns = [keras.ops.max(layer.output, axis=(2, 3)) for layer in layers]
    height, width, channels = network.input.shape
    lit = np.zeros((height, height, width, channels), np.float32)
    lit[np.arange(height), np.arange(height)] = 1.0
    found = keras.Model(model.inputs, columns).predict(lit, batch_size=16, verbose=0)
    extents = {}
    for layer, values in zip(layers, found, strict=True):
        rows = [np.flatnonzero(unit) for unit in values.T]
        extents[layer.name] = max(int(row[-1] - row[0]) + 1 for row in rows if len(row))
    return extents


@pytest.mark.parametrize("net", NETS)
def test_a_unit_sees_as_many_rows_as_the_table_says(net: str) -> None:
    fields, size = NETS[net]
    network = registry.get(fields["name"])(**fields).network((size, NARROW, 3), 10)
    said = {row.name: row.receptive_field[0] for row in network.rows()}
    found = seen(made_linear(network))
    inside = {name for name, rows in found.items() if said[name] <= size // 2}
    assert len(inside) > 5
    assert {name: found[name] for name in inside} == {name: said[name] for name in inside}
    assert all(found[name] <= said[name] for name in found)


@dataclass(frozen=True)
class Dilated(Conv2D):
    """A convolution as another package might bring it: its kernel passes over positions."""

    dilation: Pair = (1, 1)

    @property
    def window(self) -> Window:
        height, width = ((size - 1) * rate + 1 for size, rate in zip(self.kernel, self.dilation, strict=True))
        return Window((height, width), self.stride)

    def build(self) -> Any:
        import keras

        return keras.layers.Conv2D(
            self.filters,
            self.kernel,
            strides=self.stride,
            dilation_rate=self.dilation,
            padding=self.padding,
            kernel_initializer="ones",
            name=self.name,
        )


def dilated(name: str, kernel: Pair, dilation: Pair = (1, 1), stride: Pair = (1, 1), padding: str = "valid") -> Dilated:
    nothing: Any = None  # the kernel is all ones
    return Dilated(name, 2, kernel, nothing, stride=stride, padding=padding, dilation=dilation)  # type: ignore[arg-type]


STACKS: dict[str, tuple[list[Layer], Pair]] = {
    "a dilated kernel": ([dilated("a", (3, 3), (4, 2))], (9, 5)),
    "dilation that doubles": (
        [dilated(str(rate), (3, 3), (rate, rate), padding="same") for rate in (1, 2, 4, 8)],
        (31, 31),
    ),
    "dilation behind strides": (
        [dilated("a", (3, 5), stride=(2, 1)), dilated("b", (3, 3), (2, 3)), dilated("c", (2, 2), stride=(2, 2))],
        (13, 12),
    ),
    "dilation behind poolings": (
        [
            dilated("a", (3, 3), padding="same"),
            Pooling2D("b", "average", (2, 2), (2, 2)),
            dilated("c", (3, 3), (3, 1)),
            Pooling2D("d", "average", (3, 3), (2, 2), "same"),
            dilated("e", (2, 3), (2, 2)),
        ],
        (28, 28),
    ),
}


def extent_of_gradient(model: Any, unit: tuple[int, int], shape: tuple[int, ...]) -> Pair:
    """Rows and columns from the first to the last at which the gradient of one output unit is not zero."""

    def value(images: Any) -> Any:
        return model(images)[0, unit[0], unit[1], 0]

    images = np.ones((1, *shape), np.float32)
    if os.environ["KERAS_BACKEND"] == "jax":
        import jax

        gradient = np.asarray(jax.grad(value)(images))
    else:
        import tensorflow as tf

        watched = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(watched)
            found = value(watched)
        gradient = np.asarray(tape.gradient(found, watched))
    rows, columns, _ = np.nonzero(gradient[0])
    return int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)


@pytest.mark.parametrize("stack", STACKS)
def test_a_unit_has_a_gradient_as_far_as_the_table_says(stack: str) -> None:
    layers, by_hand = STACKS[stack]
    shape = (64, 64, 1)
    network = Network("stack", shape)
    for layer in layers:
        network.add(layer)
    model = network.build()
    height, width, _ = network.output.shape
    found = extent_of_gradient(model, (height // 2, width // 2), shape)
    assert found == network.rows()[-1].receptive_field == by_hand
    assert tuple(model.output.shape[1:]) == network.output.shape
