"""Trials on data of one's own, from the file to the tables, on both engines; the numbers once more in NumPy."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.records.weights import FINAL, read_weights
from tests.conftest import ROOT, run_dlx

HOUSES = ["rooms,age,kind,price,rent"]
HOUSES += [
    f"{n % 7 + 1},{'' if n % 13 == 4 else n % 29},{'flat' if n % 3 else 'house'},"
    f"{0.3 * (n % 7) - 0.02 * (n % 29) + (n % 3 == 0):.4f},{(n % 7) * (n % 3) / 10}"
    for n in range(200)
]
REGRESSION = """\
dataset: {name: csv, path: houses.csv, target: [price, rent], missing: mean, test: 50, validation: 30}
model: {name: mlp, hidden: [6], activation: tanh}
training:
  epochs: 4
  loss: LOSS
  batch_size: 20
  optimizer: {name: sgd, learning_rate: 0.05}
  early_stopping: {monitor: val_r2, restore_best_weights: false}
probes: {gradients: {}, activations: {}, predictions: {}}
"""


def train(engine: str, *specs: Path, cwd: Path | None = None, **environment: str) -> None:
    """Several specs in one process: importing a backend takes longer than all of them."""
    (folder,) = {spec.parent for spec in specs}
    where = ["--engine", engine, "--threads", "1", "--executor", "inline", "--results", str(folder / "results")]
    done = run_dlx("run", *map(str, specs), *where, "--quiet", cwd=cwd or ROOT, **environment)
    assert done.returncode == 0, done.stderr[-3000:]


def the_trial(results: Path, name: str) -> Path:
    (trial,) = (results / name / "trials").iterdir()
    return trial


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module", params=["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which several specs have been run by one engine, from another working directory."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "houses.csv").write_text("\n".join(HOUSES) + "\n")
    rng = np.random.default_rng(0)
    np.savez(folder / "own.npz", x=rng.integers(0, 256, (60, 4, 4), dtype=np.uint8), y=np.arange(60) % 4)
    specs = []
    for loss in LOSSES:
        specs.append(folder / f"{loss}.yaml")
        specs[-1].write_text(REGRESSION.replace("LOSS", loss))
    for name, dataset in {
        "points": "{name: points, shape: spiral, groups: 3, n: 300}",
        "function": "{name: function, function: step, n: 100}",
        "npz": "{name: npz, path: own.npz, test: 12, validation: 8}",
        "classes": "{name: digits, classes: [3, 8], test: 60}",
    }.items():
        specs.append(folder / f"{name}.yaml")
        specs[-1].write_text(
            f"dataset: {dataset}\nmodel: {{name: mlp, hidden: [8]}}\ntraining: {{epochs: 2, batch_size: 16}}\n"
        )
    train(request.param, *specs, cwd=folder.parent)
    return folder


def by_hand(folder: Path, trial: Path) -> dict[str, np.ndarray]:
    """Standardised inputs and targets of the parts, from the text of the file and the parts' row numbers alone."""
    from dlx.datasets import Places
    from dlx.spec import load_trial

    splits = load_trial(trial / "trial.yaml").setting.dataset.load(Places(download=False))
    rows = table(folder / "houses.csv")
    raw = np.array(
        [[float(r["rooms"]), float(r["age"] or "nan"), r["kind"] == "flat", r["kind"] == "house"] for r in rows]
    )
    ids = splits.train.ids
    raw[:, 1] = np.where(np.isnan(raw[:, 1]), np.nanmean(raw[ids, 1]), raw[:, 1])
    raw[:, :2] = (raw[:, :2] - raw[ids, :2].mean(axis=0)) / raw[ids, :2].std(axis=0)
    targets = np.array([[float(r["price"]), float(r["rent"])] for r in rows])
    return {
        f"{part}_{what}": values[source.ids]
        for part, source in (("val", splits.validation), ("test", splits.test))
        for what, values in (("x", raw), ("y", targets))
    } | {"mean": targets[ids].mean(axis=0), "std": targets[ids].std(axis=0)}


