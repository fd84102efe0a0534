"""What comes out of a trial's directory is the network that was trained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dlx.errors import ResultsError, SpecError, UsageError
from dlx.records.reader import read_table
from dlx.records.trial_directory import TrialDirectory
from dlx.trained import Trained

Network = Callable[..., Trained]
Train = Callable[..., list[TrialDirectory]]

CNN = """
dataset: {name: digits, scaling: standardize}
model: {name: cnn, normalization: batch, blocks: [{filters: 4}, {filters: 6}], dense: [16], dropout: 0.2}
training: {epochs: 2, optimizer: {name: adam, learning_rate: 0.01}}
"""
MLP = """
dataset: digits
model: {name: mlp, depth: 2, width: 12, activation: tanh}
training: {epochs: 4, optimizer: {name: sgd, learning_rate: 0.5}}
"""
PRETRAINED = """
model: {name: mlp, depth: 2, width: 8}
pretraining: {name: autoencoder, epochs: 1}
training: {epochs: 1}
"""
STOPPED = "training.early_stopping={monitor: val_loss, patience: 3}"
LINE = """
dataset: {name: arrays, inputs: [[0], [1], [2], [3]], targets: [1, 3, 5, 7], validation: 0, scaling: none}
model: {name: mlp, depth: 0}
training: {epochs: 300, batch_size: full, optimizer: {name: sgd, learning_rate: 0.1}}
"""
LOGISTIC = """
dataset: {name: arrays, inputs: [[0, 0], [0, 1], [1, 0], [1, 1]], labels: [0, 0, 0, 1], validation: 0, scaling: none}
model: {name: mlp, depth: 0}
training: {loss: logistic, epochs: 50, batch_size: full, optimizer: {name: sgd, learning_rate: 1.0}}
"""


@pytest.mark.parametrize("spec", [CNN, MLP, PRETRAINED], ids=["cnn", "mlp", "pretrained"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_an_evaluation_is_the_trials_own_to_the_last_bit(network: Network, spec: str, part: str) -> None:
    trained = network(spec)
    evaluated = trained.evaluate("test" if part == "test" else "validation")
    for measure, value in evaluated.items():
        assert np.float32(value) == np.float32(trained.recorded[f"{part}_{measure}"]), measure


@pytest.mark.parametrize("spec", [CNN, MLP], ids=["cnn", "mlp"])
def test_predictions_are_right_as_often_as_was_recorded(network: Network, spec: str) -> None:
    trained = network(spec)
    assert trained.splits.test is not None and trained.splits.test.arrays is not None
    inputs, targets = trained.splits.test.arrays
    right = (trained.predict(inputs).argmax(axis=1) == targets).mean()
    assert np.float32(right) == np.float32(trained.recorded["test_accuracy"])
    assert (trained.labels(inputs) == trained.predict(inputs).argmax(axis=1)).all()


def test_probabilities_follow_from_the_weights_in_numpy(network: Network) -> None:
    trained = network(MLP)
    inputs, _ = trained.splits.train.read(np.arange(7))
    with np.load(trained.directory.weights) as weights:
        values = inputs.reshape(7, -1) / np.float32(16)
        for layer in ("dense_1", "dense_2"):
            values = np.tanh(values @ weights[f"final/{layer}/kernel"] + weights[f"final/{layer}/bias"])
        logits = values @ weights["final/output/kernel"] + weights["final/output/bias"]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(trained.predict(inputs), expected, rtol=2e-5, atol=1e-7)
    found = trained.activations(inputs)
    assert list(found) == ["dense_1", "dense_2", "output"]
    np.testing.assert_allclose(found["dense_2"], values, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(found["output"], logits, rtol=2e-5, atol=1e-5)


def test_activations_are_those_of_the_table(network: Network) -> None:
    """``activations.csv`` says the mean over the first 1000 training examples after the last epoch."""
    trained = network(CNN)
    table = read_table(trained.directory.path / "activations.csv")
    inputs, _ = trained.splits.train.read(np.arange(1000))
    found = trained.activations(inputs)
    means = {row["name"]: float(row["mean"]) for row in table if row["epoch"] == "2"}
    for name in ("conv_1", "conv_2", "dense_1"):
        assert found[name].mean(dtype=np.float64) == pytest.approx(means[name], rel=1e-5)


def test_a_layer_by_its_name(network: Network) -> None:
    trained = network(CNN)
    inputs, _ = trained.splits.train.read(np.arange(3))
    assert trained.layer("conv_1", inputs).shape[0] == 3
    assert (trained.layer("output", inputs) == trained.logits(inputs)).all()
    with pytest.raises(UsageError, match="no layer 'conv1'.*'conv_1'"):
        trained.layer("conv1", inputs)


def test_the_best_weights_are_those_that_the_trial_ended_with(network: Network) -> None:
    trained = network(MLP, "training.epochs=40", "training.optimizer.learning_rate=8.0", STOPPED)
    assert trained.kept == "best"
    best, last = trained.evaluate("validation"), Trained.of(trained.directory, "last").evaluate("validation")
    assert np.float32(best["loss"]) == np.float32(trained.recorded["val_loss"])
    rows = list(read_table(trained.directory.path / "metrics.csv"))
    assert np.float32(last["loss"]) == np.float32(rows[-1]["val_loss"]) > np.float32(best["loss"])


def test_regression_gives_values(network: Network) -> None:
    trained = network(LINE)
    values = trained.predict(np.array([[10.0], [-1.0]], np.float32))
    np.testing.assert_allclose(values, [[21.0], [-1.0]], atol=0.02)
    assert trained.class_names == ()
    assert trained.evaluate("train")["r2"] == pytest.approx(1.0, abs=1e-4)


def test_a_single_logistic_output_is_the_probability_of_class_1(network: Network) -> None:
    trained = network(LOGISTIC)
    inputs = np.array([[0, 0], [1, 1]], np.float32)
    logits = trained.logits(inputs)[:, 0]
    np.testing.assert_allclose(trained.predict(inputs)[:, 1], 1 / (1 + np.exp(-logits)), rtol=1e-5)
    assert list(trained.labels(inputs)) == [0, 1]


def test_outputs_that_stand_for_a_class_each_are_given_as_shares(network: Network) -> None:
    trained = network(MLP, "training.loss=quadratic", "training.epochs=1")
    assert trained.activation == "sigmoid"
    inputs, _ = trained.splits.train.read(np.arange(5))
    odds = 1 / (1 + np.exp(-trained.logits(inputs)))
    np.testing.assert_allclose(trained.predict(inputs), odds / odds.sum(axis=1, keepdims=True), rtol=1e-5)


def test_no_examples_give_no_predictions(network: Network) -> None:
    assert network(MLP).predict(np.empty((0, 8, 8, 1), np.uint8)).shape == (0, 10)


def copy(directory: TrialDirectory, place: Path) -> TrialDirectory:
    shutil.copytree(directory.path, place / directory.trial)
    return TrialDirectory(place / directory.trial)


def test_examples_of_another_shape(network: Network) -> None:
    with pytest.raises(UsageError, match="takes examples of shape 8 × 8 × 1, and these are 28 × 28 × 1"):
        network(MLP).predict(np.zeros((2, 28, 28, 1), np.uint8))


def test_a_trial_that_is_not_done(train: Train, tmp_path: Path) -> None:
    directory = copy(*train(MLP), tmp_path)
    directory.status_file.unlink()
    with pytest.raises(UsageError, match="is pending: only one that is done has a trained network"):
        Trained.of(directory)
    directory.spec.unlink()
    with pytest.raises(ResultsError, match="holds no trial"):
        Trained.of(directory)


def test_weights_that_are_not_there_or_damaged(train: Train, tmp_path: Path) -> None:
    directory = copy(*train(MLP), tmp_path)
    with pytest.raises(UsageError, match="kept no best weights"):
        Trained.of(directory, "best")
    content = bytearray(directory.weights.read_bytes())
    content[len(content) // 2] ^= 1
    directory.weights.write_bytes(content)
    with pytest.raises(ResultsError, match="is not a file of weights"):
        Trained.of(directory)
    directory.weights.unlink()
    with pytest.raises(ResultsError, match=r"has no weights\.npz.*--rerun"):
        Trained.of(directory)


def test_the_weights_of_another_network(train: Train, tmp_path: Path) -> None:
    directory, other = copy(*train(MLP), tmp_path), train(CNN)[0]
    shutil.copy(other.weights, directory.weights)
    with pytest.raises(ResultsError, match="does not hold the weights of this network: conv_1"):
        Trained.of(directory)


def test_data_that_have_changed(train: Train, tmp_path: Path) -> None:
    directory = copy(*train(LINE), tmp_path)
    text = directory.spec.read_text("utf-8")
    changed = re.sub(r"(targets:[\s\S]*?)\b7", r"\g<1>8", text, count=1)
    assert changed != text
    directory.spec.write_text(changed)
    with pytest.raises(SpecError, match="its data have changed since"):
        Trained.of(directory)
