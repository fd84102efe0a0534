"""Work that trains nothing: units that write a table row by row, and misbehave when told to.

A unit's ``trial.yaml`` is a JSON object: how many ``rows``, the ``seconds`` each takes, and
what the unit ``does`` after its first row (nothing unusual, by default). Before the first it
waits until ``workers`` processes are at work on units, and it is done early once the file
``enough`` is there: so what a test wants to see has happened, however slow the machine.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import TrialError
from dlx.events import EpochEnded, Note, Observer, StepsDone, TrialEnded, TrialStarted
from dlx.executors import Unit
from dlx.interruption import Interrupted, Stop
from dlx.records.status import Listing
from dlx.records.tables import Table
from dlx.records.trial_directory import Settled, TrialDirectory
from dlx.verdict import OUT_OF_MEMORY

TABLE = Table("metrics", ("stage", "epoch", "train_loss"))
FINGERPRINT = "process.json"
PLAN = {"rows": 3, "seconds": 0.0, "does": "train", "workers": 1, "enough": None}


def make_unit(results: Path, number: int, *, program: str = "", threads: int | None = None, **plan: Any) -> Unit:
    """A unit whose trial is pending; ``number`` makes its id."""
    directory = TrialDirectory(results / "trials" / f"{number:012x}")
    directory.create(json.dumps({**PLAN, **plan}), Listing(directory.trial, number))
    return Unit(directory, f"seed={number}", directory.status().last_attempt, threads, program)


def loss_after(epoch: int) -> float:
    """A number that float32 holds exactly, so that tables have its digits."""
    return 0.5 ** min(epoch, 8)


def expected_table(rows: int = 3) -> str:
    """What a unit that is done has written."""
    return "stage,epoch,train_loss\n" + "".join(f"train,{epoch},{loss_after(epoch)}\n" for epoch in range(1, rows + 1))


def process_of(unit: Unit) -> dict[str, Any]:
    """The process that worked on a unit last."""
    fields: dict[str, Any] = json.loads((unit.directory.path / FINGERPRINT).read_text())
    return fields


@dataclass(frozen=True)
class Pretend:
    """The callable that executors are given."""

    def __call__(self, unit: Unit, stop: Stop, observe: Observer) -> dict[str, str]:
        plan = json.loads(unit.directory.spec.read_text())
        if plan["does"] == "not load":
            raise TrialError("this setting does not load")
        try:
            attempt = unit.directory.claim(seen=unit.seen)
        except Settled:
            return {}
        trial, label = unit.directory.trial, unit.label
        with attempt:
            process = {"pid": os.getpid(), "threads": unit.threads, "attempt": attempt.number}
            process["gpu"] = os.environ.get("CUDA_VISIBLE_DEVICES")
            (unit.directory.path / FINGERPRINT).write_text(json.dumps(process))
            observe(TrialStarted(trial, label, {"train": plan["rows"]}, ((1, "dense_1"),), str(unit.directory.path)))
            recorder = attempt.record([TABLE])
            try:
                while len(_workers(unit)) < plan["workers"]:
                    _sleep(0.02, stop)
                for epoch in range(1, plan["rows"] + 1):
                    _sleep(plan["seconds"], stop)
                    loss = loss_after(epoch)
                    recorder.append(TABLE, [{"stage": "train", "epoch": epoch, "train_loss": loss}])
                    observe(StepsDone(trial, "train", epoch, plan["rows"], 1, 1))
                    observe(EpochEnded(trial, "train", epoch, plan["rows"], {"train_loss": loss}))
                    if epoch == 1:
                        _misbehave(plan["does"], attempt.number, observe)
                    stop.check()
                    if plan["enough"] and Path(plan["enough"]).exists():
                        break
                status = attempt.end("done")
            except Interrupted as request:
                status = attempt.end("interrupted", request.message, exit=request.message)
            except MemoryError:
                status = attempt.end("failed", "out of memory", exit=OUT_OF_MEMORY)
        observe(TrialEnded(trial, label, status.state, status.reason))
        return {}

    def forget(self) -> None:
        """Nothing is kept."""


def _workers(unit: Unit) -> set[int]:
    """The processes that have begun units of the same plan."""
    plan = unit.directory.spec.read_text()
    units = [TrialDirectory(path) for path in unit.directory.path.parent.iterdir()]
    alike = [other for other in units if other.spec.exists() and other.spec.read_text() == plan]
    return {attempt.pid for other in alike for attempt in other.status().attempts}


def _sleep(seconds: float, stop: Stop) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stop.check()
        time.sleep(0.02)


def _misbehave(how: str, attempt: int, observe: Observer) -> None:
    match how:
        case "note":
            observe(Note("a sentence for the person watching"))
        case "raise":
            raise ZeroDivisionError("a defect")
        case "leave":
            raise SystemExit(3)
        case "exhaust memory once" if attempt == 1:
            raise MemoryError
        case "exhaust memory":
            raise MemoryError
        case "exhaust memory, then be killed":
            if attempt == 1:
                raise MemoryError
            os.kill(os.getpid(), signal.SIGKILL)
        case "be killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "be stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "crash":
            faulthandler._sigsegv()  # type: ignore[attr-defined]
        case "vanish":
            os._exit(0)
        case "hang":
            while True:
                time.sleep(60)
