"""Samples of a machine against its exact distribution; no backend is needed for them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from dlx.machine import Machine
from dlx.sampling import BeliefNet, sheet
from tests.stages.test_boltzmann import joint, numbers, states


class Net(BeliefNet):
    """Machines without a trial."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (len(self.layers[0].visible_bias),)


def layer(values: dict[str, np.ndarray]) -> Machine:
    parameters = (values[name].astype(float) for name in ("kernel", "bias", "visible_bias"))
    return Machine(*parameters, "binary", "binary")


def net(*values: dict[str, np.ndarray]) -> Any:
    return Net(None, tuple(map(layer, values)))  # type: ignore[arg-type]


def test_the_means_are_those_of_the_distribution() -> None:
    values = numbers(np.random.default_rng(0))
    probabilities = np.exp(joint(values))
    exact = (probabilities.sum(axis=1) / probabilities.sum()) @ states(4)
    found = net(values).draw(20_000, 30, seed=1)
    assert found.shape == (20_000, 4)
    assert found.mean(axis=0) == pytest.approx(exact, abs=0.01)
    assert np.array_equal(found, net(values).draw(20_000, 30, seed=1))


def test_a_belief_net_goes_down_from_the_topmost_machine() -> None:
    rng = np.random.default_rng(2)
    low, high = numbers(rng, visible=4, hidden=3), numbers(rng, visible=3, hidden=2)
    probabilities = np.exp(joint(high))
    tops = probabilities.sum(axis=1) / probabilities.sum()
    given = 1 / (1 + np.exp(-(states(3) @ low["kernel"].T + low["visible_bias"])))
    assert net(low, high).draw(20_000, 30, seed=3).mean(axis=0) == pytest.approx(tops @ given, abs=0.01)


def test_chains_may_begin_at_examples() -> None:
    values = numbers(np.random.default_rng(4))
    start = np.tile([1.0, 0.0, 1.0, 0.0], (30_000, 1))
    hidden = 1 / (1 + np.exp(-(start[:1] @ values["kernel"] + values["bias"])))[0]
    weights = np.prod(np.where(states(3) == 1, hidden, 1 - hidden), axis=1)
    means = 1 / (1 + np.exp(-(states(3) @ values["kernel"].T + values["visible_bias"])))
    found = net(values).draw(30_000, 1, seed=5, start=start)
    assert found.mean(axis=0) == pytest.approx(weights @ means, abs=0.01)


def test_a_unit_that_is_certain_is_no_warning() -> None:
    machine = Machine(np.array([[2000.0, -2000.0]]), np.zeros(2), np.zeros(1), "binary", "binary")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert machine.up(np.ones((1, 1))).tolist() == [[1.0, 0.0]]


def test_the_sheet() -> None:
    page = sheet(np.stack([np.zeros((2, 3, 1)), np.ones((2, 3, 1)), np.full((2, 3, 1), 0.5)]), 2, 0.0, 1.0)
    assert page.shape == (5, 7, 1)
    assert page[0, 0, 0] == 0 and page[0, 4, 0] == 255 and page[3, 0, 0] == 128
