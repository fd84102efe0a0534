"""Which trials train together: what they must have in common, how many, and who says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx import packing
from dlx.errors import UsageError
from dlx.events import ignore
from dlx.interruption import Stop
from dlx.pack import _common
from dlx.records.trial_directory import TrialDirectory
from dlx.schedule import Options, run
from dlx.spec import load
from dlx.worker import Runtime

SPEC = """\
name: packing
dataset: digits
model: {name: mlp, width: 8, initializer: {kernel: he_normal}}
training: {epochs: 1, l2: 0.001}
"""


def kinds(tmp_path: Path, axis: str) -> set[str | None]:
    path = tmp_path / "spec.yaml"
    path.write_text(f"{SPEC}sweep: {{{axis}}}\n")
    return {packing.kind(trial) for trial in load(path).trials}


@pytest.mark.parametrize(
    "axis",
    [
        "training.optimizer.learning_rate: [0.1, 0.2]",
        "training.l2: [0.001, 0.1]",
        "model.initializer: [he_normal, {name: normal, stddev: 0.5}]",
    ],
)
def test_what_are_values_may_differ(tmp_path: Path, axis: str) -> None:
    assert len(kinds(tmp_path, axis)) == 1


@pytest.mark.parametrize(
    "axis",
    [
        "model.depth: [1, 2]",
        "model.activation: [relu, tanh]",
        "training.batch_size: [10, 20]",
        "training.epochs: [1, 2]",
        "training.l2: [0.0, 0.1]",
        "training.optimizer: [sgd, adam]",
        "training.early_stopping: [null, {patience: 2}]",
    ],
)
def test_what_is_structure_may_not(tmp_path: Path, axis: str) -> None:
    assert len(kinds(tmp_path, axis)) == 2


@pytest.mark.parametrize("stage", ["training", "pretraining"])
@pytest.mark.parametrize("optimizer", ["{name: sgd, use_ema: true}", "schedule_free_adamw"])
def test_an_optimiser_that_keeps_weights_of_its_own_trains_alone(tmp_path: Path, stage: str, optimizer: str) -> None:
    values = optimizer if stage == "training" else f"{{method: rbm, optimizer: {optimizer}}}"
    path = "training.optimizer" if stage == "training" else "pretraining"
    assert kinds(tmp_path, f"{path}: [{values}], model.activation: [sigmoid]") == {None}


@given(st.integers(1, 300), st.integers(1, 300))
def test_packs_are_as_equal_as_can_be(members: int, size: int) -> None:
    parts = [len(part) for part in packing.divide(range(members), size)]
    assert sum(parts) == members
    assert max(parts) <= size
    assert len(parts) == -(-members // size)
    assert len(set(parts[:-1])) <= 1  # the same compiled program


def test_a_small_net_is_packed_and_a_large_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    (trial,) = load(path).trials
    assert packing.room(trial, 10) == packing.MOST
    assert packing.room(trial, 10**9) == 1


def test_a_place_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    directory = TrialDirectory(tmp_path / "0123456789ab")
    directory.path.mkdir()
    assert packing.place_of(directory) is None
    packing.put([directory, TrialDirectory(directory.path)])
    assert packing.place_of(directory) is not None
    (directory.path / packing.FILE).write_text("[]")
    assert packing.place_of(directory) is None


# Where trials of a pack go on


class Saved:
    """A unit that has checkpoints at these steps."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps


@pytest.mark.parametrize(
    ("saved", "point"),
    [
        ([(10, 20), (10, 20)], ("train", 0, 20)),
        ([(10, 20), (20, 30)], ("train", 0, 20)),
        ([(), ()], ()),
        ([(10,), ()], ()),
        ([(10, 20), (30, 40)], None),
        ([(10, 20), ()], None),
    ],
)
def test_the_point_that_all_have_saved(
    saved: list[tuple[int, ...]], point: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = {index: [("train", 0, step) for step in steps] for index, steps in enumerate(saved)}
    monkeypatch.setattr("dlx.pack._positions", lambda unit: positions[unit])
    assert _common(list(positions)) == point  # type: ignore[arg-type]


# Who says so


def test_an_engine_or_an_executor_that_packs_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    results = tmp_path / "results"
    with pytest.raises(UsageError, match=r"--pack 4: the tensorflow engine trains one trial at a time"):
        run(load(path), Options(results, Runtime("tensorflow"), pack=4), ignore, Stop())
    with pytest.raises(UsageError, match=r"--pack 4: the executor 'pretend' runs one trial at a time"):
        from dlx.executors.inline import Spec

        class OneByOne(Spec):
            packs = False

        run(load(path), Options(results, Runtime("jax"), pack=4, executor="pretend"), ignore, Stop(), OneByOne())
    assert not results.exists()


def dlx(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    (place / "spec.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "dlx", "run", "spec.yaml", "--dry-run", *arguments]
    given = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **environment}
    return subprocess.run(command, cwd=place, env=given, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("size", ["0", "-3", "many", "1.5"])
def test_a_size_that_is_none(tmp_path: Path, size: str) -> None:
    done = dlx(tmp_path, f"--pack={size}")
    assert done.returncode == 2
    assert f"--pack {size}: a number of trials from 1, auto or off" in done.stderr


def test_the_engine_comes_from_the_flag_the_environment_the_file(tmp_path: Path) -> None:
    from dlx.cli import configuration

    config = tmp_path / "config"
    config.mkdir()
    file = config / configuration.FILE
    for content, said in (
        ("engine: jaxx\n", "config.yaml:1:9: engine: unknown engine 'jaxx' (did you mean 'jax'?)"),
        ("engines: jax\n", "config.yaml:1:1: engines: unknown key (the only one is engine)"),
        ("- jax\n", "must be a mapping; its only key is engine"),
    ):
        file.write_text(content)
        done = dlx(tmp_path, DLX_CONFIG=str(config), DLX_ENGINE="")
        assert done.returncode == 2, content
        assert said in done.stderr
        assert dlx(tmp_path, DLX_CONFIG=str(config), DLX_ENGINE="jax").returncode == 0
    assert dlx(tmp_path, DLX_ENGINE="torch").returncode == 2


def test_the_configuration_file_names_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx.cli import configuration

    monkeypatch.setenv("DLX_CONFIG", str(tmp_path))
    assert configuration.engine() == "tensorflow"
    (tmp_path / configuration.FILE).write_text(json.dumps({"engine": "jax"}))
    assert configuration.engine() == "jax"
