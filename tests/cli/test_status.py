"""``dlx status``: what it says of trials in every state, and that it only looks."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.cli.main import main
from dlx.events import EpochEnded, StepsDone, TrialStarted, ignore
from dlx.progress import Reporter
from dlx.records.experiment_directory import ExperimentDirectory
from dlx.records.status import Listing
from dlx.records.trial_directory import Attempt, TrialDirectory

STATES = ("done", "failed", "diverged", "interrupted", "pending", "running", "done")


def make(place: ExperimentDirectory, number: int) -> TrialDirectory:
    directory = place.trial(f"{number:012x}")
    directory.create("a spec", Listing(directory.trial, number, parameters={"model.depth": number % 3}))
    return directory


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """One trial in each state; the running one is held by this very process."""
    place = ExperimentDirectory(tmp_path / "results", "depth")
    held: list[Attempt] = []
    for number, state in enumerate(STATES):
        directory = make(place, number)
        if state == "pending":
            continue
        attempt = directory.claim()
        if state == "running":
            held.append(attempt)
            reporter = Reporter(directory.path, ignore, clock=map(float, itertools.count()).__next__)
            reporter(TrialStarted(directory.trial, "", {"train": 4}, (), ""))
            reporter(StepsDone(directory.trial, "train", 2, 4, 10, 20))
            reporter(EpochEnded(directory.trial, "train", 2, 4, {"val_accuracy": 0.5}))
            continue
        if state == "failed":
            attempt.log("a traceback")
        attempt.end(state, None if state == "done" else f"because of {state}")
        attempt.release()
    place.submit("", [Listing(f"{number:012x}") for number in reversed(range(len(STATES)))])
    place.renew()
    (place.path / "trials" / f"{0:012x}.1").mkdir()  # moved aside: not counted
    yield place.path.parent
    for attempt in held:
        attempt.release()


def test_an_experiment_goes_by_its_name(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for ``dlx compare`` and the others that look."""
    monkeypatch.setenv("DLX_RESULTS", str(results))
    assert main(["status", "depth"]) == 0
    by_name = capsys.readouterr().out
    assert main(["status", str(results / "depth")]) == 0
    assert by_name == capsys.readouterr().out and by_name.startswith("depth ")
    assert main(["status", "dept"]) == 2


def test_every_state_is_told(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(results)]) == 0
    lines = capsys.readouterr().out.splitlines()
    heading = "2 of 7 trials done, 1 pending, 1 running, 1 diverged, 1 failed, 1 interrupted"
    assert lines[0].startswith(f"depth ({results / 'depth'}): {heading}")
    words = {line.split()[0]: line for line in lines[1:]}
    assert "depth=2, seed=5; train epoch 2/4, 50%; accuracy val 50.00 %" in words["running"]
    assert f"process {os.getpid()} on " in words["running"]
    log = results / "depth" / "trials" / f"{1:012x}" / "log.txt"
    assert words["failed"].endswith(f"because of failed; log: {log}")
    assert "depth=2, seed=2; because of diverged" in words["diverged"]
    assert "depth=0, seed=3; because of interrupted" in words["interrupted"]
    assert len(lines) == 5


def test_as_an_object(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(results / "depth"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "dlx.status/1"
    (experiment,) = told["experiments"]
    assert (experiment["experiment"], experiment["counts"]["done"]) == ("depth", 2)
    assert [trial["seed"] for trial in experiment["trials"]] == list(reversed(range(7))), "not in the spec's order"
    running = next(trial for trial in experiment["trials"] if trial["state"] == "running")
    assert (running["pid"], running["progress"]["fraction"]) == (os.getpid(), 0.5)
    assert running["parameters"] == {"model.depth": 2}


def test_watching_ends_when_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with make(ExperimentDirectory(tmp_path, "depth"), 1).claim() as attempt:
        attempt.end("done")
    assert main(["status", str(tmp_path), "--watch"]) == 0
    assert "1 of 1 trial done" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["absent", "."])
def test_a_place_without_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["status", place]) == 2
    assert "give a results directory" in capsys.readouterr().err


def test_a_thousand_trials(tmp_path: Path) -> None:
    place = ExperimentDirectory(tmp_path, "depth")
    content = None
    for number in range(1000):
        directory = make(place, number)
        if content is None:
            with directory.claim() as attempt:
                attempt.end("done", summary={f"grad_kernel_first_{layer}": 0.1 for layer in range(30)})
            content = directory.status_file.read_bytes()
        directory.status_file.write_bytes(content)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    took = []
    for _ in range(5):
        before = os.times()
        ended = subprocess.run(
            [sys.executable, "-m", "dlx", "status", tmp_path], env=env, capture_output=True, text=True, check=True
        )
        after = os.times()
        took.append(after.children_user + after.children_system - before.children_user - before.children_system)
        assert "1,000 of 1,000 trials done" in ended.stdout
        if took[-1] <= 1.5:
            return
    pytest.fail(f"dlx status takes {min(took):.2f} s of the processor at best for 1,000 trials")


def test_looking_imports_nothing_heavy(results: Path) -> None:
    script = "import sys; from dlx.cli.main import main; main(['status', sys.argv[1]]); print(*sys.modules)"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    ended = subprocess.run([sys.executable, "-c", script, results], env=env, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in ended.stdout.splitlines()[-1].split()}
    assert not loaded & {"tensorflow", "keras", "jax", "numpy", "pandas", "scipy", "sklearn"}
