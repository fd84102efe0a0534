"""One trial after another in this process: nothing in between when looking for a fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlx.events import Observer
from dlx.executors import Executor, Finished, Unit
from dlx.interruption import Stop
from dlx.records.ownership import Held, TakenOver
from dlx.trial import run_trial
from dlx.worker import Runtime, Worker


class Inline(Executor):
    """Trials in this process; the backend is imported once."""

    def run(self, units: Iterable[Unit], runtime: Runtime, stop: Stop, observe: Observer) -> Iterator[Finished]:
        worker = Worker(runtime)
        for unit in units:
            if stop.requested:
                return
            try:
                yield Finished(unit, run_trial(unit.directory, unit.label, worker, stop, observe))
            except (Held, TakenOver) as other:
                yield Finished(unit, None, str(other))
