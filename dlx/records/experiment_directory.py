"""An experiment's directory: the specs as submitted, the trials, and the table of them all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dlx.errors import ResultsError
from dlx.records import atomic
from dlx.records.cells import format_cell, format_row, format_setting, format_text
from dlx.records.ownership import holder
from dlx.records.status import FILE as STATUS
from dlx.records.status import Listing, Status, read_status
from dlx.records.tables import PARTS
from dlx.records.trial_directory import TrialDirectory

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
_LONGEST_NAME = 120
_TRIAL = re.compile(r"[0-9a-f]{12}(\.\d+)?")
_GRADIENT = re.compile(r"grad_(bias|kernel)_(first|last)_(\d+)")
_MEASURE = re.compile(r"(train|val|test)_(\w+)")
_SHARE_OF_TIME = 0.05
_Cells = dict[str, str]


def check_name(name: str) -> str:
    """The name, if it can be a directory's on every system and cannot lead elsewhere.

    Raises :class:`~dlx.errors.ResultsError` otherwise.
    """
    why = None
    if not name or not name.strip():
        why = "it is empty"
    elif found := _FORBIDDEN.search(name):
        why = f"it contains {found[0]!r}"
    elif name[0] in ".-~" or name[-1] in ". " or name[0] == " ":
        why = "it begins or ends with a character that file names should not"
    elif name.split(".")[0].lower() in _RESERVED:
        why = "Windows reserves it"
    elif len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
        why = f"it is longer than {_LONGEST_NAME} bytes"
    elif any("\ud800" <= character <= "\udfff" for character in name):
        why = "it is not text"
    if why:
        raise ResultsError(f"{name[:_LONGEST_NAME]!r} cannot name a directory: {why}")
    return name


def check_writable(results: Path) -> None:
    """Raise :class:`~dlx.errors.ResultsError` unless files can be created in, or at the place of, a directory.

    Nothing is left behind.
    """
    place = results.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ResultsError(f"cannot write to {results}: {place} is not a directory")
    probe = atomic.temporary_name(place / "dlx")
    with atomic.explained("write to", results, ResultsError):
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        probe.unlink()


class ExperimentDirectory:
    """``results/<experiment>``. Raises :class:`~dlx.errors.ResultsError` for a name that is none."""

    def __init__(self, results: Path, name: str) -> None:
        self.path = results / check_name(name)
        self._cache: dict[str, tuple[tuple[int, int, int], Status, _Cells]] = {}
        self._cost = 0.0
        self._renewed: float | None = None
        self._listed: tuple[Listing, ...] = ()

    @property
    def table(self) -> Path:
        """``trials.csv``."""
        return self.path / "trials.csv"

    def trial(self, trial: str) -> TrialDirectory:
        """A trial's directory, there or not. Raises :class:`~dlx.errors.ResultsError` for what is no trial id."""
        if not _TRIAL.fullmatch(trial):
            raise ResultsError(f"{trial[:80]!r} is not a trial id")
        return TrialDirectory(self.path / "trials" / trial)

    def trials(self) -> list[TrialDirectory]:
        """All trials present, by id; those moved aside by ``--rerun`` (``<id>.1``) after their successor."""
        try:
            names = [place.name for place in (self.path / "trials").iterdir()]
        except OSError:
            return []
        return [self.trial(name) for name in sorted(names) if _TRIAL.fullmatch(name)]

    def submit(self, source: str, listings: Sequence[Listing]) -> None:
        """Put a spec on record (``experiment.yaml``, ``specs/<digest>.yaml``) and its trials in their order.

        Makes the directory. Raises :class:`~dlx.errors.ResultsError` where it cannot.
        """
        digest = hashlib.sha256(source.encode()).hexdigest()[:12]
        specs = self.path / "specs"
        with atomic.explained("create", specs, ResultsError):
            specs.mkdir(parents=True, exist_ok=True)
        atomic.sweep(self.path)
        for path in (specs / f"{digest}.yaml", self.path / "experiment.yaml"):
            atomic.write_text(path, source, durable=False, error=ResultsError)
        self._listed = tuple(listings)

    def renew(self, *, force: bool = False) -> None:
        """Write ``trials.csv`` from what the trials' directories say now.

        Called as each trial ends, it does nothing while renewing would take more than a
        twentieth of the time; ``force`` at the end, and for the first. Raises
        :class:`~dlx.errors.TrialError` where it cannot be written.
        """
        started = time.monotonic()
        idle = started - self._renewed if self._renewed is not None else float("inf")
        if not force and idle * _SHARE_OF_TIME < self._cost:
            return
        atomic.write_bytes(self.table, self._render(), durable=False)
        self._renewed = time.monotonic()
        self._cost = self._renewed - started

    def _render(self) -> bytes:
        listed = {listing.trial: listing for listing in self._listed}
        present = (directory.trial for directory in self.trials())
        order = dict.fromkeys([*listed, *present])  # what the spec no longer lists stands after what it does
        rows = [self._row(trial, listed.get(trial)) for trial in order]
        columns = _columns([row.listing.parameters for row in rows], [row.summary.keys() for row in rows])
        lines = [format_row(map(format_text, columns))]
        lines += [format_row([row.cell(column) for column in columns]) for row in rows]
        return "".join(lines).encode("utf-8", "replace")

    def _row(self, trial: str, listing: Listing | None) -> _Row:
        status, summary = self._status(trial)
        state = status.state
        if state == "running" and holder(self.path / "trials" / trial) is None:
            state = "interrupted"
        listing = listing or status.listing or Listing(trial)
        return _Row(replace(listing, trial=trial), state, summary, status.reason)

    def _status(self, trial: str) -> tuple[Status, _Cells]:
        """A trial's status and its summary as cells, read again only where the file is another one."""
        path = self.path / "trials" / trial / STATUS
        try:
            stat = path.stat()
        except OSError:
            return Status(), {}
        key = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        cached = self._cache.get(trial)
        if cached is None or cached[0] != key:
            status = read_status(path)
            cells = {name: format_cell(value) for name, value in status.summary.items()}
            cached = self._cache[trial] = key, status, cells
        return cached[1:]


