"""SLURM job arrays, submitted through submitit: some trials to each task, on the warm workers of one node.

What was submitted is on record in the results directory, so that the same command, given
again, waits for the jobs that there are and submits no trial twice. While a command waits,
its jobs are its own: when it is stopped they are asked to end in order (``scancel`` of the
tasks that wait, a signal to those that run). With ``detach`` it does not wait.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, field_validator

from dlx import devices as machine
from dlx.errors import UsageError
from dlx.events import Note, Observer
from dlx.executors import Executor, Finished, Unit, Work, always, executor
from dlx.executors import _slurm_queue as queue
from dlx.executors._jobs import FOLDER, Job, LiveTask, alone, live_tasks
from dlx.executors._slurm_task import Task, chunks
from dlx.executors._slurm_wait import Wait, Watched
from dlx.fields import Positive
from dlx.interruption import Stop

if TYPE_CHECKING:
    from dlx.records.trial_directory import TrialDirectory

WARNING = 90
"""Seconds before its time limit that SLURM signals a task, which then saves itself and goes back into the queue."""

_MACHINES = ("nodes", "ntasks", "ntasks_per_node", "ntasks_per_gpu", "ntasks_per_socket", "ntasks_per_core")
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_LENGTH = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?")


def minutes(text: str) -> int:
    """Minutes of ``30m``, ``4h``, ``2d``, ``1d12h`` and of SLURM's own ``4:00:00``, ``1-12``, ``90``; rounded up."""
    if text and (found := _LENGTH.fullmatch(text)):
        days, hours, rest = (int(part or 0) for part in found.groups())
        seconds = ((days * 24 + hours) * 60 + rest) * 60
    elif found := _TIME.fullmatch(text):
        day, *clock = found.groups()
        parts = [int(part) for part in clock if part is not None]
        units = (3600, 60, 1) if day is not None or len(parts) == 3 else (60, 1)
        seconds = int(day or 0) * 86400 + sum(part * unit for part, unit in zip(parts, units, strict=False))
    else:
        seconds = 0
    if not seconds:
        raise ValueError(f"must be a length of time such as 30m, 4h, 2d or 1-12:00:00, not {text!r}")
    return -(-seconds // 60)


def _length(text: str) -> str:
    minutes(text)
    return text


class Spec(Executor):
    """Trials in the tasks of a SLURM job array."""

    summary: ClassVar[str] = "job arrays on a SLURM cluster, some trials to each task"

    name: Literal["slurm"] = "slurm"
    partition: str | None = Field(default=None, description="the partition (default: the cluster's)")
    account: str | None = Field(default=None, description="the account that is charged")
    time: Annotated[str, AfterValidator(_length)] = Field(
        default="1h",
        description="time limit of a task: 30m, 4h, 2d, 1-12:00:00; a task that reaches it saves its trials and "
        "goes back into the queue, so it need not be enough for them",
    )
    cpus: Positive = Field(default=1, description="cores of a task, divided among the trials that run in it at once")
    gpus: Annotated[int, Field(ge=0)] = Field(
        default=0, description="GPUs of a task (default: none, or the devices of a trial where it has several)"
    )
    mem: str | None = Field(
        default=None, pattern=r"^\d+[KMGT]?$", description="memory of a task: 8G (default: the cluster's)"
    )
    per_task: Positive = Field(
        default=1, description="trials of an array task, which run one after another: several, where they are short"
    )
    jobs: Positive | None = Field(
        default=None, description="trials at the same time in a task (default: one, or one per GPU share)"
    )
    per_gpu: Positive = Field(default=1, description="trials that share a GPU")
    parallel: Positive = Field(default=256, description="array tasks at the same time, at most")
    setup: list[str] = Field(default=[], description="shell commands before dlx in a task: module load cuda")
    options: dict[str, str | int | bool] = Field(
        default={}, description="further options of sbatch, by their long names: {qos: low, constraint: a100}"
    )
    timeout: float | None = Field(
        default=None, gt=0.0, allow_inf_nan=False, description="as of the executor local: seconds without a step"
    )
    grace: float = Field(
        default=30.0, ge=0.0, allow_inf_nan=False, description="seconds that trials have to save themselves"
    )
    detach: bool = Field(default=False, description="submit, and do not wait")

    def ready(self) -> None:
        for program in ("sbatch", "squeue", "scancel", "scontrol", "srun"):
            if shutil.which(program) is None:
                raise UsageError(
                    f"{program} is not here: --executor slurm works where SLURM's commands are",
                    hint="on a login node of the cluster; on this machine: --executor local",
                )
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise UsageError("the executor slurm needs the package submitit", hint="pip install 'dlx[slurm]'") from None

    @field_validator("options")
    @classmethod
    def _one_machine(cls, options: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        for name, value in options.items():
            if name.replace("-", "_") in _MACHINES and str(value) != "1":
                raise ValueError(
                    f"{name}: {value} would give a task several machines or processes, and one trial trains on the "
                    "devices of one machine (--devices N, --gpus N)"
                )
        return options

    def require(self, devices: int) -> None:
        if devices == 1:
            return
        machine.one_machine_only()
        if self.per_gpu > 1:
            raise UsageError(f"--per-gpu {self.per_gpu}: trials on {devices} devices each share none")
        if 0 < self.gpus < devices:
            raise UsageError(
                f"a trial is to train on {devices} devices, and --gpus {self.gpus} is all that a task has",
                hint=f"--gpus {devices}, all of one machine",
            )

    def threads(self, trials: int, devices: int = 1) -> int:
        return max(1, self.cpus // self._at_once(devices))

    def _at_once(self, devices: int) -> int:
        return self.jobs or max(1, self.gpus * self.per_gpu // devices)

    def _gpus(self, devices: int) -> int:
        """GPUs of a task: as many as its trials have devices, unless the processor is taken for several."""
        return self.gpus or (devices * self._at_once(devices) if devices > 1 and not machine.virtual() else 0)

    def at_work(self, directories: Sequence[TrialDirectory]) -> set[str]:
        live = live_tasks(_place(directories[0])) if directories else None
        return {trial for task in live or () for trial in task.trials}

    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        if not units or stop.requested:
            return
        self.ready()
        place = _place(units[0].directory)
        with alone(place):
            live = live_tasks(place)
            if live is None:
                raise UsageError("SLURM does not answer (squeue): nothing was submitted", hint="try again later")
            watched = _adopt(live, units, observe)
            theirs = {unit.directory.trial for task in watched for unit in task.units}
            new = [unit for unit in units if unit.directory.trial not in theirs and may_begin(unit)]
            if new:
                watched += self._submit(place, new, work, observe)
        if self.detach:
            for task in watched:
                for unit in task.units:
                    yield Finished(unit, None, f"is in the hands of job {task.job.id}", told=True)
            return
        yield from Wait(watched, self.grace).ends(stop, observe, may_begin)

    def _submit(self, place: Path, units: Sequence[Unit], work: Work, observe: Observer) -> list[Watched]:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        shares = chunks(units, self.per_task)
        job = Job.new(place, [[unit.directory.trial for unit in share] for share in shares])
        devices = max(unit.devices for unit in units)
        options = {
            "jobs": self._at_once(devices),
            "per_gpu": self.per_gpu,
            "timeout": self.timeout,
            "grace": self.grace,
        }
        local = executor("local", options)
        tasks = []
        for number, share in enumerate(shares):
            units_there = tuple(_absolute(unit) for unit in share)
            folder = job.folder.absolute()
            tasks.append(Task(folder, job.events(number).absolute(), units_there, work, local))
        sbatch = SlurmExecutor(folder=job.folder.absolute())
        sbatch.update_parameters(job_name=job.name, **self._parameters(self._gpus(devices)))
        try:
            submitted = sbatch.map_array(_call, tasks)
        except (FailedJobError, FailedSubmissionError, subprocess.SubprocessError, OSError) as error:
            if queue.find(job.name) == "":
                job.over(clean=True)
            raise UsageError(f"sbatch refused: {_reason(error)}") from error
        job = job.submitted(submitted[0].job_id.partition("_")[0])
        trials, arrays = _counted(len(units), "trial"), _counted(len(tasks), "array task")
        observe(Note(f"job {job.id}: submitted {trials} in {arrays}; {_log_of(job)}"))
        return [Watched(job, number, list(share)) for number, share in enumerate(shares)]

    def _parameters(self, gpus: int) -> dict[str, Any]:
        limit = minutes(self.time)
        extra: dict[str, Any] = {"requeue": True, **self.options}
        if self.mem is not None:
            extra["mem"] = self.mem
        parameters = {
            "partition": self.partition,
            "account": self.account,
            "time": limit,
            "cpus_per_task": self.cpus,
            "gpus_per_node": gpus or None,
            "signal_delay_s": min(WARNING, limit * 15),
            "array_parallelism": self.parallel,
            "setup": self.setup or None,
            # Since SLURM 22.05 srun no longer takes this from sbatch.
            "srun_args": [f"--cpus-per-task={self.cpus}"],
            "additional_parameters": extra,
        }
        return {name: value for name, value in parameters.items() if value is not None}


def _adopt(live: Sequence[LiveTask], units: Sequence[Unit], observe: Observer) -> list[Watched]:
    """The tasks that have some of the units already; tells how their jobs stand."""
    by_trial = {unit.directory.trial: unit for unit in units}
    found = []
    for task in live:
        theirs = [
            by_trial[trial] for trial in task.job.tasks[task.number] if trial in by_trial and trial in task.trials
        ]
        if theirs:
            watched = Watched(task.job, task.number, theirs, task.state)
            for _ in watched.events.look():  # what happened before is on disk
                pass
            found.append(watched)
    for job in {task.job.folder: task.job for task in found}.values():
        here = [task for task in live if task.job.folder == job.folder]
        states = Counter(task.state.lower() for task in here)
        tasks = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        left = sum(len(task.trials) for task in here)
        observe(Note(f"job {job.id}: {_counted(left, 'trial')} to go in {_counted(len(here), 'array task')} ({tasks})"))
    return found


def _place(directory: TrialDirectory) -> Path:
    return directory.path.parent.parent / FOLDER


def _absolute(unit: Unit) -> Unit:
    """The unit as a task finds it, whatever its working directory is."""
    directory = replace(unit.directory, path=unit.directory.path.absolute())
    return replace(unit, directory=directory)


def _call(task: Task) -> None:
    task()


def _log_of(job: Job) -> str:
    return f"its output is in {job.folder}"


def _reason(error: Exception) -> str:
    """What sbatch said, from submitit's error."""
    text = str(getattr(error.__cause__, "stderr", None) or error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line.partition("error:")[2].strip() for line in lines if "error:" in line]
    return "; ".join(said) or (lines[-1] if lines else type(error).__name__)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
