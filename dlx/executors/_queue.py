"""Units that wait for a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dlx.executors import Unit


class Queue:
    """Units that wait, by program and in the order given."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self._programs: dict[str, deque[Unit]] = {}
        for unit in units:
            self._programs.setdefault(unit.program, deque()).append(unit)

    def __len__(self) -> int:
        return sum(map(len, self._programs.values()))

    def next(self, program: str | None, others: Sequence[str | None]) -> Unit | None:
        """The unit for a worker that has just run ``program`` while ``others`` are being run; None at the end.

        The same program again; else the first that nobody runs; else the one of which most is left.
        """
        if program not in self._programs:
            free = (name for name in self._programs if name not in others)
            program = next(free, None) or max(self._programs, key=lambda name: len(self._programs[name]), default=None)
        if program is None:
            return None
        units = self._programs[program]
        unit = units.popleft()
        if not units:
            del self._programs[program]
        return unit
