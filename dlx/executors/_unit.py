"""What every executor does around a unit: report its progress, and turn what escapes into the trial's own row."""

from __future__ import annotations

import traceback

from dlx.errors import DlxError
from dlx.events import Observer, TrialEnded
from dlx.executors import Finished, Unit, Work
from dlx.interruption import Stop
from dlx.progress import Reporter
from dlx.records.ownership import Held, TakenOver
from dlx.records.status import Status


def carry_out(unit: Unit, work: Work, stop: Stop, observe: Observer, token: str | None = None) -> Finished:
    """Run a unit in this process. ``token`` marks its reports of progress."""
    try:
        work(unit, stop, Reporter(unit.directory.path, observe, token))
    except (Held, TakenOver) as other:
        return Finished(unit, None, str(other))
    except (Exception, SystemExit) as error:  # its setting does not load, say; or the work ends the process
        reason = str(error) if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
        return fail(unit, reason, observe, "".join(traceback.format_exception(error)))
    return Finished(unit, unit.directory.status())


def fail(unit: Unit, reason: str, observe: Observer, log: str = "") -> Finished:
    """Write a trial's last word in its place: it failed, for a reason that it could not give itself."""
    try:
        with unit.directory.claim() as attempt:
            attempt.log(f"{log.rstrip()}\n{reason}" if log else reason)
            status = attempt.end("failed", reason, exit=reason)
    except DlxError as refusal:  # held, or a disk that takes nothing more: what can be said is said to the person
        if isinstance(refusal, Held | TakenOver):
            return Finished(unit, None, str(refusal))
        status = Status("failed", reason=f"{reason}; {refusal}")
    Reporter(unit.directory.path, observe).clear()
    observe(TrialEnded(unit.directory.trial, unit.label, "failed", status.reason, str(unit.directory.log)))
    return Finished(unit, status)
