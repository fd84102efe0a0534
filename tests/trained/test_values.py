"""``values.csv`` of a small network against backpropagation by hand, number by number, step by step."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from dlx.errors import SpecError
from dlx.spec import load_text
from tests.trained.conftest import Train
from tests.training.backpropagation import Perceptron

INPUTS = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
LABELS = [0, 1, 1, 0]
XOR = f"""\
dataset: {{name: arrays, inputs: {INPUTS}, labels: {LABELS}, validation: 0, scaling: none}}
model: {{name: mlp, depth: 2, width: 3, activation: sigmoid, initializer: {{kernel: normal, bias: normal}}}}
training: {{epochs: 5, batch_size: full, optimizer: {{name: sgd, learning_rate: 0.5}}}}
probes: {{gradients: null, activations: null, values: {{sample: 4}}}}
"""
CONVOLUTION = """\
dataset: {name: digits, train_limit: 40, validation: 0}
model: {name: cnn, blocks: [{filters: 2, pool: max}], dense: [], normalization: batch}
training: {epochs: 1, batch_size: 20}
probes: {gradients: null, activations: null, values: {sample: 2}}
"""


def read(directory: Path) -> dict[tuple[int, str, str], np.ndarray]:
    """Arrays by (step, layer's name, quantity), put together from index and value."""
    cells: dict[tuple[int, str, str], dict[tuple[int, ...], float]] = defaultdict(dict)
    with (directory / "values.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            index = tuple(int(part) for part in row["index"].split(","))
            cells[int(row["step"]), row["name"], row["quantity"]][index] = float(row["value"])
    arrays = {}
    for key, values in cells.items():
        arrays[key] = np.full([max(axis) + 1 for axis in zip(*values, strict=True)], np.nan)
        for index, value in values.items():
            arrays[key][index] = value
        assert np.isfinite(arrays[key]).all()
    return arrays


def test_all_numbers_of_all_steps_are_those_of_backpropagation_by_hand(train: Train) -> None:
    (directory,) = train(XOR)
    found = read(directory.path)
    names = ("dense_1", "dense_2", "output")
    net = Perceptron.of([found[0, name, quantity] for name in names for quantity in ("kernel", "bias")])
    inputs, labels = np.array(INPUTS), np.array(LABELS)
    assert {step for step, _, _ in found} == set(range(6))
    for step in range(6):
        activations, probabilities = net.probabilities(inputs)
        gradients = net.gradients(inputs, labels)
        error = (probabilities - np.eye(2)[labels]) / 4
        for layer in (2, 1, 0):
            output = probabilities if layer == 2 else activations[layer + 1]
            expected = {
                "kernel": net.kernels[layer],
                "bias": net.biases[layer],
                "preactivation": activations[layer] @ net.kernels[layer] + net.biases[layer],
                "activation": output,
                "error": error,
                "kernel_gradient": gradients[2 * layer],
                "bias_gradient": gradients[2 * layer + 1],
            }
            assert {quantity for at, name, quantity in found if (at, name) == (step, names[layer])} == set(expected)
            for quantity, array in expected.items():
                np.testing.assert_allclose(
                    found[step, names[layer], quantity],
                    array,
                    rtol=1e-4,
                    atol=1e-6,
                    err_msg=f"{step} {layer} {quantity}",
                )
            error = (error @ net.kernels[layer].T) * activations[layer] * (1 - activations[layer])
        net.descend(inputs, labels, 0.5)


def test_error_terms_behind_normalisation_and_pooling_add_up_to_the_gradients(train: Train) -> None:
    (directory,) = train(CONVOLUTION)
    found = read(directory.path)
    assert {step for step, _, _ in found} == {0, 1, 2}
    for step in (0, 1, 2):
        assert found[step, "conv_1", "preactivation"].shape == (2, 8, 8, 2)
        for name, axes in (("conv_1", (0, 1, 2)), ("output", (0,))):
            np.testing.assert_allclose(
                found[step, name, "error"].sum(axis=axes), found[step, name, "bias_gradient"], rtol=1e-4, atol=1e-6
            )
        assert np.abs(found[step, "conv_1", "bias_gradient"]).max() > 1e-5
        assert found[step, "conv_1", "gamma_gradient"].shape == (2,)


def test_what_nobody_could_follow_is_refused() -> None:
    with pytest.raises(
        SpecError, match=r"probes\.values: is for tiny networks: this one has 2,260 parameters and 40 un"
    ):
        load_text("model: {name: mlp, width: 30}\nprobes: {values: {}}\n")
    with pytest.raises(
        SpecError, match=r"every: values\.csv would have 15,400,154 rows, 154 at each of 100,001 record"
    ):
        load_text(XOR, ["training.epochs=100000"])
    rarely = ["training.epochs=100000", "probes.values.every=10 epochs"]
    assert load_text(XOR, rarely).trials[0].id == load_text(XOR, [*rarely[:1], "probes=null"]).trials[0].id
