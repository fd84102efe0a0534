"""More epochs of a trial that is done: the longer trial goes on from where the shorter one ended.

That gives exactly what training from the beginning would. The order of the data, dropout and
noise are functions of seed, epoch and step; optimisers count steps; early stopping looks
back only; and every learning-rate schedule is Keras' own, absolute in steps, with nothing of
the number of epochs in it. A schedule that knew the total would make another trial of each
number of epochs from the first step on, and would have to be refused here.

What is copied is what the shorter trial's checkpoint covers, as a directory that appears
whole; whose it was stands in its ``environment.json`` until the first attempt takes it up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from dlx.errors import ResultsError, SpecError, TrialError
from dlx.records import atomic, environment
from dlx.records.checkpoints import Checkpoint, CheckpointStore
from dlx.records.experiment_directory import ExperimentDirectory
from dlx.records.status import Listing, Status, read_status, write_status
from dlx.records.tables import Table
from dlx.records.trial_directory import Attempt, TrialDirectory
from dlx.spec import Trial, load_trial
from dlx.spec.identity import trial_id

KEEP = "records: {checkpoints: keep}"


@dataclass(frozen=True)
class Origin:
    """A finished trial that differs only in having fewer epochs; ``hindrance`` says why nothing can go on from it."""

    directory: TrialDirectory
    epochs: int
    hindrance: str | None = None


class Finished:
    """The finished trials of an experiment, looked at when the first question is asked."""

    def __init__(self, place: ExperimentDirectory) -> None:
        self._place = place
        self._ids: dict[tuple[int, int], Any] = {}

    def origin(self, trial: Trial) -> Origin | None:
        """The longest finished trial that is the beginning of this one, preferably one to go on from."""
        shorter = list(self._shorter(trial))
        return next((origin for origin in shorter if origin.hindrance is None), next(iter(shorter), None))

    def _shorter(self, trial: Trial) -> Iterator[Origin]:
        setting = trial.setting
        if any(planned.spec.epochs is None for planned in setting.pipeline[:-1]):
            return  # more epochs are then trained in the middle, not at the end
        for epochs in sorted(
            {number for number in self._done.values() if number < setting.training.epochs}, reverse=True
        ):
            training = setting.training.model_copy(update={"epochs": epochs})
            name = trial_id(replace(setting, training=training), trial.seed)
            # One that was stopped early has trained fewer epochs than its id says, and is not met here.
            if self._done.get(name) == epochs:
                directory = self._place.trial(name)
                yield Origin(directory, epochs, _hindrance(directory, trial))

    @cached_property
    def _done(self) -> dict[str, int]:
        """Epochs of each trial that is done, by id."""
        found: dict[str, int] = {}
        for directory in self._place.trials():
            status = read_status(directory.status_file)
            epochs = status.summary.get("epochs")
            if status.state == "done" and isinstance(epochs, int):
                found[directory.trial] = epochs
        return found


def _hindrance(directory: TrialDirectory, trial: Trial) -> str | None:
    if not directory.checkpoints.is_dir():
        return f"keeps no checkpoint ({KEEP})"
    try:
        before = load_trial(directory.spec)
    except SpecError as error:
        return f"cannot be gone on from: {error.problems[0].message}"
    return None if before.setting.probes == trial.setting.probes else "has other probes"


def begin_with(origin: Origin, directory: TrialDirectory, trial_yaml: str, listing: Listing) -> bool:
    """Make a trial's directory out of what its origin has recorded; whether there is something to go on from.

    Raises :class:`~dlx.errors.ResultsError` where it cannot be written and
    :class:`~dlx.records.ownership.Held` where another process works on it.
    """
    try:
        checkpoint = CheckpointStore(origin.directory.checkpoints).load_latest()
        before = environment.read(origin.directory.environment)
        tables = _tables(origin.directory, checkpoint) if checkpoint else {}
    except (TrialError, OSError, KeyError, TypeError):
        return False  # whatever is damaged there, here it is trained from the beginning
    if checkpoint is None or before is None:
        return False
    directory.discard()
    atomic.sweep(directory.path.parent)
    with atomic.committing(directory.path, error=ResultsError) as place:
        atomic.write_durably(place / directory.spec.name, trial_yaml.encode())
        for name, content in tables.items():
            atomic.write_durably(place / name, content)
        environment.write(
            place / directory.environment.name,
            {**before, "spec": environment.digest(trial_yaml), environment.ORIGIN: origin.directory.trial},
        )
        CheckpointStore(place / directory.checkpoints.name).save(checkpoint.arrays, checkpoint.state)
        write_status(place / directory.status_file.name, Status(listing=listing), error=ResultsError)
    return True


def _tables(directory: TrialDirectory, checkpoint: Checkpoint) -> Mapping[str, bytes]:
    """The tables as far as the checkpoint covers them, by file name; raises TrialError where they were changed."""
    found: dict[str, bytes] = {}
    for name, position in Attempt.positions_of(checkpoint).items():
        path = directory.table(Table(name, ()))
        with path.open("rb") as file:
            content = file.read(position["bytes"])
        if hashlib.sha256(content).hexdigest() != position["sha256"]:
            raise TrialError(f"{path} was changed since the checkpoint recorded it")
        found[path.name] = content
    return found
