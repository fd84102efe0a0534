"""Every experiment that comes with dlx, trained for real in its smallest size."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from dlx import shipped
from dlx.cli.main import main
from dlx.spec import Experiment, load

# Nets of hundreds of layers, most of whose time goes into building and compiling them.
GIANTS = ("googlenet", "inception-v3", "resnet50", "resnet152", "vgg16", "xception")
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if name.removeprefix("convnets/imagenet-") in GIANTS else [])
    for name in shipped.experiments()
]

TRIALS = 12
STEPS = 1000
MULTIPLY_ADDS = 5e9


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def smallest(name: str) -> Experiment:
    return load(shipped.get(name), smoke=True)


def test_it_is_over_in_seconds(smallest: Experiment) -> None:
    """Counted, because seconds depend on the machine: trials, steps of training, multiply-adds of all of it."""
    assert len(smallest.trials) <= TRIALS
    steps = multiply_adds = 0.0
    for trial in smallest.trials:
        setting = trial.setting
        examples = setting.dataset.sizes()["train"]
        for planned in setting.pipeline:
            size = examples if planned.batch_size == "full" else min(planned.batch_size, examples)
            steps += planned.epochs * examples / size
            # forwards, and backwards for weights and for inputs
            multiply_adds += planned.epochs * examples * 3 * setting.network().multiply_adds
    assert steps <= STEPS, "fewer epochs, or dataset.train_limit"
    assert multiply_adds <= MULTIPLY_ADDS, "a smaller model, smaller images, or dataset.train_limit"


def test_it_needs_no_download(smallest: Experiment) -> None:
    assert not any(trial.setting.dataset.download_bytes() for trial in smallest.trials)


def test_every_trial_is_done(
    name: str, smallest: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DLX_DATA", raising=False)
    arguments = ["run", name, "--smoke", "--executor", "inline", "--threads", "2", "--quiet"]
    code = main([*arguments, "--results", str(tmp_path)])
    assert code == 0, capsys.readouterr().err
    with (tmp_path / smallest.name / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [trial.id for trial in smallest.trials]
    assert {row["state"] for row in rows} == {"done"}
