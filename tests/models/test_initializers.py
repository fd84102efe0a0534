"""Initial weights: the spec's names, and NumPy draws against Keras' own initialisers."""

from __future__ import annotations

import json
import math
from typing import Any

import keras
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from dlx.errors import DlxError
from dlx.initializers import BIAS_NAMES, KERNEL_NAMES, Initializer, compute_fans, draw, initial_values, signatures
from dlx.members import plain

FIELD: TypeAdapter[Any] = TypeAdapter(Initializer)
ARGUMENTS: dict[str, dict[str, Any]] = {
    "constant": {"value": 0.3},
    "normal": {"mean": 0.5, "stddev": 2.0},
    "truncated_normal": {"mean": -1.0, "stddev": 0.5},
    "uniform": {"minval": -0.2, "maxval": 0.7},
    "orthogonal": {"gain": 1.5},
    "variance_scaling": {"scale": 3.0, "mode": "fan_avg", "distribution": "uniform"},
}
SHAPE = (3, 3, 24, 60)


def initializer(name: str) -> Any:
    return FIELD.validate_python({"name": name, **ARGUMENTS.get(name, {})}).kernel.build()


@pytest.mark.parametrize("name", KERNEL_NAMES)
def test_draws_have_the_distribution_of_keras(name: str) -> None:
    """Mean, spread, extent and quantiles of 12,960 values each: within 5 standard errors of each other."""
    ours = draw(initializer(name), SHAPE, np.random.default_rng(0)).ravel()
    keras.utils.set_random_seed(1)
    theirs = np.asarray(initializer(name)(SHAPE)).ravel()
    spread = theirs.std()
    if name in ("zeros", "ones", "constant"):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        return
    assert abs(ours.mean() - theirs.mean()) < 5 * spread * math.sqrt(2 / ours.size)
    assert ours.std() == pytest.approx(spread, rel=5 / math.sqrt(ours.size))
    # Kolmogorov and Smirnov: the greatest distance between the two distribution functions (p = 1e-4)
    both = np.sort(np.concatenate([ours, theirs]))
    distance = np.abs(
        np.searchsorted(np.sort(ours), both, "right") - np.searchsorted(np.sort(theirs), both, "right")
    ).max()
    assert distance / ours.size < 2.23 * math.sqrt(2 / ours.size)


@pytest.mark.parametrize(
    ("name", "fields", "mean", "stddev", "limit"),
    [
        ("normal", {}, 0.0, 1.0, math.inf),
        ("truncated_normal", {"stddev": 2.0}, 0.0, 2.0 * 0.8796256610342398, 4.0),
        ("uniform", {}, 0.0, 1 / math.sqrt(3), 1.0),
        ("scaled_normal", {}, 0.0, 1 / math.sqrt(216), math.inf),
        ("scaled_uniform", {}, 0.0, 1 / math.sqrt(3 * 216), 1 / math.sqrt(216)),
        ("fan_in_uniform", {}, 0.0, 2.4 / 216 / math.sqrt(3), 2.4 / 216),
        ("glorot_uniform", {}, 0.0, math.sqrt(2 / (216 + 540)), math.sqrt(6 / (216 + 540))),
        ("glorot_normal", {}, 0.0, math.sqrt(2 / (216 + 540)), 2 * math.sqrt(2 / (216 + 540)) / 0.8796256610342398),
        ("he_normal", {}, 0.0, math.sqrt(2 / 216), 2 * math.sqrt(2 / 216) / 0.8796256610342398),
        ("he_uniform", {}, 0.0, math.sqrt(2 / 216), math.sqrt(6 / 216)),
        ("lecun_normal", {}, 0.0, math.sqrt(1 / 216), 2 * math.sqrt(1 / 216) / 0.8796256610342398),
        ("lecun_uniform", {}, 0.0, math.sqrt(1 / 216), math.sqrt(3 / 216)),
    ],
)
def test_draws_have_the_spread_of_the_definition(
    name: str, fields: Any, mean: float, stddev: float, limit: float
) -> None:
    """fan_in = 3·3·24 = 216, fan_out = 3·3·60 = 540, by hand."""
    keras_initializer = FIELD.validate_python({"name": name, **fields}).kernel.build()
    values = draw(keras_initializer, SHAPE, np.random.default_rng(2))
    assert values.mean() == pytest.approx(mean, abs=5 * stddev / math.sqrt(values.size))
    assert values.std() == pytest.approx(stddev, rel=4 / math.sqrt(2 * values.size))
    assert np.abs(values).max() <= limit
    if limit < math.inf:
        assert np.abs(values).max() > 0.98 * limit


