"""Cells, not runs: what is done stays done, and what is asked for in addition is all that is run."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from dlx.interruption import Stop
from dlx.optimizers import schedules
from dlx.records.trial_directory import TrialDirectory
from dlx.schedule import Outcome
from dlx.spec import load_text
from dlx.training.program import Program
from tests.sweep.conftest import SPEC, Ground

KEEP = "records.checkpoints=keep"
SCHEDULED = (
    "training.optimizer={name: adam, use_ema: true, learning_rate: "
    "{name: cosine_decay, initial_learning_rate: 0.05, decay_steps: 6}}",
    "training.early_stopping={patience: 2}",
    "model.dropout=0.3",
    "model.normalization=batch",
    "probes.gradients.every=3 steps",
)

HALF = ("training.precision=mixed_float16", "training.optimizer={name: sgd, momentum: 0.9}")
"""Whose loss scale and count of steps go on as well."""


def states(outcome: Outcome) -> list[str]:
    return [ending.status.state for ending in outcome.endings]


def alike(one: TrialDirectory, other: TrialDirectory) -> None:
    """Two trials have left the same: every table but the timing, every weight."""
    names = sorted(path.name for path in one.path.glob("*.csv") if path.name != "timing.csv")
    assert names == ["activations.csv", "gradients.csv", "layers.csv", "metrics.csv"]
    for name in [*names, "weights.npz"]:
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    assert one.spec.read_bytes() == other.spec.read_bytes()
    assert one.status().summary == other.status().summary


def test_more_values_and_more_seeds_run_new_cells_only(ground: Ground) -> None:
    assert states(ground.run("seeds=1", axes={"depth": "1..2"})) == ["done"] * 2
    before = ground.files()
    decisions = ground.decide("seeds=2", axes={"depth": "1,2,3"})
    assert [decision.action for decision in decisions] == ["skip", "run", "skip", "run", "run", "run"]
    outcome = ground.run("seeds=2", axes={"depth": "1,2,3"})
    assert states(outcome) == ["done"] * 6
    after = ground.files()
    assert {name: after[name] for name in before} == before, "what was done is as it was"
    assert [len(ending.status.attempts) for ending in outcome.endings] == [1] * 6

    with (outcome.directory / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["model.depth"], row["seed"], row["state"]) for row in csv.DictReader(file)]
    assert rows == [(depth, seed, "done") for depth in "123" for seed in "01"]
    assert [decision.action for decision in ground.decide("seeds=2", axes={"depth": "1,2,3"})] == ["skip"] * 6


@pytest.mark.parametrize("changes", [(), SCHEDULED, HALF], ids=["plain", "everything that remembers", "half precision"])
def test_more_epochs_go_on_to_the_same_bytes(
    ground: Ground, elsewhere: Callable[[], Ground], changes: tuple[str, ...]
) -> None:
    (short,) = ground.run(KEEP, "training.epochs=2", *changes).endings
    before = ground.files()
    (decision,) = ground.decide("training.epochs=4", *changes)
    assert decision.action == "continue"
    assert decision.why == f"goes on from {short.trial.id}, which has 2 of its 4 epochs"
    (long,) = ground.run("training.epochs=4", *changes).endings
    assert long.status.state == "done"
    assert f"begun with what trial {short.trial.id} recorded" in long.directory.log.read_text("utf-8")
    (fresh,) = elsewhere().run("training.epochs=4", *changes).endings
    alike(long.directory, fresh.directory)
    assert not long.directory.checkpoints.exists(), "what it was begun with does not stay where nobody keeps any"
    assert long.directory.origin() is None
    after = ground.files()
    assert {name: after[name] for name in before} == before, "the shorter trial is as it was"


def test_averages_that_were_looked_at_are_not_gone_on_from(
    ground: Ground, elsewhere: Callable[[], Ground], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked to stop while the averages of a finished trial are evaluated, it keeps the weights that they are of."""
    averaging = "training.optimizer={name: sgd, learning_rate: 0.5, use_ema: true}"
    stop, finalize = Stop(), Program.finalize

    def finalize_and_stop(program: Program) -> bool:
        averaged = finalize(program)
        stop.request("enough", 143)
        return averaged

    with monkeypatch.context() as patched:
        patched.setattr(Program, "finalize", finalize_and_stop)
        assert states(ground.run(KEEP, averaging, stop=stop)) == ["interrupted"]
    (short,) = ground.run(KEEP, averaging).endings
    (undisturbed,) = elsewhere().run(KEEP, averaging).endings
    alike(short.directory, undisturbed.directory)
    (long,) = ground.run(averaging, "training.epochs=2").endings
    assert f"begun with what trial {short.trial.id} recorded" in long.directory.log.read_text("utf-8")
    (fresh,) = elsewhere().run(averaging, "training.epochs=2").endings
    alike(long.directory, fresh.directory)


def test_a_finished_trial_without_its_metrics_is_trained_again_where_its_recalls_are_asked_for(ground: Ground) -> None:
    recalls = "records.recalls=true"
    (done,) = ground.run(recalls).endings
    assert ground.decide(recalls)[0].action == "skip"
    table = done.directory.path / "metrics.csv"
    for content in (b"\xff\xfe", b"stage,epoch\n"):
        table.write_bytes(content)
        assert [one.why for one in ground.decide(recalls)] == ["done before, without the recalls"]
    table.unlink()
    assert ground.decide(recalls)[0].action == "rerun"


