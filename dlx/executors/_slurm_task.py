"""The inside of a SLURM job: some trials on the worker processes of one node, a signal heeded in time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.events import EpochEnded, Event, StepsDone
from dlx.executors import Executor, Unit, Work
from dlx.executors import _slurm_queue as queue
from dlx.executors._jobs import may_begin
from dlx.executors._stream import End, Writer
from dlx.executors._unit import has_ended
from dlx.interruption import Stop

_GO_ON_LATER = ("stopped by SIGUSR1", "stopped by SIGUSR2")
"""SLURM sends the signal that a job chose when its time ends, or when it has to make room."""

_IDLE_RESTARTS = 3


@dataclass(frozen=True)
class Task:
    """What submitit pickles and calls on the node; called again where the task was put back into the queue."""

    folder: Path
    events: Path
    units: tuple[Unit, ...]
    work: Work
    local: Executor

    def __call__(self) -> None:
        """Trials to their ends; after SLURM's warning they are saved and the task goes back into the queue."""
        tell = Writer(self.events)
        stepped = False

        def observe(event: Event) -> None:
            nonlocal stepped
            stepped = stepped or isinstance(event, StepsDone | EpochEnded)
            tell(event)

        # Another run of this task may have ended some.
        left = [unit for unit in self.units if not has_ended(unit)]
        with Stop().listening() as stop:
            ended = set()
            for end in self.local.run(left, self.work, stop, observe, lambda unit: may_begin(self.folder)):
                state = end.status.state if end.status else None
                tell(End(end.unit.directory.trial, state, end.held))
                if state != "interrupted":
                    ended.add(end.unit)
            unfinished = [unit for unit in left if unit not in ended]
            again = bool(unfinished) and may_begin(self.folder) and _goes_on_later(stop, os.environ, stepped)
            if again and not queue.requeue(_this_task(os.environ)):
                print(f"the task could not be put back into the queue: {len(unfinished)} trials are left")  # noqa: T201
        tell.close()


def _goes_on_later(stop: Stop, environment: Mapping[str, str], stepped: bool) -> bool:
    """Whether the reason to stop is one to go on after; a task that got nowhere three times is not begun for ever."""
    if stop.requested is None or stop.requested[0] not in _GO_ON_LATER:
        return False
    return stepped or int(environment.get("SLURM_RESTART_COUNT", "0")) < _IDLE_RESTARTS


def _this_task(environment: Mapping[str, str]) -> str:
    if array := environment.get("SLURM_ARRAY_JOB_ID"):
        return f"{array}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def chunks(units: Sequence[Unit], size: int) -> list[tuple[Unit, ...]]:
    """Units in their order, ``size`` to a task."""
    return [tuple(units[start : start + size]) for start in range(0, len(units), size)]
