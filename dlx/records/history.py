"""What a trial's tables say over time: each quantity at every record point, layer by layer.

Made for judging and comparing single trials, so that a rule reads like its definition and
touches no file, column or row.
"""

from __future__ import annotations

import itertools
import math
import re
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
    numbers: Mapping[str, Mapping[str, list[float | None]]]
    """The columns of each table that hold numbers, read once."""

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
        return [int(epoch or 0) for epoch in self._of_stage(METRICS.name, "epoch")]

    def metric(self, name: str) -> list[float | None]:
        """A column of ``metrics.csv``, in step with ``epochs``; empty where there is no such column."""
        return self._of_stage(METRICS.name, name) if name in self.numbers.get(METRICS.name, ()) else []

    def gradient(self, quantity: str, parameter: str, source: str) -> Course | None:
        """A quantity of ``gradients.csv`` (``grad_norm``, ``weight_norm``, ``update_ratio``); None if not recorded."""
        return self._course(GRADIENTS.name, quantity, self._gradient_rows.get((parameter, source), ()))

    def activation(self, quantity: str) -> Course | None:
        """A quantity of ``activations.csv`` (``mean``, ``std``, ``saturated``, ``dead``); None if not recorded."""
        return self._course(ACTIVATIONS.name, quantity, self._rows(ACTIVATIONS.name))

    @cached_property
    def numbered(self) -> tuple[str, ...]:
        """The layers with a kernel, from the input; the last of them is the output."""
        rows = self.tables.get(LAYERS.name)
        if rows is None:
            return ()
        first: dict[float, str] = {}  # a normalisation has the number of the layer before it
        for number, name in zip(self.numbers[LAYERS.name]["layer"], rows.texts("name"), strict=True):
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
        """How many classes there are to tell apart; None for a regression, and where no shape is on record."""
        if not self.metric("train_accuracy"):
            return None
        rows = self.tables.get(LAYERS.name)
        if rows is None or not self.numbered:
            return None
        shape = rows.texts("output_shape")[rows.texts("name").index(self.numbered[-1])]
        units = shape.rpartition("x")[2]
        return max(2, int(units)) if units.isdecimal() else None

    def skill(self, part: str) -> list[float | None]:
        """How far from guessing (0) to perfect (1), epoch by epoch: R², or the accuracy put on that scale.

        ``part`` is ``train``, ``val`` or ``test``; empty where neither is recorded.
        """
        if self.classes is None:
            return self.metric(f"{part}_r2")
        chance = 1.0 / self.classes
        return [None if a is None else (a - chance) / (1.0 - chance) for a in self.metric(f"{part}_accuracy")]

    def _rows(self, table: str) -> list[int]:
        """The rows of the last stage."""
        rows = self.tables.get(table)
        return [] if rows is None else [at for at, stage in enumerate(rows.column("stage")) if stage == self.stage]

    def _of_stage(self, table: str, column: str) -> list[float | None]:
        numbers = self.numbers[table][column]
        return [numbers[row] for row in self._rows(table)]

    @cached_property
    def _gradient_rows(self) -> dict[tuple[str, str], list[int]]:
        """The rows of the last stage by parameter and source."""
        rows = self.tables.get(GRADIENTS.name)
        found: dict[tuple[str, str], list[int]] = {}
        if rows is not None:
            parameters, sources = rows.column("parameter"), rows.column("source")
            for row in self._rows(GRADIENTS.name):
                found.setdefault((parameters[row], sources[row]), []).append(row)
        return found

    def _course(self, table: str, quantity: str, chosen: Sequence[int]) -> Course | None:
        rows = self.tables.get(table)
        if rows is None or not chosen:
            return None
        numbers, names = self.numbers[table], rows.column("name")
        layers, epochs, steps, values = (numbers[column] for column in ("layer", "epoch", "step", quantity))
        found: dict[str, dict[Point, float | None]] = {}
        order: dict[str, float] = {}
        for row in chosen:
            layer = layers[row]
            if layer is not None:
                order.setdefault(names[row], layer)
                found.setdefault(names[row], {})[int(epochs[row] or 0), int(steps[row] or 0)] = values[row]
        if not any(value is not None for cells in found.values() for value in cells.values()):
            return None
        points = tuple(sorted({point for cells in found.values() for point in cells}))
        by_layer = {
            name: tuple(found[name].get(point) for point in points) for name in sorted(found, key=order.__getitem__)
        }
        return Course(points, by_layer)


def read_history(directory: Path) -> tuple[History, list[str]]:
    """A trial's history, and a sentence for each table that is there and cannot be read.

    Raises :class:`~dlx.errors.ResultsError` where not even ``trial.yaml`` can.
    """
    from dlx.records.trial_directory import TrialDirectory

    place = TrialDirectory(directory)
    status = place.status()
    tables: dict[str, Rows] = {}
    numbers: dict[str, dict[str, list[float | None]]] = {}
    wrong = []
    for table in (METRICS, GRADIENTS, ACTIVATIONS, LAYERS):
        if place.table(table).exists():
            try:
                rows = read_table(place.table(table))
                numbers[table.name] = _numbers(rows, table.name)
                tables[table.name] = rows
            except ResultsError as error:
                wrong.append(str(error))
    return History(read_setting(place.spec), status.state, status.reason, tables, numbers), wrong


def read_setting(path: Path) -> dict[str, Any]:
    """A ``trial.yaml`` as plain values, whichever version wrote it. Raises :class:`~dlx.errors.ResultsError`."""
    try:
        read = scalars.read(path.read_text("utf-8"))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ResultsError(f"{path} is damaged: {error}") from None
    return dict(read)


def _numbers(rows: Rows, table: str) -> dict[str, list[float | None]]:
    """The columns of numbers.

    Raises :class:`~dlx.errors.ResultsError` where a column is missing, or holds what it cannot mean.
    """
    for column in _TEXTS[table]:
        rows.column(column)
    measured = [column for column in rows.columns if _MEASURE.fullmatch(column)] if table == METRICS.name else ()
    read = {column: rows.floats(column) for column in (*_NUMBERS[table], *measured)}
    for column in read:
        for row, value in enumerate(read[column] if column in _SIZES else ()):
            if value is not None and value < 0:
                raise ResultsError(f"{rows.path}, row {row + 1}, column {column!r}: {value:g} is negative; no size is")
    return read


_MEASURE = re.compile(r"(train|val|test)_\w+")
_POINT = ("epoch", "step")
_NUMBERS = {
    METRICS.name: _POINT,
    GRADIENTS.name: (*_POINT, "layer", "grad_norm", "weight_norm", "update_ratio"),
    ACTIVATIONS.name: (*_POINT, "layer", "mean", "std", "saturated", "dead"),
    LAYERS.name: ("layer",),
}
_SIZES = {"grad_norm", "weight_norm", "update_ratio", "std", "saturated", "dead"}
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