LOSSES: dict[str, Any] = {
    "mean_squared_error": lambda e: e**2,
    "huber": lambda e: np.where(abs(e) <= 1, e**2 / 2, abs(e) - 0.5),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_regression_from_the_file_to_the_tables(project: Path, loss: str) -> None:
    trial = the_trial(project / "results", loss)
    rows = table(trial / "metrics.csv")
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2, 3, 4]
    columns = [f"{part}_{name}" for part in ("train", "val", "test") for name in ("loss", "mae", "rmse", "r2")]
    assert list(rows[0]) == ["stage", "epoch", "step", *columns, "learning_rate"]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    weights = read_weights(trial / "weights.npz")[FINAL]
    layer = {path.split("/")[-2] + path.split("/")[-1]: np.float64(value) for path, value in weights.items()}
    data = by_hand(project, trial)
    for part in ("val", "test"):
        hidden = np.tanh(data[f"{part}_x"] @ layer["dense_1kernel"] + layer["dense_1bias"])
        y = data[f"{part}_y"]
        answer = hidden @ layer["outputkernel"] + layer["outputbias"]
        error = answer * data["std"] + data["mean"] - y  # in the targets' own units
        expected = {
            "loss": LOSSES[loss](answer - (y - data["mean"]) / data["std"]).mean(),
            "mae": np.abs(error).mean(),
            "rmse": np.sqrt((error**2).mean()),
            "r2": (1 - (error**2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)).mean(),
        }
        for name, value in expected.items():
            assert float(rows[-1][f"{part}_{name}"]) == pytest.approx(value, rel=2e-4, abs=2e-5), (part, name)
    if loss == "huber":
        predicted = table(trial / "predictions.csv")
        assert [float(row["target_1"]) for row in predicted] == pytest.approx(data["test_y"][:, 1].tolist(), rel=1e-6)
        hidden = np.tanh(data["test_x"] @ layer["dense_1kernel"] + layer["dense_1bias"])
        given = (hidden @ layer["outputkernel"] + layer["outputbias"]) * data["std"] + data["mean"]
        for number in (0, 1):
            found = [float(row[f"predicted_{number}"]) for row in predicted]
            assert found == pytest.approx(given[:, number].tolist(), rel=1e-4, abs=1e-5)
    summary = json.loads((trial / "status.json").read_text())["summary"]
    assert summary["test_r2"] == pytest.approx(float(rows[-1]["test_r2"]), rel=1e-6)
    (listed,) = table(project / "results" / loss / "trials.csv")
    assert listed["test_rmse"] == rows[-1]["test_rmse"]
    assert "test_accuracy" not in listed


def test_a_finished_network_answers_in_the_targets_own_units(project: Path) -> None:
    trial = the_trial(project / "results", "huber")
    code = (
        "import sys, json; from pathlib import Path\n"
        "from dlx.records.trial_directory import TrialDirectory; from dlx.trained import Trained\n"
        "network = Trained.of(TrialDirectory(Path(sys.argv[1])))\n"
        "inputs, _ = network.splits.test.arrays\n"
        "print(json.dumps(network.predict(inputs).tolist()))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", code, str(trial)], env=env, capture_output=True, text=True, check=True)
    rows = table(trial / "predictions.csv")
    recorded = [[float(row["predicted_0"]), float(row["predicted_1"])] for row in rows]
    np.testing.assert_allclose(json.loads(done.stdout), recorded, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "columns", "outputs"),
    [
        ("points", ["loss", "accuracy"], 3),
        ("npz", ["loss", "accuracy"], 4),
        ("classes", ["loss", "accuracy"], 2),
        ("function", ["loss", "mae", "rmse", "r2"], 1),
    ],
)
def test_every_kind_of_data_trains(project: Path, name: str, columns: list[str], outputs: int) -> None:
    trial = the_trial(project / "results", name)
    rows = table(trial / "metrics.csv")
    assert list(rows[0])[3 : 3 + len(columns)] == [f"train_{column}" for column in columns]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert table(trial / "layers.csv")[-1]["output_shape"] == str(outputs)


@pytest.mark.slow
def test_a_longer_trial_goes_on_in_a_project_that_was_moved(tmp_path: Path) -> None:
    def spec(folder: Path, epochs: int, name: str) -> Path:
        path = folder / f"{name}.yaml"
        path.write_text(
            REGRESSION.replace("epochs: 4", f"epochs: {epochs}").replace("LOSS", "huber")
            + f"name: {name}\nrecords: {{checkpoints: keep}}\n"
        )
        return path

    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    (before / "houses.csv").write_text("\n".join(HOUSES) + "\n")
    train("tensorflow", spec(before, 2, "short"))
    shutil.move(before, after)
    train("tensorflow", spec(after, 5, "short"), spec(after, 5, "whole"))
    (whole,) = (after / "results/whole/trials").iterdir()
    gone_on = after / "results/short/trials" / whole.name
    assert "begun with what trial" in (gone_on / "log.txt").read_text()
    for name in ("metrics.csv", "gradients.csv", "activations.csv", "layers.csv"):
        assert (gone_on / name).read_bytes() == (whole / name).read_bytes(), name
