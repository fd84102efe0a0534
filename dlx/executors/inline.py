"""One trial after another in this process: nothing in between when looking for a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from dlx import devices as machine
from dlx.events import Observer
from dlx.executors import Executor, Finished, Unit, Work, always
from dlx.executors._fresh import run_in_fresh_process
from dlx.executors._unit import carry_out, carry_out_all, ran_out_of_memory
from dlx.interruption import Stop


class Spec(Executor):
    """Trials in this process; the backend is imported once. One that runs out of memory is tried again in another."""

    summary: ClassVar[str] = "one trial after another in this process, for debugging"

    packs: ClassVar[bool] = True

    name: Literal["inline"] = "inline"

    def require(self, devices: int) -> None:
        machine.require(devices)

    def threads(self, trials: int, devices: int = 1) -> int:
        return machine.layout(trials, devices=devices).threads

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
            if not may_begin(unit):
                continue
            if unit.companions:
                yield from carry_out_all(unit, work, stop, observe)
                continue
            end = carry_out(unit, work, stop, observe)
            if end.status is not None and ran_out_of_memory(end.status) and not stop.requested:
                work.forget()
                again = replace(unit, seen=end.status.last_attempt)
                end = run_in_fresh_process(again, work, stop, observe)
            yield end
