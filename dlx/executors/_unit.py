"""What every executor does around a unit: report its progress, and turn what escapes into the trial's own row."""

from __future__ import annotations

import contextlib
import signal
import traceback

from dlx.errors import DlxError
from dlx.events import Event, Observer, TrialEnded
from dlx.executors import Finished, Unit, Work
from dlx.interruption import Stop
from dlx.progress import Reporter
from dlx.records.ownership import Held, TakenOver
from dlx.records.status import SETTLED, State, Status
from dlx.verdict import OUT_OF_MEMORY


def carry_out(unit: Unit, work: Work, stop: Stop, observe: Observer, token: str | None = None) -> Finished:
    """Run a unit of one trial in this process. ``token`` marks its reports of progress."""
    [finished] = carry_out_all(unit, work, stop, observe, token)
    return finished


def carry_out_all(
    unit: Unit, work: Work, stop: Stop, observe: Observer, token: str | None = None
) -> tuple[Finished, ...]:
    """Run a unit in this process; gives the end of each of its trials."""
    reporters = {each.directory.trial: Reporter(each.directory.path, observe, token) for each in unit.members}

    def report(event: Event) -> None:
        reporters.get(event.trial or "", observe)(event)

    try:
        held = work(unit, stop, report)
    except (Exception, SystemExit) as error:
        return tuple(_left(each) if has_ended(each) else _ended_by(error, each, observe) for each in unit.members)
    return tuple(
        Finished(each, None, who) if (who := held.get(each.directory.trial)) else _left(each) for each in unit.members
    )


def _left(unit: Unit) -> Finished:
    return Finished(unit, unit.directory.status())


def has_ended(unit: Unit) -> bool:
    """Whether a trial has had its last word since it was decided to run it."""
    status = unit.directory.status()
    return status.last_attempt > unit.seen and status.state in SETTLED


def _ended_by(error: BaseException, unit: Unit, observe: Observer) -> Finished:
    """What escapes from a trial: others work on it; its setting does not load, say; or the work ends the process."""
    if isinstance(error, Held | TakenOver):
        return Finished(unit, None, str(error))
    if isinstance(error, DlxError) and isinstance(error.__cause__, OSError):
        return _refused(unit, str(error), observe)
    reason = str(error) if isinstance(error, DlxError) else f"{type(error).__name__}: {error}"
    return fail(unit, reason, observe, "".join(traceback.format_exception(error)))


def fail(
    unit: Unit, reason: str, observe: Observer, log: str = "", *, state: State = "failed", exit: str | None = None
) -> Finished:
    """Write a trial's last word in its place: it failed, for a reason that it could not give itself.

    ``state`` and ``exit``: another end, and how its attempt ended where the reason does not say it.
    """
    try:
        with unit.directory.claim() as attempt:
            attempt.log(f"{log.rstrip()}\n{reason}" if log else reason)
            status = attempt.end(state, reason, exit=exit or reason)
    except (Held, TakenOver) as other:
        return Finished(unit, None, str(other))
    except DlxError as refusal:
        return _refused(unit, f"{reason}; {refusal}", observe)
    Reporter(unit.directory.path, observe).clear()
    return tell(unit, status, observe)


def tell(unit: Unit, status: Status, observe: Observer) -> Finished:
    """Let whoever watches know of an end that the trial itself could not tell of."""
    log = str(unit.directory.log)
    observe(TrialEnded(unit.directory.trial, unit.label, status.state, status.reason, log, status.summary))
    return Finished(unit, status)


def exit_in_words(code: int) -> str:
    """How a process ended, by its exit code; a negative one is a signal's."""
    if code < 0:
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
            return f"signal {name}{_OFTEN.get(name, '')}"
    return f"exit code {code}"


_OFTEN = {"SIGKILL": " (sent by the system too, when memory runs out)"}


def ran_out_of_memory(status: Status) -> bool:
    """Whether a trial failed for want of memory, of which a fresh process may have more."""
    return status.state == "failed" and bool(status.attempts) and status.attempts[-1].exit == OUT_OF_MEMORY


def _refused(unit: Unit, reason: str, observe: Observer) -> Finished:
    """The machine takes nothing more, not even a last word: that says nothing of the trial, which can go on later."""
    return tell(unit, Status("interrupted", unit.directory.status().attempts, reason), observe)
