"""``progress.json``: where a trial is, for whoever looks from another process or another machine.

Written by the process that trains, at most about once a second; read by ``dlx status``, by
executors for their display, and to notice that a trial hangs. Nothing in it enters a table,
a power cut may take it, and it goes when the trial ends (an interrupted one keeps it: that
is where it will go on).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dlx.errors import TrialError
from dlx.events import EpochEnded, Event, GradientsRecorded, Observer, StepsDone, TrialEnded, TrialStarted
from dlx.objects import standard
from dlx.records import atomic
from dlx.records.ownership import now as time_now

FILE = "progress.json"
INTERVAL = 1.0
EPOCH_INTERVAL = 0.25
_SCHEMA = "dlx.progress/1"


@dataclass(frozen=True)
class Gradients:
    """Gradient norms at the last record point; as :class:`~dlx.events.GradientsRecorded`."""

    epoch: int
    step: int
    sample: int
    norms: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Report:
    """Where a trial is: its place in a stage, what was measured last, how long it will take.

    ``stages``: epochs of each; ``epoch`` is the one under way, from 1, and ``step`` of its
    ``steps`` are done. ``completed``: the last whole epoch, to which ``metrics`` belong.
    ``beat`` is one higher in every report, whatever clocks do. ``seconds_left``: at the pace
    of this attempt, by the clock of the process that trains; None before there is one.
    ``token`` tells one attempt's reports from another's. Times are ISO, UTC, for people.
    """

    trial: str
    label: str
    token: str
    host: str
    pid: int
    beat: int
    started: str
    updated: str
    stages: dict[str, int]
    layers: tuple[tuple[int, str], ...] = ()
    resumed: str | None = None
    stage: str | None = None
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    completed: int | None = None
    seconds_left: float | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    gradients: Gradients | None = None

    @property
    def fraction(self) -> float:
        """How much of the trial's epochs is done, 0 to 1."""
        total = sum(self.stages.values())
        if not total or self.stage not in self.stages:
            return 0.0
        names = list(self.stages)
        before = sum(self.stages[name] for name in names[: names.index(self.stage)])
        under_way = self.step / self.steps if self.steps else 0.0
        return min(1.0, (before + max(0, self.epoch - 1) + under_way) / total)


