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
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from dlx.devices import WORKER_MEMORY, Share
from dlx.events import Observer
from dlx.executors import Finished, Unit, Work, _process
from dlx.executors._process import Ended, Equipment
from dlx.executors._silence import Silence
from dlx.executors._unit import exit_in_words, fail, has_ended, ran_out_of_memory, tell
from dlx.progress import Follower, Report
from dlx.records.status import read_status

OUTPUT_KEPT = 8192
"""Bytes of what a worker printed that go to the log of a trial that failed with it."""

NOBODY: Mapping[str, str] = {}
_TRIES = 3
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
        self._attempts_before: dict[str, int] = {}
        self._first_memory = 0
        self._killed_for: str | None = None
        self._killed_at = 0.0
        self._asked: tuple[str, int] | None = None
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
        self._tries, self._afresh, self._killed_for, self._asked = 0, False, None, None
        self._attempts_before = {each.directory.trial: _last_attempt(each) for each in unit.members}
        self._submit(unit)

    def _submit(self, unit: Unit) -> None:
        self._tries += 1
        token = secrets.token_hex(8)
        self._followers = [Follower(each.directory.path, token) for each in unit.members]
        self._silence = Silence(self._reports())
        with contextlib.suppress(OSError):
            os.truncate(self._output, 0)
        if self._pool is None or not self._pool.active:
            self._start()
            if self._asked is not None:  # the worker before it is gone, and the request with it
                self.ask_to_stop(*self._asked)
        assert self._pool is not None
        self._future = self._pool.schedule(_process.run, (unit, token))

    def watch(self, observe: Observer, timeout: float | None) -> None:
        """Pass on what the trial reports; end it where it has reported nothing for ``timeout`` seconds."""
        assert self.unit is not None
        self._pass_on(observe)
        if (reason := self._silence.look(self._reports(), timeout)) is not None:
            self._kill(reason)
        elif self._silence.heard and self._silence.seconds > _SILENCE and not self._held():
            # Pebble takes a process that ends with exit code 0 in the middle of a unit for one that retired.
            self._kill("its worker ended without a word")

    def _pass_on(self, observe: Observer) -> None:
        for follower in self._followers:
            for event in follower.look():
                observe(event)

    def _reports(self) -> list[Report]:
        return [follower.last for follower in self._followers if follower.last is not None]

    def _held(self) -> bool:
        """Whether a process still has one of the unit's trials."""
        assert self.unit is not None
        return any(each.directory.holder() is not None for each in self.unit.members)

    def _kill(self, reason: str) -> None:
        ending = self.future.cancel()  # type: ignore[no-untyped-call, unused-ignore]
        if ending and self._killed_for is None:
            self._killed_for, self._killed_at = reason, time.monotonic()

    def finish(self, observe: Observer) -> list[Finished]:
        """The end of each trial of a unit that has ended; none where it was handed to a new worker, or dies still."""
        unit, future = self.unit, self.future
        assert unit is not None
        try:
            if not future.done():
                raise BrokenProcessPool("its pool broke")
            ended = future.result()
        except CancelledError:
            if self._held() and time.monotonic() < self._killed_at + _DYING:
                return []
            self.close()
            return self._failed(self._killed_for or "its worker was ended", observe)
        except (BrokenProcessPool, OSError, EOFError) as error:
            self.close()
            if any(_last_attempt(each) > self._attempts_before[each.directory.trial] for each in unit.members):
                return self._died(_how(error), observe)
            if self._tries < _TRIES:
                self._submit(unit)
                return []
            return self._failed(f"no worker could be started for it: {_how(error)}", observe)
        if not self._afresh and not unit.companions and ran_out_of_memory(unit.directory.status()):
            self._afresh = True
            self.close()
            self.unit = unit = replace(unit, seen=unit.directory.status().last_attempt)
            self._submit(unit)
            return []
        self._renew_if_grown(ended.memory)
        self._pass_on(observe)
        for event in ended.notes:
            observe(event)
        return self._left_as_it_is(observe, ended.held)

    def give_up(self, observe: Observer) -> list[Finished]:
        """End a unit that was asked to stop and did not; it counts as interrupted, and goes on from its checkpoint."""
        self.close()
        return self._left_as_it_is(observe)

    def _died(self, how: str, observe: Observer) -> list[Finished]:
        """The worker died; where a trial had its last word before, that counts."""
        assert self.unit is not None
        running = [each for each in self.unit.members if read_status(each.directory.status_file).state == "running"]
        return self._failed(f"its worker died: {how}", observe) if running else self._left_as_it_is(observe)

    def _left_as_it_is(self, observe: Observer, held: Mapping[str, str] = NOBODY) -> list[Finished]:
        """What is on disk is the end, unless others work on the trial."""
        assert self.unit is not None
        unit, self.unit = self.unit, None
        return [
            Finished(each, None, who)
            if (who := held.get(each.directory.trial))
            else tell(each, each.directory.status(), observe)
            for each in unit.members
        ]

    def _failed(self, reason: str, observe: Observer) -> list[Finished]:
        """Every trial of the unit that has not ended before fails with it."""
        assert self.unit is not None
        unit, self.unit = self.unit, None
        printed = self._printed()
        return [
            tell(each, each.directory.status(), observe) if has_ended(each) else fail(each, reason, observe, printed)
            for each in unit.members
        ]

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
        if not self._share.gpus:
            return {}
        environment = {"CUDA_VISIBLE_DEVICES": ",".join(gpu.identity for gpu in self._share.gpus)}
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
        """Have the unit under way end in order, in whichever worker it is by then."""
        self._asked = reason, exit_code
        with contextlib.suppress(OSError):
            self._requests.send(self._asked)

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


def _last_attempt(unit: Unit) -> int:
    return read_status(unit.directory.status_file).last_attempt


def _how(error: Exception) -> str:
    """How a process ended, in words."""
    code = error.exitcode if isinstance(error, ProcessExpired) else None
    return exit_in_words(code) if code is not None else str(error) or type(error).__name__
