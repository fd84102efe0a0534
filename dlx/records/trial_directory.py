"""A trial's directory: where everything is, who may write it, and how it stands.

Looking is free; writing takes an :class:`Attempt`::

    directory = TrialDirectory(results / "depth" / "trials" / trial.id)
    directory.create(trial_yaml, listing)
    with directory.claim() as attempt:          # Held, if another process works on it
        checkpoint = attempt.checkpoints.load_latest(attempt.note)
        recorder = attempt.record([METRICS, TIMING], checkpoint)
        recorder.append(METRICS, [{"stage": "train", "epoch": 1, …}])
        attempt.save_checkpoint(arrays, state)  # tables flushed, their positions remembered
        attempt.end("done", summary={"parameters": 24_000})
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dlx.errors import ResultsError, TrialError
from dlx.records import atomic, environment, ownership
from dlx.records.checkpoints import Checkpoint, CheckpointStore
from dlx.records.ownership import Holder, Ownership, now
from dlx.records.recorder import Recorder
from dlx.records.status import FILE as STATUS
from dlx.records.status import SETTLED, AttemptRecord, Listing, State, Status, read_status, write_status
from dlx.records.summary import summarise
from dlx.records.tables import Table
from dlx.records.weights import write_weights

if TYPE_CHECKING:
    import numpy as np

_KILLED = "its process ended without a word"
_POSITIONS, _STATE = "tables", "training"


class Settled(TrialError):
    """Another process has brought the trial to its end meanwhile: there is nothing left to do."""


@dataclass(frozen=True)
class TrialDirectory:
    """``results/<experiment>/trials/<id>``."""

    path: Path

    @property
    def trial(self) -> str:
        """The trial's id."""
        return self.path.name

    @property
    def spec(self) -> Path:
        """``trial.yaml``: the resolved setting."""
        return self.path / "trial.yaml"

    @property
    def status_file(self) -> Path:
        """``status.json``."""
        return self.path / STATUS

    @property
    def environment(self) -> Path:
        """``environment.json``."""
        return self.path / environment.FILE

    @property
    def weights(self) -> Path:
        """``weights.npz``."""
        return self.path / "weights.npz"

    @property
    def checkpoints(self) -> Path:
        """``checkpoints/``."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """``model.keras``."""
        return self.path / "model.keras"

    @property
    def log(self) -> Path:
        """``log.txt``."""
        return self.path / "log.txt"

    def table(self, table: Table) -> Path:
        """A table's file."""
        return self.path / table.file_name

    def create(self, trial_yaml: str, listing: Listing | None = None) -> bool:
        """Make the directory of a pending trial; one that has begun keeps its ``trial.yaml``.

        Gives whether ``trial.yaml`` now says what was asked: False means that the trial was
        begun with another one (other probes, say). Raises :class:`~dlx.errors.ResultsError`.
        """
        with atomic.explained("create", self.path, ResultsError):
            self.path.mkdir(parents=True, exist_ok=True)
            present = self.spec.read_text("utf-8", "replace") if self.spec.exists() else None
        begun = ownership.read_owner(self.path) is not None
        same = present is not None and environment.portable(present) == environment.portable(trial_yaml)
        if present != trial_yaml and (same or not begun):
            # Of one that has begun, only where its data are now is said anew. What a power cut takes of one that has
            # not is made again from the spec.
            atomic.write_text(self.spec, trial_yaml, durable=begun, error=ResultsError)
            present = trial_yaml
        status = read_status(self.status_file)
        if listing is not None and not begun and (status.listing != listing or not self.status_file.exists()):
            write_status(self.status_file, replace(status, listing=listing), durable=False, error=ResultsError)
        return same or present == trial_yaml

    def status(self) -> Status:
        """How the trial stands: one whose process died while running is ``interrupted``."""
        status = read_status(self.status_file)
        if status.note and status.state == "interrupted" and ownership.read_owner(self.path) is None:
            status = replace(status, state="pending")
        if status.state == "running" and self.holder() is None:
            return replace(status, state="interrupted", reason=status.reason or _KILLED)
        return status

    def holder(self) -> Holder | None:
        """Who works on the trial right now."""
        return ownership.holder(self.path)

    def differences(self, today: Mapping[str, Any]) -> list[str]:
        """Why an interrupted trial must not be continued under ``today``'s environment (:func:`environment.gather`)."""
        before = environment.read(self.environment)
        return environment.differences(before, today) if before else []

    def origin(self) -> str | None:
        """The trial whose recorded beginning this one is to go on from, and has not yet."""
        found = (environment.read(self.environment) or {}).get(environment.ORIGIN)
        return found if isinstance(found, str) else None

    def missing_tables(self, tables: Iterable[Table]) -> list[Table]:
        """The tables asked for that are not there: a finished trial that lacks one is trained again."""
        return [table for table in tables if not self.table(table).exists()]

    def claim(self, *, seen: int | None = None) -> Attempt:
        """Become the only writer. Raises :class:`~dlx.records.ownership.Held` naming the present one.

        ``seen`` is the last attempt that the caller knows of; where a later one has ended
        the trial since, :class:`Settled` is raised.
        """
        status = read_status(self.status_file)
        owned = Ownership.acquire(self.path, after_attempt=status.last_attempt)
        try:
            status = read_status(self.status_file)
            if seen is not None and status.last_attempt > seen and status.state in SETTLED:
                raise Settled(f"{self.path} was ended as {status.state} by another process")
            return Attempt(self, owned)
        except BaseException:
            owned.release()
            raise

    def move_aside(self) -> Path:
        """Rename to ``<id>.1`` (or the next free number) and give the new path. Raises Held while it is worked on."""
        with self._alone(), atomic.explained("rename", self.path, ResultsError):
            return atomic.set_aside(self.path)

    def discard(self) -> None:
        """Remove the trial and all it recorded. Raises Held while it is worked on."""
        if self.path.exists():
            with self._alone(), atomic.explained("remove", self.path, ResultsError):
                aside = atomic.temporary_name(self.path)
                self.path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)

    @contextlib.contextmanager
    def _alone(self) -> Any:
        """Own the directory while it is renamed; its later attempts follow the numbers of the earlier ones."""
        owned = Ownership.acquire(self.path, after_attempt=read_status(self.status_file).last_attempt)
        try:
            if os.name == "nt":  # a directory with an open file in it cannot be renamed there
                owned.release()
            yield
        finally:
            owned.release()


