"""``results/<experiment>/jobs/``: which jobs were submitted for which trials, so that no trial is submitted twice.

A job's folder is written before the job is submitted and under the name that SLURM knows it
by: whoever is killed in between leaves a job that is found again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.errors import ResultsError
from dlx.executors import _slurm_queue as queue
from dlx.executors._stream import End, Reader
from dlx.records import atomic
from dlx.records.ownership import Held, Ownership, now

FOLDER = "jobs"
_FILE, _OVER, _NO_MORE = "job.json", "over", "no-more"
_SCHEMA = "dlx.job/1"
_PATIENCE = 60.0


@dataclass(frozen=True)
class Job:
    """A submitted array: the trials of each of its tasks. ``id`` is SLURM's, None until it has given one."""

    folder: Path
    name: str
    tasks: tuple[tuple[str, ...], ...]
    id: str | None = None

    @classmethod
    def new(cls, place: Path, tasks: Sequence[Sequence[str]]) -> Job:
        """A job that is about to be submitted."""
        key = secrets.token_hex(4)
        job = cls(place / key, f"dlx-{key}", tuple(map(tuple, tasks)))
        with atomic.explained("create", job.folder, ResultsError):
            job.folder.mkdir(parents=True)
        job._write()
        return job

    def submitted(self, id: str) -> Job:
        """The same job with the id that SLURM gave it."""
        job = Job(self.folder, self.name, self.tasks, id)
        job._write()
        return job

    def _write(self) -> None:
        content = {"schema": _SCHEMA, "name": self.name, "id": self.id, "tasks": self.tasks, "written": now()}
        atomic.write_json(self.folder / _FILE, content, error=ResultsError)

    @property
    def keys(self) -> list[queue.Task]:
        """Its tasks as :func:`dlx.executors._slurm_queue.states` names them."""
        return [(self.id or "", number) for number in range(len(self.tasks))]

    def events(self, task: int) -> Path:
        """What happens in a task."""
        return self.folder / f"events-{task}.jsonl"

    def log(self, task: int) -> Path:
        """Where a task's standard error goes."""
        array = f"{self.id}_{task}" if len(self.tasks) > 1 else self.id
        return self.folder / f"{array}_0_log.err"

    def begin_no_more(self) -> None:
        """From now on its tasks begin no further trial."""
        with contextlib.suppress(OSError):
            (self.folder / _NO_MORE).touch()

    def over(self, *, clean: bool) -> None:
        """Nothing is to be expected of it any more; where all went well its folder is not needed either."""
        if clean:
            shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            if self.folder.exists():
                (self.folder / _OVER).touch()


def may_begin(folder: Path) -> bool:
    """Whether a task of the job may begin a further trial."""
    return not (folder / _NO_MORE).exists()


@dataclass(frozen=True)
class LiveTask:
    """A task that waits or runs, and the trials that it still has to bring to an end."""

    job: Job
    number: int
    state: str
    trials: frozenset[str]


def live_tasks(place: Path) -> list[LiveTask] | None:
    """The tasks of all jobs on record from which something is still to come; None where SLURM does not answer."""
    jobs = [job for job in _recorded(place) if not (job.folder / _OVER).exists()]
    known = {job.folder: job.id or queue.find(job.name) for job in jobs}
    states = queue.states({id for id in known.values() if id})
    if states is None or None in known.values():
        return None
    found = []
    for job in jobs:
        id = known[job.folder]
        alive = [(n, states.get((id or "", n), "")) for n in range(len(job.tasks))]
        alive = [(number, state) for number, state in alive if state in queue.LIVE]
        if not alive:
            job.over(clean=False)
            continue
        assert id is not None
        if job.id is None:
            job = job.submitted(id)
        for number, state in alive:
            told = [event for event in Reader(job.events(number)).look() if isinstance(event, End)]
            ended = {end.trial for end in told if end.state != "interrupted"}
            if left := frozenset(job.tasks[number]) - ended:
                found.append(LiveTask(job, number, state, left))
    return found


def _recorded(place: Path) -> Iterator[Job]:
    try:
        folders = sorted(path for path in place.iterdir() if (path / _FILE).is_file())
    except OSError:
        return
    for folder in folders:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            fields = json.loads((folder / _FILE).read_bytes())
            tasks = tuple(tuple(map(str, task)) for task in fields["tasks"])
            yield Job(folder, str(fields["name"]), tasks, fields["id"] and str(fields["id"]))


@contextlib.contextmanager
def alone(place: Path) -> Iterator[None]:
    """Nobody else submits jobs for this experiment meanwhile."""
    with atomic.explained("create", place, ResultsError):
        place.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            owned = Ownership.acquire(place)
            break
        except Held as other:
            if time.monotonic() > deadline:
                raise ResultsError(f"{other}: it submits jobs, try again in a minute") from None
    try:
        yield
    finally:
        owned.release()
