"""Where trials that train together meet: each tells its story in a thread of its own, the work is done once for all.

A trial that trains alone calls its program; one of a pack calls its lane, which waits here
until every other lane has come to the same call. Then the thread that serves the meeting
does it for all of them at once. So the story of a trial is written once, and does not know
how many are told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dlx.interruption import Interrupted, Stop

Act = Callable[[Mapping[int, Any]], Mapping[int, Any]]
"""From each lane's argument to each lane's result."""


@dataclass(frozen=True)
class _Call:
    name: str
    argument: Any
    act: Act


class Meeting:
    """Lanes, each in a thread, that do everything of consequence together and in the same order.

    A request to stop is passed on at the end of a meeting only, so that all lanes hear it at
    the same point of their stories.
    """

    def __init__(self, lanes: Iterable[int], stop: Stop) -> None:
        self._changed = threading.Condition()
        self._present = set(lanes)
        self._calls: dict[int, _Call] = {}
        self._results: dict[int, Any] = {}
        self._failure: BaseException | None = None
        self._stop = stop
        self.stop_heard = stop.requested

    # The lanes' side

    def call(self, lane: int, name: str, argument: Any, act: Act) -> Any:
        """Wait for all lanes to make this call; this lane's part of what ``act`` made of it.

        Raises what ``act`` raised, in every lane.
        """
        with self._changed:
            self._calls[lane] = _Call(name, argument, act)
            self._changed.notify_all()
            self._changed.wait_for(lambda: lane in self._results or self._failure is not None)
            if lane not in self._results:
                assert self._failure is not None
                raise self._failure
            return self._results.pop(lane)

    def leave(self, lane: int) -> None:
        """This lane will not come again; the others go on without it."""
        with self._changed:
            self._present.discard(lane)
            self._calls.pop(lane, None)
            self._changed.notify_all()

    # The serving side

    def serve(self) -> None:
        """Do what the lanes come together for, until all have left.

        An error of the work ends every lane with it: it is for the lanes to say what it means.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._present or self._present <= self._calls.keys())
                if not self._present:
                    return
                calls, self._calls = dict(self._calls), {}
            try:
                results = self._do(calls)
            except BaseException as error:  # whatever it is, nobody may wait for ever
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: not self._present)
                return
            with self._changed:
                self.stop_heard = self._stop.requested
                self._results.update(results)
                self._changed.notify_all()

    def _do(self, calls: Mapping[int, _Call]) -> Mapping[int, Any]:
        names = {call.name for call in calls.values()}
        if len(names) > 1:
            raise RuntimeError(f"trials that train together are out of step: {', '.join(sorted(names))}")
        results = next(iter(calls.values())).act({lane: call.argument for lane, call in sorted(calls.items())})
        return {lane: results[lane] for lane in calls}


class MeetingStop(Stop):
    """A lane's view of the request to stop: as it was when the lanes last met."""

    def __init__(self, meeting: Meeting, stop: Stop) -> None:
        super().__init__()
        self._meeting = meeting
        self._asked = stop

    def request(self, reason: str, exit_code: int) -> None:
        self._asked.request(reason, exit_code)

    @property
    def requested(self) -> tuple[str, int] | None:
        return self._meeting.stop_heard

    def check(self) -> None:
        if self.requested is not None:
            raise Interrupted(*self.requested)
