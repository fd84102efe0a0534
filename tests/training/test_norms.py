"""Norms whose squares float32 cannot hold, against NumPy in float64; on every engine (``DLX_ENGINE``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlx.norms import norm
from dlx.probes.gradients import Spec as Gradients
from tests.training.conftest import ENGINE
from tests.training.made import made_splits, mlp, start, supervised, train
from tests.training.test_engine import MakeProgram, reference, sgd
from tests.training.test_packs import EPOCHS, WHOLE, dense, initial, order, packed, trained_together

RANGE = (1.2e-38, 1e-30, 1e-23, 3e-20, 1e-12, 1.0, 1e15, 2e19, 1e30, 1e37)
"""From the smallest float32 that is not flushed to zero to where a norm of a few of them still is a float32."""


def test_norms_are_those_of_float64() -> None:
    values = (np.random.default_rng(0).uniform(1, 5, (7, len(RANGE))) * RANGE).astype(np.float32)
    expected = np.sqrt(np.square(values.astype(np.float64)).sum(axis=0))
    np.testing.assert_allclose(np.asarray(norm(values, [0])), expected, rtol=1e-6)
    np.testing.assert_allclose([float(norm(column)) for column in values.T], expected, rtol=1e-6)


def test_a_norm_of_nothing_of_no_number_and_of_what_is_infinite() -> None:
    found = norm(np.array([[0, 0], [np.nan, 1e-30], [np.inf, 1], [-0.0, 3e-30]], np.float32).T, [0])
    np.testing.assert_allclose(np.asarray(found), [0, np.nan, np.inf, 3e-30], rtol=1e-6)


def test_ordinary_norms_keep_their_bytes() -> None:
    import keras

    values = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    plain = keras.ops.sqrt(keras.ops.sum(keras.ops.square(values)))
    assert np.asarray(norm(values)).tobytes() == np.asarray(plain).tobytes()


@pytest.mark.parametrize(
    "class_weights",
    [(1e-33, 2e-33, 3e-33), (1e34, 1e33, 1e32), (1e22, 1.0, 1e-22)],
    ids=["small", "large", "everything"],
)
def test_gradients_of_any_size_are_those_of_backpropagation_by_hand(
    program: MakeProgram, class_weights: tuple[float, ...]
) -> None:
    """The weights of a loss are those of its gradient: here they alone make it small or large."""
    splits = made_splits()
    build = lambda: supervised(mlp(splits, 5, 4), sgd(0.0), class_weights=list(class_weights))  # noqa: E731
    trained = program(build, splits, batch_size=1)
    net, inputs, labels = reference(trained)
    by_example = [
        [class_weights[labels[at]] * gradient for gradient in net.gradients(inputs[[at]], labels[[at]])]
        for at in range(len(labels))
    ]
    norms = np.array([[np.linalg.norm(gradient) for gradient in gradients] for gradients in by_example])

    (numbers,) = train(trained)
    root_mean_square = np.sqrt(np.square(norms).mean(axis=0))
    np.testing.assert_allclose(numbers.gradient_norms["model"], root_mean_square, rtol=1e-5)

    mean = [np.linalg.norm(np.mean(gradients, axis=0)) for gradients in zip(*by_example, strict=True)]
    np.testing.assert_allclose(trained.measure(Gradients(sample=len(labels)))["gradient"], mean, rtol=1e-5)


def test_moves_and_weights_of_any_size(program: MakeProgram) -> None:
    """Of a first kernel that is tiny, at a rate at which it moves by less."""
    splits = made_splits()
    trained = program(lambda: supervised(mlp(splits, 5, 4), sgd(1e-22)), splits)
    values = start(trained)
    first = next(path for path in values if path.endswith("dense_1/kernel"))
    trained.load(values | {first: values[first] * np.float32(1e-21)}, 0)
    trained.begin_epoch(order(0, 0, trained.examples), 0)
    trained.run(0, trained.steps - 1)
    before = trained.weights()[first].astype(np.float64)
    trained.run(trained.steps - 1, trained.steps)
    after = trained.weights()[first].astype(np.float64)
    expected = np.linalg.norm(after - before), np.linalg.norm(before)
    assert 0 < expected[0] < 1e-22
    np.testing.assert_allclose(trained.end_epoch().moves["model"][0], expected, rtol=1e-5)
    weight = trained.measure(Gradients(sample=10))["weight"][0]
    np.testing.assert_allclose(weight, np.linalg.norm(after), rtol=1e-5)


@pytest.mark.skipif(ENGINE != "jax", reason="packs are of the JAX engine")
def test_a_lane_with_small_gradients_changes_nothing_in_its_neighbour(engine: Any) -> None:
    splits = made_splits(train=WHOLE)
    builds: list[Callable[[], Any]] = [dense(0.0, 0.0)] * 2

    def norms(shrunk: dict[int, float]) -> tuple[np.ndarray, ...]:
        pack = packed(builds, splits)
        given = {lane: initial(stage, lane) for lane, stage in enumerate(pack.stages)}
        for lane, factor in shrunk.items():
            given[lane] |= {path: factor * v for path, v in given[lane].items() if path.endswith("output/kernel")}
        pack.load_lanes({lane: (values, lane) for lane, values in given.items()})
        together = trained_together(pack)
        return tuple(np.array([n.gradient_norms["model"] for n in numbers]) for numbers in together)

    ordinary, other = norms({})
    beside_small, small = norms({1: np.float32(2.0**-80)})
    assert beside_small.tobytes() == ordinary.tobytes()
    assert 0 < small[:, 0].max() < 1e-20 < other[:, 0].max()

    alone = engine.compile(builds[1](), 8, watch=True)
    alone.attach(splits)
    values = initial(alone.stage, 1)
    values |= {path: np.float32(2.0**-80) * v for path, v in values.items() if path.endswith("output/kernel")}
    alone.load(values, 1)
    for epoch in range(EPOCHS):
        alone.begin_epoch(order(1, epoch, alone.examples), epoch * alone.steps)
        alone.run(0, alone.steps)
        np.testing.assert_allclose(small[epoch], alone.end_epoch().gradient_norms["model"], rtol=1e-5)