class Attempt:
    """The right to write a trial's directory, from :meth:`TrialDirectory.claim` until the ``with`` block ends.

    ``notify`` (settable) is told every sentence that also goes to ``log.txt`` and
    ``status.json``: a damaged checkpoint, a row that came out differently. Whoever leaves
    the block without :meth:`end` leaves a trial that counts as interrupted.
    """

    def __init__(self, directory: TrialDirectory, owned: Ownership) -> None:
        self.directory = directory
        self.notify: Callable[[str], None] = lambda sentence: None
        self._owned = owned
        self._recorder: Recorder | None = None
        atomic.sweep(directory.path, every_process=True)
        self.checkpoints.sweep()
        before = read_status(directory.status_file)
        owner = owned.owner
        record = AttemptRecord(owner.attempt, owner.since, owner.host, owner.pid)
        attempts = tuple(attempt if attempt.exit else replace(attempt, exit=_KILLED) for attempt in before.attempts)
        notes = (*before.notes, before.note) if before.note else before.notes
        self._status = replace(
            before, state="running", attempts=(*attempts, record), reason=None, log=None, notes=notes, note=None
        )
        self._write_status()

    @property
    def number(self) -> int:
        """The attempt's number: 1 for the first."""
        return self._owned.attempt

    @property
    def status(self) -> Status:
        """The status as last written."""
        return self._status

    @cached_property
    def checkpoints(self) -> CheckpointStore:
        """The trial's checkpoints."""
        return CheckpointStore(self.directory.checkpoints, check=self._owned.verify)

    def verify(self) -> None:
        """Raise :class:`~dlx.records.ownership.TakenOver` unless the trial is still ours."""
        self._owned.verify()

    def write_environment(self, content: Mapping[str, Any]) -> None:
        """Put :func:`environment.gather`'s answer on record, as what later attempts are compared with."""
        self.verify()
        environment.write(self.directory.environment, content)

    def record(self, tables: Iterable[Table], checkpoint: Checkpoint | None = None) -> Recorder:
        """Open the tables where the checkpoint left them, without one at their beginning.

        Rows that earlier attempts recorded beyond are compared with those now derived;
        :meth:`note` is told of differences.
        """
        positions = checkpoint.state[_POSITIONS] if checkpoint else None
        self._recorder = Recorder(self.directory.path, tables, positions, self.note)
        return self._recorder

    def save_checkpoint(self, arrays: Mapping[str, np.ndarray], state: Any) -> None:
        """Flush the tables, then save the arrays and the JSON state together with the tables' positions."""
        positions = self._recorder.positions() if self._recorder else {}
        self.checkpoints.save(arrays, {_POSITIONS: positions, _STATE: state})

    @staticmethod
    def state_of(checkpoint: Checkpoint) -> Any:
        """The state that :meth:`save_checkpoint` was given."""
        return checkpoint.state[_STATE]

    @staticmethod
    def positions_of(checkpoint: Checkpoint) -> Mapping[str, Mapping[str, Any]]:
        """How far each table had come: bytes, rows and SHA-256 by name."""
        positions: Mapping[str, Mapping[str, Any]] = checkpoint.state[_POSITIONS]
        return positions

    def disown(self) -> None:
        """Remove what was recorded by another trial that this one was to go on from."""
        self.verify()
        for table in self.directory.path.glob("*.csv"):
            with atomic.explained("remove", table):
                table.unlink()
        self.checkpoints.clear()

    def write_weights(
        self,
        final: Mapping[str, np.ndarray],
        best: Mapping[str, np.ndarray] | None = None,
        pretrained: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Write ``weights.npz``."""
        write_weights(self.directory.weights, final, best, pretrained, check=self._owned.verify)

    def log(self, text: str) -> None:
        """Append lines to ``log.txt``, each with the time; a full disk loses the line, not the trial."""
        lines = "".join(f"{now()} {line}\n" for line in text.splitlines() or [""])
        with contextlib.suppress(OSError), self.directory.log.open("a", encoding="utf-8", newline="\n") as file:
            file.write(lines)

    def note(self, sentence: str) -> None:
        """Tell whoever watches, the log and, at the next writing, ``status.json``."""
        self.log(sentence)
        self._status = replace(self._status, notes=(*self._status.notes, sentence))
        self.notify(sentence)

    def end(
        self,
        state: State,
        reason: str | None = None,
        *,
        summary: Mapping[str, Any] | None = None,
        exit: str | None = None,
    ) -> Status:
        """Write the last word; gives the status.

        ``done`` first closes the tables and reports rows recorded before that did not come
        again. ``summary`` (``parameters``, ``multiply_adds``, ``engine``, …) is added to what
        the tables say and goes before it. ``exit`` tells how this attempt ended where the
        state does not (``signal SIGTERM``).
        """
        if self._recorder is not None:
            if state in ("done", "diverged", "pruned"):
                self._recorder.finish()
            self._recorder.close()
            self._recorder = None
        log = self.directory.log.name if reason and self.directory.log.exists() else None
        ended = self._status.attempt_ended(self.number, now(), exit or state)
        numbers = {**summarise(self.directory.path), **(summary or {})}
        self._status = replace(ended, state=state, reason=reason, log=log, summary=numbers)
        self._write_status()
        return self._status

    def release(self) -> None:
        """Close the tables and let others work on the trial; a second call does nothing."""
        if self._recorder is not None:
            self._recorder.close()
        self._owned.release()

    def _write_status(self) -> None:
        write_status(self.directory.status_file, self._status, check=self._owned.verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
