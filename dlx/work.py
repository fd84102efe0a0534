"""What executors are given to do with a trial: train it, in whatever process they run it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dlx import plugins
from dlx.packing import place_of
from dlx.trial import run_trial
from dlx.worker import Runtime, Worker

if TYPE_CHECKING:
    from dlx.events import Observer
    from dlx.executors import Unit
    from dlx.interruption import Stop


@dataclass(frozen=True)
class Train:
    """Trains trials under a runtime, with the number of threads and devices that each unit says; can be pickled."""

    runtime: Runtime

    def __call__(self, unit: Unit, stop: Stop, observe: Observer) -> dict[str, str]:
        """One trial, or those of a pack, from setting to last word."""
        if self.runtime.plugins is not None:
            plugins.load(self.runtime.plugins)
        worker = _worker(replace(self.runtime, threads=unit.threads or self.runtime.threads, devices=unit.devices))
        if not unit.companions and place_of(unit.directory) is None:
            run_trial(unit.directory, unit.label, worker, stop, observe, seen=unit.seen)
            return {}
        from dlx.pack import run_pack

        return run_pack(unit.members, worker, stop, observe)

    def forget(self) -> None:
        """Programs and data of earlier trials."""
        if _kept:
            _kept[0].forget()


_kept: list[Worker] = []
"""This process' worker: at most one."""


def _worker(runtime: Runtime) -> Worker:
    if not _kept or _kept[0].runtime != runtime:
        _kept[:] = [Worker(runtime)]
    return _kept[0]
