"""Workers on a Ray cluster that is there already, kept warm between trials.

What is relied upon: every node sees the results directory under the same path (each worker
is asked before it is given a trial), has dlx installed in the same versions, and file locks
there end with the process that has them, or when the file server misses its node. A trial
whose worker or node is lost goes on from its last checkpoint on another worker.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.errors import ResultsError, UsageError
from dlx.events import Note, Observer
from dlx.executors import GRACE, TIMEOUT, Executor, Finished, Unit, Work, _ray_cluster, always
from dlx.executors._queue import Queue
from dlx.executors._ray_cluster import Share
from dlx.executors._ray_slot import Defect, Leaving, Lost, Slot, environment
from dlx.executors._ray_worker import Equipment
from dlx.executors._unit import fail, has_ended, ran_out_of_memory, tell
from dlx.fields import Count, Positive
from dlx.interruption import TERMINATED, Stop
from dlx.records import atomic

TICK = 0.1
"""Seconds between two looks at the workers and at requests to stop."""

RELEASE = 120.0
"""Seconds in which a lost worker's lock must fall: more than a file server takes to miss a node (NFS 4: 90)."""

_DYING = 10.0
_COUNT = 5.0
_PATIENCE = 15.0
_TRIES = 3


class Spec(Executor):
    """Trials on warm workers of an existing Ray cluster."""

    summary: ClassVar[str] = "workers on an existing Ray cluster, whose nodes share the results directory"
    source: ClassVar[str] = "https://docs.ray.io"

    name: Literal["ray"] = "ray"
    address: str | None = Field(
        default=None,
        description="HOST:PORT of the cluster's head (default: RAY_ADDRESS, else the cluster that this machine is in)",
    )
    jobs: Positive | None = Field(
        default=None, description="trials at the same time (default: as many as the cluster's GPUs, else CPUs, take)"
    )
    per_gpu: Positive = Field(default=1, description="trials that share a GPU")
    losses: Count = Field(
        default=3, description="workers or nodes that a trial may lose, and go on elsewhere, before it counts as failed"
    )
    timeout: float | None = TIMEOUT
    grace: float = GRACE

    def ready(self) -> None:
        """Connect; raises :class:`~dlx.errors.UsageError` where there is no cluster to be had."""
        _ray_cluster.connect(self.address)

    def require(self, devices: int) -> None:
        if devices == 1:
            return
        if self.per_gpu > 1:
            raise UsageError(f"--per-gpu {self.per_gpu}: trials on {devices} devices each share none")
        self.ready()
        _ray_cluster.require(_ray_cluster.nodes(), devices)

    def threads(self, trials: int, devices: int = 1) -> int:
        self.ready()
        return _ray_cluster.threads(_ray_cluster.nodes(), trials, self.per_gpu, self.jobs, devices)

    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        if not units or stop.requested:
            return
        self.ready()
        serving = _Serving(self, units, work, stop, observe, may_begin)
        try:
            yield from serving.serve()
        finally:
            serving.close()
            _ray_cluster.disconnect()


