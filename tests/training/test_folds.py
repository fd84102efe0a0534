"""Trials of folds: what is written down as tested is what the weights reach on the examples that were held out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from dlx.cli.main import main
from dlx.spec import load
from dlx.worker import Runtime, Worker
from tests.training.conftest import ENGINE

SPEC = """\
name: folds
dataset: {name: csv, path: data.csv, label: kind, validation: 0.2}
model: {name: mlp, hidden: [5], activation: tanh}
training:
  {optimizer: {name: adam, learning_rate: 0.03}, batch_size: 8, epochs: 8,
   early_stopping: {monitor: val_loss, patience: 2, restore_best_weights: false}}
probes: null
evaluation: {method: repeated_kfold, folds: 2, repeats: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data in two classes, a spec of two times two folds, and its results."""
    place = tmp_path_factory.mktemp("folds")
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.repeat([0, 1], [50, 31]))
    inputs = rng.normal(7.0, 4.0, (81, 3)) + 3.0 * labels[:, None]
    rows = [",".join([f"{value:.4f}" for value in x] + [f"k{y}"]) for x, y in zip(inputs, labels, strict=True)]
    (place / "data.csv").write_text("a,b,c,kind\n" + "\n".join(rows) + "\n", encoding="utf-8")
    (place / "folds.yaml").write_text(SPEC, encoding="utf-8")
    arguments = ["run", str(place / "folds.yaml"), "--results", str(place / "results"), "--executor", "inline"]
    assert main([*arguments, "--threads", "2", "--engine", ENGINE, "--quiet"]) == 0
    return place


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "results" / "folds" / "trials.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_table_names_repeat_and_fold(folder: Path) -> None:
    rows = rows_of(folder)
    assert [(row["repeat"], row["fold"], row["state"]) for row in rows] == [
        (repeat, fold, "done") for repeat in "01" for fold in "01"
    ]


def test_the_test_accuracy_is_that_of_the_weights_on_the_held_out_rows(folder: Path) -> None:
    """By hand: rows from the file, standardised over the rows trained on, two matrix products in NumPy."""
    table = np.genfromtxt(folder / "data.csv", delimiter=",", skip_header=1, dtype=None, encoding="utf-8")
    inputs = np.array([[row[0], row[1], row[2]] for row in table])
    labels = np.array([int(row[3][1:]) for row in table])
    worker = Worker(Runtime(ENGINE))
    held: dict[int, list[int]] = {0: [], 1: []}
    for row, trial in zip(rows_of(folder), load(folder / "folds.yaml").trials, strict=True):
        splits = worker.load(trial.setting.dataset)
        trained, tested = splits.train.ids, splits.test.ids
        assert len({*trained, *splits.validation.ids, *tested}) == 81
        held[trial.fold.repeat] += list(tested)
        weights = np.load(folder / "results" / "folds" / "trials" / trial.id / "weights.npz")
        x = (inputs[tested] - inputs[trained].mean(axis=0)) / inputs[trained].std(axis=0)
        hidden = np.tanh(x @ weights["final/dense_1/kernel"] + weights["final/dense_1/bias"])
        logits = hidden @ weights["final/output/kernel"] + weights["final/output/bias"]
        accuracy = np.mean(logits.argmax(axis=1) == labels[tested])
        assert float(row["test_accuracy"]) == pytest.approx(accuracy, abs=1e-6)
    assert sorted(held[0]) == sorted(held[1]) == list(range(81))


def test_compare_pools_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(folder / "results")]) == 0
    heading, _, row = capsys.readouterr().out.splitlines()[:3]
    assert heading.split() == [
        "n",
        "test_accuracy@last",
        "(%)",
        "95",
        "%",
        "CI",
        "sd",
        "of",
        "folds",
        "sd",
        "of",
        "repeats",
    ]
    assert row.split()[0] == "4"
    values = np.array([float(row["test_accuracy"]) for row in rows_of(folder)])
    assert f"{100 * values.mean():.2f} ± {100 * values.std(ddof=1):.2f}" in row


def test_a_finished_fold_is_not_trained_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--set", "evaluation.repeats=3", "--results", str(folder / "results"), "--dry-run"]
    assert main(["run", str(folder / "folds.yaml"), *more]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["skip"] * 4 + ["run"] * 2
    assert "repeat=2, fold=1, seed=0" in lines[-1]


@pytest.mark.parametrize("command", ["diagnose", "report", "plot", "status"])
def test_what_looks_at_results_looks_at_folds(command: str, folder: Path, tmp_path: Path) -> None:
    results = str(folder / "results" / "folds")
    arguments = {
        "diagnose": [results],
        "report": [results, "-o", str(tmp_path / "r.html")],
        "plot": ["accuracy", results, "-o", str(tmp_path / "a.svg")],
        "status": [results],
    }
    assert main([command, *arguments[command]]) == 0
