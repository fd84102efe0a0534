"""The inside of a worker of the executor ``ray``: an actor, set up once, then one unit after another."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dlx.events import Event, Note
from dlx.executors import Unit, Work
from dlx.executors._unit import carry_out
from dlx.interruption import Stop
from dlx.records.status import Status


@dataclass(frozen=True)
class Equipment:
    """What a worker is given at its start: what it does, the parent's working directory, and environment variables."""

    work: Work
    place: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Greeting:
    """A worker that is there. ``sees``: whether it finds the file that the parent has put beside the trials."""

    host: str
    node: str
    sees: bool


@dataclass(frozen=True)
class Ended:
    """A unit's end as its worker tells it: another node may see what is on disk a little later."""

    status: Status | None
    held: str | None
    notes: tuple[Note, ...]


class Worker:
    """One process on a node. Its requests to stop come through a thread of their own, beside the unit under way."""

    def __init__(self, equipment: Equipment) -> None:
        os.environ.update(equipment.environment)
        with contextlib.suppress(OSError):  # relative paths, of data say, mean what they mean to the parent
            os.chdir(equipment.place)
        self._work = equipment.work
        self._stop = Stop()

    def greet(self, witness: str) -> Greeting:
        """Say where this is, and whether the file ``witness`` is to be seen from here."""
        import ray

        return Greeting(socket.gethostname(), ray.get_runtime_context().get_node_id(), Path(witness).exists())

    def run(self, unit: Unit, token: str) -> Ended:
        """Carry out a unit."""
        notes: list[Note] = []

        def observe(event: Event) -> None:
            if isinstance(event, Note):
                notes.append(event)

        finished = carry_out(unit, self._work, self._stop, observe, token)
        return Ended(finished.status, finished.held, tuple(notes))

    def ask_to_stop(self, reason: str, exit_code: int) -> None:
        """Have the unit under way end in order, and any later one before its first step."""
        self._stop.request(reason, exit_code)
