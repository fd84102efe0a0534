"""One trial after another in this process: nothing in between when looking for a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal

from dlx import devices
from dlx.events import Observer
from dlx.executors import Executor, Finished, Unit, Work, always
from dlx.executors._unit import carry_out
from dlx.interruption import Stop


class Spec(Executor):
    """Trials in this process; the backend is imported once."""

    summary: ClassVar[str] = "one trial after another in this process, for debugging"

    name: Literal["inline"] = "inline"

    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        for unit in units:
            if stop.requested:
                return
            if may_begin(unit):
                yield carry_out(unit, work, stop, observe)

    def threads(self, trials: int) -> int:
        return devices.layout(trials).threads
