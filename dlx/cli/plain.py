"""Progress as lines of text, for logs and pipes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self, TextIO

from dlx.cli.progress import ExperimentProgress, metrics_line
from dlx.events import EpochEnded, Event, Note, TrialEnded, TrialStarted

MANY_TRIALS = 20
"""From here on a line per trial says enough."""


class Lines:
    """Writes lines to a stream that may close under it: a closed log is no reason to stop training."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True

    def write(self, line: str) -> None:
        if not self._open:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except UnicodeEncodeError:
            self.write(line.encode("ascii", "replace").decode("ascii"))
        except (OSError, ValueError):  # a broken pipe, a full disk; a stream that was closed
            self._open = False


class PlainDisplay:
    """At most one line per epoch and about one per ``interval`` seconds; one per trial when there are many."""

    def __init__(
        self,
        total: int,
        stream: TextIO,
        *,
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines = Lines(stream)
        self._progress = ExperimentProgress(total)
        self._interval = interval
        self._clock = clock
        self._last_line = -float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        self._progress.update(event)
        match event:
            case Note():
                self._lines.write(f"note: {event.message}")
            case TrialStarted():
                if event.resumed:
                    self._lines.write(f"{self._place(1)} {event.label}: continues from {event.resumed}")
            case EpochEnded():
                self._epoch(event)
            case TrialEnded():
                self._lines.write(f"{self._place(0)} {ending(event)}")

    def _epoch(self, event: EpochEnded) -> None:
        now = self._clock()
        due = now - self._last_line >= self._interval
        last = event.epoch == event.epochs
        trial = self._progress.running.get(event.trial)
        if trial is None or self._progress.total > MANY_TRIALS or not (due or last):
            return
        self._last_line = now
        where = f"{event.stage} epoch {event.epoch}/{event.epochs}"
        self._lines.write(f"{self._place(1)} {trial.started.label}: {where}: {metrics_line(event.metrics)}")

    def _place(self, ahead: int) -> str:
        total = max(self._progress.total, self._progress.count + ahead)
        return f"[{min(self._progress.count + ahead, total)}/{total}]"


class QuietDisplay:
    """Nothing but what went wrong."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = Lines(stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        if isinstance(event, TrialEnded) and event.state in ("failed", "diverged", "interrupted"):
            self._lines.write(ending(event))


def ending(event: TrialEnded) -> str:
    """A trial's last line: its metrics, or why there are none and where its log is."""
    line = f"{event.label}: {event.state}"
    if event.reason:
        line += f": {event.reason}"
    elif event.metrics:
        line += f": {metrics_line(event.metrics)}"
    return f"{line} (log: {event.log})" if event.log and event.state == "failed" else line
