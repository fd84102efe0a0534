"""Every experiment that comes with dlx, trained for real in its smallest size."""

from __future__ import annotations

import csv
import importlib.util
import math
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dlx import shipped
from dlx.cli.main import main
from dlx.datasets import registry
from dlx.spec import Experiment, load

# Nets of hundreds of layers, most of whose time goes into building and compiling them.
GIANTS = ("googlenet", "inception-v3", "resnet50", "resnet152", "vgg16", "xception")
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if name.removeprefix("convnets/imagenet-") in GIANTS else [])
    for name in shipped.experiments()
]


def course() -> ModuleType:
    """The script that writes the pages of the course."""
    path = Path(__file__).resolve().parents[2] / "docs" / "gallery" / "course" / "make.py"
    spec = importlib.util.spec_from_file_location("course", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["course"] = module  # where dataclasses look their fields' types up
    spec.loader.exec_module(module)
    return module


COURSE = course()
TRIALS = 12
STEPS = 1000
MULTIPLY_ADDS = 5e9


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def smallest(name: str) -> Experiment:
    return load(shipped.get(name), smoke=True)


@pytest.mark.parametrize("name", shipped.experiments())
def test_it_is_small_and_needs_no_download(name: str) -> None:
    """Counted, because seconds depend on the machine: trials, steps of training, multiply-adds of all of it."""
    smallest = load(shipped.get(name), smoke=True)
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
    assert not any(trial.setting.dataset.download_bytes() for trial in smallest.trials)


@pytest.fixture(scope="module")
def results(name: str, smallest: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where its trials are, trained as the first of its commands says with ``--smoke``, without any data at hand."""
    place = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("DLX_DATA", raising=False)
        arguments = ["run", name, "--smoke", "--executor", "inline", "--threads", "2", "--quiet"]
        assert main([*arguments, "--results", str(place)]) == 0
    return place


def test_every_trial_is_done(smallest: Experiment, results: Path) -> None:
    with (results / smallest.name / "trials.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == [trial.id for trial in smallest.trials]
    assert {row["state"] for row in rows} == {"done"}


def test_gradients_of_convolutional_nets_are_finite_in_every_layer(
    name: str, smallest: Experiment, results: Path
) -> None:
    """Every layer with a kernel has them, before training, as it is trained, and after."""
    if not name.startswith("convnets/"):
        pytest.skip("no convolutional net")
    for trial in smallest.trials:
        tables = {}
        for table in ("layers", "gradients"):
            path = results / smallest.name / "trials" / trial.id / f"{table}.csv"
            with path.open(encoding="utf-8", newline="") as file:
                tables[table] = list(csv.DictReader(file))
        layers = {row["layer"] for row in tables["layers"]} - {""}
        epochs = {row["epoch"] for row in tables["gradients"]}
        assert len(epochs) > 1
        for epoch in epochs:
            found = {row["layer"] for row in tables["gradients"] if row["epoch"] == epoch and row["grad_norm"]}
            assert found - {""} == layers
        assert {row["source"] for row in tables["gradients"]} == {"probe", "train"}
        assert all(math.isfinite(float(row["grad_norm"])) for row in tables["gradients"])


def test_the_commands_that_are_given_with_it_work(
    name: str,
    smallest: Experiment,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a reader copies from its head, or from its page of the gallery, asked of its smallest size."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLX_RESULTS", str(results))
    monkeypatch.delenv("DLX_DATA", raising=False)
    for command in commands(name):
        written = shlex.split(command, comments=True)
        assert written[0] == "dlx"
        if written[1] == "run":
            assert shipped.place(written[2]) == shipped.get(name), "the fixture has run it"
            continue
        about = 3 if written[1] == "plot" else 2  # after the command's own words
        code = main([*written[1:about], *(in_small(word, name, smallest) for word in written[about:])])
        told = capsys.readouterr()
        assert code == 0, f"{command}: {told.err}"
        assert told.out
        if "-o" in written:
            assert (tmp_path / written[written.index("-o") + 1]).stat().st_size > 500


def commands(name: str) -> list[str]:
    """The commands of an experiment: those that its spec opens with, and those of its pictures."""
    pictures = (picture.command for picture in COURSE.PICTURES if picture.experiment == name)
    return list(dict.fromkeys([*COURSE.opening(shipped.get(name)).commands, *pictures]))


def in_small(word: str, name: str, smallest: Experiment) -> str:
    """A word of a command, with results and data of the smallest size in place of those that it names."""
    if re.fullmatch(r"[0-9a-f]{12}", word):
        whole = load(shipped.get(name))
        assert word in [trial.id for trial in whole.trials], f"{word} is no trial of {name} any more"
        return smallest.trials[-1].id
    if word in registry.names():
        return str(smallest.trials[0].setting.dataset.name)
    full = smallest.name.removesuffix("-smoke")
    return re.sub(rf"^{re.escape(full)}(?=:|$)", smallest.name, word)
