"""Asked to stop: the step is finished, a checkpoint written, and the same command goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.durability.conftest import Ground

SELDOM = [pytest.param(name, marks=pytest.mark.slow) for name in ("SIGUSR1", "SIGUSR2")]


@pytest.mark.parametrize("name", ["SIGTERM", *SELDOM])
def test_a_scheduler_s_signal(name: str, ground: Ground, same: Callable[..., None]) -> None:
    run = ground.dlx(held=1)
    run.is_held()
    run.send(getattr(signal, name))
    run.go_on()
    run.send(getattr(signal, name))  # twice is the same as once
    assert run.wait() == 143
    assert ground.status()["state"] == "interrupted"
    assert ground.status()["reason"] == f"stopped by {name}"
    assert ground.checkpoints()
    assert ground.run()[0] == 0
    same(ground)


def test_ctrl_c(ground: Ground) -> None:
    run = ground.dlx(held=1)
    run.is_held()
    run.send(signal.SIGINT)
    run.go_on()
    assert run.wait() == 130
    assert "the same command goes on" in run.output
    assert "Traceback" not in run.output
    assert ground.status()["state"] == "interrupted"


def test_a_signal_while_tensorflow_compiles_waits_for_the_first_step(ground: Ground) -> None:
    run = ground.dlx(held=0)
    run.is_held()
    run.send(signal.SIGTERM)
    run.go_on()
    assert run.wait() == 143
    assert ground.status()["state"] == "interrupted"


def test_a_time_limit_shorter_than_the_start(ground: Ground) -> None:
    code, output = ground.run("--max-time", "0.1s")
    assert code == 143
    assert "--max-time" in output
    assert ground.status()["state"] in ("pending", "interrupted")


@pytest.mark.slow
def test_a_time_limit_within_training(ground: Ground) -> None:
    code, output = ground.run("--max-time", "10s", "--set", "training.epochs=100000")
    assert code == 143
    assert "--max-time" in output
    assert ground.status()["state"] == "interrupted"
    assert ground.checkpoints()


def test_a_stopped_trial_goes_on_from_where_it_stopped(interrupted: Ground, same: Callable[..., None]) -> None:
    from dlx.records.checkpoints import CheckpointStore

    checkpoint = CheckpointStore(interrupted.trial / "checkpoints").load_latest()
    assert checkpoint is not None
    progress = checkpoint.state["training"]["progress"]
    done = progress["epoch"], progress["step"]
    assert done > (0, 0)
    assert interrupted.run()[0] == 0
    same(interrupted)
