"""What trials measure as a TensorBoard log, written as they go: one run per trial.

The log is read from the trial's own tables whenever an event says that there is more, so that
no epoch is missing of a trial that ran elsewhere, was quick or was resumed. The writer is
tensorboardX, which brings neither TensorFlow nor a GPU into the parent process;
TensorBoard's own writer imports TensorFlow where it is installed.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlx.errors import ResultsError, UsageError
from dlx.events import EpochEnded, Event, GradientsRecorded, TrialEnded, TrialStarted
from dlx.records.reader import Rows, read_table

INTERVAL = 2.0
"""Seconds between two looks at the tables of a trial that is running."""
_MEASURED = re.compile(r"(train|val|test)_(\w+)")
_UNFIT = re.compile(r"[^\w.=+-]+")


class TensorBoard:
    """An observer that keeps a log of every trial below ``directory/<experiment>/``.

    Raises :class:`~dlx.errors.UsageError` where tensorboardX is not installed, or the place is no
    directory. ``problem`` says why nothing more is written, once that is so: a log is no reason
    to stop training.
    """

    def __init__(self, directory: Path, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            import tensorboardX  # noqa: F401 - whether it is there is to be known before anything runs
        except ImportError:
            raise UsageError("--tensorboard needs tensorboardX", hint="pip install 'dlx[tensorboard]'") from None
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--tensorboard {directory}: {error.strerror or error}") from None
        self.problem = ""
        self._directory = directory
        self._clock = clock
        self._logs: dict[str, _Log] = {}

    def __call__(self, event: Event) -> None:
        """Take in one event."""
        if self.problem:
            return
        try:
            match event:
                case TrialStarted():
                    self._close(event.trial)
                    self._logs[event.trial] = _Log(self._directory, event, self._clock)
                case EpochEnded() | GradientsRecorded():
                    if event.trial in self._logs:
                        self._logs[event.trial].look()
                case TrialEnded():
                    self._close(event.trial)
        except OSError as error:
            self.problem = f"--tensorboard {self._directory}: {error.strerror or error}; nothing more is written there"

    def close(self) -> None:
        """Write what is left of trials that have not said how they ended."""
        for trial in list(self._logs):
            with contextlib.suppress(OSError):
                self._close(trial)

    def _close(self, trial: str) -> None:
        if (log := self._logs.pop(trial, None)) is not None:
            log.look(last=True)


class _Log:
    """The log of one trial, and how many rows of its tables are in it."""

    def __init__(self, directory: Path, started: TrialStarted, clock: Callable[[], float]) -> None:
        from tensorboardX import SummaryWriter

        self._tables = Path(started.directory)
        name = f"{_UNFIT.sub('_', started.label).strip('_')}-{started.trial}".lstrip("-")
        place = directory / self._tables.absolute().parent.parent.name / name
        # A trial that goes on, or is run again, is told from its beginning: what was there would be there twice.
        for old in place.glob("events.out.tfevents.*"):
            old.unlink(missing_ok=True)
        self._writer: Any = SummaryWriter(str(place), flush_secs=3600)
        self._clock = clock
        self._looked = clock()
        self._seen = {"metrics": 0, "gradients": 0}

    def look(self, *, last: bool = False) -> None:
        """Write the rows that are new; not too often, unless it is the ``last`` time."""
        now = self._clock()
        if not last and now - self._looked < INTERVAL:
            return
        self._looked = now
        for table, write in (("metrics", self._metrics), ("gradients", self._gradients)):
            try:
                rows = read_table(self._tables / f"{table}.csv")
            except ResultsError:  # not there yet, or damaged, which whoever reads results is told
                continue
            write(rows, self._seen[table])
            self._seen[table] = len(rows)
        self._writer.close() if last else self._writer.flush()

    def _metrics(self, rows: Rows, seen: int) -> None:
        """``accuracy/val``, ``loss/train``, ``learning_rate``, by step."""
        stages, steps = rows.texts("stage"), rows.ints("step")
        for column in rows.columns:
            found = _MEASURED.fullmatch(column)
            if found is None and column != "learning_rate":
                continue
            tag = f"{found[2]}/{found[1]}" if found else column
            self._write([_of(stage, tag) for stage in stages], steps, rows.floats(column), seen)

    def _gradients(self, rows: Rows, seen: int) -> None:
        """``gradient_norm/kernel/1_dense_1``: of the fixed sample; ``gradient_norm_train/…`` as trained."""
        places = zip(
            rows.texts("stage"),
            rows.texts("source"),
            rows.texts("parameter"),
            rows.texts("layer"),
            rows.texts("name"),
            strict=True,
        )
        tags = [
            _of(
                stage, f"gradient_norm{'' if source == 'probe' else f'_{source}'}/{parameter}/{layer}_{name}".strip("_")
            )
            for stage, source, parameter, layer, name in places
        ]
        self._write(tags, rows.ints("step"), rows.floats("grad_norm"), seen)

    def _write(self, tags: list[str], steps: list[int | None], values: list[float | None], seen: int) -> None:
        for tag, step, value in zip(tags[seen:], steps[seen:], values[seen:], strict=True):
            if value is not None:
                self._writer.add_scalar(tag, value, step)


def _of(stage: str, tag: str) -> str:
    """Stages before the usual one have their name in front: steps begin anew in each."""
    return tag if stage == "train" else f"{stage}/{tag}"
