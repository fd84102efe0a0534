"""Probes, their numbers and rows, against NumPy; each definition has a test that fails when it is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dlx.every import Every
from dlx.probes import LayerParameters, Moment
from dlx.probes.activations import Spec as Activations
from dlx.probes.gradients import Spec as Gradients
from dlx.training.program import Program
from tests.training.backpropagation import Perceptron, sigmoid
from tests.training.made import made_splits, mlp, start, supervised

MakeProgram = Callable[..., Program]


def watched(model: Any, limits: dict[str, tuple[float, float]]) -> Any:
    import keras

    outputs = {
        name: model.get_layer(name.replace("dense", "act")).output
        for name in ("dense_1", "dense_2")
        if name.replace("dense", "act") in {layer.name for layer in model.layers}
    }
    return supervised(
        model, keras.optimizers.SGD(0.1), nonlinearities={**outputs, "output": model.output}, limits=limits
    )


def table(probe: Any, program: Program, layers: tuple[LayerParameters, ...], **more: Any) -> list[dict[str, Any]]:
    moment = Moment("train", 3, 15, layers, **more)
    (rows,) = probe.rows(program.measure(probe), moment).values()
    (columns,) = probe.tables(None).values()
    assert all(set(row) <= set(columns) for row in rows)
    return rows


LAYERS = tuple(
    LayerParameters(number, name, (("kernel", 2 * number - 2), ("bias", 2 * number - 1)), limits)
    for number, name, limits in ((1, "dense_1", (0.0, 1.0)), (2, "dense_2", (0.0, 1.0)), (3, "output", (0.0, 1.0)))
)


def test_distribution_and_saturation_of_bounded_units(program: MakeProgram) -> None:
    splits = made_splits(train=50)
    limits = dict.fromkeys(("dense_1", "dense_2", "output"), (0.0, 1.0))
    made = program(lambda: watched(mlp(splits, 7, 6), limits), splits)
    values = {name: 4 * value for name, value in start(made).items()}  # large weights: much is saturated
    made.load(values, 0)
    rows = table(Activations(sample=31), made, LAYERS)

    net = Perceptron.of(list(values.values()))
    inputs = splits.scaling.apply(splits.train.arrays[0][:31]).astype(np.float64)
    hidden, probabilities = net.probabilities(inputs)
    expected = [*hidden[1:], probabilities]
    assert [row["name"] for row in rows] == ["dense_1", "dense_2", "output"]
    assert [(row["stage"], row["epoch"], row["step"], row["layer"]) for row in rows] == [
        ("train", 3, 15, n) for n in (1, 2, 3)
    ]
    for row, output in zip(rows, expected, strict=True):
        np.testing.assert_allclose([row["mean"], row["std"]], [output.mean(), output.std()], rtol=1e-5)
        near = np.mean((output < 0.05) | (output > 0.95))
        assert row["saturated"] == pytest.approx(near, abs=1e-6)
        assert row["dead"] == 0.0
    wider = [np.mean((output < 0.10) | (output > 0.90)) for output in expected]
    assert [row["saturated"] for row in rows] != pytest.approx(wider)  # this can tell one threshold from another


def test_saturation_is_relative_to_the_range(program: MakeProgram) -> None:
    splits = made_splits(train=50)
    made = program(lambda: watched(mlp(splits, 7, activation="tanh"), {"dense_1": (-1.0, 1.0)}), splits)
    layers = (LayerParameters(1, "dense_1", (("kernel", 0), ("bias", 1)), (-1.0, 1.0)),)
    values = {name: 2 * value for name, value in start(made).items()}
    made.load(values, 0)
    (row,) = table(Activations(sample=50), made, layers)
    kernel, bias = list(values.values())[:2]
    output = np.tanh(splits.scaling.apply(splits.train.arrays[0]) @ kernel + bias)
    near = np.mean(np.abs(output) > 0.9)  # 5 % of a range of 2, from either side
    assert near > 0
    assert row["saturated"] == pytest.approx(near, abs=1e-6)


def test_units_that_are_zero_for_every_example_are_dead(program: MakeProgram) -> None:
    splits = made_splits(train=50)
    made = program(lambda: watched(mlp(splits, 8, activation="relu"), {}), splits)
    values = start(made)
    values["dense_1/bias"][:3] = -100.0
    made.load(values, 0)
    layers = (LayerParameters(1, "dense_1", (("kernel", 0), ("bias", 1)), None),)
    (row,) = table(Activations(sample=50), made, layers)
    output = np.maximum(
        splits.scaling.apply(splits.train.arrays[0]) @ values["dense_1/kernel"] + values["dense_1/bias"], 0
    )
    dead = np.mean(~(output != 0).any(axis=0))
    assert dead >= 3 / 8
    assert dead < np.mean(output == 0)  # being zero for some examples is not being dead
    assert row["dead"] == pytest.approx(dead)
    assert row["saturated"] is None


def test_a_feature_map_is_dead_when_it_is_zero_everywhere(program: MakeProgram) -> None:
    from tests.training.made import cnn

    splits = made_splits(shape=(6, 6, 1), train=20)

    def build() -> Any:
        model = cnn(splits)
        import keras

        return supervised(model, keras.optimizers.SGD(0.1), nonlinearities={"conv_1": model.get_layer("act_1").output})

    made = program(build, splits)
    values = start(made)
    values["norm_1/beta"] = np.array([-100, 1, 1, -100], np.float32)
    made.load(values, 0)
    layers = (LayerParameters(1, "conv_1", (("kernel", 0),), None),)
    (row,) = table(Activations(sample=20), made, layers)
    assert row["dead"] == 0.5


def test_update_ratios_are_of_the_last_step_and_the_weights_before_it(program: MakeProgram) -> None:
    splits = made_splits(train=30)
    made = program(lambda: watched(mlp(splits, 7, 6), {}), splits, 10)
    made.begin_epoch(np.arange(30, dtype=np.int32), 0)
    made.run(0, 2)
    before = [value.astype(np.float64) for value in made.weights().values()]
    made.run(2, 3)
    after = [value.astype(np.float64) for value in made.weights().values()]
    numbers = made.end_epoch()
    rows = table(
        Gradients(sample=20, sources=("train",)),
        made,
        LAYERS,
        gradient_norms=numbers.gradient_norms["model"],
        moves=numbers.moves["model"],
    )
    deltas = [np.linalg.norm(new - old) for new, old in zip(after, before, strict=True)]
    norms = [np.linalg.norm(old) for old in before]
    for number in (1, 2, 3):
        layer = {row["parameter"]: row for row in rows if row["layer"] == number}
        parts = slice(2 * number - 2, 2 * number)
        expected = np.divide(deltas[parts], norms[parts])
        np.testing.assert_allclose([layer[p]["update_ratio"] for p in ("kernel", "bias")], expected, rtol=1e-3)
        together = np.linalg.norm(deltas[parts]) / np.linalg.norm(norms[parts])
        np.testing.assert_allclose(layer["all"]["update_ratio"], together, rtol=1e-3)
        np.testing.assert_allclose(
            layer["all"]["weight_norm"], np.linalg.norm([np.linalg.norm(v) for v in after[parts]]), rtol=1e-5
        )
        np.testing.assert_allclose(
            layer["all"]["grad_norm"], np.linalg.norm(numbers.gradient_norms["model"][parts]), rtol=1e-6
        )
    assert {row["source"] for row in rows} == {"train"}


def test_a_variable_of_norm_zero_has_no_update_ratio(program: MakeProgram) -> None:
    splits = made_splits(train=10)
    made = program(lambda: watched(mlp(splits, 7, 6), {}), splits, 10)
    values = start(made)
    values["dense_2/bias"][:] = 0
    made.load(values, 0)
    made.begin_epoch(np.arange(10, dtype=np.int32), 0)
    made.run(0, 1)
    numbers = made.end_epoch()
    moment = {"gradient_norms": numbers.gradient_norms["model"], "moves": numbers.moves["model"]}
    rows = table(Gradients(), made, LAYERS, **moment)
    ratios = {(r["layer"], r["parameter"], r["source"]): r["update_ratio"] for r in rows}
    assert ratios[2, "bias", "train"] is None
    assert ratios[2, "kernel", "train"] > 0
    assert all(ratio is None for (_, _, source), ratio in ratios.items() if source == "probe")


def test_rows_of_both_sources_stand_layer_by_layer(program: MakeProgram) -> None:
    splits = made_splits(train=20)
    made = program(lambda: watched(mlp(splits, 7, 6), {}), splits)
    rows = table(Gradients(), made, LAYERS, gradient_norms=(1.0,) * 6, moves=((0.5, 2.0),) * 6)
    keys = [(row["layer"], row["source"], row["parameter"]) for row in rows]
    parameters = ("kernel", "bias", "all")
    assert keys == [(n, source, p) for n in (1, 2, 3) for source in ("probe", "train") for p in parameters]
    assert Gradients(every=Every(2, "epochs")).watches_steps
    assert not Gradients(sources=("probe",)).watches_steps


def test_gradients_of_single_units_are_those_of_backpropagation_by_hand(program: MakeProgram) -> None:
    splits = made_splits(train=20)
    made = program(lambda: watched(mlp(splits, 7, 6), {}), splits)
    probe = Gradients(sample=15, units=6)
    written = probe.rows(made.measure(probe), Moment("train", 3, 15, LAYERS))
    rows = written["gradient_units"]
    inputs, labels = splits.scaling.apply(splits.train.arrays[0][:15]), splits.train.arrays[1][:15]
    expected = Perceptron.of(list(start(made).values())).gradients(inputs.astype(np.float64), labels)
    assert [(row["layer"], row["unit"]) for row in rows] == [
        (layer, unit) for layer, units in ((1, 6), (2, 6), (3, 3)) for unit in range(units)
    ]
    assert all(set(row) == set(probe.tables(None)["gradient_units"]) for row in rows)
    for row in rows:
        kernel, bias = expected[2 * row["layer"] - 2 : 2 * row["layer"]]
        assert row["bias_grad"] == pytest.approx(bias[row["unit"]], rel=1e-4, abs=1e-8)
        assert row["kernel_grad_norm"] == pytest.approx(np.linalg.norm(kernel[:, row["unit"]]), rel=1e-4)
    assert min(row["bias_grad"] for row in rows) < 0  # the sign is kept


def test_units_without_a_bias_and_kernels_that_are_not_arranged_by_unit(program: MakeProgram) -> None:
    splits = made_splits(train=20)
    made = program(lambda: watched(mlp(splits, 7, 6), {}), splits)
    probe = Gradients(sample=15, units=2)
    layers = (
        LayerParameters(1, "dense_1", (("kernel", 0),), None),
        LayerParameters(2, "dense_2", (("kernel", 2), ("bias", 5)), None),  # 6 columns for 3 units
    )
    rows = probe.rows(made.measure(probe), Moment("train", 0, 0, layers))["gradient_units"]
    assert [row["bias_grad"] is None for row in rows] == [True, True, False, False]
    assert [row["kernel_grad_norm"] is None for row in rows] == [False, False, True, True]
    with pytest.raises(ValueError, match="probe is missing"):
        Gradients(units=2, sources=("train",))


def test_the_sigmoid_of_the_reference_is_one() -> None:
    # The reference itself is held against finite differences, so that two routes cannot share a mistake.
    rng = np.random.default_rng(0)
    net = Perceptron.of([rng.normal(size=s) for s in ((4, 3), (3,), (3, 2), (2,))])
    inputs, labels = rng.normal(size=(5, 4)), rng.integers(0, 2, 5)
    for value, gradient in zip(net.parameters(), net.gradients(inputs, labels), strict=True):
        for index in np.ndindex(*value.shape):
            kept, sides = value[index], []
            for step in (1e-6, -1e-6):
                value[index] = kept + step
                sides.append(net.loss(inputs, labels).mean())
            value[index] = kept
            assert gradient[index] == pytest.approx((sides[0] - sides[1]) / 2e-6, rel=1e-5, abs=1e-9)
    assert sigmoid(np.array(0.0)) == 0.5
