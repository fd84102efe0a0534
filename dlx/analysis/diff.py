"""Two trials side by side: in which settings and surroundings they differ, and where their curves part."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.analysis.settings import ABSENT
from dlx.analysis.trials import Tables, Trial, flatten
from dlx.errors import ResultsError
from dlx.records import environment
from dlx.records.history import read_setting
from dlx.records.reader import Rows
from dlx.records.tables import LAYERS, TIMING

_ABOUT = ("trial", "experiment")
_UNTRAINED = ("probes", "records", "files")
_WRITTEN_BY_THE_CLOCK = ("schema", "written", "spec")
_DECIDE = ("engine", "versions", "device.kind", "threads", "pack")
_POINT = ("stage", "epoch", "step")
_IDENTITY = ("layer", "name", "parameter", "source", "unit", "quantity", "index", "id", "label")


@dataclass(frozen=True)
class Different:
    """A path at which two trials differ; :data:`~dlx.analysis.settings.ABSENT` where one has none.

    ``decides``: whether what is trained, or the bytes of the tables, depend on it.
    """

    path: str
    a: Any
    b: Any
    decides: bool = True


@dataclass(frozen=True)
class Gap:
    """A number that is not the same in both: of a column, and of the row that ``where`` names (layer, parameter, …)."""

    column: str
    where: Mapping[str, str]
    a: float
    b: float

    @property
    def relative(self) -> float:
        """The difference over the larger of the two; infinite where only one is a finite number."""
        if self.a == self.b:
            return 0.0
        if not (math.isfinite(self.a) and math.isfinite(self.b)):
            return math.inf
        return abs(self.a - self.b) / max(abs(self.a), abs(self.b))


@dataclass(frozen=True)
class Parting:
    """Where the numbers of a table part for the first time: the record point, and every number that differs there."""

    stage: str
    epoch: int
    step: int | None
    gaps: tuple[Gap, ...]

    @property
    def widest(self) -> Gap:
        """The gap that is largest in proportion, the first of equal ones."""
        return max(self.gaps, key=lambda gap: gap.relative)

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that differ there, from the input; empty for a table without layers."""
        return tuple(dict.fromkeys(gap.where["name"] for gap in self.gaps if "name" in gap.where))


@dataclass(frozen=True)
class TableDifference:
    """A table that both have: where it parts (None: nowhere), how its columns end, and how many rows only one has."""

    name: str
    shared: int
    only_a: int
    only_b: int
    parting: Parting | None
    last: tuple[Gap, ...] = ()
    """Columns of the last record point that both have, where the table has one row per record point."""

    @property
    def same(self) -> bool:
        """Whether both have the same rows with the same numbers."""
        return self.parting is None and not self.only_a and not self.only_b


