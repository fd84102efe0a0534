"""The executor ``slurm`` on a real SLURM of one node: what the contract suite does not ask of every executor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx.errors import UsageError
from dlx.events import EpochEnded, Event, Note
from dlx.executors import Unit, executor
from dlx.executors import _slurm_queue as queue
from dlx.executors._jobs import live_tasks
from dlx.executors.slurm import minutes
from dlx.interruption import Stop
from dlx.progress import read_report
from dlx.records.trial_directory import TrialDirectory
from tests.executors.test_bytes import tables
from tests.executors.work import TABLE, Pretend, expected_table, make_unit, process_of

SPEC = """\
name: tiny
dataset: {name: digits, train_limit: 300}
model: {name: mlp, width: 8, depth: 2, dropout: 0.2}
training: {epochs: 150, batch_size: 4, optimizer: adam}
seeds: 2
"""
Dlx = Callable[..., subprocess.CompletedProcess[str]]


def jobs_of(results: Path) -> list[str]:
    return [json.loads(path.read_text())["id"] for path in results.rglob("job.json")]


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


# On the cluster


@pytest.mark.slurm
def test_a_warned_task_goes_back_into_the_queue(slurm_node: Path, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, 1), make_unit(tmp_path, 2, rows=30, seconds=0.2), make_unit(tmp_path, 3)]
    warned = False

    def watch(event: Event) -> None:
        nonlocal warned
        if isinstance(event, EpochEnded) and event.trial == units[1].directory.trial and not warned:
            warned = True
            queue.signal(jobs_of(tmp_path)[0], "USR2")

    ends = list(executor("slurm", {"per_task": 3, "grace": 5.0}).run(units, Pretend(), Stop(), watch))
    assert warned
    assert {end.status.state for end in ends if end.status} == {"done"}
    assert len(ends) == 3
    first, second, third = (unit.directory.status().attempts for unit in units)
    assert [attempt.exit for attempt in second] == ["stopped by SIGUSR2", "done"]
    assert len(first) == len(third) == 1, "what had ended, or had not begun, was run once"
    assert units[1].directory.table(TABLE).read_text() == expected_table(30)
    assert not jobs_of(tmp_path), "the folder of a job that went well is not needed any more"


@pytest.mark.slurm
def test_a_job_that_somebody_cancels(slurm_node: Path, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number, rows=1000, seconds=0.1) for number in (1, 2)]

    def watch(event: Event) -> None:
        if isinstance(event, EpochEnded):
            queue.cancel(jobs_of(tmp_path)[0])

    ends = list(executor("slurm", {"per_task": 2, "grace": 5.0}).run(units, Pretend(), Stop(), watch))
    assert {end.status.state for end in ends if end.status} == {"interrupted", "pending"}
    assert units[0].directory.status().reason == "stopped by SIGTERM"
    assert units[1].directory.status().state == "pending"
    reasons = [end.status.reason for end in ends if end.status and end.status.state == "pending"]
    assert reasons[0] is not None and reasons[0].endswith("ended: CANCELLED, before the trial began")


@pytest.mark.slurm
def test_a_task_that_cannot_begin(slurm_node: Path, tmp_path: Path) -> None:
    unit = make_unit(tmp_path, 1)
    ends = list(
        executor("slurm", {"setup": ["echo no such module >&2; exit 3"]}).run([unit], Pretend(), Stop(), lambda e: None)
    )
    status = ends[0].status
    assert status is not None and status.state == "interrupted"
    assert status.reason is not None and "ended: FAILED, before the trial began; see " in status.reason
    assert Path(status.reason.rpartition("see ")[2]).read_text() == "no such module\n"
    assert "no such module" in unit.directory.log.read_text()


@pytest.mark.slurm
def test_sbatch_refuses(slurm_node: Path, tmp_path: Path) -> None:
    place = executor("slurm", {"partition": "absent"})
    with pytest.raises(UsageError, match="sbatch refused: .*[Ii]nvalid partition"):
        list(place.run([make_unit(tmp_path, 1)], Pretend(), Stop(), lambda event: None))
    assert not jobs_of(tmp_path)


@pytest.mark.slurm
def test_no_trial_is_submitted_twice(slurm_node: Path, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number, rows=30, seconds=0.1) for number in range(3)]
    notes: list[str] = []

    def run(detach: bool, units: list[Unit]) -> list[str | None]:
        def observe(event: Event) -> None:
            if isinstance(event, Note):
                notes.append(event.message)

        place = executor("slurm", {"per_task": 2, "detach": detach})
        return [end.status and end.status.state for end in place.run(units, Pretend(), Stop(), observe)]

    assert run(True, units[:2]) == [None, None]
    job = jobs_of(tmp_path)[0]
    assert notes == [f"job {job}: submitted 2 trials in 1 array task; its output is in {_folder(tmp_path)}"]
    assert run(True, units) == [None] * 3  # the third is new
    assert len(jobs_of(tmp_path)) == 2
    (tmp_path / "jobs").rename(tmp_path / "elsewhere")  # a command killed before it could write the id down
    for path in (tmp_path / "elsewhere").rglob("job.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"id": None}))
    (tmp_path / "elsewhere").rename(tmp_path / "jobs")
    assert sorted(run(False, units)) == ["done"] * 3  # type: ignore[type-var]
    assert all(process_of(unit)["attempt"] == 1 for unit in units)
    assert live_tasks(tmp_path / "jobs") == []


def _folder(results: Path) -> Path:
    return next(results.glob("jobs/*/job.json")).parent


@pytest.mark.slurm
def test_detach_then_preempt_then_collect(
    slurm_node: Path, tmp_path: Path, dlx: Dlx, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    spec, results = str(tmp_path / "tiny.yaml"), tmp_path / "results"
    monkeypatch.setenv("DLX_RESULTS", str(results))
    on_slurm = ("run", spec, "--threads", "1", "--executor", "slurm", "--time", "10m", "--per-task", "2")
    said = dlx(*on_slurm, "--detach")
    assert said.returncode == 0, said.stderr
    assert "submitted 2 trials in 1 array task" in said.stderr
    again = dlx(*on_slurm, "--detach")
    assert again.returncode == 0, again.stderr
    assert len(jobs_of(results)) == 1
    trials = [TrialDirectory(path) for path in sorted((results / "tiny" / "trials").iterdir())]

    def under_way() -> bool:
        reports = [read_report(trial.path) for trial in trials]
        return any(report is not None and (report.completed or 0) >= 2 for report in reports)

    wait_for(under_way, 120)
    queue.signal(jobs_of(results)[0], "USR2")
    collected = dlx(*on_slurm)
    assert collected.returncode == 0, collected.stderr
    attempts = [[attempt.exit for attempt in trial.status().attempts] for trial in trials]
    assert sorted(attempts, key=len) == [["done"], ["stopped by SIGUSR2", "done"]]
    other = tmp_path / "inline"
    assert dlx("run", spec, "--threads", "1", "--executor", "inline", "--results", str(other)).returncode == 0
    assert tables(results) == tables(other)


@pytest.mark.slurm
def test_shares_of_an_array(slurm_node: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC.replace("150", "1").replace("seeds: 2", "seeds: 3"))
    command = f"{sys.executable} -m dlx run tiny.yaml --threads 1 --shard slurm"
    script = ["sbatch", "--wait", "--array=4-6:2", "--time=10", "--output=%a.txt", f"--wrap={command}"]
    subprocess.run(script, cwd=tmp_path, check=True, timeout=300, capture_output=True)
    said = [(tmp_path / f"{task}.txt").read_text() for task in (4, 6)]
    states = [TrialDirectory(path).status().state for path in (tmp_path / "results" / "tiny" / "trials").iterdir()]
    assert states == ["done"] * 3
    assert ["seed=0" in text for text in said] == [True, False]
    assert ["seed=1" in text for text in said] == [False, True]
    assert ["seed=2" in text for text in said] == [True, False]


@pytest.mark.slurm
def test_the_time_that_a_job_has_left(slurm_node: Path, tmp_path: Path) -> None:
    submitted = subprocess.run(
        ["sbatch", "--parsable", "--time=5", "--output=/dev/null", "--wrap=sleep 100"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    job = submitted.stdout.strip()
    try:
        wait_for(lambda: "RUNNING" in (queue.states({job}) or {}).values())
        left = queue.time_left(job)
        assert left is not None and 200 < left <= 300
    finally:
        queue.cancel(job)
    assert queue.time_left("999999") is None


# Anywhere


def test_sbatch_is_missing(tmp_path: Path, dlx: Dlx) -> None:
    results = tmp_path / "results"
    said = dlx(
        "run", "experiments/quickstart.yaml", "--executor", "slurm", "--results", str(results), PATH=str(tmp_path)
    )
    assert said.returncode == 2
    assert said.stderr == (
        "dlx: sbatch is not here: --executor slurm works where SLURM's commands are "
        "(on a login node of the cluster; on this machine: --executor local)\n"
    )
    assert not results.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program without .exe")
def test_submitit_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("sbatch", "squeue", "scancel", "scontrol", "srun"):
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"needs the package submitit \(pip install 'dlx\[slurm\]'\)"):
        executor("slurm", {}).ready()


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30m", 30), ("4h", 240), ("2d", 2880), ("1d12h", 2160), ("90", 90), ("1:30", 2), ("4:00:00", 240),
     ("1-12", 2160), ("1-12:30", 2190), ("1-00:00:01", 1441)],
)  # fmt: skip
def test_lengths_of_time(text: str, expected: int) -> None:
    assert minutes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "soon", "4 hours", "h", "-1", "0m"])
def test_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="--time"):
        executor("slurm", {"time": text})
