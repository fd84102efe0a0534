"""The metrics of many trials: their values, and why some have none."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dlx.analysis import folds, statistics
from dlx.analysis.folds import Spread
from dlx.analysis.metrics import NEVER, Measured, Metric, Share, parse
from dlx.analysis.series import columns_of
from dlx.analysis.summaries import Summaries
from dlx.analysis.trials import Tables, Trial
from dlx.errors import DlxError, ResultsError, UsageError, nearest

USUAL = ("test_accuracy", "test_rmse", "val_accuracy", "val_rmse", "test_loss", "val_loss", "train_loss")
"""What is compared where nobody says: the first of these that the trials have."""

USUAL_VALIDATION = ("val_accuracy", "val_rmse", "val_loss")
"""What chooses, and what someone tuning by hand should look at."""


@dataclass
class Measurements:
    """Per trial a value for each metric, of those that are done (and, for shares, diverged).

    ``damaged`` has an error for each trial whose tables cannot be read; it is left out.
    """

    metrics: Sequence[Metric]
    values: dict[Path, list[Measured]] = field(default_factory=dict)
    damaged: list[DlxError] = field(default_factory=list)

    def of(self, trial: Trial, metric: int) -> Measured | None:
        """A trial's value of the metric of that number; None of a trial that does not count for it."""
        measured = self.values.get(trial.path)
        counts = trial.state == "done" or (trial.state == "diverged" and isinstance(self.metrics[metric], Share))
        return measured[metric] if measured is not None and counts else None


def measure(trials: Sequence[Trial], metrics: Sequence[Metric], summaries: Summaries) -> Measurements:
    """The metrics of every trial that has ended of itself.

    Raises :class:`~dlx.errors.UsageError` for a metric that none of those has, with the nearest names.
    """
    found = Measurements(metrics)
    for trial in trials:
        if trial.state not in ("done", "diverged"):
            continue
        try:
            found.values[trial.path] = summaries.measure(trial, metrics)
        except ResultsError as error:
            found.damaged.append(error)
    for number, metric in enumerate(metrics):
        of_done = [found.values[trial.path][number] for trial in trials if trial.path in found.values]
        if of_done and all(measured.missing and measured.why != NEVER for measured in of_done):
            raise _nobody_has(metric, of_done, trials)
    return found


def _nobody_has(metric: Metric, measured: Sequence[Measured], trials: Sequence[Trial]) -> UsageError:
    """Says what a metric could have been: names near it if its column is unknown, else why it has no value."""
    reasons = Counter(one.why for one in measured)
    why = reasons.most_common(1)[0][0]
    column = metric
    while isinstance(column, Share):
        column = column.of
    series = getattr(column, "series", None)
    hint = None
    if series is not None and why and ("no column" in why or f"no {series.table}.csv" in why):
        known = {name for trial in _samples(trials) for name in columns_of(Tables(trial.path))}
        name = series.text.partition("[")[0]
        hint = nearest(name, known)
        if not hint.startswith("did"):  # what has a short name is known by that alone
            hint = nearest(name.rpartition(".")[2], known)
    return UsageError(f"no trial has {metric.text}: {why}", hint=hint)


def _samples(trials: Iterable[Trial]) -> list[Trial]:
    """A few finished trials of each experiment, from its first to its last."""
    finished: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.state in ("done", "diverged"):
            finished.setdefault(trial.experiment, []).append(trial)
    return [some[at] for some in finished.values() for at in sorted({0, len(some) // 2, len(some) - 1})]


def usual_metrics(trials: Sequence[Trial], among: Sequence[str] = USUAL) -> list[Metric]:
    """What to compare where nobody says: test accuracy, for regression the test error; else what is nearest to it.

    Of experiments that share none, one each.
    """
    has: dict[str, list[set[str]]] = {}
    for trial in _samples(trials):
        tables = Tables(trial.path)
        with contextlib.suppress(DlxError):
            own = {name for name in among if not parse(name).measure(tables).missing}
            has.setdefault(trial.experiment, []).append(own)
    chosen: list[str] = []
    for samples in has.values():
        # Tries of a search have no test part measured, all but the winner: what all have comes first.
        best = set.intersection(*samples) or set.union(*samples)
        if best and not best & set(chosen):
            chosen.append(next(name for name in among if name in best))
    return [parse(name) for name in chosen or among[:1]]


@dataclass(frozen=True)
class Cell:
    """A metric of one row: ``values`` by replicate, ``missing`` why others have none, ``estimate`` None without any.

    ``overlap``: examples tested on for each one trained on, where trials are folds (:mod:`dlx.analysis.folds`);
    ``spread`` then tells their scatter apart.
    """

    metric: Metric
    values: Mapping[Hashable, float]
    missing: Mapping[str, int]
    estimate: statistics.Estimate | None
    overlap: float = 0.0
    spread: Spread | None = None

    @property
    def mean(self) -> float:
        """The mean, nan without values."""
        return self.estimate.mean if self.estimate else math.nan

    @property
    def never(self) -> int:
        """How many trials never got there, of an ``epochs_to``."""
        return self.missing.get(NEVER, 0)

    @property
    def without(self) -> int:
        """How many trials that count do not have the metric at all: what is shown is of the others."""
        return sum(self.missing.values()) - self.never


def cell(metric: Metric, measured: Iterable[tuple[Hashable, Measured | None]], overlap: float = 0.0) -> Cell:
    """Trials of a row pooled: of a replicate that is there several times (on two engines) the mean counts once.

    ``overlap``: 0 where trials are not folds.
    """
    values: dict[Hashable, list[float]] = {}
    missing: Counter[str] = Counter()
    for replicate, one in measured:
        if one is None:
            continue
        if one.missing:
            missing[one.why or ""] += 1
        else:
            values.setdefault(replicate, []).append(one.value)
    means = {replicate: math.fsum(some) / len(some) if len(some) > 1 else some[0] for replicate, some in values.items()}
    if not means:
        return Cell(metric, means, missing, None, overlap)
    spread = folds.spread(means) if overlap else None
    return Cell(metric, means, missing, pooled(metric, means, overlap), overlap, spread)


def pooled(metric: Metric, values: Mapping[Hashable, float], overlap: float = 0.0) -> statistics.Estimate:
    """Mean, standard deviation over all trials, and interval of at least one value, by replicate."""
    numbers = list(values.values())
    if overlap:
        of_divisions = statistics.estimate(list(folds.means(values).values()), overlap)
        return replace(statistics.estimate(numbers), low=of_divisions.low, high=of_divisions.high)
    whole = isinstance(metric, Share) and all(value in (0.0, 1.0) for value in numbers)
    return statistics.share(numbers) if whole else statistics.estimate(numbers)
