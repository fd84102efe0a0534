"""How the trials below a results directory stand, by looking at what is in it and nothing else."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dlx.errors import ResultsError
from dlx.progress import Report, read_report
from dlx.records.experiment_directory import ExperimentDirectory
from dlx.records.ownership import Holder
from dlx.records.status import STATES, Listing, Status
from dlx.records.trial_directory import TrialDirectory


@dataclass(frozen=True)
class TrialStanding:
    """One trial: its state, and where it is if it runs, or was when it was interrupted.

    ``seconds`` that it took, over all attempts, where it is done. ``log`` where there is one to read.
    """

    id: str
    label: str
    seed: int | str | None
    parameters: Mapping[str, Any]
    state: str
    reason: str | None
    log: Path | None
    holder: Holder | None
    progress: Report | None
    seconds: float | None


@dataclass(frozen=True)
class ExperimentStanding:
    """One experiment and its trials, in the order of its spec."""

    name: str
    directory: Path
    trials: tuple[TrialStanding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state that there is."""
        found = Counter(trial.state for trial in self.trials)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def seconds_left(self) -> float | None:
        """Until all that is running or pending is done, at the pace and on as many workers as now; None if unknown."""
        running = [trial for trial in self.trials if trial.state == "running"]
        took = [trial.seconds for trial in self.trials if trial.seconds is not None]
        left = [trial.progress.seconds_left for trial in running if trial.progress]
        known = [seconds for seconds in left if seconds is not None]
        pending = self.counts.get("pending", 0)
        if not running or (pending and not took) or not (known or took):
            return None
        typical = sum(took) / len(took) if took else max(known)
        waiting = typical * (pending + len(running) - len(known))
        return (sum(known) + waiting) / len(running)


def survey(places: Iterable[Path]) -> list[ExperimentStanding]:
    """Every experiment at or below each place, which is a results directory or an experiment's.

    Raises :class:`~dlx.errors.ResultsError` for a place that is neither.
    """
    found = []
    for place in places:
        experiments = [place] if _is_experiment(place) else sorted(filter(_is_experiment, _inside(place)))
        if not experiments:
            absent = "does not exist" if not place.exists() else "holds no results of dlx"
            raise ResultsError(f"{place} {absent}", hint="give a results directory, or an experiment's within one")
        found += [_experiment(directory) for directory in experiments]
    return found


def _is_experiment(place: Path) -> bool:
    return (place / "trials").is_dir()


def _inside(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except OSError:
        return []


def _experiment(path: Path) -> ExperimentStanding:
    experiment = ExperimentDirectory(path.absolute().parent, path.absolute().name)
    order = {trial: number for number, trial in enumerate(_listed(experiment.table))}
    present = [trial for trial in experiment.trials() if "." not in trial.trial]  # others were moved aside
    present.sort(key=lambda trial: order.get(trial.trial, len(order)))
    return ExperimentStanding(experiment.path.name, path, tuple(map(_trial, present)))


def _listed(table: Path) -> list[str]:
    """The trials of ``trials.csv``, which has them in the order of the spec."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return [row[0] for row in csv.reader(file) if row]
    except (OSError, ValueError, csv.Error):
        return []


def _trial(directory: TrialDirectory) -> TrialStanding:
    status = directory.status()
    listing = status.listing
    parameters = listing.parameters if listing else {}
    return TrialStanding(
        directory.trial,
        _label(parameters, listing) or directory.trial,
        listing.seed if listing else None,
        parameters,
        status.state,
        status.reason,
        directory.path / status.log if status.log else None,
        directory.holder() if status.state == "running" else None,
        read_report(directory.path) if status.state in ("running", "interrupted") else None,
        _seconds(status) if status.state == "done" else None,
    )


def _label(parameters: Mapping[str, Any], listing: Listing | None) -> str:
    named = [f"{path.rsplit('.', 1)[-1]}={value}" for path, value in parameters.items()]
    for name in ("repeat", "fold", "seed"):
        value = getattr(listing, name, None)
        named += [] if value is None else [f"{name}={value}"]
    return ", ".join(named)


def _seconds(status: Status) -> float | None:
    """Seconds of all attempts, by the clocks of their hosts."""
    total = 0.0
    for attempt in status.attempts:
        try:
            times: Sequence[datetime] = [datetime.fromisoformat(t) for t in (attempt.started, attempt.ended or "")]
        except ValueError:
            continue
        total += max(0.0, (times[1] - times[0]).total_seconds())
    return total or None
