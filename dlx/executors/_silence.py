"""How long trials in another process have reported nothing: what hangs is ended by it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from dlx.progress import Report

START_UP = 120.0
"""Seconds that a trial is given before its first step beyond its time-out: for the backend, its data, the compiler."""

_LONGEST_TICK = 1.0


class Silence:
    """Of the trials of one unit, from when it is handed over; ``reports`` are the last of each that has any."""

    def __init__(self, reports: Sequence[Report]) -> None:
        self.seconds = 0.0
        self.heard = list(reports)
        self._ticked = time.monotonic()

    def look(self, reports: Sequence[Report], timeout: float | None) -> str | None:
        """Why the unit is to be ended, having reported nothing for ``timeout`` seconds; None while it may go on."""
        # A tick is short, unless this process itself was stopped: then nobody was silent.
        at = time.monotonic()
        self.seconds += min(at - self._ticked, _LONGEST_TICK)
        self._ticked = at
        if list(reports) != self.heard:
            self.seconds, self.heard = 0.0, list(reports)
        stepping = any(report.steps > 0 for report in self.heard)
        if timeout is not None and self.seconds > (timeout if stepping else timeout + START_UP):
            return f"no step for {self.seconds:.0f} s (--timeout {timeout:g})"
        return None
