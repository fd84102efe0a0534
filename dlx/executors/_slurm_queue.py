"""What is asked of SLURM while jobs run: how they stand, and to signal or cancel them. Needs no accounting."""

from __future__ import annotations

import subprocess
from collections.abc import Collection

LIVE = {
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING",
    "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT",
}  # fmt: skip
"""States from which a task may still go on; in all others it is over."""

_PATIENCE = 60.0  # seconds: a busy controller answers late
_UNKNOWN = "Invalid job id"
Task = tuple[str, int]
"""A job's id and the index in its array, 0 where it is none."""


def states(jobs: Collection[str]) -> dict[Task, str] | None:
    """The state of every task that SLURM still knows of; None where it did not answer.

    What is missing from an answer ended some minutes ago.
    """
    if not jobs:
        return {}
    answer = _ask(
        "squeue", "--noheader", "--array", "--states=all", "--format=%F|%K|%T", f"--jobs={','.join(sorted(jobs))}"
    )
    if answer is None or (answer.returncode and _UNKNOWN not in answer.stderr):
        return None
    found: dict[Task, str] = {}
    for line in answer.stdout.splitlines():
        job, index, state = line.strip().split("|")
        found[job, int(index) if index.isdigit() else 0] = state
    return found


def find(name: str) -> str | None:
    """The id of the job of that name that waits or runs, empty where there is none; None where SLURM did not answer."""
    answer = _ask("squeue", "--noheader", "--me", "--format=%F", f"--name={name}")
    if answer is None or answer.returncode:
        return None
    return answer.stdout.split()[0] if answer.stdout.split() else ""


def cancel_waiting(job: str) -> None:
    """Take the tasks that have not started from the queue."""
    _ask("scancel", "--quiet", "--state=PENDING", job)


def signal(job: str, name: str) -> None:
    """Send a signal (``INT``) to the processes of the tasks that run, not to their batch script."""
    _ask("scancel", "--quiet", "--state=RUNNING", f"--signal={name}", job)


def cancel(job: str) -> None:
    """End a job, waiting or running: SIGTERM, then SIGKILL."""
    _ask("scancel", "--quiet", job)


def requeue(task: str) -> bool:
    """Put a running task (``17_3``) back into the queue; whether SLURM will."""
    answer = _ask("scontrol", "requeue", task)
    return answer is not None and answer.returncode == 0


def time_left(job: str) -> float | None:
    """Seconds until a running job's time limit; None where there is none, or no answer."""
    answer = _ask("squeue", "--noheader", "--format=%L", f"--jobs={job}")
    text = answer.stdout.strip() if answer is not None and answer.returncode == 0 else ""
    days, _, clock = text.rpartition("-")
    parts = clock.split(":")
    if not all(part.isdigit() for part in (*parts, days or "0")):
        return None  # UNLIMITED, NOT_SET, INVALID
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return seconds + 86400 * int(days or 0)


def _ask(*command: str) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
