"""A trial in a process of its own, which nothing that earlier trials left in memory can burden."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

from dlx.events import Event, Observer
from dlx.executors import Unit
from dlx.interruption import TERMINATED, Stop
from dlx.records.status import Status
from dlx.trial import run_trial
from dlx.worker import Runtime, Worker

_PATIENCE = 0.2


def run_in_fresh_process(unit: Unit, runtime: Runtime, stop: Stop, observe: Observer) -> Status:
    """Run a trial in a new process and wait for it; a request to stop is handed on.

    What the trial came to is read from its directory, so that a process that is killed
    leaves what any killed process leaves.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit the memory, and threads that are not there
    events, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(unit, runtime, theirs))
    process.start()
    theirs.close()
    while True:
        if stop.requested:
            process.terminate()  # a second signal changes nothing
        try:
            if events.poll(_PATIENCE):
                observe(events.recv())
        except EOFError:
            break
    process.join()
    return unit.directory.status()


def _work(unit: Unit, runtime: Runtime, events: Connection) -> None:
    stop = Stop()

    def tell(event: Event) -> None:
        try:
            events.send(event)
        except OSError:
            stop.request("the process that started it is gone", TERMINATED)

    with stop.listening():
        run_trial(unit.directory, unit.label, Worker(runtime), stop, tell)
