"""Killed at any instant, begun again by the same command: the same bytes."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.conftest import Ground
from tests.durability.proof import SPECS, Kill, differences, kept, prove, trials
from tests.waiting import until


def test_killed_in_every_place_in_turn(ground: Ground, same: Callable[..., None]) -> None:
    """Torn row, torn checkpoint, between steps, while starting: each attempt goes on from what the one before left."""
    for kill in (Kill("table append", share=0.4), Kill("checkpoint", call=6)):
        run = ground.dlx(at_training=kill)
        assert run.wait() == -signal.SIGKILL, run.output
    run = ground.dlx(held=1)
    run.is_held()
    run.kill()
    assert run.wait() == -signal.SIGKILL, run.output
    assert ground.run()[0] == 0
    same(ground)


def test_the_proof_can_fail(undisturbed: Path, tmp_path: Path) -> None:
    ground = Ground(tmp_path)
    assert ground.run("--set", "training.epochs=1")[0] == 0
    assert differences(undisturbed, ground.results)
    (trial,) = trials(undisturbed).values()
    assert {"metrics.csv", "gradients.csv", "activations.csv", "layers.csv", "weights.npz"} == kept(trial).keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["dropout", "batch_norm", "early_stopping", "stages", "pretraining", "rebalance", "augmentation"]
)
def test_random_kills(name: str, tmp_path: Path) -> None:
    verdict = prove(SPECS / f"{name}.yaml", kills=6, seed=0, place=tmp_path)
    assert verdict.problems == []
    assert verdict.kills.total() >= 6
    assert verdict.trials >= 3


@pytest.mark.slow
def test_the_early_stopped_trial_is_one(tmp_path: Path) -> None:
    ground = Ground(tmp_path, SPECS / "early_stopping.yaml")
    assert ground.run()[0] == 0
    assert ground.status()["summary"]["epochs"] < 40
    assert b"best/" in (ground.trial / "weights.npz").read_bytes()


@pytest.mark.slow
def test_workers_killed_with_their_parent(ground: Ground, undisturbed: Path) -> None:
    """Everything that belongs to a run at once, as when a machine goes down or a batch job is ended."""
    run = ground.dlx("--seeds", "2")
    until(ground.has_checkpoints)
    run.kill_group()
    assert run.wait() == -signal.SIGKILL
    assert ground.run("--seeds", "2")[0] == 0
    assert len(trials(ground.results)) == 2
    for name, trial in trials(undisturbed).items():
        assert kept(ground.results / name) == kept(trial)
