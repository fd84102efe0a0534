"""``parameters``: the widest network within a budget, found by trying them all; skip connections, computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlx.errors import FieldError, SpecError
from dlx.models import registry
from dlx.spec import load_text

MLP, CNN = registry.get("mlp"), registry.get("cnn")


@pytest.mark.parametrize("budget", [800, 2_413, 25_000, 103_000])
@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("more", [{}, {"normalization": "batch", "use_bias": False}], ids=["plain", "batch"])
def test_the_widest_perceptron_within_the_budget(budget: int, depth: int, more: dict[str, Any]) -> None:
    found = MLP(depth=depth, parameters=budget, **more).network((28, 28, 1) if budget > 10_000 else (8, 8, 1), 10)
    shape = found.input.shape
    counts = [MLP(depth=depth, width=width, **more).network(shape, 10).parameters for width in range(1, 400)]
    expected = max(width for width, count in enumerate(counts, start=1) if count <= budget)
    widths = {row.output_shape for row in found.rows() if row.type == "Dense" and row.name != "output"}
    assert widths == {(expected,)}
    assert found.parameters == counts[expected - 1] <= budget < counts[expected]


def test_the_same_budget_at_every_depth() -> None:
    spec = "model: {name: mlp, parameters: 25000}\nsweep: {model.depth: [1, 2, 3, 4, 8]}"
    trials = load_text(spec).trials
    counts = [trial.setting.network().parameters for trial in trials]
    assert all(0.97 * 25_000 < count <= 25_000 for count in counts)
    assert len({trial.setting.network().rows()[1].output_shape for trial in trials}) == 5


@pytest.mark.parametrize("budget", [700, 5_000, 25_000, 600_000])
def test_the_widest_convolutions_within_the_budget_in_their_proportions(budget: int) -> None:
    blocks = [{"filters": 8, "pool": "max"}, {"filters": 16, "pool": "max"}]
    found = CNN(blocks=blocks, dense=[32], parameters=budget).network((16, 16, 3), 10)

    def of(width: int) -> Any:
        # Rounded halves go up: 8/32 of 6 is 1.5 and so 2.
        first, second = (max(1, int(width * share + 0.5)) for share in (0.25, 0.5))
        wide = [{"filters": first, "pool": "max"}, {"filters": second, "pool": "max"}]
        return CNN(blocks=wide, dense=[width]).network((16, 16, 3), 10)

    counts = [of(width).parameters for width in range(1, 300)]
    expected = max(width for width, count in enumerate(counts, start=1) if count <= budget)
    assert [row.output_shape for row in found.rows()] == [row.output_shape for row in of(expected).rows()]
    assert found.parameters == counts[expected - 1] <= budget < counts[expected]


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (
            "{name: mlp, depth: 0, parameters: 25000}",
            r"model\.parameters: at depth 0 there is no width to choose.* 650",
        ),
        ("{name: mlp, parameters: 50}", r"model\.parameters: 50 are too few: the narrowest such network has 85"),
        ("{name: mlp, parameters: 500, width: 3}", "parameters and width are both given"),
        ("{name: mlp, parameters: 500, hidden: [3]}", "hidden and parameters are both given"),
        ("{name: mlp, parameters: 0}", r"model\.parameters: must be a whole number ≥ 1"),
        ("{name: cnn, parameters: 500, blocks: [{pool: max}], dense: []}", "neither filters nor dense layers"),
        ("{name: cnn, parameters: 20}", "20 are too few: the narrowest such network has 45"),
        (
            "{name: cnn, blocks: [{filters: 2, skip: 2}]}",
            r"blocks\[0\]\.skip: reaches back over 2 blocks, and this is num",
        ),
        ("{name: cnn, blocks: [{pool: max, skip: 1}]}", r"blocks\[0\]: skip without filters"),
        (
            "{name: cnn, blocks: [{filters: 2, padding: valid, kernel: 4, skip: 1}]}",
            r"blocks\[0\]\.skip: no step takes images from 8x8 to 5x5",
        ),
    ],
)
def test_what_cannot_be_is_said(model: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        load_text(f"model: {model}\n")


def test_a_budget_is_another_trial_and_networks_without_one_are_the_same_as_before() -> None:
    def ids(model: str) -> str:
        return load_text(f"model: {model}\n").trials[0].id

    assert ids("{name: mlp}") == ids("{name: mlp, parameters: null}") != ids("{name: mlp, parameters: 2260}")
    assert ids("cnn") == ids("{name: cnn, parameters: null}")
    with pytest.raises(FieldError):
        MLP(depth=0, parameters=9).network((4,), 2)


def test_a_skip_connection_adds_what_went_into_the_block() -> None:
    import keras

    spec = CNN(
        blocks=[{"filters": 2}, {"filters": 3, "stride": 2, "skip": 2}, {"filters": 3, "skip": 1}],
        dense=[],
        activation="tanh",
    )
    model = spec.build((6, 6, 2), 4)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    images = rng.normal(size=(3, 6, 6, 2)).astype(np.float32)

    def layer(name: str, values: Any) -> Any:
        return np.asarray(model.get_layer(name)(values))

    first = np.tanh(layer("conv_1", images))
    shortcut = images[:, ::2, ::2] @ np.asarray(model.get_layer("skip_2").kernel)[0, 0]
    shortcut = shortcut + np.asarray(model.get_layer("skip_2").bias)
    second = np.tanh(layer("conv_2", first) + shortcut)
    third = np.tanh(layer("conv_3", second) + second)
    expected = layer("output", third.reshape(3, -1))
    np.testing.assert_allclose(np.asarray(model(images)), expected, rtol=1e-4, atol=1e-5)

    from dlx.keras_graph import nonlinearities

    seen = {name: found.tensor for name, found in nonlinearities(model).items()}
    outputs = keras.Model(model.input, seen)(images)
    np.testing.assert_allclose(np.asarray(outputs["conv_2"]), second, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(outputs["conv_3"]), third, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(outputs["skip_2"]), shortcut, rtol=1e-4, atol=1e-5)
