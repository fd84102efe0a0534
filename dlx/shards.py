"""Shares of an experiment's trials for machines that know nothing of each other: ``--shard 3/8``, ``--shard slurm``.

A trial's share depends on its place in the spec alone, never on what is done already, so
that every trial is in exactly one share whenever and wherever the shares are run. Places
are dealt out in turn: neighbours differ least, and shares come out equally long.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dlx.errors import UsageError

MARGIN = 120.0
"""Seconds before the end of its SLURM job at which a run stops in order: a tenth of what is left where that is less."""

_SHARE = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_HINT = "3/8 is the third of eight; slurm takes the share from the job array that it runs in"


@dataclass(frozen=True)
class Shard:
    """Share ``number``, from 1, of ``of`` shares; ``before`` trials of other experiments were dealt out already."""

    number: int
    of: int
    before: int = 0

    def takes(self, index: int) -> bool:
        """Whether the trial at that place of the spec, from 0, is in this share."""
        return (self.before + index) % self.of == self.number - 1

    def after(self, trials: int) -> Shard:
        """This share of the next experiment, when so many trials were dealt out."""
        return Shard(self.number, self.of, self.before + trials)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """The share that ``--shard`` names; raises :class:`~dlx.errors.UsageError`."""
    if text.strip() == "slurm":
        return _of_array(environment)
    found = _SHARE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"--shard {text!r} is no share", hint=_HINT)
    number, of = int(found[1]), int(found[2])
    if not 1 <= number <= of:
        raise UsageError(f"--shard {text}: shares are counted from 1 to {of}" if of else f"--shard {text}: no shares")
    return Shard(number, of)


def _of_array(environment: Mapping[str, str]) -> Shard:
    """The share of this task of a SLURM job array, by the bounds that the array was submitted with."""
    read: dict[str, int] = {}
    for name in ("ID", "MIN", "MAX", "COUNT", "STEP"):
        value = environment.get(f"SLURM_ARRAY_TASK_{name}", "1" if name == "STEP" else "")
        if not value.isdigit():
            missing = f"SLURM_ARRAY_TASK_{name} is not set" if not value else f"SLURM_ARRAY_TASK_{name} is {value!r}"
            raise UsageError(f"--shard slurm: this is no task of a SLURM job array ({missing})", hint=_HINT)
        read[name] = int(value)
    step = max(1, read["STEP"])
    number, left = divmod(read["ID"] - read["MIN"], step)
    of = (read["MAX"] - read["MIN"]) // step + 1
    if left or of != read["COUNT"] or not 0 <= number < of:
        raise UsageError(
            f"--shard slurm: the array has {read['COUNT']} tasks between {read['MIN']} and {read['MAX']}, "
            "which are not all of a range",
            hint="submit it as --array=0-7; a single share is run again with --shard 3/8",
        )
    return Shard(number + 1, of)


def seconds_left(
    environment: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
    ask: Callable[[str], float | None] | None = None,
) -> float | None:
    """Seconds that a run in a SLURM job should take at most, to stop in order before its time limit.

    None outside a job, and in one without limit. The end is in SLURM_JOB_END_TIME since
    SLURM 23.02; before that ``ask`` asks ``squeue``, given the job's id.
    """
    end = environment.get("SLURM_JOB_END_TIME", "")
    job = environment.get("SLURM_JOB_ID", "")
    left: float | None = None
    if end.isdigit() and int(end) > 0:
        left = int(end) - clock()
    elif job and ask is not None:
        left = ask(job)
    if left is None:
        return None
    return max(0.0, left - min(MARGIN, 0.1 * left))
