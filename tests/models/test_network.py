"""The graph of descriptors: receptive fields, multiply-adds and positions by a second route."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from dlx.errors import FieldError
from dlx.initializers import KernelAndBias
from dlx.layers import Activation, Conv2D, Dense, Dropout, Flatten, Layer, Pooling2D, Shape
from dlx.models import registry
from dlx.network import Network, at

INIT = KernelAndBias()


def extent(model: Any, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many pixels a unit of a layer sees: the widest non-zero gradient of one unit, all weights being positive."""
    import tensorflow as tf

    output = keras.Model(model.input, model.get_layer(name).output)
    for weight in output.weights:
        weight.assign(np.full(weight.shape, 0.01 if "variance" not in weight.name else 1.0))
    inputs = tf.constant(np.random.default_rng(0).random((1, *shape)), "float32")
    seen = np.zeros(len(shape) - 1, int)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        values = output(inputs)
        units = tf.reshape(tf.reduce_sum(values, axis=-1), (-1,))
        middle = [units[index] for index in range(units.shape[0])]
    for unit in middle:
        gradient = np.abs(tape.gradient(unit, inputs).numpy()[0]).sum(axis=-1)
        rows, columns = np.nonzero(gradient)
        if len(rows):
            seen = np.maximum(seen, [np.ptp(rows) + 1, np.ptp(columns) + 1])
    return tuple(seen.tolist())


BLOCKS = [
    {"filters": 2, "kernel": [3, 2], "padding": "valid", "pool": {"type": "average", "size": 2}},
    {"filters": 2, "kernel": 2, "stride": [2, 1], "padding": "valid"},
    {"pool": {"type": "average", "size": [2, 3], "stride": 1}},
]


def test_receptive_fields_are_where_gradients_are() -> None:
    spec = registry.get("cnn")(blocks=BLOCKS, dense=[3], activation="linear")
    shape = (20, 19, 1)
    model = spec.build(shape, 2)
    rows = {row.name: row for row in spec.network(shape, 2).rows()}
    for name in ("conv_1", "pool_1", "conv_2", "pool_3", "dense_1"):
        assert rows[name].receptive_field == extent(model, name, shape), name
    # by hand: 3x2; +1 → 4x3, jump 2; +2 → 6x5, jump 4x2; +4, +4 → 10x9
    fields = [rows[name].receptive_field for name in ("conv_1", "pool_1", "conv_2", "pool_3")]
    assert fields == [(3, 2), (4, 3), (6, 5), (10, 9)]


def test_lenets_receptive_fields() -> None:
    rows = {row.name: row.receptive_field for row in registry.get("lenet5")().network((32, 32, 1), 10).rows()}
    assert {name: rows[name][0] for name in ("C1", "S2", "C3", "S4", "C5", "output")} == {
        "C1": 5, "S2": 6, "C3": 14, "S4": 16, "C5": 32, "output": 32,
    }  # fmt: skip


def test_dense_layers_see_the_whole_input_and_never_more() -> None:
    mlp = registry.get("mlp")(depth=2)
    assert {row.receptive_field for row in mlp.network((64,), 10).rows()} == {(64,)}
    assert {row.receptive_field for row in mlp.network((5, 9, 3), 10).rows()} == {(5, 9)}
    wide = registry.get("cnn")(blocks=[{"filters": 1, "kernel": 9}] * 3)
    assert wide.network((12, 12, 1), 1).rows()[-1].receptive_field == (12, 12)


def test_global_average_sees_all() -> None:
    spec = registry.get("cnn")(blocks=[{"filters": 2, "pool": "global_average"}], dense=[])
    rows = {row.name: row for row in spec.network((9, 7, 1), 3).rows()}
    assert rows["conv_1"].receptive_field == (3, 3)
    assert rows["pool_1"].receptive_field == rows["output"].receptive_field == (9, 7)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_multiply_adds_count_every_product(padding: str) -> None:
    """By counting the products of the loops that a convolution is, padded positions included."""
    network = Network("one", (7, 6, 3))
    node = network.add(Conv2D("conv", 4, (3, 2), INIT, (2, 1), padding))
    products = 0
    for _row in range(node.shape[0]):
        for _column in range(node.shape[1]):
            for _filter in range(4):
                products += 3 * 2 * 3
    assert network.rows()[0].multiply_adds == products
    network.add(Flatten("flatten"))
    network.add(Dense("dense", 5, INIT))
    assert network.rows()[-1].multiply_adds == products / (3 * 2 * 3) * 5
    assert network.multiply_adds == products + products / 18 * 5


@pytest.mark.parametrize("size", range(1, 7))
@pytest.mark.parametrize("stride", range(1, 4))
def test_positions_of_a_sliding_window(size: int, stride: int) -> None:
    for length in range(1, 9):
        starts = range(0, length - size + 1, stride)
        layer = Pooling2D("pool", "max", (size, size), (stride, stride))
        if not starts:
            with pytest.raises(FieldError, match="nothing is left"):
                layer.output_shape((length, length, 1))
        else:
            assert layer.output_shape((length, length, 1)) == (len(starts), len(starts), 1)
        same = Pooling2D("pool", "max", (size, size), (stride, stride), "same")
        assert same.output_shape((length, length, 1))[0] == len(range(0, length, stride))


class Sum(Layer):
    """A layer with two inputs, as residual nets have."""

    def build(self) -> Any:
        return keras.layers.Add(name=self.name)

    @property
    def type(self) -> str:
        return "Add"


def residual(shape: Shape = (8, 8, 2)) -> Network:
    network = Network("residual", shape)
    first = network.add(Conv2D("conv_1", 4, (3, 3), INIT, padding="same"))
    network.add(Activation("activation", "relu"), first)
    inner = network.add(Conv2D("conv_2", 4, (3, 3), INIT, padding="same"))
    network.add(Sum("sum"), first, inner)
    network.add(Flatten("flatten"))
    network.add(Dense("output", 3, INIT))
    return network


def test_layers_with_several_inputs() -> None:
    network = residual()
    assert {row.name: row.receptive_field for row in network.rows()}["sum"] == (5, 5)
    assert network.layer_numbers() == {"conv_1": 1, "conv_2": 2, "output": 3}
    model = network.build()
    assert model.count_params() == network.parameters
    assert [layer.name for layer in model.layers][1:] == [row.name for row in network.rows()]


def test_names_are_unique() -> None:
    network = Network("twice", (4,))
    network.add(Dropout("same", 0.5))
    with pytest.raises(ValueError, match="'same'"):
        network.add(Dropout("same", 0.5))


def test_errors_say_where() -> None:
    with pytest.raises(FieldError, match="images") as caught, at("blocks", 1), at("kernel"):
        Network("wrong", (4,)).add(Conv2D("conv", 1, (1, 1), INIT))
    assert caught.value.path == ("blocks", 1, "kernel")


def test_dropout_generators_are_each_layers_own() -> None:
    model = registry.get("mlp")(depth=2, dropout=0.5).build((4,), 2)
    seeds = [layer.seed_generator.state for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(seeds) == 2
    assert (np.asarray(seeds[0]) != np.asarray(seeds[1])).any()