@dataclass(frozen=True)
class _Row:
    listing: Listing
    state: str
    summary: _Cells
    reason: str | None

    def cell(self, column: str) -> str:
        if column in self.summary:
            return self.summary[column]
        if column in _OWN:
            return format_cell(getattr(self.listing, column))
        if column == "state":
            return self.state
        if column == "reason":
            return format_cell(self.reason)
        parameters = self.listing.parameters
        return format_setting(parameters[column]) if column in parameters else ""


_OWN = ("trial", "seed", "repeat", "fold")
_FIRST = ("trial", "state", "seed", "repeat", "fold")
_COUNTS = ("parameters", "multiply_adds", "epochs", "engine")
_USUAL = tuple(f"{part}_{measure}" for part in PARTS for measure in ("loss", "accuracy"))


def _columns(settings: Sequence[Mapping[str, Any]], summaries: Sequence[Iterable[str]]) -> list[str]:
    """The columns of ``trials.csv``: identity, what differs, counts, metrics, gradient norms, others, reason."""
    found = dict.fromkeys(name for summary in summaries for name in summary)
    gradients = [name for name in found if _GRADIENT.fullmatch(name)]
    measures = [name for name in found if _MEASURE.fullmatch(name)] or list(_USUAL)
    known = {*_FIRST, *_COUNTS, *gradients, *measures, "reason"}
    others = [name for name in found if name not in known]
    return [
        *_FIRST,
        *(path for path in _differing(settings) if path not in known),
        *_COUNTS,
        *sorted(measures, key=_measure_order),
        *sorted(gradients, key=_gradient_order),
        *others,
        "reason",
    ]


def _differing(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The paths, in order of first appearance, whose value is not the same in all settings (or missing in some)."""
    values: dict[str, set[str]] = {}
    counts: dict[str, int] = {}
    for setting in settings:
        for path, value in setting.items():
            values.setdefault(path, set()).add(json.dumps(value, sort_keys=True, default=str))
            counts[path] = counts.get(path, 0) + 1
    return [path for path in values if len(values[path]) > 1 or counts[path] < len(settings)]


def _measure_order(name: str) -> tuple[int, int]:
    """As in ``metrics.csv``: by part, then as recorded (sorting is stable); after them what is appended there."""
    match = _MEASURE.fullmatch(name)
    assert match
    appended = next((place for place, each in enumerate(_APPENDED, start=1) if match[2].startswith(each)), 0)
    return appended, PARTS.index(match[1])


_APPENDED = ("top5", "balanced", "recall")


def _gradient_order(name: str) -> tuple[str, str, int]:
    match = _GRADIENT.fullmatch(name)
    assert match
    return match[1], match[2], int(match[3])
