"""Lines for logs and pipes."""

from __future__ import annotations

import io

from dlx.cli.plain import MANY_TRIALS, PlainDisplay, QuietDisplay
from dlx.events import EpochEnded, Note, TrialEnded
from tests.cli.streams import metrics, started, trial


class Clock:
    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def lines(total: int, clock: Clock, epochs: int) -> list[str]:
    stream = io.StringIO()
    with PlainDisplay(total, stream, clock=clock) as display:
        for event in trial(epochs=epochs):
            display(event)
    return stream.getvalue().splitlines()


def test_one_line_per_epoch_when_epochs_are_long() -> None:
    written = lines(2, Clock(60.0), epochs=3)
    assert len(written) == 5
    assert written[1] == (
        "[1/2] model.depth=2 seed=0: train epoch 1/3: accuracy train 60.00 %, val 59.00 %; loss train 0.4, val 0.5"
    )
    assert written[-1] == (
        "[1/2] model.depth=2 seed=0: done: accuracy train 80.00 %, val 79.00 %; loss train 0.2, val 0.3"
    )


def test_a_line_a_second_and_the_last_epoch_when_they_are_short() -> None:
    written = lines(1, Clock(0.01), epochs=1000)
    assert 10 <= len(written) <= 13
    assert "train epoch 1000/1000" in written[-2]


def test_one_line_per_trial_when_there_are_many() -> None:
    assert len(lines(MANY_TRIALS + 1, Clock(60.0), epochs=50)) == 1


def test_lines_name_their_own_trial() -> None:
    stream = io.StringIO()
    display = PlainDisplay(2, stream, clock=Clock(60.0))
    display(started("a", label="seed=0"))
    display(started("b", label="seed=1"))
    display(EpochEnded("a", "train", 1, 9, metrics(0.5)))
    display(EpochEnded("b", "train", 1, 9, metrics(0.5)))
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["seed=0:", "seed=1:"]


def test_a_closed_log_does_not_stop_the_training() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    display = PlainDisplay(1, Closed())
    for event in trial():
        display(event)


def test_a_log_that_cannot_write_unicode_gets_what_it_can() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    PlainDisplay(1, stream)(Note("σ ≤ 1"))
    assert raw.getvalue() == b"note: ? ? 1\n"


def test_notes_and_failures_with_their_log() -> None:
    stream = io.StringIO()
    display = PlainDisplay(1, stream)
    display(Note("momentum reset to its default"))
    display(started())
    display(TrialEnded("a", "seed=0", "failed", "out of memory", log="results/x/log.txt"))
    assert stream.getvalue().splitlines() == [
        "note: momentum reset to its default",
        "[1/1] seed=0: failed: out of memory (log: results/x/log.txt)",
    ]


def test_quiet_says_only_what_went_wrong() -> None:
    stream = io.StringIO()
    display = QuietDisplay(stream)
    for event in trial():
        display(event)
    display(EpochEnded("a", "train", 1, 1, metrics(0.5)))
    assert stream.getvalue() == ""
    display(TrialEnded("a", "seed=0", "diverged", "the loss is nan"))
    assert stream.getvalue() == "seed=0: diverged: the loss is nan\n"
