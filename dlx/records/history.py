"""What a trial's tables say over time: each quantity at every record point, layer by layer.

Made for judging and comparing single trials, so that a rule reads like its definition and
touches no file, column or row.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dlx import scalars
from dlx.errors import ResultsError
from dlx.records.reader import Rows, read_table
from dlx.records.tables import ACTIVATIONS, GRADIENTS, LAYERS, METRICS

Point = tuple[int, int]
"""Epoch and step."""


@dataclass(frozen=True)
class Course:
    """One quantity of each layer at every record point of a stage.

    ``points`` are in order; ``layers`` maps a layer's name, from the input, to its values at
    the points, None where the table has none.
    """

    points: tuple[Point, ...]
    layers: Mapping[str, tuple[float | None, ...]]

    def at(self, index: int) -> dict[str, float]:
        """The values at a record point (``-1``: the last), by layer; those not there are left out."""
        return {name: value for name, values in self.layers.items() if (value := values[index]) is not None}

    def only(self, names: tuple[str, ...]) -> Course:
        """The same of some layers, in the order of ``names``."""
        return Course(self.points, {name: self.layers[name] for name in names if name in self.layers})

    def trained(self) -> Course:
        """Without the record points before training."""
        return self.where([step > 0 for _, step in self.points])

    def where(self, kept: list[bool]) -> Course:
        """Some of the record points."""
        return Course(
            tuple(itertools.compress(self.points, kept)),
            {name: tuple(itertools.compress(values, kept)) for name, values in self.layers.items()},
        )

    @property
    def starts_untrained(self) -> bool:
        """Whether the first record point is before training."""
        return bool(self.points) and self.points[0][1] == 0


@dataclass(frozen=True)
class History:
    """A trial: its setting as ``trial.yaml`` has it, how it ended, and its tables, of which any may be missing.

    ``stage`` is the last one recorded; all that is given here is of that stage.
    """

    setting: Mapping[str, Any]
    state: str
    reason: str | None
    tables: Mapping[str, Rows]

    @cached_property
    def stage(self) -> str | None:
        """The name of the last stage; None before anything was recorded."""
        rows = self.tables.get(METRICS.name)
        return rows.column("stage")[-1] if rows is not None and len(rows) else None

    @cached_property
    def later_stage(self) -> str | None:
        """The last stage's name, where others came before it: its first record point is not before training."""
        rows = self.tables.get(METRICS.name)
        return self.stage if rows is not None and len(rows) and rows.column("stage")[0] != self.stage else None

    @cached_property
    def epochs(self) -> list[int]:
        """The epochs that ``metrics.csv`` has, 0 first."""
        rows = self.tables.get(METRICS.name)
        if rows is None:
            return []
        stages = rows.column("stage")
        return [epoch or 0 for epoch, stage in zip(rows.ints("epoch"), stages, strict=True) if stage == self.stage]

    def metric(self, name: str) -> list[float | None]:
        """A column of ``metrics.csv``, in step with ``epochs``; empty where there is no such column."""
        rows = self.tables.get(METRICS.name)
        if rows is None or name not in rows.columns:
            return []
        return [
            value for value, stage in zip(rows.floats(name), rows.column("stage"), strict=True) if stage == self.stage
        ]

    def gradient(self, quantity: str, parameter: str, source: str) -> Course | None:
        """A quantity of ``gradients.csv`` (``grad_norm``, ``weight_norm``, ``update_ratio``); None if not recorded."""
        return self._course(GRADIENTS.name, quantity, {"parameter": parameter, "source": source})

    def activation(self, quantity: str) -> Course | None:
        """A quantity of ``activations.csv`` (``mean``, ``std``, ``saturated``, ``dead``); None if not recorded."""
        return self._course(ACTIVATIONS.name, quantity, {})

    @cached_property
    def numbered(self) -> tuple[str, ...]:
        """The layers with a kernel, from the input; the last of them is the output."""
        rows = self.tables.get(LAYERS.name)
        if rows is None:
            return ()
        first: dict[int, str] = {}  # a normalisation has the number of the layer before it
        for number, name in zip(rows.ints("layer"), rows.texts("name"), strict=True):
            if number is not None:
                first.setdefault(number, name)
        return tuple(first[number] for number in sorted(first))

    @property
    def hidden(self) -> tuple[str, ...]:
        """The layers with a kernel without the output, from the input."""
        return self.numbered[:-1]

    @cached_property
    def batch_normalized(self) -> bool:
        """Whether batch normalisation stands somewhere: before training, inference mode says nothing of such a net."""
        rows = self.tables.get(LAYERS.name)
        return rows is not None and "BatchNormalization" in rows.texts("type")

    @cached_property
    def classes(self) -> int | None:
        """How many classes there are to tell apart; None for a regression."""
        if not self.metric("train_accuracy"):
            return None
        rows = self.tables.get(LAYERS.name)
        if rows is None or not self.numbered:
            return None
        shape = rows.texts("output_shape")[rows.texts("name").index(self.numbered[-1])]
        return max(2, int(shape.rpartition("x")[2]))

    def skill(self, part: str) -> list[float | None]:
        """How far from guessing (0) to perfect (1), epoch by epoch: R², or the accuracy put on that scale.

        ``part`` is ``train``, ``val`` or ``test``; empty where neither is recorded.
        """
        if self.classes is None:
            return self.metric(f"{part}_r2")
        chance = 1.0 / self.classes
        return [None if a is None else (a - chance) / (1.0 - chance) for a in self.metric(f"{part}_accuracy")]

    def _course(self, table: str, quantity: str, where: Mapping[str, str]) -> Course | None:
        rows = self.tables.get(table)
        if rows is None or quantity not in rows.columns or not len(rows):
            return None
        stages = rows.column("stage")
        keep = [stage == self.stage for stage in stages]
        for column, wanted in where.items():
            keep = [kept and cell == wanted for kept, cell in zip(keep, rows.column(column), strict=True)]
        numbers, names = rows.ints("layer"), rows.texts("name")
        epochs, steps, values = rows.ints("epoch"), rows.ints("step"), rows.floats(quantity)
        found: dict[str, dict[Point, float | None]] = {}
        order: dict[str, int] = {}
        for row, kept in enumerate(keep):
            number = numbers[row]
            if kept and number is not None:
                order.setdefault(names[row], number)
                found.setdefault(names[row], {})[epochs[row] or 0, steps[row] or 0] = values[row]
        if not any(value is not None for cells in found.values() for value in cells.values()):
            return None
        points = tuple(sorted({point for cells in found.values() for point in cells}))
        layers = {
            name: tuple(found[name].get(point) for point in points) for name in sorted(found, key=order.__getitem__)
        }
        return Course(points, layers)


