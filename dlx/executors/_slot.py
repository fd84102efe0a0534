"""A slot of the executor ``local``: one GPU or share of the cores, and the worker process that has it.

Each slot is a Pebble pool of one process. Pebble starts the process, carries units and
results, notices that it died and how, and ends it (SIGTERM, then SIGKILL) when its unit is
cancelled. One pool per slot and not one for all: workers of one pool share a pipe and its
locks, so one that is killed at the wrong instant stalls the rest, an idle one that dies
breaks the pool, and nobody decides which worker takes a task.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import signal
import time
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from dlx.devices import WORKER_MEMORY, Share
from dlx.events import Observer
from dlx.executors import Finished, Unit, Work, _process
from dlx.executors._process import Ended, Equipment
from dlx.executors._unit import fail, ran_out_of_memory, tell
from dlx.progress import Follower
from dlx.records.status import read_status

OUTPUT_KEPT = 8192
"""Bytes of what a worker printed that go to the log of a trial that failed with it."""

START_UP = 120.0
"""Seconds that a trial is given before its first step beyond its time-out: for the backend, its data, the compiler."""

_TRIES = 3
_LONGEST_TICK = 1.0
_SILENCE = 15.0
_DYING = 10.0


class Slot:
    """One worker at a time, started when there is something to do and replaced when it dies or has grown."""

    def __init__(self, number: int, share: Share, shared: bool, work: Work, place: Path) -> None:
        self._share = share
        self._shared = shared
        self._work = work
        self._output = place / f"worker-{number}.txt"
        self._threads: int | None = share.threads
        self._pool: ProcessPool | None = None
        self._future: ProcessFuture[Ended] | None = None
        self._tries = 0
        self._afresh = False
        self._attempts_before = 0
        self._first_memory = 0
        self._killed_for: str | None = None
        self.program: str | None = None
        self.unit: Unit | None = None

    @property
    def future(self) -> ProcessFuture[Ended]:
        """The unit under way."""
        assert self._future is not None
        return self._future

    @property
    def ended(self) -> bool:
        """Whether the unit under way has ended, or its pool has: then no worker will take it any more."""
        return self.future.done() or self._pool is None or not self._pool.active

    # A unit's life

    def begin(self, unit: Unit) -> None:
        """Hand a unit to the worker; one that was begun with another number of threads gets a new worker."""
        if unit.threads != self._threads:
            self.close()
            self._threads = unit.threads
        self.unit, self.program = unit, unit.program
        self._tries, self._afresh, self._killed_for = 0, False, None
        self._attempts_before = read_status(unit.directory.status_file).last_attempt
        self._submit(unit)

    def _submit(self, unit: Unit) -> None:
        self._tries += 1
        token = secrets.token_hex(8)
        self._follower = Follower(unit.directory.path, token)
        self._silence, self._ticked, self._heard = 0.0, time.monotonic(), self._follower.last
        with contextlib.suppress(OSError):
            os.truncate(self._output, 0)
        if self._pool is None or not self._pool.active:
            self._start()
        assert self._pool is not None
        self._future = self._pool.schedule(_process.run, (unit, token))

    def watch(self, observe: Observer, timeout: float | None) -> None:
        """Pass on what the trial reports; end it where it has reported nothing for ``timeout`` seconds."""
        assert self.unit is not None
        for event in self._follower.look():
            observe(event)
        # A tick is short, unless this process itself was stopped: then nobody was silent.
        at = time.monotonic()
        self._silence += min(at - self._ticked, _LONGEST_TICK)
        self._ticked = at
        if (report := self._follower.last) is not self._heard:
            self._silence, self._heard = 0.0, report
        stepping = report is not None and report.steps > 0
        if timeout is not None and self._silence > (timeout if stepping else timeout + START_UP):
            self._kill(f"no step for {self._silence:.0f} s (--timeout {timeout:g})")
        elif report is not None and self._silence > _SILENCE and self.unit.directory.holder() is None:
            # Pebble takes a process that ends with exit code 0 in the middle of a unit for one that retired.
            self._kill("its worker ended without a word")

    def _kill(self, reason: str) -> None:
        ending = self.future.cancel()  # type: ignore[no-untyped-call, unused-ignore]
        if ending and self._killed_for is None:
            self._killed_for, self._killed_at = reason, time.monotonic()

    def finish(self, observe: Observer) -> Finished | None:
        """The end of a unit that has ended; None where it was handed to a new worker, or dies still."""
        unit, future = self.unit, self.future
        assert unit is not None
        try:
            if not future.done():
                raise BrokenProcessPool("its pool broke")
            ended = future.result()
        except CancelledError:
            if unit.directory.holder() is not None and time.monotonic() < self._killed_at + _DYING:
                return None
            self.close()
            return self._failed(self._killed_for or "its worker was ended", observe)
        except (BrokenProcessPool, OSError, EOFError) as error:
            self.close()
            if read_status(unit.directory.status_file).last_attempt > self._attempts_before:
                return self._died(_how(error), observe)
            if self._tries < _TRIES:
                self._submit(unit)
                return None
            return self._failed(f"no worker could be started for it: {_how(error)}", observe)
        if not self._afresh and ran_out_of_memory(unit.directory.status()):
            self._afresh = True
            self.close()
            self.unit = unit = replace(unit, seen=unit.directory.status().last_attempt)
            self._submit(unit)
            return None
        self._renew_if_grown(ended.memory)
        for event in (*self._follower.look(), *ended.notes):
            observe(event)
        if ended.held is not None:
            self.unit = None
            return Finished(unit, None, ended.held)
        return self._left_as_it_is(observe)

    def give_up(self, observe: Observer) -> Finished:
        """End a unit that was asked to stop and did not; it counts as interrupted, and goes on from its checkpoint."""
        self.close()
        return self._left_as_it_is(observe)

    def _died(self, how: str, observe: Observer) -> Finished:
        """The worker died; where the trial had its last word before, that counts."""
        assert self.unit is not None
        if read_status(self.unit.directory.status_file).state == "running":
            return self._failed(f"its worker died: {how}", observe)
        return self._left_as_it_is(observe)

    def _left_as_it_is(self, observe: Observer) -> Finished:
        """What is on disk is the end."""
        assert self.unit is not None
        unit, self.unit = self.unit, None
        return tell(unit, unit.directory.status(), observe)

    def _failed(self, reason: str, observe: Observer) -> Finished:
        assert self.unit is not None
        unit, self.unit = self.unit, None
        return fail(unit, reason, observe, self._printed())

    def _printed(self) -> str:
        try:
            return self._output.read_bytes()[-OUTPUT_KEPT:].decode("utf-8", "replace")
        except OSError:
            return ""

    # The worker

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a backend's threads do not survive a fork
        requests, self._requests = context.Pipe(duplex=False)
        equipment = Equipment(self._environment(), self._output, requests, self._work)
        self._pool = ProcessPool(max_workers=1, context=context, initializer=_process.start, initargs=(equipment,))
        self._received = requests
        self._first_memory = 0

    def _environment(self) -> dict[str, str]:
        if self._share.gpu is None:
            return {}
        environment = {"CUDA_VISIBLE_DEVICES": self._share.gpu.identity}
        if self._shared:
            environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        return environment

    def _renew_if_grown(self, memory: int) -> None:
        """A worker that has grown much since its first unit makes room for a new one.

        Every program that TensorFlow has compiled leaves some 20 MB behind, even when it is dropped.
        """
        self._first_memory = self._first_memory or memory
        if memory > self._first_memory + WORKER_MEMORY // 2:
            self.close()

    def ask_to_stop(self, reason: str, exit_code: int) -> None:
        """Have the unit under way end in order."""
        with contextlib.suppress(OSError):
            self._requests.send((reason, exit_code))

    def close(self) -> None:
        """End the worker, whatever it does: SIGTERM, then SIGKILL."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        self.program = None
        pool.stop()  # type: ignore[no-untyped-call, unused-ignore]
        pool.join()
        self._requests.close()
        self._received.close()


def _how(error: Exception) -> str:
    """How a process ended, in words."""
    code = error.exitcode if isinstance(error, ProcessExpired) else None
    if code is None:
        return str(error) or type(error).__name__
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"signal {name}{_OFTEN.get(name, '')}"
    return f"exit code {code}"


_OFTEN = {"SIGKILL": " (sent by the system too, when memory runs out)"}
