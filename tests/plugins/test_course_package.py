"""A data set, a stage, a probe and an executor of another package, installed by pip and used together in one run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.models.test_other_packages import wheel

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tests" / "packages" / "dlx_course"

SPEC = """\
name: package
dataset: {name: parity, bits: 4}
model: {name: mlp, hidden: [3], activation: tanh}
training: {optimizer: {name: sgd, learning_rate: 0.25}, batch_size: full, epochs: 1}
stages: [sign_descent]
probes: {spread: {every: 1 epoch, sample: 16}}
sweep: {training.epochs: [0, 1]}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The results of a run in a folder where the package is installed, and what was said meanwhile."""
    place = tmp_path_factory.mktemp("course")
    target = place / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*install, str(wheel(PACKAGE, place))], check=True, capture_output=True)
    (place / "package.yaml").write_text(SPEC, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), str(ROOT)]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "dlx", "run", "package.yaml", "--executor", "backwards", "--threads", "1"]
    ended = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return place / "results" / "package", ended.stderr


def directories(results: Path) -> list[Path]:
    with (results / "trials.csv").open(encoding="utf-8", newline="") as file:
        return [results / "trials" / row["trial"] for row in csv.DictReader(file)]


def test_the_executor_began_with_the_last_trial(ran: tuple[Path, str]) -> None:
    done = [line for line in ran[1].splitlines() if ": done" in line]
    assert ["epochs=1" in line for line in done] == [True, False]


def test_the_stage_moved_every_weight_by_the_learning_rate(ran: tuple[Path, str]) -> None:
    """Weights before and after one step: the trials are of one seed, so that they begin alike."""
    before, after = (np.load(place / "weights.npz") for place in directories(ran[0]))
    for name in before.files:
        moved = np.abs(after[name] - before[name])
        assert np.isclose(moved, 0.25, atol=1e-6).sum() + (moved == 0).sum() == moved.size  # the sign of 0 is 0
        assert np.isclose(moved, 0.25, atol=1e-6).mean() > 0.5
    with (directories(ran[0])[1] / "metrics.csv").open(encoding="utf-8", newline="") as file:
        assert {row["stage"] for row in csv.DictReader(file)} == {"signs"}


def test_the_probe_saw_what_numpy_gives(ran: tuple[Path, str]) -> None:
    """The data made here as well: all rows of four bits, through tanh and a linear layer."""
    place = directories(ran[0])[1]
    weights = np.load(place / "weights.npz")
    bits = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype(np.float32)
    hidden = np.tanh(bits @ weights["final/dense_1/kernel"] + weights["final/dense_1/bias"])
    with (place / "spread.csv").open(encoding="utf-8", newline="") as file:
        last = {row["name"]: float(row["largest"]) for row in csv.DictReader(file) if row["epoch"] == "1"}
    assert last["dense_1"] == pytest.approx(np.abs(hidden).max(), rel=1e-5)


def test_the_data_set_is_in_the_trial_by_its_digest(ran: tuple[Path, str]) -> None:
    text = (directories(ran[0])[0] / "trial.yaml").read_text(encoding="utf-8")
    assert "name: parity" in text
    status = json.loads((directories(ran[0])[0] / "status.json").read_bytes())
    assert status["state"] == "done"
