"""Tries, their pruning and their winner; going on, sharing, and searches that make no sense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from dlx import spec
from dlx.errors import SpecError, UsageError
from dlx.events import EpochEnded, Event, Note, Observer, TrialStarted, ignore
from dlx.interruption import Stop
from dlx.records.experiment_directory import ExperimentDirectory
from dlx.records.reader import read_table
from dlx.records.status import Status
from dlx.records.trial_directory import TrialDirectory
from dlx.schedule import Options as RunOptions
from dlx.schedule import run
from dlx.spec.search import Search, load_search
from dlx.tuning import Options, _Tuning, tune
from dlx.worker import Runtime, Worker

Dlx = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]
SPEC = """
name: small
model: {name: mlp, width: 8}
training: {epochs: 3}
probes: {gradients: null, activations: null}
search:
  model.depth: 1..2
  training.optimizer.learning_rate: log(1e-4, 1e-1)
  model.activation: [relu, tanh]
"""


@pytest.fixture
def search(tmp_path: Path) -> Callable[..., Search]:
    def load(text: str = SPEC, *sets: str) -> Search:
        place = tmp_path / "spec.yaml"
        place.write_text(text, "utf-8")
        return load_search(place, sets)

    return load


def options(place: Path, **chosen: Any) -> Options:
    return Options(place / "results", Runtime(threads=1), **{"trials": 6, **chosen})


def test_the_winner_is_the_best_by_validation_and_its_spec_gives_the_same_trial(
    search: Callable[..., Search], tmp_path: Path
) -> None:
    tuned = tune(search(), options(tmp_path), ignore, Stop())
    assert tuned.winner is not None and len(tuned.tries) == 6
    rows = list(read_table(tuned.directory / "trials.csv"))
    assert [row["trial"] for row in rows] == list(dict.fromkeys(one.trial for one in tuned.tries))
    assert not any(row["test_accuracy"] or row["test_loss"] for row in rows)
    done = [float(row["val_accuracy"]) for row in rows if row["state"] == "done"]
    assert done and tuned.winner.best.value == pytest.approx(max(done), rel=1e-6)
    assert {row["state"] for row in rows} <= {"done", "pruned"}

    experiment = spec.load_text(tuned.winner.spec)
    assert [trial.id for trial in experiment.trials] == [tuned.winner.best.trial]
    outcome = run(experiment, RunOptions(tmp_path / "again", Runtime(threads=1)), ignore, Stop())
    summary = outcome.endings[0].status.summary
    assert summary["test_accuracy"] == pytest.approx(tuned.winner.test["accuracy"], rel=1e-6)
    assert summary["val_accuracy"] == pytest.approx(tuned.winner.best.value, rel=1e-6)


@pytest.mark.usefixtures("untrained")
def test_the_same_search_makes_the_same_tries(search: Callable[..., Search], tmp_path: Path) -> None:
    one, other = (tune(search(), options(tmp_path / name, trials=4), ignore, Stop()) for name in "ab")
    assert one.tries == other.tries
    more = tune(search(), options(tmp_path / "a", trials=5), ignore, Stop())
    assert more.tries[:4] == one.tries and len(more.tries) == 5


def test_a_search_that_was_stopped_goes_on_with_the_try_under_way(
    search: Callable[..., Search], tmp_path: Path
) -> None:
    whole = tune(search(), options(tmp_path / "whole", trials=4), ignore, Stop())
    stop = Stop()
    ended = 0

    def interrupt(event: Event) -> None:
        nonlocal ended
        if isinstance(event, EpochEnded):
            ended += 1
            if ended == 6:  # the start and three epochs of the first try, the start and one epoch of the second
                stop.request("stopped by SIGTERM", 143)

    stopped = tune(search(), options(tmp_path / "cut", trials=4), interrupt, stop)
    assert stopped.winner is None
    assert [one.state for one in stopped.tries] == ["done", "interrupted"]
    notes: list[Event] = []
    resumed = tune(search(), options(tmp_path / "cut", trials=4), notes.append, Stop())
    assert len(resumed.tries) == 4 and resumed.winner is not None
    assert [one.trial for one in resumed.tries] == [one.trial for one in whole.tries]
    assert [one.value for one in resumed.tries] == [one.value for one in whole.tries]
    study = _Tuning(search(), options(tmp_path / "cut", trials=4), ignore, Stop()).study
    second, again = study.get_trials()[1:3]
    assert second.intermediate_values.items() <= again.intermediate_values.items() == {1: ANY, 2: ANY}.items()
    attempts = ExperimentDirectory(tmp_path / "cut" / "results", "small-tune").trial(str(resumed.tries[1].trial))
    assert attempts.status().last_attempt == 2


@pytest.mark.usefixtures("untrained")
def test_a_time_limit_chooses_among_what_there_is(search: Callable[..., Search], tmp_path: Path) -> None:
    first = tune(search(), options(tmp_path, trials=2, pruner="none"), ignore, Stop())
    limited = tune(search(), options(tmp_path, trials=50, pruner="none"), ignore, Stop(0.0))
    assert limited.winner == first.winner and len(limited.tries) == 2


def pretend(value: Callable[[TrialDirectory], float]) -> Callable[..., Status]:
    """Trials of ten epochs that take no time and reach a value; stopped where they are asked to."""

    def run_trial(directory: TrialDirectory, label: str, worker: Worker, stop: Stop, observe: Observer) -> Status:
        reached = value(directory)
        with directory.claim() as attempt:
            observe(TrialStarted(directory.trial, label, {"layer1": 2, "train": 10}, (), str(directory.path)))
            observe(EpochEnded(directory.trial, "layer1", 1, 2, {"val_accuracy": 0.0}))
            for epoch in range(1, 11):
                observe(EpochEnded(directory.trial, "train", epoch, 10, {"val_accuracy": reached}))
                if stop.pruned:
                    return attempt.end("pruned", "asked to", summary={"val_accuracy": reached, "epochs": epoch})
            return attempt.end("done", summary={"val_accuracy": reached, "epochs": 10})

    return run_trial


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials reach a value that depends on their settings alone, at once."""
    monkeypatch.setattr("dlx.tuning.run_trial", pretend(lambda directory: int(directory.trial[:4], 16) / 2**16))
    monkeypatch.setattr("dlx.tuning._Tuning._test", lambda self, best: {})


