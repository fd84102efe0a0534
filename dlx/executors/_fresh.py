"""A unit in a process of its own, which nothing that earlier trials left in memory can burden."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

from dlx.events import Event, Observer
from dlx.executors import Finished, Unit, Work
from dlx.executors._unit import carry_out, exit_in_words, fail
from dlx.interruption import TERMINATED, Stop
from dlx.records.status import read_status

_PATIENCE = 0.2


def run_in_fresh_process(unit: Unit, work: Work, stop: Stop, observe: Observer) -> Finished:
    """Run a unit in a new process and wait for it; a request to stop is handed on.

    What the trial came to is read from its directory. A process that dies without being asked to stop leaves a
    trial that failed.
    """
    context = multiprocessing.get_context("spawn")  # a fork would inherit the memory, and threads that are not there
    events, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(unit, work, theirs))
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
    left = read_status(unit.directory.status_file)
    died = left.state == "running" or (process.exitcode and left.last_attempt <= unit.seen)
    if died and not stop.requested:
        return fail(unit, f"its process died: {exit_in_words(process.exitcode or 0)}", observe)
    return Finished(unit, unit.directory.status())


def _work(unit: Unit, work: Work, events: Connection) -> None:
    stop = Stop()

    def tell(event: Event) -> None:
        try:
            events.send(event)
        except OSError:
            stop.request("the process that started it is gone", TERMINATED)

    with stop.listening():
        carry_out(unit, work, stop, tell)
