"""``status.json``: how a trial stands, who worked on it, and its row of ``trials.csv``.

Order is by attempt number; times are only shown to people, so a clock that jumps does no
harm. A file that makes no sense (none is ever written, but disks fail) counts as an
interrupted trial, with a note.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from dlx.errors import DlxError, TrialError
from dlx.records import atomic
from dlx.records.cells import format_cell

State = Literal["pending", "running", "done", "diverged", "failed", "interrupted", "pruned"]
STATES: tuple[State, ...] = get_args(State)
SETTLED: tuple[State, ...] = ("done", "diverged", "failed", "pruned")
"""How a trial can end: it stays so until a person asks for it again."""
FILE = "status.json"
_SCHEMA = "dlx.status/1"
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class AttemptRecord:
    """One process' work on the trial; ``exit`` is how it ended, None while it runs or where it was killed."""

    number: int
    started: str
    host: str
    pid: int
    ended: str | None = None
    exit: str | None = None


@dataclass(frozen=True)
class Listing:
    """What names a trial in ``trials.csv``.

    ``parameters`` maps spec paths (``model.depth``) to plain values; the paths in which
    the experiment's trials differ become columns.
    """

    trial: str
    seed: int | str | None = None
    repeat: int | None = None
    fold: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """How a trial stands.

    ``reason`` says why it is not done, ``log`` where to read more. ``summary`` holds its
    numbers for ``trials.csv`` by column. ``note`` is set where the file was not readable.
    """

    state: State = "pending"
    attempts: tuple[AttemptRecord, ...] = ()
    reason: str | None = None
    log: str | None = None
    listing: Listing | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    note: str | None = None

    @property
    def last_attempt(self) -> int:
        """The number of the newest attempt, 0 before the first."""
        return max((attempt.number for attempt in self.attempts), default=0)

    def attempt_ended(self, number: int, ended: str, exit: str) -> Status:
        """The same status with that attempt closed."""
        attempts = tuple(
            replace(attempt, ended=ended, exit=exit) if attempt.number == number else attempt
            for attempt in self.attempts
        )
        return replace(self, attempts=attempts)


def write_status(
    path: Path,
    status: Status,
    *,
    durable: bool = True,
    error: type[DlxError] = TrialError,
    check: Callable[[], None] | None = None,
) -> None:
    """Replace a status file; ``check`` may raise just before. Raises ``error`` where that fails."""
    content: dict[str, Any] = {
        "schema": _SCHEMA,
        "state": status.state,
        "reason": status.reason,
        "log": status.log,
        "attempts": [vars(attempt) for attempt in status.attempts],
        "notes": list(status.notes),
        "listing": vars(status.listing) if status.listing else None,
        "summary": {name: _to_json(value) for name, value in status.summary.items()},
    }
    atomic.write_json(path, content, durable=durable, error=error, check=check)


def read_status(path: Path) -> Status:
    """The status in a file; ``pending`` where there is none, ``interrupted`` with a note where it makes no sense."""
    try:
        return parse_status(path.read_bytes())
    except FileNotFoundError:
        return Status()
    except OSError as error:
        return Status("interrupted", note=f"{path} cannot be read ({error.strerror}): taken as interrupted")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Status("interrupted", note=f"{path} is damaged: the trial is taken as interrupted")


def parse_status(content: bytes) -> Status:
    """The status that ``content`` is. Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    fields = json.loads(content)
    if fields["state"] not in STATES:
        raise ValueError(f"unknown state {fields['state']!r}")
    listing = fields.get("listing")
    return Status(
        state=fields["state"],
        attempts=tuple(_known(AttemptRecord, attempt) for attempt in fields.get("attempts", [])),
        reason=_text(fields.get("reason")),
        log=_text(fields.get("log")),
        listing=_known(Listing, listing) if listing else None,
        summary={name: _from_json(_scalar(value)) for name, value in (fields.get("summary") or {}).items()},
        notes=tuple(map(str, fields.get("notes", []))),
    )


def _known(kind: type[Any], fields: Mapping[str, Any]) -> Any:
    """An instance from the fields this version knows; a later version's others are passed over."""
    made = kind(**{name: fields[name] for name in kind.__dataclass_fields__ if name in fields})
    if kind is AttemptRecord:
        return replace(made, number=int(made.number))
    for value in (made.seed, made.repeat, made.fold):
        _scalar(value)
    return replace(made, trial=str(made.trial), parameters=dict(made.parameters))


def _scalar(value: Any) -> Any:
    """The value, which a cell of ``trials.csv`` must be able to hold."""
    if isinstance(value, list | dict):
        raise TypeError(f"{value!r} is no single value")
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _to_json(value: Any) -> Any:
    """A number as the tables have it, with float32's digits; standard JSON has no NaN, which becomes text."""
    if isinstance(value, str | bool) or value is None:
        return value
    text = format_cell(value)
    if text in _NOT_FINITE:
        return text
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _from_json(value: Any) -> Any:
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value
