"""Reports as files: written once, or again and again while trials run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.analysis.trials import Trial
from dlx.errors import ResultsError
from dlx.language import _
from dlx.records import atomic
from dlx.report.chapters import Chapter, chapters
from dlx.report.page import page

SHORTEST = 5
"""Seconds between two renewals of a page at least; a page that takes long to make is renewed less often."""
_SHARE = 4


@dataclass(frozen=True)
class Written:
    """A report that lies in its file."""

    path: Path
    size: int
    chapters: Sequence[Chapter]
    notes: Sequence[str]
    seconds: float

    @property
    def trials(self) -> int:
        """How many it tells of."""
        return sum(len(chapter.trials) for chapter in self.chapters)

    @property
    def charts(self) -> int:
        """How many it has, those of single trials apart."""
        return sum(len(chapter.figures) for chapter in self.chapters)

    @property
    def waiting(self) -> int:
        """Trials that have not ended and may yet."""
        return sum(chapter.waiting for chapter in self.chapters)


def write(
    selectors: Sequence[str],
    path: Path,
    *,
    metrics: Sequence[str] = (),
    title: str | None = None,
    results: Path | None = None,
    refresh: int | None = None,
) -> Written:
    """Make a report and put it in the place of the file, whole.

    ``title``: by default the experiment's name. ``refresh``: seconds after which the page loads
    itself again, if trials are still to end. Raises :class:`~dlx.errors.DlxError`.
    """
    began = time.perf_counter()
    told, notes = chapters(selectors, metrics, results)
    waiting = any(chapter.waiting for chapter in told)
    heading = title or (told[0].name if len(told) == 1 else _("{count} experiments").format(count=len(told)))
    content = page(told, heading, notes, refresh if waiting else None).encode()
    atomic.write_bytes(path, content, durable=False, error=ResultsError)
    return Written(path, len(content), told, notes, time.perf_counter() - began)


def watch(
    first: Written,
    again: Callable[[int | None], Written],
    tell: Callable[[Written], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Written:
    """Write the report anew whenever a trial has recorded more, until all have ended.

    ``again`` writes it, given the seconds after which the page renews itself. However it
    ends, the last page no longer does.
    """
    written, seen = first, _state(first)
    try:
        while written.waiting:
            sleep(interval(written.seconds))
            if (now := _state(written)) != seen:
                seen = now
                written = again(interval(written.seconds))
                tell(written)
    finally:
        if written.waiting:
            written = again(None)
    return written


def interval(seconds: float) -> int:
    """Seconds between renewals of a page that took ``seconds`` to make."""
    return max(SHORTEST, math.ceil(_SHARE * seconds))


def _state(written: Written) -> dict[Path, tuple[int, int]]:
    """Sizes and times of what a run changes: also of the list of trials, to which more may come."""
    found = {}
    trials: list[Trial] = [told.trial for chapter in written.chapters for told in chapter.trials]
    places = [chapter.directory / "trials.csv" for chapter in written.chapters]
    for place in [*places, *(trial.path / name for trial in trials for name in ("status.json", "metrics.csv"))]:
        try:
            stat = place.stat()
        except OSError:
            continue
        found[place] = (stat.st_size, stat.st_mtime_ns)
    return found
