"""What plain Python says of a network and what Keras builds, compared."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dlx.keras_graph import kernel_layers
from dlx.models import ModelSpec


def assert_same(spec: ModelSpec, shape: tuple[int, ...], outputs: int) -> Any:
    """Layer by layer: names, types, shapes, variables, numbers; then the totals. Returns the Keras model."""
    network = spec.network(shape, outputs)
    model = spec.build(shape, outputs)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert [layer.name for layer in layers] == [row.name for row in network.rows()]
    for node, row, layer in zip(network.nodes, network.rows(), layers, strict=True):
        assert row.type == type(layer).__name__
        assert row.output_shape == tuple(layer.output.shape[1:])
        assert row.parameters == layer.count_params()
        built = [(weight.name, tuple(weight.shape), weight.trainable) for weight in layer.weights]
        assert sorted((v.name, v.shape, v.trainable) for v in node.variables) == sorted(built)
    assert network.parameters + network.auxiliary_parameters == model.count_params()
    trained = sum(row.trainable_parameters for row in network.rows())
    assert trained == sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    numbers = network.layer_numbers()
    for number, layer, variables in kernel_layers(model):
        if layer.name in network.decoder | network.beside:
            continue
        assert {numbers[variable.path.split("/")[0]] for variable in variables} == {number}
    assert tuple(model.outputs[0].shape) == (None, outputs)
    return model
