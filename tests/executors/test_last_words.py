"""The end of a trial that could not tell of it itself: written in its place, unless that is not for us to do."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from dlx.events import ignore
from dlx.executors import Unit, executor
from dlx.executors._jobs import Job
from dlx.executors._ray_slot import Leaving
from dlx.executors._slurm_wait import Wait, Watched
from dlx.executors._unit import has_ended
from dlx.interruption import Stop
from dlx.records.status import SETTLED, State
from dlx.verdict import NOT_BEGUN
from tests.executors.work import Pretend, make_unit


def ended(unit: Unit, state: State) -> Unit:
    with unit.directory.claim() as attempt:
        attempt.end(state)
    return unit


@pytest.mark.parametrize("state", SETTLED)
def test_what_has_ended_since_is_not_begun_again(tmp_path: Path, state: State) -> None:
    unit = ended(make_unit(tmp_path, 1), state)
    assert has_ended(unit)
    assert not has_ended(replace(unit, seen=1)), "that was known when it was decided to run it"


def test_an_interrupted_trial_has_not_ended(tmp_path: Path) -> None:
    assert not has_ended(ended(make_unit(tmp_path, 1), "interrupted"))


def test_a_worker_that_is_killed_too_late_fails_no_trial(tmp_path: Path) -> None:
    """It reported nothing for too long, and had its last word just before it was killed for that."""
    unit = ended(make_unit(tmp_path, 1), "done")
    end = Leaving(unit, time.monotonic(), failed="no step for 60 s").look(ignore)
    assert end is not None and end.status is not None
    assert (end.status.state, unit.directory.status().state) == ("done", "done")
    running = make_unit(tmp_path, 2)
    end = Leaving(running, time.monotonic(), failed="no step for 60 s").look(ignore)
    assert end is not None and end.status is not None
    assert (end.status.state, end.status.reason) == ("failed", "no step for 60 s")


@pytest.mark.parametrize("name", ["inline", "local"])
def test_what_is_killed_in_the_process_that_has_more_memory_has_failed(tmp_path: Path, name: str) -> None:
    """It would be killed again each time that it went on."""
    unit = make_unit(tmp_path, 1, does="exhaust memory, then be killed")
    (end,) = executor(name, {}).run([unit], Pretend(), Stop(), ignore)
    assert end.status is not None
    assert (end.status.state, end.status.last_attempt) == ("failed", 3), "the third attempt says how the second ended"
    assert end.status.reason is not None and "died: signal SIGKILL" in end.status.reason
    assert unit.directory.status() == end.status


def gone(results: Path, *units: Unit) -> Watched:
    """A task of which SLURM says that it failed, without a word of its own."""
    job = Job.new(results / "jobs", [[unit.directory.trial for unit in units]]).submitted("7")
    return Watched(job, 0, list(units), "FAILED", gone_since=0.0)


def test_a_trial_that_its_job_never_began_is_left_to_whoever_has_it(tmp_path: Path) -> None:
    ours, theirs = make_unit(tmp_path, 1), make_unit(tmp_path, 2)
    task = gone(tmp_path, ours, theirs)
    with theirs.directory.claim() as other:
        unit = replace(theirs, seen=other.number)  # another run had begun it before this one was told of it
        task.units[1] = unit
        ends = list(Wait([task], 0.0)._over(task, ignore, stopped=False, may_begin=lambda unit: True))
    (first, second) = ends
    assert first.status is not None and first.status.state == "interrupted"
    assert first.status.attempts[-1].exit == NOT_BEGUN
    assert second.status is None and second.held is not None and "is being worked on by" in second.held
