"""What is known of an experiment while it runs, gathered from events; and how numbers are written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dlx.events import EpochEnded, Event, GradientsRecorded, StepsDone, TrialEnded, TrialStarted

GRADIENT_SYMBOLS = {"bias": "‖∂L/∂b‖", "kernel": "‖∂L/∂W‖", "all": "‖∂L/∂θ‖"}
"""Of the parameters that a layer may have, the first that was recorded is shown: the bias is the layer's speed."""


@dataclass
class TrialProgress:
    """One trial as far as its events tell: where it is, its latest metrics and gradient norms."""

    started: TrialStarted
    stage: str | None = None
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    steps: int = 0
    metrics: dict[str, float | None] = field(default_factory=dict)
    gradients: GradientsRecorded | None = None
    extremes: tuple[float, float] | None = None

    def update(self, event: Event) -> None:
        match event:
            case StepsDone():
                self.stage, self.epoch, self.epochs = event.stage, event.epoch, event.epochs
                self.step, self.steps = event.step, event.steps
            case EpochEnded():
                self.stage, self.epoch, self.epochs = event.stage, event.epoch, event.epochs
                self.step = self.steps
                self.metrics = event.metrics
            case GradientsRecorded():
                self.gradients = event
                self._widen(event)

    def _widen(self, event: GradientsRecorded) -> None:
        # The scale only ever grows within a trial: bars that shrink must mean norms that shrink.
        recorded = gradient_parameter(event)
        norms = [norm for norm in event.norms.get(recorded or "", ()) if math.isfinite(norm) and norm > 0]
        if norms:
            low, high = self.extremes or (math.inf, 0.0)
            self.extremes = (min(low, *norms), max(high, *norms))

    @property
    def epoch_fraction(self) -> float:
        """How much of the present epoch is done, 0 to 1."""
        return self.step / self.steps if self.steps else 0.0

    @property
    def fraction(self) -> float:
        """How much of the whole trial is done, 0 to 1."""
        total = sum(self.started.epochs.values())
        if not total or self.stage not in self.started.epochs:
            return 0.0
        stages = list(self.started.epochs)
        before = sum(self.started.epochs[stage] for stage in stages[: stages.index(self.stage)])
        return min(1.0, (before + max(0, self.epoch - 1) + self.epoch_fraction) / total)


class ExperimentProgress:
    """The trials of one experiment: ``total`` to be run, those that ended, and those that are running."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.ended: Counter[str] = Counter()
        self.running: dict[str, TrialProgress] = {}
        self._last: TrialProgress | None = None

    def update(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case TrialStarted():
                self.running[event.trial] = TrialProgress(event)
            case StepsDone() | EpochEnded() | GradientsRecorded():
                if event.trial in self.running:
                    self.running[event.trial].update(event)
            case TrialEnded():
                self._last = self.running.pop(event.trial, self._last)
                self.ended[event.state] += 1

    @property
    def focus(self) -> TrialProgress | None:
        """The trial to look at: of those that run, the first to have begun, until it ends; else the last that ended."""
        return next(iter(self.running.values()), self._last)

    @property
    def count(self) -> int:
        """How many trials have ended, in whatever state."""
        return self.ended.total()

    @property
    def fraction(self) -> float:
        """How much of the experiment is done, 0 to 1."""
        parts = self.count + sum(trial.fraction for trial in self.running.values())
        return min(1.0, parts / self.total) if self.total else 1.0


def gradient_parameter(event: GradientsRecorded) -> str | None:
    """The parameter whose norms are shown: the bias, unless there are layers that have a kernel and none."""
    there = {name: len(event.norms[name]) for name in GRADIENT_SYMBOLS if name in event.norms}
    return max(there, key=lambda name: there[name], default=None)  # the first of those that most layers have


def scientific(value: float) -> str:
    """``0.00312`` → ``3.1e-03``."""
    return f"{value:.1e}" if math.isfinite(value) else str(value)


def percent(value: float) -> str:
    """An accuracy, which tables hold as a fraction: ``0.9648`` → ``96.48 %``."""
    return f"{100 * value:.2f} %"


def metric(name: str, value: float) -> str:
    """One metric as it is usually written: accuracies in per cent, all else with four digits."""
    return percent(value) if name.endswith("accuracy") else f"{value:.4g}"


def metrics_line(metrics: Mapping[str, object]) -> str:
    """``accuracy train 97.10 %, val 96.40 %; loss train 0.113, val 0.131``: only what was measured.

    The recalls of single classes, of which there may be a hundred, are left to the tables.
    """
    groups: dict[str, list[str]] = {}
    for column, value in metrics.items():
        part, _, name = column.partition("_")
        if isinstance(value, float) and part in ("train", "val", "test") and not name.startswith("recall_"):
            groups.setdefault(name, []).append(f"{part} {metric(name, value)}")
    order = sorted(groups, key=lambda name: (name != "accuracy", name == "loss"))
    return "; ".join(f"{name.replace('_', ' ')} {', '.join(groups[name])}" for name in order)


def ends(count: int, most: int) -> list[int | None]:
    """Which of ``count`` things are shown in ``most`` places: the first and the last ones, ``None`` for the gap."""
    if count <= most:
        return list(range(count))
    first = (most - 1) // 2
    last = most - 1 - first
    return [*range(first), None, *range(count - last, count)]
