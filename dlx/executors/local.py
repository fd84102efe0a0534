"""Worker processes on this machine: one per GPU, or one per share of the cores, kept warm between trials.

A worker imports the backend once and keeps compiled programs, so trials that share a
program go to the same worker as long as none is idle for it. One that crashes, hangs or is
killed takes only its trial with it.

Workers are not pinned to cores. NumPy's BLAS takes as many threads as it sees cores when it
is imported, and a QR decomposition (orthogonal initial weights) from about 300 rows on has
other last digits with another number: pinned, a trial would not leave the bytes that it
leaves ``inline``.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dlx import devices as machine
from dlx.errors import UsageError
from dlx.events import Note, Observer
from dlx.executors import GRACE, TIMEOUT, Executor, Finished, Unit, Work, always
from dlx.executors._queue import Queue
from dlx.executors._slot import Slot
from dlx.fields import Positive
from dlx.interruption import Stop

TICK = 0.1
"""Seconds between two looks at the trials' progress and at requests to stop."""


class Spec(Executor):
    """Trials on warm worker processes of this machine."""

    summary: ClassVar[str] = "warm worker processes on this machine: one per GPU, or sharing the CPU's cores"

    packs: ClassVar[bool] = True

    name: Literal["local"] = "local"
    jobs: Positive | None = Field(
        default=None,
        description="trials at the same time (default: on GPUs as many as these take; else one per core, as far as "
        "there are trials, and memory of 1 GiB each); without --threads the cores are divided among them",
    )
    per_gpu: Positive = Field(default=1, description="trials that share a GPU")
    timeout: float | None = TIMEOUT
    grace: float = GRACE

    def require(self, devices: int) -> None:
        if devices > 1 and self.per_gpu > 1:
            raise UsageError(f"--per-gpu {self.per_gpu}: trials on {devices} devices each share none")
        machine.require(devices)

    def threads(self, trials: int, devices: int = 1) -> int:
        return machine.layout(trials, jobs=self.jobs, per_gpu=self.per_gpu, devices=devices).threads

    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        if not units:
            return
        waiting = Queue(units)
        threads = max((unit.threads or 1 for unit in units), default=1)
        each = max(unit.devices for unit in units)
        layout = machine.layout(len(units), jobs=self.jobs, threads=threads, per_gpu=self.per_gpu, devices=each)
        if (hidden := machine.hidden_gpus()) is not None:
            observe(Note(hidden))
        with tempfile.TemporaryDirectory(prefix="dlx-", ignore_cleanup_errors=True) as place:
            shares = layout.shares[: len(units)]
            slots = [Slot(number, share, self.per_gpu > 1, work, Path(place)) for number, share in enumerate(shares)]
            try:
                yield from self._serve(slots, waiting, stop, observe, may_begin)
            finally:
                with ThreadPoolExecutor(len(slots)) as closing:
                    list(closing.map(Slot.close, slots))

    def _serve(
        self, slots: Sequence[Slot], waiting: Queue, stop: Stop, observe: Observer, may_begin: Callable[[Unit], bool]
    ) -> Iterator[Finished]:
        def begin_next(slot: Slot) -> None:
            while not stop.requested and (unit := waiting.next(slot.program, [s.program for s in slots if s.unit])):
                if may_begin(unit):
                    slot.begin(unit)
                    return

        patience: float | None = None
        while True:
            for slot in slots:
                if slot.unit is None:
                    begin_next(slot)
            busy = [slot for slot in slots if slot.unit is not None]
            if not busy:
                return
            if stop.requested and patience is None:
                patience = time.monotonic() + self.grace
                for slot in busy:
                    slot.ask_to_stop(*stop.requested)
            wait([slot.future for slot in busy], TICK, FIRST_COMPLETED)
            for slot in busy:
                slot.watch(observe, self.timeout)
                ends: list[Finished] = []
                if slot.ended:
                    ends = slot.finish(observe)
                    if not ends:  # its worker is still dying, or being replaced
                        time.sleep(TICK / 2)
                elif patience is not None and time.monotonic() > patience:
                    ends = slot.give_up(observe)
                if ends and all(end.status is not None and end.status.state == "done" for end in ends):
                    begin_next(slot)  # no worker waits for what is done about the end
                yield from ends