@dataclass(frozen=True)
class Difference:
    """All that tells two trials apart. ``only_a`` and ``only_b`` are tables that the other does not have."""

    a: Trial
    b: Trial
    setting: tuple[Different, ...]
    environment: tuple[Different, ...]
    tables: tuple[TableDifference, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    damaged: tuple[str, ...] = ()


def diff(a: Trial, b: Trial, tolerance: float = 0.0) -> Difference:
    """What differs between two trials.

    ``tolerance``: relative difference up to which two numbers count as the same. Raises
    :class:`~dlx.errors.ResultsError` where a ``trial.yaml`` cannot be read.
    """
    tables_a, tables_b = Tables(a.path), Tables(b.path)
    (names_a, damaged_a), (names_b, damaged_b) = _names(tables_a), _names(tables_b)
    compared = []
    for name in sorted(set(names_a) & set(names_b), key=lambda name: (name != "metrics", name)):
        one, other = tables_a.get(name), tables_b.get(name)
        assert one is not None and other is not None
        compared.append(_table(name, one, other, tolerance))
    return Difference(
        a,
        b,
        tuple(_settings(a.path, b.path)),
        tuple(_environments(a.path, b.path)),
        tuple(compared),
        tuple(name for name in names_a if name not in names_b and name not in damaged_b),
        tuple(name for name in names_b if name not in names_a and name not in damaged_a),
        (*damaged_a.values(), *damaged_b.values()),
    )


def _names(tables: Tables) -> tuple[list[str], dict[str, str]]:
    """The tables with epochs, other people's files left out; and what is wrong with those that cannot be read."""
    found, damaged = [], {}
    for path in sorted(tables.directory.glob("*.csv")):
        if path.stem in (TIMING.name, LAYERS.name):
            continue
        try:
            rows = tables.get(path.stem)
        except ResultsError as error:
            damaged[path.stem] = str(error)
            continue
        if rows is not None and "epoch" in rows.columns:
            found.append(path.stem)
    return found, damaged


def _settings(a: Path, b: Path) -> Iterator[Different]:
    one, other = (_flat(read_setting(path / "trial.yaml")) for path in (a, b))
    for path in dict.fromkeys([*one, *other]):
        values = one.get(path, ABSENT), other.get(path, ABSENT)
        if not _equal(*values):
            yield Different(path, *values, decides=path.partition(".")[0] not in _UNTRAINED)


def _flat(setting: Mapping[str, Any]) -> dict[str, Any]:
    """A ``trial.yaml`` by dotted path: what is trained, and apart from that what is watched and kept."""
    trained = {key: value for key, value in setting.items() if key not in (*_ABOUT, *_UNTRAINED)}
    watched = [(path, value) for key in _UNTRAINED for path, value in flatten(setting.get(key) or {}, key)]
    return {**dict(flatten(trained)), **dict(watched)}


def _environments(a: Path, b: Path) -> Iterator[Different]:
    files = [path / environment.FILE for path in (a, b)]
    one, other = (dict(flatten(environment.read(file) or {})) for file in files)
    paths = [path for path in dict.fromkeys([*one, *other]) if path not in _WRITTEN_BY_THE_CLOCK]
    paths.sort(key=lambda path: not path.startswith(_DECIDE))
    for path in paths:
        values = one.get(path, ABSENT), other.get(path, ABSENT)
        if not _equal(*values):
            yield Different(path, *values, decides=path.startswith(_DECIDE))


def _equal(a: Any, b: Any) -> bool:
    return (a is ABSENT) == (b is ABSENT) and (a is ABSENT or (type(a) is bool, a) == (type(b) is bool, b))


_Row = tuple[tuple[str, ...], dict[str, str]]


def _table(name: str, one: Rows, other: Rows, tolerance: float) -> TableDifference:
    identity = [column for column in _IDENTITY if column in one.columns and column in other.columns]
    keys = [column for column in _POINT if column in one.columns and column in other.columns]
    skip = {*_POINT, *_IDENTITY}
    values = [column for column in one.columns if column in other.columns and column not in skip]
    rows_a, rows_b = (_by_key(rows, [*keys, *identity]) for rows in (one, other))
    shared = [key for key in rows_a if key in rows_b]
    parting: list[Gap] = []
    point: tuple[str, ...] | None = None
    for key in shared:
        here = key[: len(keys)]
        if point is not None and here != point:
            break
        found = list(_gaps(one, rows_a[key], other, rows_b[key], values, _where(identity, key[len(keys) :]), tolerance))
        if found:
            point = here
            parting += found
    last = []
    if shared and not identity:
        last = list(_gaps(one, rows_a[shared[-1]], other, rows_b[shared[-1]], values, {}, -1.0))
    at = dict(zip(keys, point or (), strict=False))
    return TableDifference(
        name,
        len(shared),
        len(rows_a) - len(shared),
        len(rows_b) - len(shared),
        Parting(at.get("stage", ""), _whole(at["epoch"]) or 0, _whole(at.get("step", "")), tuple(parting))
        if point is not None
        else None,
        tuple(last),
    )


def _by_key(rows: Rows, columns: Sequence[str]) -> dict[tuple[str, ...], int]:
    cells = [rows.cells[column] for column in columns]
    return {key: at for at, key in enumerate(zip(*cells, strict=True))}


def _where(identity: Sequence[str], key: Sequence[str]) -> dict[str, str]:
    return {column: cell for column, cell in zip(identity, key, strict=True) if cell}


def _gaps(
    one: Rows,
    row: int,
    other: Rows,
    counterpart: int,
    columns: Sequence[str],
    where: Mapping[str, str],
    tolerance: float,
) -> Iterator[Gap]:
    """The numbers of a row that differ by more than the tolerance; of all, where that is negative."""
    for column in columns:
        cells = one.cells[column][row], other.cells[column][counterpart]
        if cells[0] == cells[1] and tolerance >= 0:
            continue
        a, b = (_number(cell) for cell in cells)
        if a is None or b is None:
            continue
        gap = Gap(column, where, a, b)
        if not (math.isnan(a) and math.isnan(b)) and gap.relative > tolerance:
            yield gap


def _number(cell: str) -> float | None:
    """The number in a cell, nan for an empty one; None for text."""
    try:
        return float(cell) if cell else math.nan
    except ValueError:
        return None


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isdecimal() else None