class _Serving:
    """One run: the units that wait, the slots, and the units whose workers are gone."""

    def __init__(
        self,
        spec: Spec,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool],
    ) -> None:
        self._spec, self._work, self._stop, self._observe, self._may_begin = spec, work, stop, observe, may_begin
        self._waiting = Queue(units)
        self._again: deque[Unit] = deque()
        self._leaving: list[Leaving] = []
        self._slots: list[Slot] = []
        self._losses: Counter[str] = Counter()
        self._afresh: set[str] = set()
        self._tries = 0
        self._threads = units[0].threads
        self._devices = max(unit.devices for unit in units)
        self._at_start = _ray_cluster.nodes()
        self._capacity = _ray_cluster.capacity(self._at_start, self._share(self._threads))
        self._counted = self._served = time.monotonic()
        self._trials = units[0].directory.path.absolute().parent
        self._witness = atomic.temporary_name(self._trials / "seen")
        with atomic.explained("write", self._witness, ResultsError):
            self._witness.touch()

    def _share(self, threads: int | None) -> Share:
        """What a worker asks for; of GPUs where there were some at the start, whatever joins or leaves."""
        return _ray_cluster.share(self._at_start, threads or 1, self._spec.per_gpu, self._devices)

    def serve(self) -> Iterator[Finished]:
        patience: float | None = None
        while True:
            if self._stop.requested is None:
                self._make_room()
                for slot in [slot for slot in self._slots if slot.idle]:
                    self._begin_next(slot)
            elif patience is None:
                patience = time.monotonic() + self._spec.grace
                yield from self._ask_to_stop(*self._stop.requested)
            elif time.monotonic() > patience:
                for slot in list(self._slots):
                    assert slot.unit is not None
                    self._leaving.append(Leaving(slot.unit, time.monotonic() + _DYING))
                    self._drop(slot)
            if not self._under_way():
                return
            answers = self._answers()
            for slot in list(self._slots):
                if slot.running:
                    slot.watch(self._observe, self._spec.timeout)
                if slot.pending in answers:
                    yield from self._ended(slot) if slot.running else self._greeted(slot)
            for leaving in list(self._leaving):
                yield from self._left(leaving)

    def _under_way(self) -> bool:
        if self._leaving or any(slot.unit is not None for slot in self._slots):
            return True
        return self._stop.requested is None and bool(len(self._waiting) or self._again)

    def _answers(self) -> list[Any]:
        """What Ray has answered, of all that it was asked."""
        import ray

        asked = [slot.pending for slot in self._slots if slot.pending is not None]
        if not asked:
            time.sleep(TICK)
            return []
        ray.wait(asked, num_returns=1, timeout=TICK)
        found: list[Any] = ray.wait(asked, num_returns=len(asked), timeout=0)[0]
        return found

    # Room on the cluster

    def _make_room(self) -> None:
        """As many workers as there is work and room for; nodes that join are used, room no longer needed given back."""
        at = time.monotonic()
        if at - self._counted > _COUNT:
            self._counted = at
            self._capacity = _ray_cluster.capacity(_ray_cluster.nodes(), self._share(self._threads))
        wanted = sum(slot.unit is not None for slot in self._slots) + len(self._waiting) + len(self._again)
        wanted = min(wanted + sum(left.again for left in self._leaving), self._spec.jobs or max(1, self._capacity))
        for slot in sorted(self._slots, key=lambda slot: slot.idle):  # those that are not there yet first
            if len(self._slots) > wanted and slot.unit is None:
                self._drop(slot)
        while len(self._slots) < wanted:
            share = self._share(self._threads)
            extra = environment(share, self._spec.per_gpu > 1)
            slot = Slot(Equipment(self._work, str(Path.cwd()), extra), str(self._witness))
            slot.ask_for(share, self._threads)
            self._slots.append(slot)
        if any(slot.there for slot in self._slots):
            self._served = at
        elif self._slots and at - self._served > _PATIENCE:
            self._served = at + _NAGGING
            self._observe(Note(f"waiting for the Ray cluster to have {self._slots[0].share} free for a trial"))

    def _drop(self, slot: Slot) -> None:
        slot.close()
        self._slots.remove(slot)

    def _begin_next(self, slot: Slot) -> None:
        if self._again:
            first = self._again.popleft()
            slot.begin(first, self._share(first.threads))
            return
        others = [other.program for other in self._slots if other.unit is not None]
        while self._stop.requested is None and (unit := self._waiting.next(slot.program, others)) is not None:
            if self._may_begin(unit):
                slot.begin(unit, self._share(unit.threads))
                return

    def _greeted(self, slot: Slot) -> Iterator[Finished]:
        """A worker is there, or could not be started."""
        answer = slot.answered()
        if isinstance(answer, Lost):
            if slot.unit is not None:
                self._again.appendleft(slot.unit)
            self._drop(slot)
            self._tries += 1
            if self._tries >= _TRIES:
                why = answer.log.strip().splitlines()[-1:] or [answer.how]
                raise UsageError(f"no worker starts on the Ray cluster: {why[0].strip()}", hint=_SAME)
        elif not answer.sees:
            raise ResultsError(
                f"node {answer.host} of the Ray cluster does not see {self._trials}",
                hint="all nodes must share the results directory, under the same path: choose one with --results",
            )
        else:
            self._tries = 0
        yield from ()

    # The ends of units

    def _ended(self, slot: Slot) -> Iterator[Finished]:
        unit, killed_for = slot.unit, slot.killed_for
        assert unit is not None
        trial = unit.directory.trial
        said = slot.ended(self._observe)
        if isinstance(said, Lost):
            self._drop(slot)
            self._leaving.append(self._after_loss(unit, said, killed_for))
        elif isinstance(said, Defect):
            yield fail(unit, said.what, self._observe, said.log)
        elif said.status is None:
            yield Finished(unit, None, said.held)
        elif ran_out_of_memory(said.status) and trial not in self._afresh and self._stop.requested is None:
            self._afresh.add(trial)
            slot.begin_afresh(replace(unit, seen=said.status.last_attempt))
        else:
            if said.status.state == "done":
                self._begin_next(slot)  # no worker waits for what is done about the end
            yield tell(unit, said.status, self._observe)

    def _after_loss(self, unit: Unit, lost: Lost, killed_for: str | None) -> Leaving:
        """What is to become of a unit whose worker is gone."""
        at, trial = time.monotonic(), unit.directory.trial
        if killed_for is not None:
            return Leaving(unit, at + _DYING, failed=killed_for)
        if has_ended(unit) or self._stop.requested is not None:
            return Leaving(unit, at + _DYING)
        self._losses[trial] += 1
        if (number := self._losses[trial]) > self._spec.losses:
            reason = f"its worker was lost {number} times (--losses {self._spec.losses}); at last: {lost.how}"
            return Leaving(unit, at + RELEASE, failed=reason, log=lost.log)
        self._observe(Note(f"{unit.label}: {lost.how}; the trial goes on from its last checkpoint elsewhere", trial))
        return Leaving(unit, at + RELEASE, again=True)

    def _left(self, leaving: Leaving) -> Iterator[Finished]:
        """Look at a unit whose worker is gone: it goes on, it has its end, or it has to wait."""
        if leaving.again and self._stop.requested is not None:
            leaving.again, leaving.until = False, time.monotonic() + _DYING
        if leaving.free:
            self._again.append(leaving.unit)
        elif (end := leaving.look(self._observe)) is not None:
            yield end
        else:
            return
        self._leaving.remove(leaving)

    def _ask_to_stop(self, reason: str, exit_code: int) -> Iterator[Finished]:
        """Ask every worker; units that wait to go on elsewhere are left as they are."""
        for slot in list(self._slots):
            if slot.running:
                slot.ask_to_stop(reason, exit_code)
                continue
            if slot.unit is not None:
                self._again.append(slot.unit)
            self._drop(slot)
        for unit in self._again:
            trial = unit.directory.trial
            if trial in self._afresh or self._losses[trial]:  # else it has not begun
                yield tell(unit, unit.directory.status(), self._observe)
        self._again.clear()

    def close(self) -> None:
        """End what runs still, in order, and give everything back."""
        running = [slot for slot in self._slots if slot.running]
        for slot in running:
            slot.ask_to_stop("stopped by SIGTERM", TERMINATED)
        until = time.monotonic() + self._spec.grace
        while (asked := [slot.pending for slot in running]) and time.monotonic() < until:
            import ray

            if len(ray.wait(asked, num_returns=len(asked), timeout=TICK)[0]) == len(asked):
                break
        units = [slot.unit for slot in running if slot.unit is not None]
        for slot in list(self._slots):
            self._drop(slot)
        until = time.monotonic() + _DYING
        while any(unit.directory.holder() for unit in units) and time.monotonic() < until:
            time.sleep(TICK)
        with contextlib.suppress(OSError):
            self._witness.unlink(missing_ok=True)


_SAME = "every node needs dlx in the same versions as here"
_NAGGING = 60.0
