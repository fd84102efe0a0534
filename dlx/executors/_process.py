"""The inside of a worker process of the executor ``local``: set up once, then one unit after another."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from dlx.events import Event, Note
from dlx.executors import Unit, Work
from dlx.executors._unit import carry_out_all
from dlx.interruption import TERMINATED, Stop

_HEARD_BY_THE_PARENT = ("SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2")


@dataclass(frozen=True)
class Equipment:
    """What a worker is given at its start.

    ``environment`` is set before anything of a backend is imported. What native code prints
    goes to the file ``output``. Through ``requests`` come (reason, exit code) to stop for.
    """

    environment: Mapping[str, str]
    output: Path
    requests: Connection
    work: Work


@dataclass(frozen=True)
class Ended:
    """A unit's end as its worker tells it; the rest is on disk.

    ``held``: by trial, who else works on it. ``memory``: resident bytes of the worker, 0 unknown.
    """

    held: Mapping[str, str]
    notes: tuple[Note, ...]
    memory: int


class _Process:
    """This process as a worker: what it is equipped with, and the request to stop of the unit under way."""

    def __init__(self, equipment: Equipment) -> None:
        self.work = equipment.work
        self.stop: Stop | None = None
        self.asked = Stop()
        """What the parent asks, whenever it does: while the worker starts, too, before there is a unit to end."""
        self.terminated = False
        os.environ.update(equipment.environment)
        _redirect(equipment.output)
        faulthandler.enable()
        for name in _HEARD_BY_THE_PARENT:  # a terminal or a scheduler sends them to the whole group
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._terminate)
        threading.Thread(target=self._listen, args=(equipment.requests,), daemon=True).start()

    def _terminate(self, number: int, frame: object) -> None:
        self.terminated = True
        if self.stop is None:
            os._exit(TERMINATED)
        self.stop.request("stopped by SIGTERM", TERMINATED)

    def _listen(self, requests: Connection) -> None:
        try:
            request = requests.recv()
        except (EOFError, OSError):  # the parent is gone, and with it whoever waits for the result
            request = "the process that had started the worker ended", TERMINATED
        self.asked.request(*request)


_this: _Process | None = None


def start(equipment: Equipment) -> None:
    """Become a worker; called once, before the first unit."""
    global _this
    _this = _Process(equipment)


def run(unit: Unit, token: str) -> Ended:
    """Carry out a unit in this worker."""
    assert _this is not None
    notes: list[Note] = []

    def observe(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event)

    _this.stop = Stop(outer=_this.asked)
    try:
        finished = carry_out_all(unit, _this.work, _this.stop, observe, token)
    finally:
        _this.stop = None
        if _this.terminated:
            os._exit(TERMINATED)
    held = {end.unit.directory.trial: end.held for end in finished if end.held is not None}
    return Ended(held, tuple(notes), _resident_memory())


def _redirect(output: Path) -> None:
    """Send standard output and error to a file: the terminal belongs to the parent's display."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


def _resident_memory() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
