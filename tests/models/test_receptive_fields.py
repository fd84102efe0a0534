"""What a unit can see of the input, by lighting one row of it after the other and looking which units change."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = os.environ["DLX_ENGINE"]

from dlx.image_layers import LocalResponseNormalization
from dlx.layers import Activation, Layer, Pooling2D
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
