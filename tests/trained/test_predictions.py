"""``predictions.csv`` against the finished network itself, and against the accuracy on record."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dlx import spec
from dlx.errors import SpecError
from dlx.events import ignore
from dlx.interruption import Stop
from dlx.schedule import Options, run
from dlx.trained import Trained
from tests.trained.conftest import RUNTIME, Train

CLASSES = """\
model: {name: mlp, width: 8}
training: {epochs: 2, optimizer: {name: sgd, learning_rate: 0.3}}
probes: {gradients: null, activations: null, predictions: {}}
"""
BEST = ["training.epochs=4", "training.early_stopping={patience: 1, min_delta: 10}"]
LOGISTIC = ["training.loss=logistic"]
VALUES = """\
dataset:
  name: arrays
  inputs: [[0.0], [0.5], [1.0], [2.0]]
  targets: [[1.0, 0.0], [0.5, 1.0], [0.0, 2.0], [3.0, 4.0]]
  test_inputs: [[0.25], [1.5]]
  test_targets: [[1.0, 2.0], [3.0, 4.0]]
  validation: 0
model: {name: mlp, width: 3}
training: {epochs: 1, batch_size: 2}
probes: {gradients: null, predictions: {}}
"""


def table(directory: Path, name: str = "predictions") -> dict[str, np.ndarray]:
    """Columns by name."""
    with (directory / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {column: np.array([float(row[column]) for row in rows]) for column in rows[0]}


@pytest.mark.parametrize("sets", [[], BEST, LOGISTIC], ids=["last", "best", "logistic"])
def test_every_test_example_once_with_the_weights_that_the_trial_ends_with(train: Train, sets: list[str]) -> None:
    (directory,) = train(CLASSES, *sets)
    found = table(directory.path)
    network = Trained.of(directory)
    assert network.kept == ("best" if sets is BEST else "last")
    source = network.splits.test
    assert source is not None
    inputs, labels = source.read(np.arange(len(source)))
    probabilities = np.stack([found[f"probability_{label}"] for label in range(10)], axis=1)
    np.testing.assert_array_equal(found["id"], source.ids)
    np.testing.assert_array_equal(found["label"], labels)
    np.testing.assert_array_equal(found["predicted"], network.labels(inputs))
    np.testing.assert_allclose(probabilities, network.predict(inputs), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    right = np.mean(found["predicted"] == found["label"])
    assert right == pytest.approx(network.recorded["test_accuracy"], abs=1e-6)
    assert 0.2 < right < 1  # some are right and some are wrong: columns that were exchanged would show


def test_values_and_targets_of_a_regression(train: Train) -> None:
    (directory,) = train(VALUES)
    found = table(directory.path)
    assert list(found) == ["id", "target_0", "target_1", "predicted_0", "predicted_1"]
    np.testing.assert_array_equal(found["target_1"], [2.0, 4.0])
    answers = Trained.of(directory).predict(np.array([[0.25], [1.5]], np.float32))
    np.testing.assert_allclose(np.stack([found["predicted_0"], found["predicted_1"]], axis=1), answers, rtol=1e-5)


def test_a_trial_that_is_ended_twice_has_them_once(tmp_path: Path) -> None:
    experiment = spec.load_text(CLASSES, ["records.checkpoints=keep"])
    options = Options(tmp_path, RUNTIME, executor="inline")
    (ending,) = run(experiment, options, ignore, Stop()).endings
    before = (ending.directory.path / "predictions.csv").read_bytes()
    # As if the process had been killed with the rows written and the last word not yet.
    path = ending.directory.path / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"state": "interrupted"}), encoding="utf-8")
    (again,) = run(experiment, options, ignore, Stop()).endings
    assert again.status.state == "done"
    assert again.status.attempts != ending.status.attempts
    assert (ending.directory.path / "predictions.csv").read_bytes() == before


def test_data_without_a_test_part_have_nothing_to_predict() -> None:
    text = "".join(line for line in VALUES.splitlines(keepends=True) if "test_" not in line)
    with pytest.raises(SpecError, match=r"probes\.predictions: there is nothing to predict: arrays has no test part"):
        spec.load_text(text)
