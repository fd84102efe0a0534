"""``progress.json``: what is written comes back, as events too; how often; what is left at the end."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dlx.events import EpochEnded, Event, GradientsRecorded, StepsDone, TrialEnded, TrialStarted, ignore
from dlx.progress import FILE, Follower, Reporter, read_report

STARTED = TrialStarted("0123456789ab", "depth=2", {"train": 4}, ((1, "dense_1"), (2, "output")), "somewhere", "epoch 1")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def events_of_a_trial() -> list[Event]:
    norms = {"kernel": (0.5, math.nan), "bias": (math.inf, 1e-30)}
    return [
        STARTED,
        StepsDone(STARTED.trial, "train", 2, 4, 10, 20),
        GradientsRecorded(STARTED.trial, "train", 2, 40, 1000, norms),
        EpochEnded(STARTED.trial, "train", 2, 4, {"train_loss": math.nan, "val_loss": -math.inf, "test_loss": None}),
        StepsDone(STARTED.trial, "train", 3, 4, 5, 20),
    ]


def test_what_is_written_comes_back_as_events(tmp_path: Path) -> None:
    clock = Clock()
    passed: list[Event] = []
    reporter = Reporter(tmp_path, passed.append, "mine", clock)
    follower, stranger = Follower(tmp_path, "mine"), Follower(tmp_path, "another's")
    seen: list[Event] = []
    for event in events_of_a_trial():
        clock.now += 2
        reporter(event)
        seen += follower.look()
    assert passed == events_of_a_trial()
    assert stranger.look() == []
    expected = events_of_a_trial()
    expected[0] = TrialStarted(**{**vars(STARTED), "directory": str(tmp_path)})
    assert repr(seen) == repr(expected), "NaN is not equal to itself, but its text is"
    assert follower.look() == []


def test_place_and_pace(tmp_path: Path) -> None:
    clock = Clock()
    reporter = Reporter(tmp_path, ignore, clock=clock)
    reporter(STARTED)
    clock.now += 50  # compiling
    reporter(StepsDone(STARTED.trial, "train", 2, 4, 0, 20))
    clock.now += 30
    reporter(StepsDone(STARTED.trial, "train", 3, 4, 0, 20))
    report = read_report(tmp_path)
    assert report is not None
    assert (report.fraction, report.seconds_left) == (0.5, pytest.approx(60.0))


def test_it_is_written_about_once_a_second(tmp_path: Path) -> None:
    clock = Clock()
    reporter = Reporter(tmp_path, ignore, clock=clock)
    beats = set()
    reporter(STARTED)
    for step in range(1, 1001):
        clock.now += 0.01
        reporter(StepsDone(STARTED.trial, "train", 1, 4, step, 1000))
        report = read_report(tmp_path)
        assert report is not None
        beats.add(report.beat)
    assert beats == set(range(2, 12)) or beats == set(range(2, 13))


@pytest.mark.parametrize(("state", "kept"), [("done", False), ("failed", False), ("interrupted", True)])
def test_the_end(tmp_path: Path, state: str, kept: bool) -> None:
    reporter = Reporter(tmp_path, ignore)
    reporter(STARTED)
    reporter(StepsDone(STARTED.trial, "train", 2, 4, 10, 20))
    reporter(StepsDone(STARTED.trial, "train", 3, 4, 7, 20))
    reporter(TrialEnded(STARTED.trial, "", state))
    report = read_report(tmp_path)
    assert (report is not None) == kept
    if report is not None:
        assert (report.epoch, report.step) == (3, 7)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "dlx.progress/1"}', "{" * 5000, "\xff"])
def test_a_file_that_makes_no_sense(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content, encoding="latin-1")
    assert read_report(tmp_path) is None
    assert Follower(tmp_path, "mine").look() == []


def test_a_directory_that_takes_nothing_costs_no_trial(tmp_path: Path) -> None:
    reporter = Reporter(tmp_path / "absent", ignore)
    for event in events_of_a_trial():
        reporter(event)