class Reporter:
    """An observer that keeps a trial's ``progress.json`` up to date and passes every event on.

    A disk that refuses costs the report, not the trial.
    """

    def __init__(
        self,
        directory: Path,
        observe: Observer,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = directory / FILE
        self._observe = observe
        self._token = token or secrets.token_hex(8)
        self._clock = clock
        self._report: Report | None = None
        self._written = -math.inf
        self._began = 0.0
        self._fraction_at_start: float | None = None

    def __call__(self, event: Event) -> None:
        self._note(event)
        self._observe(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self._report = Report(
                event.trial, event.label, self._token, socket.gethostname(), os.getpid(), 0, time_now(), time_now(),
                dict(event.epochs), event.layers, event.resumed,
            )  # fmt: skip
            self._fraction_at_start = None
            self._write_after(0.0)
        elif isinstance(event, TrialEnded):
            if event.state != "interrupted":
                self.clear()
            elif self._report is not None:
                self._write_after(0.0)
        elif self._report is not None:
            report = self._report
            match event:
                case StepsDone():
                    self._report = replace(
                        report, stage=event.stage, epoch=event.epoch, epochs=event.epochs,
                        step=event.step, steps=event.steps,
                    )  # fmt: skip
                    if self._fraction_at_start is None:  # what comes before is loading and compiling
                        self._began, self._fraction_at_start = self._clock(), self._report.fraction
                        self._write_after(0.0)
                    self._write_after(INTERVAL)
                case EpochEnded():
                    self._report = replace(
                        report, stage=event.stage, epoch=event.epoch, epochs=event.epochs,
                        step=report.steps, completed=event.epoch, metrics=dict(event.metrics),
                    )  # fmt: skip
                    self._write_after(EPOCH_INTERVAL)
                case GradientsRecorded():
                    gradients = Gradients(event.epoch, event.step, event.sample, dict(event.norms))
                    self._report = replace(report, gradients=gradients)

    def _write_after(self, interval: float) -> None:
        assert self._report is not None
        at = self._clock()
        if at - self._written < interval:
            return
        self._written = at
        self._report = replace(
            self._report, beat=self._report.beat + 1, updated=time_now(), seconds_left=self._left(at)
        )
        with contextlib.suppress(TrialError):
            atomic.write_bytes(self._path, _text(self._report).encode(), durable=False)

    def _left(self, at: float) -> float | None:
        assert self._report is not None
        done = self._report.fraction - (self._fraction_at_start or 0.0)
        return (at - self._began) * (1 - self._report.fraction) / done if done > 0.01 else None

    def clear(self) -> None:
        """Remove the report: the trial's status says it all."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_report(directory: Path) -> Report | None:
    """A trial's last report, of whatever attempt; None where there is none or it makes no sense."""
    try:
        fields = json.loads((directory / FILE).read_bytes())
        if fields.pop("schema") != _SCHEMA:
            return None
        known = {name: value for name, value in fields.items() if name in Report.__dataclass_fields__}
        known["layers"] = tuple((int(number), str(name)) for number, name in known["layers"])
        known["metrics"] = {name: _number(value) for name, value in known["metrics"].items()}
        if (gradients := known["gradients"]) is not None:
            norms = {name: tuple(_numbers(values)) for name, values in gradients["norms"].items()}
            known["gradients"] = Gradients(gradients["epoch"], gradients["step"], gradients["sample"], norms)
        return Report(**known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _text(report: Report) -> str:
    # Standard JSON has no NaN, which a diverging trial has plenty of: it becomes text.
    return json.dumps({"schema": _SCHEMA, **standard(asdict(report))}, ensure_ascii=False) + "\n"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _numbers(values: Iterable[Any]) -> list[float]:
    return [float(value) for value in values]


class Follower:
    """Turns the reports of one attempt, whose ``token`` is known, back into events for an observer."""

    def __init__(self, directory: Path, token: str) -> None:
        self._directory = directory
        self._token = token
        self._signature: tuple[int, int] | None = None
        self._last: Report | None = None

    @property
    def last(self) -> Report | None:
        """The last report seen."""
        return self._last

    def look(self) -> list[Event]:
        """What has happened since the last look."""
        try:
            stat = (self._directory / FILE).stat()
        except OSError:
            return []
        if (signature := (stat.st_mtime_ns, stat.st_ino)) == self._signature:
            return []
        self._signature = signature
        report = read_report(self._directory)
        if report is None or report.token != self._token:
            return []
        before, self._last = self._last, report
        return list(_events(before, report, str(self._directory)))


def _events(before: Report | None, report: Report, directory: str) -> Iterable[Event]:
    trial = report.trial
    if before is None:
        yield TrialStarted(trial, report.label, report.stages, report.layers, directory, report.resumed)
    if report.stage is None:
        return
    old = before or replace(report, stage=None, epoch=0, step=0, completed=None, gradients=None)
    if (now := report.gradients) is not None and (now.epoch, now.step) != _place(old.gradients):
        yield GradientsRecorded(trial, report.stage, now.epoch, now.step, now.sample, now.norms)
    if report.completed is not None and (report.stage, report.completed) != (old.stage, old.completed):
        yield EpochEnded(trial, report.stage, report.completed, report.epochs, report.metrics)
    under_way = report.steps and report.epoch != report.completed
    if under_way and (report.stage, report.epoch, report.step) != (old.stage, old.epoch, old.step):
        yield StepsDone(trial, report.stage, report.epoch, report.epochs, report.step, report.steps)


def _place(gradients: Gradients | None) -> tuple[int, int] | None:
    return None if gradients is None else (gradients.epoch, gradients.step)
