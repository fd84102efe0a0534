"""``--shard``: every trial in exactly one share, and a run that stops before its job is stopped."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.errors import UsageError
from dlx.schedule import Options, decide
from dlx.shards import Shard, parse, seconds_left
from dlx.spec import load_text

Dlx = Callable[..., subprocess.CompletedProcess[str]]


@given(trials=st.lists(st.integers(0, 40), max_size=4), of=st.integers(1, 50))
def test_every_trial_is_in_exactly_one_share(trials: list[int], of: int) -> None:
    sizes = []
    seen = [[0] * count for count in trials]
    for number in range(1, of + 1):
        share, size = parse(f"{number}/{of}"), 0
        for experiment, count in enumerate(trials):
            mine = [index for index in range(count) if share.takes(index)]
            for index in mine:
                seen[experiment][index] += 1
            size += len(mine)
            share = share.after(count)
        sizes.append(size)
    assert all(times == 1 for experiment in seen for times in experiment)
    assert max(sizes) - min(sizes) <= 1


@given(first=st.integers(0, 20), step=st.integers(1, 7), count=st.integers(1, 20), beyond=st.integers(0, 6))
def test_the_tasks_of_an_array_are_all_shares(first: int, step: int, count: int, beyond: int) -> None:
    tasks = range(first, first + step * count, step)
    bounds = {
        "SLURM_ARRAY_TASK_MIN": str(tasks[0]),
        "SLURM_ARRAY_TASK_MAX": str(tasks[-1]),
        "SLURM_ARRAY_TASK_COUNT": str(count),
        "SLURM_ARRAY_TASK_STEP": str(step),
    }
    shares = [parse("slurm", {**bounds, "SLURM_ARRAY_TASK_ID": str(task)}) for task in tasks]
    assert shares == [Shard(number, count) for number in range(1, count + 1)]


@pytest.mark.parametrize("text", ["0/8", "9/8", "0/0", "3", "3/", "-1/8", "1.5/8", "a/b", "", "3/8/9", "slurm?"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse(text, {})


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "SLURM_ARRAY_TASK_ID is not set"),
        ({"ID": "3", "MIN": "1", "MAX": "7", "COUNT": "3", "STEP": "1"}, "has 3 tasks between 1 and 7"),
        ({"ID": "9", "MIN": "1", "MAX": "7", "COUNT": "7", "STEP": "1"}, "has 7 tasks between 1 and 7"),
        ({"ID": "x", "MIN": "1", "MAX": "7", "COUNT": "7", "STEP": "1"}, "SLURM_ARRAY_TASK_ID is 'x'"),
    ],
)
def test_what_is_no_array(bounds: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse("slurm", {f"SLURM_ARRAY_TASK_{name}": value for name, value in bounds.items()})


def test_decisions_of_all_shares_are_the_decisions_of_the_whole(tmp_path: Path) -> None:
    experiment = load_text("{dataset: digits, model: mlp, seeds: 5}", name="five")
    whole = [decision.trial.id for decision in decide(experiment, Options(tmp_path))]
    parts = [
        [decision.trial.id for decision in decide(experiment, Options(tmp_path, shard=Shard(number, 3)))]
        for number in (1, 2, 3)
    ]
    assert [len(part) for part in parts] == [2, 2, 1]
    assert sorted(whole) == sorted(trial for part in parts for trial in part)


def test_seconds_left_of_a_job() -> None:
    def at_1000() -> float:
        return 1000.0

    assert seconds_left({}, at_1000) is None
    assert seconds_left({"SLURM_JOB_END_TIME": "4600"}, at_1000) == 3600 - 120
    assert seconds_left({"SLURM_JOB_END_TIME": "1600"}, at_1000) == 540
    assert seconds_left({"SLURM_JOB_END_TIME": "900"}, at_1000) == 0
    assert seconds_left({"SLURM_JOB_ID": "7"}, at_1000, lambda job: 100.0 if job == "7" else None) == 90
    assert seconds_left({"SLURM_JOB_ID": "7"}, at_1000, lambda job: None) is None


def test_the_command_line(tmp_path: Path, dlx: Dlx) -> None:
    spec = tmp_path / "five.yaml"
    spec.write_text("{dataset: digits, model: mlp, seeds: 5}")
    said = [
        dlx("run", str(spec), "--dry-run", "--shard", f"{number}/2", "--results", str(tmp_path)) for number in (1, 2)
    ]
    assert [[f"seed={seed}" in each.stdout for seed in range(5)] for each in said] == [
        [True, False, True, False, True],
        [False, True, False, True, False],
    ]
    wrong = dlx("run", str(spec), "--shard", "3/2")
    assert (wrong.returncode, wrong.stderr) == (2, "dlx: --shard 3/2: shares are counted from 1 to 2\n")


@pytest.mark.slow
def test_a_run_stops_before_its_job_is_stopped(tmp_path: Path, dlx: Dlx) -> None:
    spec = tmp_path / "long.yaml"
    spec.write_text("{dataset: digits, model: mlp, training: {epochs: 100000}}")
    end = str(int(time.time() + 30))
    said = dlx("run", str(spec), "--results", str(tmp_path / "results"), SLURM_JOB_END_TIME=end)
    assert said.returncode == 143
    assert "the SLURM job nears its time limit; the same command goes on from there" in said.stderr
    assert time.time() < int(end)
