"""The last trial first: what a package needs to write to add an executor.

An executor is given units, each a trial's directory, and what to do with one; it knows nothing of deep learning. This
one leaves the work itself to one that comes with dlx.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Literal

from dlx.events import Observer
from dlx.executors import Executor, Finished, Unit, Work, always, executor
from dlx.interruption import Stop


class Spec(Executor):
    """Trials one after another in this process, in the opposite of the spec's order."""

    summary: ClassVar[str] = "one trial after another, the last first"

    name: Literal["backwards"] = "backwards"

    def threads(self, trials: int, devices: int = 1) -> int:
        return executor("inline", {}).threads(trials, devices)

    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        yield from executor("inline", {}).run(units[::-1], work, stop, observe, may_begin)