def read_history(directory: Path) -> tuple[History, list[str]]:
    """A trial's history, and a sentence for each table that is there and cannot be read.

    Raises :class:`~dlx.errors.ResultsError` where not even ``trial.yaml`` can.
    """
    from dlx.records.trial_directory import TrialDirectory

    place = TrialDirectory(directory)
    status = place.status()
    tables, wrong = {}, []
    for table in (METRICS, GRADIENTS, ACTIVATIONS, LAYERS):
        if place.table(table).exists():
            try:
                tables[table.name] = _complete(read_table(place.table(table)))
            except ResultsError as error:
                wrong.append(str(error))
    return History(read_setting(place.spec), status.state, status.reason, tables), wrong


def read_setting(path: Path) -> dict[str, Any]:
    """A ``trial.yaml`` as plain values, whichever version wrote it. Raises :class:`~dlx.errors.ResultsError`."""
    try:
        read = scalars.read(path.read_text("utf-8"))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultsError(f"{path} is damaged: {error}") from None
    return dict(read)


def _complete(rows: Rows) -> Rows:
    """The table, after each column that is read by name has been looked for and taken for a number where it is one."""
    needed = {
        METRICS.name: ("epoch", "step"),
        GRADIENTS.name: ("epoch", "step", "layer", "grad_norm", "weight_norm", "update_ratio"),
        ACTIVATIONS.name: ("epoch", "step", "layer", "saturated", "dead"),
        LAYERS.name: ("layer",),
    }[rows.path.stem]
    for column in needed:
        rows.floats(column)
    for column in {"stage", "name", "parameter", "source", "type", "output_shape"} & {*_TEXTS[rows.path.stem]}:
        rows.column(column)
    if rows.path.stem == METRICS.name:
        for column in rows.columns:
            if column.partition("_")[0] in ("train", "val", "test", "learning"):
                rows.floats(column)
    return rows


_TEXTS = {
    METRICS.name: ("stage",),
    GRADIENTS.name: ("stage", "name", "parameter", "source"),
    ACTIVATIONS.name: ("stage", "name"),
    LAYERS.name: ("name", "type", "output_shape"),
}


def median(values: Sequence[float | None]) -> float | None:
    """The median of the finite values, None where there is none."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    return statistics.median(finite) if finite else None
