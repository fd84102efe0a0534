"""GoogLeNet and its auxiliary classifiers: learned from, and no part of what predicts."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest

from dlx.errors import FieldError
from dlx.initializers import initial_values
from dlx.keras_graph import kernel_layers
from dlx.losses import get
from dlx.metrics import Metrics
from dlx.models import registry
from dlx.randomness import generator
from dlx.stages import Batch
from dlx.stages.supervised import Supervised
from tests.models.agreement import assert_same

SIZE, CLASSES, WEIGHT = 65, 4, 0.3


@pytest.fixture(scope="module")
def spec() -> Any:
    # Without dropout: what training computes is then what inference computes.
    return registry.get("googlenet")(auxiliary=WEIGHT, dropout=0.0, auxiliary_dropout=0.0)


@pytest.fixture(scope="module")
def model(spec: Any) -> Any:
    model = assert_same(spec, (SIZE, SIZE, 3), CLASSES)
    values = initial_values(model, partial(generator, 0))
    for weight in model.weights:
        weight.assign(values[weight.path])
    return model


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(0)
    return Batch(rng.random((3, SIZE, SIZE, 3), dtype=np.float32), np.array([0, 1, 3], np.int32))


def test_counts_are_the_published_ones(spec: Any) -> None:
    network = registry.get("googlenet")().network((224, 224, 3), 1000)
    assert network.parameters == 6_998_552
    assert network.parameters + network.auxiliary_parameters == 13_378_280
    assert network.multiply_adds == 1_582_671_872
    alone = registry.get("googlenet")(auxiliary=0.0).network((224, 224, 3), 1000)
    assert (alone.parameters, alone.auxiliary_parameters) == (6_998_552, 0)


def test_auxiliary_layers_have_no_number(spec: Any, model: Any) -> None:
    network = spec.network((SIZE, SIZE, 3), CLASSES)
    without = registry.get("googlenet")(auxiliary=0.0).network((SIZE, SIZE, 3), CLASSES)
    assert network.layer_numbers() == without.layer_numbers()
    numbered = [layer.name for _, layer, _ in kernel_layers(model)]
    assert numbered[: len(numbered) - 6] == [node.layer.name for node in network.kernel_layers() if node.layer]
    assert all(name.startswith("auxiliary_") for name in numbered[-6:])


def test_their_weighted_losses_are_what_is_descended_and_nothing_else(model: Any, batch: Batch) -> None:
    import tensorflow as tf

    loss = get("cross_entropy")
    stage = Supervised(
        model, loss, "softmax", Metrics("classification", CLASSES, "softmax"), keras.optimizers.SGD(0.1),
        auxiliary=(WEIGHT, WEIGHT),
    )  # fmt: skip
    groups = {"model": [variable.value for variable in stage.groups["model"].variables]}
    state = [variable.value for variable in stage.state]
    crossed = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        logits = model(batch.inputs)
        expected = crossed(batch.targets, logits[0]) + WEIGHT * sum(crossed(batch.targets, one) for one in logits[1:])
    gradients = tape.gradient(expected, groups["model"])

    def differentiate(function: Any, values: Any) -> Any:
        with tf.GradientTape() as inner:
            watched = [tf.identity(value) for value in values]
            inner.watch(watched)
            value, more = function(watched)
        return (value, more), inner.gradient(value, watched)

    result = stage.step(groups, state, batch, None, differentiate)
    np.testing.assert_allclose(float(stage.loss(groups, state, batch)), float(expected), rtol=1e-5)
    for variable, found, wanted in zip(model.trainable_variables, result.updates["model"], gradients, strict=True):
        norm = float(tf.norm(found))
        assert np.isfinite(norm), variable.path
        assert norm > 0 or not variable.path.endswith("kernel"), variable.path
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-6, err_msg=variable.path)
    # The tables have the loss of what predicts.
    own = float(crossed(batch.targets, logits[0])) * len(batch.targets)
    np.testing.assert_allclose(float(result.sums["loss"]), own, rtol=1e-5)
    assert stage.predict(groups, state, batch.inputs)["values"].shape == (3, CLASSES)


def test_the_smallest_image() -> None:
    with pytest.raises(FieldError, match="at least 65x65.*dataset.resize: 65"):
        registry.get("googlenet")().network((64, 64, 3), CLASSES)
    registry.get("googlenet")(auxiliary=0.0).network((32, 32, 3), CLASSES)