@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (12, 5), (3, 3, 4, 6), (2, 2, 3, 40)])
def test_orthogonal_is_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = draw(initializer("orthogonal"), shape, np.random.default_rng(0)).reshape(-1, shape[-1]) / 1.5
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(tall.T @ tall, np.eye(tall.shape[1]), atol=1e-12)


def test_orthogonal_prefers_no_sign() -> None:
    """QR alone would give diagonals of one sign: the draw must be uniform over the orthogonal group."""
    corners = [draw(initializer("orthogonal"), (3, 3), np.random.default_rng(seed))[0, 0] for seed in range(200)]
    assert 70 < sum(corner > 0 for corner in corners) < 130


@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (3, 2, 4, 6), (5, 4, 6)])
def test_fans_are_those_of_keras(shape: tuple[int, ...]) -> None:
    variance = keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    other = keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal")
    keras.utils.set_random_seed(0)
    variance.seed = other.seed = 5
    fan_in, fan_out = compute_fans(shape)
    ratio = np.asarray(variance(shape)) / np.asarray(other(shape))
    np.testing.assert_allclose(ratio, math.sqrt(fan_out / fan_in), rtol=1e-5)


def test_a_name_a_mapping_and_a_pair() -> None:
    bare = FIELD.validate_python("he_normal")
    assert bare == FIELD.validate_python({"name": "he_normal"}) == FIELD.validate_python({"kernel": "he_normal"})
    assert bare.bias.name == "zeros"
    pair = FIELD.validate_python({"kernel": "scaled_normal", "bias": {"name": "normal", "stddev": 0.5}})
    assert (pair.kernel.name, pair.bias.stddev) == ("scaled_normal", 0.5)
    assert FIELD.validate_python(json.loads(json.dumps(plain(pair)))) == pair


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("he_norml", "did you mean 'he_normal'"),
        ({"name": "normal", "sttdev": 1.0}, "sttdev"),
        ({"name": "zeros", "value": 1.0}, "value"),
        ({"name": "normal", "stddev": -1.0}, "greater than or equal to 0"),
        ({"name": "normal", "stddev": float("inf")}, "finite"),
        ({"name": "uniform", "minval": 1.0, "maxval": 0.0}, "above maxval"),
        ({"kernel": "zeros", "bias": "he_normal"}, "needs a kernel"),
        ({"bias": "nrmal"}, "did you mean 'normal'"),
        ("constant", "Field required"),
        (3, "must be the name of an initializer"),
        ({"kernel": {"stddev": 1.0}}, "must be the name of an initializer"),
        ({"name": 3}, "must be the name of an initializer"),
        (None, "must be the name of an initializer"),
    ],
)
def test_impossible_initializers(value: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        FIELD.validate_python(value)


def test_every_bias_initializer_is_one_for_kernels() -> None:
    assert set(BIAS_NAMES) < set(KERNEL_NAMES)


def test_signatures() -> None:
    assert "normal(mean=0.0, stddev=1.0)" in signatures()
    assert "constant(value)" in signatures()
    assert "zeros" in signatures()
    assert len(signatures()) == len(KERNEL_NAMES)


# ---- initial_values on Keras models that dlx did not build ----


def functional(*layers: Any, shape: tuple[int, ...] = (8, 8, 3)) -> Any:
    tensor = start = keras.Input(shape)
    for layer in layers:
        tensor = layer(tensor)
    return keras.Model(start, tensor)


def test_any_keras_layer(generator_for: Any) -> None:
    layers = keras.layers
    model = functional(
        layers.Conv2D(4, 3, name="conv", kernel_initializer="he_normal"),
        layers.DepthwiseConv2D(3, name="depthwise", depthwise_initializer="ones"),
        layers.SeparableConv2D(5, 2, name="separable", pointwise_initializer=keras.initializers.Constant(2.0)),
        layers.BatchNormalization(name="batch", moving_mean_initializer=keras.initializers.Constant(0.5)),
        layers.GroupNormalization(5, name="group"),
        layers.PReLU(name="prelu", alpha_initializer=keras.initializers.Constant(0.25)),
        layers.Dropout(0.5, seed=1),
        layers.Reshape((-1, 5)),
        layers.MultiHeadAttention(2, 3, name="attention") if False else layers.GRU(6, name="gru"),
        layers.Dense(2, name="dense"),
    )
    values = initial_values(model, generator_for)
    # every weight; the state of dropout's generator is no weight
    assert sorted(values) == sorted(weight.path for weight in model.weights)
    assert (values["depthwise/kernel"] == 1).all()
    assert (values["separable/pointwise_kernel"] == 2).all()
    assert values["separable/depthwise_kernel"].std() > 0
    assert (values["batch/moving_mean"] == 0.5).all()
    assert (values["batch/moving_variance"] == 1).all()
    assert (values["batch/gamma"] == 1).all()
    assert not values["batch/beta"].any()
    assert (values["prelu/alpha"] == 0.25).all()
    recurrent = next(value for path, value in values.items() if path.endswith("recurrent_kernel"))
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(6), atol=1e-6)


