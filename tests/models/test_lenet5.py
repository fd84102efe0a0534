"""LeNet-5 against the figures of the paper (LeCun et al. 1998, section II.B)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from pydantic import ValidationError

from dlx.digit_codes import codes
from dlx.errors import FieldError
from dlx.initializers import initial_values
from dlx.models.lenet5 import C3_TABLE, Spec


def test_original_has_the_papers_parameters_and_connections() -> None:
    network = Spec(variant="original").network((28, 28, 1), 10)
    rows = {row.name: row for row in network.rows()}
    parameters = {name: rows[name].parameters for name in ("C1", "S2", "C3", "S4", "C5", "F6", "output")}
    assert parameters == {"C1": 156, "S2": 12, "C3": 1516, "S4": 32, "C5": 48120, "F6": 10164, "output": 0}
    assert network.trainable_parameters == network.parameters == 60_000
    connections = {name: rows[name].connections for name in parameters}
    assert connections == {
        "C1": 122_304, "S2": 5_880, "C3": 151_600, "S4": 2_000, "C5": 48_120, "F6": 10_164, "output": 840,
    }  # fmt: skip
    assert network.connections == 340_908


def test_modern_has_61706_parameters() -> None:
    network = Spec().network((28, 28, 1), 10)
    assert [row.parameters for row in network.rows() if row.parameters] == [156, 2416, 48120, 10164, 850]
    assert network.parameters == network.trainable_parameters == 61_706
    # by hand: C1 28² · 25 · 6, C3 10² · 25 · 6 · 16, C5 400 · 120, F6 120 · 84, output 84 · 10
    assert network.multiply_adds == 117_600 + 240_000 + 48_000 + 10_080 + 840


def test_c3_table_is_the_papers() -> None:
    """Six maps see three neighbours, six see four, three see four apart, one sees all; each map is seen ten times."""
    assert [len(sources) for sources in C3_TABLE] == [3] * 6 + [4] * 9 + [6]
    assert len({frozenset(sources) for sources in C3_TABLE}) == 16
    assert [sum(source in sources for sources in C3_TABLE) for source in range(6)] == [10] * 6


def circular_gaps(sources: tuple[int, ...]) -> list[int]:
    return sorted((after - before) % 6 for before, after in zip(sources, (*sources[1:], sources[0]), strict=True))


def test_c3_neighbours() -> None:
    assert all(circular_gaps(sources) == [1, 1, 4] for sources in C3_TABLE[:6])
    assert all(circular_gaps(sources) == [1, 1, 1, 3] for sources in C3_TABLE[6:12])
    assert all(circular_gaps(sources) == [1, 1, 2, 2] for sources in C3_TABLE[12:15])


@pytest.fixture(scope="module")
def original() -> Any:
    return Spec(variant="original").build((28, 28, 1), 10)


def test_partial_convolution_equals_one_convolution_per_map(original: Any, images: Any) -> None:
    layer = original.get_layer("C3")
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(5, 5, 60)).astype("float32"), rng.normal(size=16).astype("float32")
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
    inputs = images(2, 14, 14, 6)
    wanted = np.zeros((2, 10, 10, 16))
    pair = 0
    for target, sources in enumerate(C3_TABLE):
        for source in sources:
            for row in range(10):
                for column in range(10):
                    window = inputs[:, row : row + 5, column : column + 5, source]
                    wanted[:, row, column, target] += (window * kernel[..., pair]).sum(axis=(1, 2))
            pair += 1
    np.testing.assert_allclose(layer(inputs), wanted + bias, rtol=1e-4, atol=1e-4)


def test_trainable_pooling_sums_scales_and_shifts(original: Any, images: Any) -> None:
    layer = original.get_layer("S2")
    coefficient, bias = np.arange(6) / 4.0, np.arange(6.0) - 3.0
    layer.coefficient.assign(coefficient)
    layer.bias.assign(bias)
    inputs = images(2, 28, 28, 6)
    sums = inputs[:, ::2, ::2] + inputs[:, 1::2, ::2] + inputs[:, ::2, 1::2] + inputs[:, 1::2, 1::2]
    np.testing.assert_allclose(layer(inputs), sums * coefficient + bias, rtol=1e-5, atol=1e-5)


def test_scaled_tanh() -> None:
    from dlx.keras_layers import scaled_tanh

    # 1.7159 · tanh(2/3) = 1.0000: the paper chose the constants so that f(±1) = ±1
    np.testing.assert_allclose(scaled_tanh(np.array([-1.0, 0.0, 1.0], "float32")), [-1.0, 0.0, 1.0], atol=1e-4)
    np.testing.assert_allclose(scaled_tanh(np.array([50.0], "float32")), [1.7159], rtol=1e-6)


def test_output_is_the_distance_to_the_digits_pictures(original: Any) -> None:
    pictures = np.asarray(codes(10))
    assert pictures.shape == (10, 84)
    assert set(np.unique(pictures)) == {-1.0, 1.0}
    logits = np.asarray(original.get_layer("output")(pictures.astype("float32")))
    np.testing.assert_allclose(logits, -((pictures[:, None] - pictures[None]) ** 2).mean(axis=-1), rtol=1e-6)
    assert (logits.argmax(axis=1) == np.arange(10)).all()
    assert original.get_layer("output").weights == []


def test_initial_weights_are_the_papers(original: Any, generator_for: Any) -> None:
    """U(±2.4/F), F the inputs of the unit: nearly reached, never passed."""
    values = initial_values(original, generator_for)
    fans = np.concatenate([[25 * len(sources)] * len(sources) for sources in C3_TABLE])
    for scaled in (
        values["C1/kernel"] * 25,
        values["C3/kernel"] * fans,
        values["C5/kernel"] * 400,
        values["F6/kernel"] * 120,
        values["S4/coefficient"] * 4,
    ):
        assert np.abs(scaled).max() <= 2.4 + 1e-5
        assert np.abs(scaled).max() > 1.9
    assert not values["C3/bias"].any()


def test_partial_kernel_has_the_spread_of_each_units_inputs(generator_for: Any) -> None:
    model = Spec(variant="original", initializer="scaled_normal").build((28, 28, 1), 10)
    draws = [
        initial_values(model, lambda p, s=seed: np.random.default_rng([s, len(p)]))["C3/kernel"] for seed in range(40)
    ]
    first = 0
    for sources in C3_TABLE:
        own = np.stack(draws)[..., first : first + len(sources)]
        assert own.var() * 25 * len(sources) == pytest.approx(1.0, abs=6 * np.sqrt(2 / own.size))
        first += len(sources)


def test_gradients_reach_every_weight(original: Any, images: Any) -> None:
    import tensorflow as tf

    labels = np.arange(4)
    with tf.GradientTape() as tape:
        logits = original(images(4, 28, 28, 1))
        loss = keras.ops.mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
    gradients = tape.gradient(loss, [variable.value for variable in original.trainable_variables])
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.parametrize(
    ("fields", "shape", "outputs", "path", "says"),
    [
        ({"variant": "original"}, (28, 28, 3), 10, ("variant",), "28x28x3"),
        ({"variant": "original"}, (28, 28, 1), 11, ("variant",), "ten classes"),
        ({}, (11, 28, 1), 10, (), "12x12"),
        ({}, (784,), 10, (), "images"),
    ],
)
def test_unsuitable_data(fields: Any, shape: Any, outputs: int, path: Any, says: str) -> None:
    with pytest.raises(FieldError, match=says) as caught:
        Spec(**fields).network(shape, outputs)
    assert caught.value.path == path


def test_original_pools_its_own_way() -> None:
    with pytest.raises(ValidationError, match="trainable"):
        Spec(variant="original", pooling="max")