def test_the_longest_beginning_is_gone_on_from(ground: Ground) -> None:
    for epochs in (1, 3, 0):
        ground.run(KEEP, f"training.epochs={epochs}")
    (decision,) = ground.decide("training.epochs=4")
    assert decision.why.endswith("which has 3 of its 4 epochs")
    (decision,) = ground.decide("training.epochs=2")
    assert decision.why.endswith("which has 1 of its 2 epochs")
    (decision,) = ground.decide("training.epochs=4", "seeds=[1]")
    assert (decision.action, decision.why) == ("run", "not run yet")


def test_why_a_cell_begins_at_the_beginning(ground: Ground) -> None:
    (short,) = ground.run("training.epochs=1").endings
    (decision,) = ground.decide("training.epochs=2")
    assert decision.action == "run"
    assert f"{short.trial.id}, which has 1 of its 2 epochs, keeps no checkpoint" in decision.why
    assert "records: {checkpoints: keep}" in decision.why
    ground.run(KEEP, "training.epochs=1", rerun=True)
    assert ground.decide("training.epochs=2")[0].action == "continue"
    (decision,) = ground.decide("training.epochs=2", "probes.gradients.sample=60")
    assert decision.action == "run"
    assert decision.why.endswith("has other probes")
    assert ground.decide("training.epochs=2", restart=True)[0].action == "run"
    assert ground.decide("training.epochs=2", "training.l2=0.1")[0].why == "not run yet"


def test_a_trial_that_stopped_early_is_no_beginning(ground: Ground) -> None:
    stopping = "training.early_stopping={patience: 1, min_delta: 1000.0}"
    (short,) = ground.run(KEEP, stopping, "training.epochs=9").endings
    assert short.status.summary["epochs"] == 2
    assert ground.decide(stopping, "training.epochs=12")[0].why == "not run yet"


def test_other_versions_begin_at_the_beginning(ground: Ground, elsewhere: Callable[[], Ground]) -> None:
    """Going on would give other bytes than training from the beginning, so that is what is done."""
    (short,) = ground.run(KEEP, "training.epochs=1").endings
    environment = json.loads(short.directory.environment.read_text("utf-8"))
    environment["versions"]["keras"] = "2.0"
    short.directory.environment.write_text(json.dumps(environment), encoding="utf-8")
    (long,) = ground.run("training.epochs=2").endings
    (fresh,) = elsewhere().run("training.epochs=2").endings
    alike(long.directory, fresh.directory)
    (note,) = long.status.notes
    assert note.startswith(f"not continued from {short.trial.id}, since keras was 2.0, now ")


@pytest.mark.parametrize("damage", ["table", "checkpoints", "environment"])
def test_a_damaged_beginning_is_not_gone_on_from(ground: Ground, elsewhere: Callable[[], Ground], damage: str) -> None:
    (short,) = ground.run(KEEP, "training.epochs=1").endings
    directory = short.directory
    damaged = {
        "table": [directory.path / "metrics.csv"],
        "checkpoints": sorted(directory.checkpoints.glob("*/state.json")),
        "environment": [directory.environment],
    }
    for path in damaged[damage]:
        path.write_bytes(b"x" + path.read_bytes()[1:])
    outcome = ground.run("training.epochs=2")
    (long,) = outcome.endings
    assert any("cannot go on from" in note for note in outcome.notes)
    (fresh,) = elsewhere().run("training.epochs=2").endings
    alike(long.directory, fresh.directory)


def test_a_beginning_that_nobody_took_up_is_taken_up_later(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, elsewhere: Callable[[], Ground]
) -> None:
    ground.run(KEEP, "training.epochs=1")
    with monkeypatch.context() as patched:
        patched.setattr("dlx.executors.inline.Spec.run", lambda *_args, **_options: iter(()))
        (waiting,) = ground.run("training.epochs=2").endings
    assert waiting.status.state == "pending"
    assert waiting.directory.origin() is not None
    assert ground.decide("training.epochs=2")[0].action == "continue"
    assert ground.decide("training.epochs=2", restart=True)[0].action == "restart"
    (long,) = ground.run("training.epochs=2").endings
    (fresh,) = elsewhere().run("training.epochs=2").endings
    alike(long.directory, fresh.directory)


def test_no_schedule_knows_how_many_epochs_there_will_be() -> None:
    """What going on to more epochs rests upon: rates are functions of the step alone, given before any training."""
    for name in schedules.names():
        assert not [field for field in schedules.get(name).model_fields if "epoch" in field or "total" in field]


def test_what_is_done_is_passed_by_at_a_glance(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trial.yaml is read, and no other trial looked at, where nothing is left to run."""
    ground.run()
    looked: list[str] = []
    monkeypatch.setattr("dlx.continuation.load_trial", lambda path: looked.append(str(path)))
    monkeypatch.setattr("dlx.continuation.Finished.origin", lambda *_: looked.append("origin"))
    assert [decision.action for decision in ground.decide()] == ["skip"]
    assert looked == []


@pytest.mark.slow
def test_a_thousand_finished_trials(ground: Ground, dlx: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The same command again says within three seconds that nothing is left; here of processor time."""
    (done,) = ground.run().endings
    axes = {"depth": "1..10", "learning-rate": "log(1e-4, 1e-1, 20)"}
    spec = load_text(SPEC, ["seeds=5"], axes)
    for trial in spec.trials:
        directory = done.directory.path.parent / trial.id
        if directory != done.directory.path:
            shutil.copytree(done.directory.path, directory)
    path = ground.place.parent / "cells.yaml"
    path.write_text(spec.source, encoding="utf-8")
    before = os.times()
    ended = dlx("run", str(path), "--results", str(ground.place))
    after = os.times()
    assert ended.returncode == 0
    assert ended.stderr == "note: 1000 of 1000 trials were done before\n"
    assert after.children_user + after.children_system - before.children_user - before.children_system < 3
