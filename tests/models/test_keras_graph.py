"""Layers with a kernel and their nonlinearities, in models of all kinds."""

from __future__ import annotations

from typing import Any

import keras
import pytest

from dlx.activations import get, names
from dlx.errors import UsageError
from dlx.keras_graph import kernel_layers, nonlinearities, nonlinearity_outputs
from dlx.models import registry


def layer_names(model: Any) -> list[tuple[int, str, list[str]]]:
    return [(number, layer.name, [v.path for v in variables]) for number, layer, variables in kernel_layers(model)]


def test_normalisation_belongs_to_the_layer_before() -> None:
    model = registry.get("mlp")(normalization="batch", depth=1).build((3,), 2)
    assert layer_names(model) == [
        (
            1,
            "dense_1",
            ["dense_1/kernel", "dense_1/bias", "dense_1_normalization/gamma", "dense_1_normalization/beta"],
        ),
        (2, "output", ["output/kernel", "output/bias"]),
    ]
    found = nonlinearities(model)
    assert list(found) == ["dense_1", "output"]
    assert found["dense_1"].tensor is model.get_layer("dense_1_activation").output
    assert found["dense_1"].activation == get("relu")
    assert found["output"].tensor is model.output
    assert found["output"].activation is None


def test_trainable_pooling_belongs_to_the_layer_before_and_is_no_nonlinearity() -> None:
    model = registry.get("lenet5")(variant="original").build((28, 28, 1), 10)
    assert [(number, name, len(paths)) for number, name, paths in layer_names(model)] == [
        (1, "C1", 4), (2, "C3", 4), (3, "C5", 2), (4, "F6", 2),
    ]  # fmt: skip
    assert nonlinearity_outputs(model)["C1"] is model.get_layer("C1_activation").output
    assert nonlinearities(model)["F6"].activation.limits == (-1.7159, 1.7159)


def test_activation_inside_the_layer() -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="tanh", name="dense")])
    found = nonlinearities(model)["dense"]
    assert found.tensor is model.get_layer("dense").output
    assert found.activation == get("tanh")


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (keras.layers.ReLU(), "relu"),
        (keras.layers.ReLU(max_value=6.0), "relu6"),
        (keras.layers.ReLU(negative_slope=0.1), None),
        (keras.layers.LeakyReLU(), "leaky_relu"),
        (keras.layers.ELU(), "elu"),
        (keras.layers.Softmax(), "softmax"),
        (keras.layers.PReLU(), None),
        (keras.layers.Activation("sigmoid"), "sigmoid"),
        (keras.layers.Activation(lambda x: x * x), None),
    ],
)
def test_activation_layers(layer: Any, name: str | None) -> None:
    start = keras.Input((3,))
    model = keras.Model(start, layer(keras.layers.LayerNormalization()(keras.layers.Dense(2, name="dense")(start))))
    found = nonlinearities(model)["dense"]
    assert found.tensor is model.output
    assert found.activation == (get(name) if name else None)


def test_nothing_is_skipped_that_something_else_reads() -> None:
    start = keras.Input((3,))
    first = keras.layers.Dense(3, name="first")(start)
    second = keras.layers.Dense(3, name="second")(keras.layers.Activation("relu")(first))
    summed = keras.layers.Add(name="sum")([first, second])
    model = keras.Model(start, keras.layers.Activation("relu")(summed))
    found = nonlinearities(model)
    assert found["first"].tensor is first
    assert found["second"].tensor is second
    assert [name for _, name, _ in layer_names(model)] == ["first", "second"]


def test_tensors_that_are_outputs_end_the_walk() -> None:
    start = keras.Input((3,))
    first = keras.layers.Dense(3, name="first")(start)
    activated = keras.layers.Activation("relu")(first)
    assert nonlinearities(keras.Model(start, [first, activated]))["first"].tensor is first


def test_other_kernels_shared_layers_and_weights_before_them() -> None:
    start = keras.Input((8, 8, 2))
    tensor = keras.layers.BatchNormalization(name="first")(start)
    tensor = keras.layers.SeparableConv2D(3, 3, name="separable")(tensor)
    tensor = keras.layers.DepthwiseConv2D(3, name="depthwise")(tensor)
    tensor = keras.layers.PReLU(name="prelu")(tensor)
    shared = keras.layers.Conv2D(3, 1, name="shared")
    model = keras.Model(start, shared(shared(tensor)))
    found = {name: paths for _, name, paths in layer_names(model)}
    assert list(found) == ["separable", "depthwise", "shared"]
    assert found["separable"][-2:] == ["first/gamma", "first/beta"]
    assert "prelu/alpha" in found["depthwise"]
    assert sum(map(len, found.values())) == len(model.trainable_variables)


def test_models_used_elsewhere_are_not_confused() -> None:
    """Another model on the same tensors reads them too, but not in this one."""
    start = keras.Input((3,))
    first = keras.layers.Dense(3, name="first")(start)
    model = keras.Model(start, keras.layers.Activation("relu")(first))
    keras.Model(start, keras.layers.Dense(1)(first))
    assert nonlinearities(model)["first"].tensor is model.output


def test_only_functional_models() -> None:
    class Subclassed(keras.Model):
        def call(self, inputs: Any) -> Any:
            return inputs

    with pytest.raises(TypeError, match="functional"):
        kernel_layers(Subclassed())


def test_activations_are_those_of_keras() -> None:
    import numpy as np

    inputs = np.linspace(-40.0, 40.0, 2001, dtype="float32")
    for name in names():
        values = np.asarray(get(name).function()(keras.ops.convert_to_tensor(inputs[None])))[0]
        limits = get(name).limits
        if limits is None or name == "softmax":
            assert np.abs(values).max() > 1.0 or name == "softmax"
            continue
        # limits are reached, and nothing lies beyond them
        assert limits[0] - 1e-6 <= values.min() <= limits[0] + 0.03 * (limits[1] - limits[0])
        assert limits[1] + 1e-6 >= values.max() >= limits[1] - 0.03 * (limits[1] - limits[0])


def test_unknown_activation() -> None:
    with pytest.raises(UsageError, match="did you mean 'relu'"):
        get("rellu")