def test_a_median_pruner_ends_what_is_below_the_median_of_others(
    search: Callable[..., Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the rule itself: from the sixth try on, one that at an epoch is worse than half of those done before."""
    values = iter([0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.95, 0.65, 0.75])
    monkeypatch.setattr("dlx.tuning.run_trial", pretend(lambda directory: next(values)))
    monkeypatch.setattr("dlx.tuning._Tuning._test", lambda self, best: {})
    tuned = tune(search(), options(tmp_path, trials=9, sampler="random"), ignore, Stop())
    assert [one.state for one in tuned.tries] == ["done"] * 5 + ["pruned", "done", "pruned", "done"]
    assert tuned.winner is not None and tuned.winner.best.number == 6
    rows = {row["trial"]: row for row in read_table(tuned.directory / "trials.csv")}
    assert rows[str(tuned.tries[5].trial)]["epochs"] == "1" and rows[str(tuned.tries[5].trial)]["reason"] == "asked to"


def test_of_equally_good_tries_the_one_with_the_lowest_loss_wins(
    search: Callable[..., Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = iter([(0.9, 0.5), (1.0, 0.3), (1.0, 0.1), (1.0, 0.2)])

    def at_once(directory: TrialDirectory, label: str, worker: Worker, stop: Stop, observe: Observer) -> Status:
        accuracy, loss = next(reached)
        with directory.claim() as attempt:
            return attempt.end("done", summary={"val_accuracy": accuracy, "val_loss": loss})

    monkeypatch.setattr("dlx.tuning.run_trial", at_once)
    monkeypatch.setattr("dlx.tuning._Tuning._test", lambda self, best: {})
    tuned = tune(search(), options(tmp_path, trials=4), ignore, Stop())
    assert tuned.winner is not None and tuned.winner.best.number == 2


def test_the_winner_names_its_files_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("data", "specs"):
        (tmp_path / folder).mkdir()
    rows = "".join(f"{i % 7},{i % 5},{'xy'[i % 2]}\n" for i in range(60))
    (tmp_path / "data" / "some.csv").write_text("a,b,kind\n" + rows, "utf-8")
    text = "dataset: {name: csv, path: ../data/some.csv, label: kind}\nmodel: mlp\nsearch: {model.depth: 1..2}\n"
    (tmp_path / "specs" / "mine.yaml").write_text(text, "utf-8")
    monkeypatch.chdir(tmp_path)
    winner = load_search(Path("specs/mine.yaml")).spec({"model.depth": 2})
    assert "path: data/some.csv\n" in winner
    assert spec.load_text(winner).trials[0].setting.model.depth == 2


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(("sampler", "pruner"), [("random", "hyperband"), ("cmaes", "none")])
def test_samplers_and_pruners(search: Callable[..., Search], tmp_path: Path, sampler: str, pruner: str) -> None:
    few = options(tmp_path, sampler=sampler, pruner=pruner, trials=3)
    tuned = tune(search(SPEC, "training.epochs=1"), few, ignore, Stop())
    assert len(tuned.tries) == 3 and tuned.winner is not None


def test_without_search_the_axes_of_a_sweep_or_the_models_usual_ones(search: Callable[..., Search]) -> None:
    swept = search("{model: mlp, sweep: {model.depth: [1, 2], model.width: 'log(8, 32, 3)'}}")
    assert [one.path for one in swept.dimensions] == ["model.depth", "model.width"]
    usual = {one.path: one for one in search("{model: {name: mlp, hidden: [5]}}").dimensions}
    assert "model.depth" not in usual and "model.dropout" in usual
    rate = usual["training.optimizer.learning_rate"]
    assert rate.log and rate.low < 0.001 < rate.high
    assert {"model.dense", "training.batch_size"} <= {one.path for one in search("model: cnn").dimensions}


def test_choices_that_do_not_go_together_are_left_out(search: Callable[..., Search], tmp_path: Path) -> None:
    text = "{model: mlp, training: {epochs: 1}, search: {model.hidden: [null, [5]], model.depth: [1, null]}}"
    notes: list[Event] = []
    with pytest.raises(SpecError):  # depth: null needs hidden, and is told with its place
        search(text)
    text = """
    model: {name: cnn, blocks: [{filters: 2, pool: {type: max}}]}
    training: {epochs: 1}
    search: {model.blocks.0.pool.size: [2, 8], model.blocks.0.stride: [1, 2]}
    """
    tuned = tune(search(text), options(tmp_path, sampler="grid", trials=None), notes.append, Stop())
    assert len(tuned.tries) == 3  # pooling by 8 does not fit what a stride of 2 leaves of 8 × 8
    assert any("left out" in note.message for note in notes if isinstance(note, Note))


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("search:\n  model.dept: 1..2", "2:3", "unknown key"),
        ("search:\n  model.depth: [1, two]", "2:20", "must be a whole number"),
        ("search:\n  model.width: lin(8, 64)", "2:16", "must be a whole number"),
        ("search:\n  model.depth: 3", "2:16", "must be a list of values, a range"),
        ("search:\n  depth: log(0, 4)", "2:10", "a logarithm begins above 0"),
        ("search: {depth: log(1, 4), model.dropout: [0.1]}", "1:17", 'write depth: "log(1, 4)", in quotes'),
        ("search: {depth: log(1, 4, activation: [relu]}", "1:17", "log(1, 4 is none of log(1e-4, 1e-1)"),
        ("search:\n  probes.gradients: [1]", "2:3", "unknown axis"),
        ("search:\n  depth: 1..2\n  model.depth: 1..3", "3:3", "is searched twice"),
        ("search: [1]", "1:9", "must be a mapping from paths to values"),
    ],
)
def test_a_bad_search_is_told_with_its_place(
    search: Callable[..., Search], tmp_path: Path, text: str, where: str, what: str
) -> None:
    with pytest.raises(SpecError) as found:
        search(f"{text}\nmodel: mlp\n")
    (problem,) = found.value.problems
    assert f"{problem.line}:{problem.column}" == where
    assert what in problem.message
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"sampler": "tp"}, "no sampler 'tp'.*'tpe'"),
        ({"pruner": "medan"}, "no pruner 'medan'.*'median'"),
        ({"metric": "test_accuracy"}, "tuning goes by val_loss, val_accuracy"),
        ({"sampler": "grid"}, "learning_rate has no values to list"),
    ],
)
def test_options_that_do_not_suit(
    search: Callable[..., Search], tmp_path: Path, chosen: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        tune(search(), options(tmp_path, **chosen), ignore, Stop())
    assert not (tmp_path / "results").exists()


def test_no_validation_set_no_choice(search: Callable[..., Search]) -> None:
    with pytest.raises(UsageError, match="chooses by the validation set"):
        search(SPEC, "dataset.validation=0")


def test_a_run_says_what_search_is_for(tmp_path: Path) -> None:
    (note,) = spec.load_text(SPEC).notes
    assert "search: is for dlx tune" in note


def test_the_command_prints_the_winner_once(dlx: Dlx, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    command = "tune", "spec.yaml", "--trials", "2", "--threads", "1", "--pruner", "none"
    ended = dlx(*command, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("test_accuracy") == 1 and "test" not in ended.stderr
    again = dlx(*command, "--json", "--quiet", cwd=tmp_path)
    assert again.returncode == 0 and not again.stderr
    found = json.loads(again.stdout)
    assert found["schema"] == "dlx.tune/1" and len(found["tries"]) == 2
    assert spec.load_text(ended.stdout).trials[0].id == found["winner"]["trial"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_processes_share_the_tries_and_one_takes_over_from_a_killed_one(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC.replace("epochs: 3", "epochs: 12"), "utf-8")
    command = [sys.executable, "-m", "dlx", "tune", "spec.yaml", "--trials", "9", "--threads", "1", "--json", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    begun = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    trials = tmp_path / "results" / "small-tune" / "trials"
    end = time.monotonic() + 120
    while time.monotonic() < end and len(list(trials.glob("*/metrics.csv"))) < 4:
        time.sleep(0.05)
    begun[0].send_signal(signal.SIGKILL)
    outputs = [one.communicate(timeout=240)[0] for one in begun]
    reports = [json.loads(output) for output in outputs[1:] if output]
    last = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    reports.append(json.loads(last.stdout))
    winners = [report["winner"] for report in reports if report["winner"]]
    assert winners and all(winner == winners[0] for winner in winners)
    tries = reports[-1]["tries"]
    assert len(tries) == 9 and {one["state"] for one in tries} <= {"done", "pruned"}


def test_a_try_costs_next_to_nothing_besides_its_training(
    search: Callable[..., Search], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tuning does around trials that take no time: choosing, journal, trial.yaml, table; 0.2 s each at most."""

    monkeypatch.setattr("dlx.tuning.run_trial", pretend(lambda directory: 0.5))
    monkeypatch.setattr("dlx.tuning._Tuning._test", lambda self, best: {})
    began = time.process_time()
    tuned = tune(search(), options(tmp_path, trials=60), ignore, Stop())
    assert len(tuned.tries) == 60
    assert (time.process_time() - began) / 60 < 0.2
