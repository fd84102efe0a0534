"""What becomes of a trial that something went wrong with."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from dlx.errors import DlxError, UsageError
from dlx.interruption import Interrupted, Pruned
from dlx.records.status import State
from dlx.resumption import NotContinued
from dlx.training.loop import Diverged

if TYPE_CHECKING:
    from dlx.records.trial_directory import Attempt
    from dlx.worker import Worker

OUT_OF_MEMORY = "out of memory"
NOT_BEGUN = "could not be begun"
REFUSED = "refused by the machine"


def verdict(error: Exception, attempt: Attempt, worker: Worker) -> tuple[State, str, str | None]:
    """State, reason for a person to read, how the attempt ended; a defect's traceback goes to the log."""
    match error:
        case Pruned():
            return "pruned", error.message, None
        case Interrupted():
            return "interrupted", error.message, error.message
        case Diverged():
            return "diverged", error.message, None
    attempt.log(str(error) if isinstance(error, DlxError) else "".join(traceback.format_exception(error)))
    match error:
        case NotContinued():
            return "interrupted", str(error), "not continued"
        case UsageError():  # no data, no engine: the same command begins once that is mended
            return "interrupted", str(error), NOT_BEGUN
        case DlxError() if isinstance(error.__cause__, OSError):  # which says nothing of the trial
            return "interrupted", str(error), REFUSED
        case DlxError():
            return "failed", str(error), None
    if memory := worker.engine.out_of_memory(error):
        return "failed", memory, OUT_OF_MEMORY
    first = str(error).strip().partition("\n")[0] or "no message"
    return "failed", f"{type(error).__name__}: {first}", None
