"""Waiting for the tasks of SLURM job arrays: what they tell is passed on, what dies without a word is found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from dlx.events import Observer
from dlx.executors import Finished, Unit
from dlx.executors import _slurm_queue as queue
from dlx.executors._jobs import Job
from dlx.executors._stream import End, Reader
from dlx.executors._unit import fail, tell
from dlx.interruption import INTERRUPTED, TERMINATED, Stop
from dlx.records.status import SETTLED, Status
from dlx.verdict import NOT_BEGUN

_TICK = 0.2
_SLOW_TICK = 1.0
_FEW = 16
_LEAST, _MOST = 2.0, 20.0  # seconds between two questions to SLURM's controller
_LAST_WORDS = 30.0
_STOPPING = 60.0
_CLOSING = 5.0
_KILLED_BY_ITSELF = ("FAILED", "OUT_OF_MEMORY")
_OUTPUT_KEPT = 8192


@dataclass
class Watched:
    """An array task, and the units of it that have not ended."""

    job: Job
    number: int
    units: list[Unit]
    state: str = "PENDING"
    gone_since: float | None = None
    events: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.events = Reader(self.job.events(self.number))

    @property
    def key(self) -> queue.Task:
        return self.job.id or "", self.number

    @property
    def called(self) -> str:
        return f"job {self.job.id}_{self.number}" if len(self.job.tasks) > 1 else f"job {self.job.id}"


class Wait:
    """Waits for tasks: passes on what they tell, and finds out about those that die without a word."""

    def __init__(self, tasks: Sequence[Watched], grace: float) -> None:
        self._tasks = list(tasks)
        self._jobs = {task.job.folder: task.job for task in tasks}
        self._clean = dict.fromkeys(self._jobs, True)
        self._grace = grace
        self._began = time.monotonic()
        self._asked = 0.0

    def ends(self, stop: Stop, observe: Observer, may_begin: Callable[[Unit], bool]) -> Iterator[Finished]:
        """Every unit's end, as it comes."""
        patience: float | None = None
        try:
            while self._tasks:
                for task in list(self._tasks):
                    for end in self._look(task, observe, stopped=patience is not None):
                        self._note(task, end)
                        yield end
                        if not all(may_begin(unit) for unit in task.units):
                            self._begin_no_more()
                for task in list(self._tasks):
                    if task.gone_since is not None:
                        for end in self._over(task, observe, stopped=patience is not None, may_begin=may_begin):
                            self._note(task, end)
                            yield end
                self._tasks = [task for task in self._tasks if task.units]
                if stop.requested and patience is None:
                    self._ask_to_stop(stop.requested[1])
                    patience = time.monotonic() + self._grace + _STOPPING
                if patience is not None and time.monotonic() > patience:
                    return
                self._refresh(hurry=patience is not None)
                if self._tasks:
                    time.sleep(_TICK if len(self._tasks) <= _FEW else _SLOW_TICK)
        finally:
            self._close()

    def _note(self, task: Watched, end: Finished) -> None:
        if end.status is None or end.status.state != "done":
            self._clean[task.job.folder] = False

    def _look(self, task: Watched, observe: Observer, *, stopped: bool) -> Iterator[Finished]:
        by_trial = {unit.directory.trial: unit for unit in task.units}
        for event in task.events.look():
            if not isinstance(event, End):
                observe(event)
            elif event.trial in by_trial and (event.state != "interrupted" or stopped):
                # One that is interrupted goes on when its task comes out of the queue again.
                unit = by_trial.pop(event.trial)
                task.units.remove(unit)
                yield Finished(unit, None if event.held else unit.directory.status(), event.held)

    def _over(
        self, task: Watched, observe: Observer, *, stopped: bool, may_begin: Callable[[Unit], bool]
    ) -> Iterator[Finished]:
        """What became of the units of a task that is gone, from what their directories say."""
        assert task.gone_since is not None
        yield from self._look(task, observe, stopped=stopped)
        late = time.monotonic() > task.gone_since + _LAST_WORDS  # file systems are slower than the controller
        for unit in list(task.units):
            status = unit.directory.status()
            if status.state == "running" and not late:
                continue
            task.units.remove(unit)
            began = status.last_attempt > unit.seen
            how = f"its {task.called} ended: {task.state}"
            if began and status.state in SETTLED:
                yield tell(unit, status, observe)
            elif began:
                killed = task.state in _KILLED_BY_ITSELF and status.attempts[-1].exit is None
                yield fail(unit, how, observe, _printed(task)) if killed else tell(unit, status, observe)
            elif not stopped and may_begin(unit):
                yield _not_begun(unit, task, how, observe)

    def _refresh(self, *, hurry: bool) -> None:
        """Ask how the tasks stand: at first every two seconds, of long jobs more rarely."""
        now = time.monotonic()
        interval = _LEAST if hurry else min(_MOST, max(_LEAST, (now - self._began) / 20))
        if now < self._asked + interval:
            return
        self._asked = now
        found = queue.states({job.id for job in self._jobs.values() if job.id})
        if found is None:
            return
        for task in self._tasks:
            state = found.get(task.key)
            task.state = state or "no longer known to SLURM"
            if state in queue.LIVE:
                task.gone_since = None
            elif task.gone_since is None:
                task.gone_since = now

    def _begin_no_more(self) -> None:
        for job in {task.job.folder: task.job for task in self._tasks}.values():
            job.begin_no_more()
            queue.cancel_waiting(job.id or "")

    def _ask_to_stop(self, exit_code: int) -> None:
        self._begin_no_more()
        name = "INT" if exit_code == INTERRUPTED else "TERM"
        for job in {task.job.folder: task.job for task in self._tasks}.values():
            queue.signal(job.id or "", name)

    def _close(self) -> None:
        """End what is still there: in order, as far as it does within its grace."""
        if self._tasks:
            self._ask_to_stop(TERMINATED)
            until = time.monotonic() + self._grace
            while time.monotonic() < until and any(task.gone_since is None for task in self._tasks):
                self._refresh(hurry=True)
                time.sleep(_TICK)
            for task in self._tasks:
                if task.gone_since is None:
                    queue.cancel(task.job.id or "")
        left = {task.job.folder for task in self._tasks}
        for folder, job in self._jobs.items():
            if _is_over(job, _CLOSING if folder not in left else 0.0):
                job.over(clean=self._clean[folder] and folder not in left)


def _is_over(job: Job, patience: float) -> bool:
    """Whether SLURM has none of its tasks any more; its processes need a moment after their last word."""
    until = time.monotonic() + patience
    while True:
        states = queue.states({job.id or ""})
        if states is not None and not any(state in queue.LIVE for state in states.values()):
            return True
        if time.monotonic() >= until:
            return False
        time.sleep(2 * _TICK)


def _not_begun(unit: Unit, task: Watched, how: str, observe: Observer) -> Finished:
    """A task that is gone without having begun a unit: the same command begins it once the cause is mended."""
    if task.state not in _KILLED_BY_ITSELF:
        return tell(unit, Status("pending", reason=f"{how}, before the trial began"), observe)
    reason = f"{how}, before the trial began; see {task.job.log(task.number)}"
    return fail(unit, reason, observe, _printed(task), state="interrupted", exit=NOT_BEGUN)


def _printed(task: Watched) -> str:
    try:
        return task.job.log(task.number).read_bytes()[-_OUTPUT_KEPT:].decode("utf-8", "replace")
    except OSError:
        return ""
