"""What charts are drawn of: settings, each with its trials, and what stands in their tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.analysis.folds import Division
from dlx.analysis.trials import Tables
from dlx.drawing.tidy import Value, mean
from dlx.errors import UsageError, nearest
from dlx.language import _
from dlx.records.reader import Rows


@dataclass(frozen=True)
class Run:
    """One trial: how messages name it, its seed, its tables, state; repeat and fold, if any, and what folds share.

    ``data_dir``: where its data are looked for first.
    """

    name: str
    seed: int | str
    tables: Tables
    division: Division = (None, None)
    overlap: float = 0.0
    state: str = "done"
    data_dir: Path | None = None

    @property
    def directory(self) -> Path:
        """The trial's directory."""
        return self.tables.directory

    def table(self, name: str, probe: str | None = None) -> Rows:
        """A table of the trial.

        Raises :class:`~dlx.errors.UsageError` where the trial has none; ``probe`` is what a
        spec says to get it.
        """
        rows = self.tables.get(name)
        if rows is None and (self.directory / f"{name}.csv").exists():
            again = "dlx run --rerun trains it again" if self.state == "done" else None
            raise UsageError(f"{self.name}: {self.tables.absence(name)}", hint=again)
        if rows is None:
            hint = f"add `{probe}` to the spec and run it again" if probe else None
            raise UsageError(f"{self.name} has no {name}.csv", hint=hint)
        return rows


@dataclass(frozen=True)
class Group:
    """The trials of one setting, which differ in their seeds alone.

    ``label`` says what tells the setting from the others; ``values`` the same by parameter,
    under short names (``depth``), in the order of the axes.
    """

    label: str
    runs: tuple[Run, ...]
    values: Mapping[str, Value] = field(default_factory=dict)


def rows_of_stage(rows: Rows, stage: str | None) -> list[int]:
    """The positions of a stage's rows: the last stage's unless one is named.

    Raises :class:`~dlx.errors.UsageError` for a stage that the table has not.
    """
    stages = rows.texts("stage")
    wanted = stages[-1] if stage is None else stage
    if wanted not in stages:
        raise UsageError(f"{rows.path} has no stage {wanted!r}", hint=nearest(wanted, set(stages)))
    return [position for position, name in enumerate(stages) if name == wanted]


@dataclass(frozen=True)
class Pooled:
    """The values of several seeds at one place: how many, their mean, the smallest and the largest."""

    n: int
    mean: float
    low: float
    high: float


def pooled(values: Iterable[float], middle: Callable[[Iterable[float]], float] = mean) -> Pooled | None:
    """What is drawn of the finite ``values`` of several seeds; None where there is none."""
    known = [value for value in values if math.isfinite(value)]
    return Pooled(len(known), middle(known), min(known), max(known)) if known else None


def thinned(points: Sequence[Any], most: int = 250) -> Sequence[Any]:
    """At most ``most`` of the points of a curve, evenly spaced, its first and last among them."""
    if len(points) <= most:
        return points
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def counts_said(counts: Iterable[int]) -> str:
    """How many there are of each setting: ``3``, or ``2–5``."""
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]}–{found[-1]}"


def spread_said(groups: Sequence[Group], *, geometric: bool = False) -> str:
    """What the line and the band of a curve are; of single trials that there is one."""
    count = counts_said(len(group.runs) for group in groups)
    folds = any(run.overlap for group in groups for run in group.runs)
    if count == "1":
        return _("one trial") if folds else _("one seed")
    if geometric:
        seeds = _("line: geometric mean of {count} seeds, band: their range")
        trials = _("line: geometric mean of {count} trials, band: their range")
    else:
        seeds = _("line: mean of {count} seeds, band: their range")
        trials = _("line: mean of {count} trials, band: their range")
    return (trials if folds else seeds).format(count=count)


def axes_of(groups: Sequence[Group]) -> tuple[str, ...]:
    """The parameters that tell settings apart."""
    return tuple(dict.fromkeys(name for group in groups for name in group.values))


def place_of(group: Group) -> dict[str, Value]:
    """The columns of a row that say which setting it is of."""
    return {"setting": group.label, **group.values}