def test_embedding_and_nested_layers(generator_for: Any) -> None:
    tokens = keras.Input((7,), dtype="int32")
    embedded = keras.layers.Embedding(20, 8, name="embedding")(tokens)
    attended = keras.layers.MultiHeadAttention(2, 4, name="attention")(embedded, embedded)
    inner = keras.Sequential([keras.Input((7, 8)), keras.layers.Dense(3, name="inside")], name="inner")
    values = initial_values(model := keras.Model(tokens, inner(attended)), generator_for)
    assert sorted(values) == sorted(weight.path for weight in model.weights)
    assert 0 < np.abs(values["embedding/embeddings"]).max() <= 0.05
    queries = [value for path, value in values.items() if "query/kernel" in path]
    assert len(queries) == 1


def test_a_layers_draw_does_not_depend_on_its_neighbours(generator_for: Any) -> None:
    def dense(name: str) -> Any:
        return keras.layers.Dense(3, name=name)

    shallow = initial_values(functional(dense("a"), shape=(3,)), generator_for)
    deep = initial_values(functional(dense("b"), dense("a"), shape=(3,)), generator_for)
    assert (shallow["a/kernel"] == deep["a/kernel"]).all()
    assert (deep["a/kernel"] != deep["b/kernel"]).any()


def test_purposes_name_layer_and_variable() -> None:
    asked: list[str] = []

    def generator_for(purpose: str) -> np.random.Generator:
        asked.append(purpose)
        return np.random.default_rng(0)

    initial_values(functional(keras.layers.Dense(3, name="dense_1"), shape=(3,)), generator_for)
    assert asked == ["init/dense_1/kernel", "init/dense_1/bias"]


class Odd(keras.initializers.Initializer):
    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return keras.ops.ones(shape, dtype)


class Subclass(keras.initializers.RandomNormal):
    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return super().__call__(shape, dtype) + 100.0


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (keras.layers.Dense(2, name="strange", kernel_initializer=Odd()), "'strange', kernel.*Odd"),
        (keras.layers.Dense(2, name="strange", kernel_initializer=Subclass()), "'strange', kernel.*Subclass"),
        (keras.layers.Dense(2, name="strange", bias_initializer="orthogonal", use_bias=True), "'strange', bias"),
        (
            keras.layers.Dense(2, name="strange", kernel_initializer=lambda shape, dtype=None: keras.ops.ones(shape)),
            "strange",
        ),
    ],
)
def test_unknown_initializers_name_their_layer(layer: Any, says: str, generator_for: Any) -> None:
    def build() -> Any:
        if "bias" in says:
            layer.bias_initializer = keras.initializers.Zeros()
        model = functional(layer, shape=(2,))
        if "bias" in says:
            layer.bias_initializer = keras.initializers.Orthogonal()
        return model

    with pytest.raises(DlxError, match=says):
        initial_values(build(), generator_for)


def test_variables_without_an_initializer_are_refused(generator_for: Any) -> None:
    class Own(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    with pytest.raises(DlxError, match="'own': how Keras initialises 'scale' of Own"):
        initial_values(functional(Own(name="own"), shape=(2,)), generator_for)


def test_lstms_bias_is_refused(generator_for: Any) -> None:
    with pytest.raises(DlxError, match="bias"):
        initial_values(functional(keras.layers.LSTM(2), shape=(3, 2)), generator_for)


def test_explicit_values(generator_for: Any) -> None:
    model = functional(keras.layers.Dense(2, name="dense"), shape=(3,))
    kernel = [[1, 2], [3, 4], [5, 6.5]]
    values = initial_values(model, generator_for, {("dense", "kernel"): kernel})
    assert values["dense/kernel"].tolist() == kernel
    with pytest.raises(DlxError, match="dense/nothing"):
        initial_values(model, generator_for, {("dense", "nothing"): kernel})
    with pytest.raises(DlxError, match=r"\(3, 2\)"):
        initial_values(model, generator_for, {("dense", "kernel"): [[1.0]]})
