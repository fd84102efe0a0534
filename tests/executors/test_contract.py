"""What every executor promises, whatever is under it. A new one is added to ``EXECUTORS``, with its marker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx.events import EpochEnded, Event, Note, TrialEnded, TrialStarted
from dlx.executors import Executor, Finished, Unit, executor, registry
from dlx.interruption import INTERRUPTED, Stop
from dlx.progress import FILE as PROGRESS
from dlx.progress import read_report
from tests.executors.work import TABLE, Pretend, expected_table, loss_after, make_unit, process_of
from tests.waiting import PATIENCE

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "inline": lambda: executor("inline", {}),
    "local": lambda: executor("local", {"jobs": 2, "grace": PATIENCE}),
    "ray": lambda: executor("ray", {"jobs": 2, "grace": PATIENCE}),
    "slurm": lambda: executor("slurm", {"per_task": 2, "grace": PATIENCE}),
}
CLUSTERS = {"ray": "ray_nodes", "slurm": "slurm_node"}
"""The fixture that provides what an executor runs on; the marker is named like the executor."""


@pytest.fixture(
    params=[pytest.param(name, marks=getattr(pytest.mark, name) if name in CLUSTERS else ()) for name in EXECUTORS]
)
def place(request: pytest.FixtureRequest) -> Executor:
    """One executor after the other."""
    if request.param in CLUSTERS:
        request.getfixturevalue(CLUSTERS[request.param])
    return EXECUTORS[request.param]()


def run(
    place: Executor, units: list[Unit], stop: Stop | None = None, observe: Callable[[Event], None] = lambda event: None
) -> dict[str, Finished]:
    """All units to their ends, by trial."""
    ends = list(place.run(units, Pretend(), stop or Stop(), observe))
    found = {end.unit.directory.trial: end for end in ends}
    assert len(found) == len(ends), "a unit ended twice"
    return found


def states(ends: dict[str, Finished]) -> list[str | None]:
    return [end.status.state if end.status else None for end in ends.values()]


def test_all_units_finish(place: Executor, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number) for number in range(5)]
    events: list[Event] = []
    ends = run(place, units, observe=events.append)
    assert set(ends) == {unit.directory.trial for unit in units}
    assert set(states(ends)) == {"done"}
    for unit in units:
        assert unit.directory.table(TABLE).read_text() == expected_table()
        assert unit.directory.status().state == "done"
        assert not (unit.directory.path / PROGRESS).exists()
    ended = [event for event in events if isinstance(event, TrialEnded)]
    assert sorted(event.trial for event in ended) == sorted(ends)


def test_nothing_to_run(place: Executor) -> None:
    assert run(place, []) == {}


def test_a_failure_is_its_own_row_only(place: Executor, tmp_path: Path) -> None:
    plans = ["train", "raise", "not load", "leave", "train"]
    ends = run(place, [make_unit(tmp_path, number, does=does) for number, does in enumerate(plans)])
    by_number = {int(trial, 16): end.unit.directory.status() for trial, end in ends.items()}
    assert [by_number[number].state for number in range(5)] == ["done", "failed", "failed", "failed", "done"]
    assert by_number[1].reason == "ZeroDivisionError: a defect"
    assert by_number[2].reason == "this setting does not load"
    assert by_number[3].reason == "SystemExit: 3"
    log = ends[f"{1:012x}"].unit.directory.log.read_text()
    assert "Traceback" in log
    assert "work.py" in log


def test_a_request_to_stop_is_orderly(place: Executor, tmp_path: Path) -> None:
    workers = 2 if place.name == "local" else 1  # both have begun when the request comes
    units = [make_unit(tmp_path, number, rows=1_000_000, seconds=0.1, workers=workers) for number in range(4)]
    stop = Stop()

    def watch(event: Event) -> None:
        if isinstance(event, EpochEnded):
            stop.request("stopped by SIGINT", INTERRUPTED)

    ends = run(place, units, stop, watch)
    assert 1 <= len(ends) <= 2
    for end in ends.values():
        status = end.unit.directory.status()
        assert end.status is not None and end.status.state == status.state == "interrupted"
        assert (status.reason, status.attempts[-1].exit) == ("stopped by SIGINT",) * 2
    left = [unit.directory.status().state for unit in units if unit.directory.trial not in ends]
    assert set(left) == {"pending"}
    # Where they were is still on record: that is where they go on.
    reports = [read_report(end.unit.directory.path) for end in ends.values()]
    assert any(report is not None and report.epoch >= 1 for report in reports)


def test_a_stop_before_the_start(place: Executor, tmp_path: Path) -> None:
    stop = Stop()
    stop.request("stopped by SIGTERM", 143)
    assert run(place, [make_unit(tmp_path, 1)], stop) == {}


def test_units_that_may_not_begin_are_left_alone(place: Executor, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number) for number in range(3)]
    ends = list(place.run(units, Pretend(), Stop(), lambda event: None, lambda unit: unit is not units[1]))
    assert {end.unit.directory.trial for end in ends} == {units[0].directory.trial, units[2].directory.trial}
    assert units[1].directory.status().state == "pending"


def test_a_trial_that_another_process_works_on(place: Executor, tmp_path: Path) -> None:
    units = [make_unit(tmp_path, number) for number in range(2)]
    with units[0].directory.claim():
        ends = run(place, units)
    held, other = (ends[unit.directory.trial] for unit in units)
    assert held.status is None
    assert held.held is not None and "is being worked on by process" in held.held
    assert other.status is not None and other.status.state == "done"


def test_a_trial_that_another_process_has_ended_meanwhile(place: Executor, tmp_path: Path) -> None:
    unit = make_unit(tmp_path, 1)
    with unit.directory.claim() as attempt:
        attempt.end("done")
    ends = run(place, [unit])
    assert states(ends) == ["done"]
    assert unit.directory.status().last_attempt == 1, "it was run a second time"


def test_out_of_memory_is_tried_once_more_in_a_fresh_process(place: Executor, tmp_path: Path) -> None:
    once = make_unit(tmp_path, 1, does="exhaust memory once")
    always = make_unit(tmp_path, 2, does="exhaust memory")
    ends = run(place, [once, always])
    assert ends[once.directory.trial].unit.directory.status().state == "done"
    pids = {attempt.pid for attempt in once.directory.status().attempts}
    assert len(pids) == 2
    status = always.directory.status()
    assert (status.state, status.reason, status.last_attempt) == ("failed", "out of memory", 2)


def test_closing_early_ends_what_runs_in_order(place: Executor, tmp_path: Path) -> None:
    units = [
        make_unit(tmp_path, 0),
        *(make_unit(tmp_path, number, rows=1_000_000, seconds=0.1) for number in (1, 2, 3)),
    ]
    ends = place.run(units, Pretend(), Stop(), lambda event: None)
    next(ends)
    ends.close()  # type: ignore[attr-defined]
    left = [unit.directory.status() for unit in units[1:]]
    assert {status.state for status in left} <= {"interrupted", "pending"}
    assert all(status.reason == "stopped by SIGTERM" for status in left if status.state == "interrupted")
    assert not any(unit.directory.holder() for unit in units)


def test_what_happens_is_told_while_it_happens(place: Executor, tmp_path: Path) -> None:
    enough = tmp_path / "enough"
    unit = make_unit(tmp_path / "results", 1, rows=1000, seconds=0.05, does="note", enough=str(enough))
    events: list[Event] = []

    def observe(event: Event) -> None:
        events.append(event)
        if len([event for event in events if isinstance(event, EpochEnded)]) == 2:
            enough.touch()

    run(place, [unit], observe=observe)
    kinds = [type(event) for event in events]
    first = next(event for event in events if not isinstance(event, Note))  # a cluster may have its own words before
    assert kinds[-1] is TrialEnded
    assert Note in kinds
    epochs = [event.epoch for event in events if isinstance(event, EpochEnded)]
    assert epochs == sorted(epochs) and len(epochs) >= 2
    assert isinstance(first, TrialStarted)
    assert (first.label, first.epochs, first.layers) == ("seed=1", {"train": 1000}, ((1, "dense_1"),))


def test_progress_is_to_be_seen_from_outside(place: Executor, tmp_path: Path) -> None:
    enough = tmp_path / "enough"
    unit = make_unit(tmp_path / "results", 1, rows=1000, seconds=0.05, enough=str(enough))
    seen = []

    def look() -> None:
        while not ended.wait(0.05):
            if (report := read_report(unit.directory.path)) is not None:
                seen.append(report)
                if report.completed:
                    enough.touch()

    ended = threading.Event()
    looker = threading.Thread(target=look)
    looker.start()
    run(place, [unit])
    ended.set()
    looker.join()
    fractions = [report.fraction for report in seen]
    assert fractions == sorted(fractions) and 0 < fractions[-1] <= 1
    assert seen[-1].pid == process_of(unit)["pid"]
    assert seen[-1].metrics["train_loss"] == loss_after(seen[-1].completed or 0)


def test_every_member_is_in_the_suite() -> None:
    assert set(EXECUTORS) == set(registry.names())
