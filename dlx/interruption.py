"""Requests to stop: signals, and a time limit. Whoever trains asks between chunks and stops in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dlx.errors import DlxError

INTERRUPTED = 130
TERMINATED = 143

_SIGNALS = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")


class Interrupted(DlxError):
    """The trial stopped in order because it was asked to; the same command continues it."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


class Pruned(Interrupted):
    """The trial stopped in order and for good: others promise more."""


class Stop:
    """A request to stop, made by a signal or by the clock; the first one counts, more change nothing.

    ``max_seconds`` from now on is a limit; ``heard`` is told the reason once, at the moment
    of the request (so that a person sees that Ctrl-C was noticed). ``limit`` says whose it is.
    What is asked of ``outer`` is asked of this one too. ``pruned``: the trial is not to go on later.
    """

    def __init__(
        self,
        max_seconds: float | None = None,
        heard: Callable[[str], None] = lambda reason: None,
        limit: str = "the time given by --max-time is up",
        outer: Stop | None = None,
    ) -> None:
        self.pruned = False
        self._outer = outer
        self._deadline = None if max_seconds is None else time.monotonic() + max_seconds
        self._heard = heard
        self._limit = limit
        self._request: tuple[str, int] | None = None

    def request(self, reason: str, exit_code: int) -> None:
        """Ask for an orderly end; only the first request is remembered."""
        if self._request is None:
            self._request = reason, exit_code
            self._heard(reason)

    def prune(self, reason: str) -> None:
        """Ask for an orderly end of a trial that is not worth going on with."""
        if self.requested is None:
            self.request(reason, 0)
            self.pruned = self._request == (reason, 0)  # a signal may have come first

    @property
    def requested(self) -> tuple[str, int] | None:
        """The reason and the exit code, once somebody asked or the time is up."""
        if self._request is None and self._deadline is not None and time.monotonic() >= self._deadline:
            self.request(self._limit, TERMINATED)
        if self._request is None and self._outer is not None and self._outer.requested is not None:
            self.request(*self._outer.requested)
        return self._request

    @property
    def timed_out(self) -> bool:
        """Whether it was the time limit that asked."""
        return self._request is not None and self._request[0] == self._limit

    def check(self) -> None:
        """Raise :class:`Interrupted` (:class:`Pruned`) if a stop was requested."""
        if self.requested is not None:
            raise (Pruned if self.pruned else Interrupted)(*self.requested)

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Take SIGINT, SIGTERM and, where they exist, SIGUSR1 and SIGUSR2 as requests, until the end of the block.

        Schedulers send the last three before they kill. Does nothing outside the main thread,
        where Python has no signals.
        """
        before: dict[int, Any] = {}

        def handle(number: int, frame: object) -> None:
            name = signal.Signals(number).name
            self.request(f"stopped by {name}", INTERRUPTED if name == "SIGINT" else TERMINATED)

        try:
            for name in _SIGNALS:
                if hasattr(signal, name):
                    before[getattr(signal, name)] = signal.signal(getattr(signal, name), handle)
        except ValueError:
            before = {}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
