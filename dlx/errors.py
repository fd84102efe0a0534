"""The one family of errors that dlx raises on purpose.

Whatever is the user's to mend is a :class:`DlxError`: a sentence that says where,
what, and what would be right. ``dlx.cli.main`` is the only place that turns one into
a message and an exit code; anything else that escapes is a defect and shows its
traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PathKey = str | int


class DlxError(Exception):
    """Something the user can mend. ``exit_code`` is the process's (DESIGN: 1 = a trial failed)."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} ({self.hint})"


class UsageError(DlxError):
    """Bad usage, found before anything was started or created."""

    exit_code = 2


class FieldError(ValueError):
    """A member of an open set finds its own settings impossible.

    ``path`` is relative to the member's node of the spec, for instance
    ``("blocks", 2, "pool")``; the spec language adds file, line and column and turns
    it into a :class:`SpecError`.
    """

    def __init__(self, message: str, path: Sequence[PathKey] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = tuple(path)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: where it stands and what would be right."""

    message: str
    path: tuple[PathKey, ...] = ()
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, dotted(self.path), self.message) if part)


class SpecError(UsageError):
    """A spec that cannot be run, with everything that is wrong with it at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DataError(UsageError):
    """A dataset that is not there, not what it should be, or cannot be fetched."""


class ResultsError(UsageError):
    """A results directory or a table in it that cannot be read or written; ``path``: the file, where it is one."""

    def __init__(self, message: str, *, hint: str | None = None, path: Path | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path


class TrialError(DlxError):
    """A trial that cannot go on; it ends as ``failed`` with this as its reason."""


def dotted(path: Iterable[PathKey]) -> str:
    """``("model", "blocks", 2, "pool")`` → ``model.blocks[2].pool``."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text


def nearest(name: str, known: Iterable[str]) -> str:
    """The tail of a message about an unknown name: what was probably meant, else what there is."""
    names = sorted(known)
    folded = {candidate.lower(): candidate for candidate in names}
    close = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(folded[match]) for match in close) + "?"
    return "available: " + ", ".join(names) if names else "there are none"
