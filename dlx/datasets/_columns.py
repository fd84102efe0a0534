"""From the columns of a table to inputs, classes and targets: what is a number, what a category, what is missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from dlx.datasets._table import Table, listed
from dlx.images import in_parallel, in_shares

if TYPE_CHECKING:
    from dlx.sources import Array, ArraySource, Source

Missing = Literal["refuse", "drop", "mean", "median"]

MOST_CATEGORIES = 50
"""Different texts in a column that nobody called categorical: more are names, dates or identifiers."""

_MOST_LISTED = 1000
_BLOCK = 1 << 16
_UNKNOWN = "(missing)"


@dataclass(frozen=True)
class Feature:
    """A column that is an input: a number, or one input for each of its ``categories``."""

    column: str
    categories: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every input."""
        if self.categories is None:
            return (self.column,)
        return tuple(f"{self.column}={category}" for category in self.categories)


@dataclass(frozen=True)
class Layout:
    """How the columns of the training file become examples; other files are read the same way.

    ``labels`` are the columns learned: one with classes, or as many as there are targets.
    """

    features: tuple[Feature, ...]
    labels: tuple[str, ...]
    classes: tuple[str, ...] | None
    missing: Missing
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(name for feature in self.features for name in feature.names))

    @property
    def indicators(self) -> tuple[int, ...]:
        """The inputs that say 0 or 1 for a category."""
        kinds = [feature.categories is not None for feature in self.features for _ in feature.names]
        return tuple(number for number, category in enumerate(kinds) if category)


@dataclass(frozen=True)
class Inputs:
    """Inputs of a whole file, of which rows are taken as float32 (k, features).

    ``numbers`` (n, columns) float32, NaN where one is missing; ``codes`` by the place of a feature
    among the layout's: those of a column of categories, −1 for none of them; ``most``: the largest
    absolute value in the file, NaN if any is missing.
    """

    features: tuple[Feature, ...]
    numbers: Array
    codes: Mapping[int, Array]
    most: float
    rows: Array

    def __len__(self) -> int:
        return len(self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self[:], dtype)

    def __getitem__(self, rows: slice | Array) -> Array:
        taken = self.rows[rows]
        if not self.codes:
            return np.take(self.numbers, taken, axis=0)  # several times as fast as indexing where rows are short
        widths = [len(feature.names) for feature in self.features]
        found: Array = np.empty((len(taken), sum(widths)), np.float32)
        firsts = list(itertools.accumulate(widths, initial=0))
        numbers = [first for place, first in enumerate(firsts[:-1]) if place not in self.codes]
        step = max(1, _BLOCK // sum(widths))  # by rows that stay in the processor's cache
        for start in range(0, len(taken), step):
            some, block = taken[start : start + step], found[start : start + step]
            block[:, numbers] = np.take(self.numbers, some, axis=0)
            for place, codes in self.codes.items():
                # A category that the training file lacks is none of its inputs.
                block[:, firsts[place] : firsts[place + 1]] = codes[some][:, None] == np.arange(widths[place])
        return found

    @property
    def complete(self) -> bool:
        """Whether no number is missing, of all in the file."""
        return not math.isnan(self.most)

    @property
    def largest(self) -> float:
        """The largest absolute value of any input that is there."""
        whole = self.complete and len(self.rows) == len(self.numbers)
        return self.most if whole else float(np.nanmax(np.abs(self[:])))


@dataclass(frozen=True)
class Examples:
    """Inputs float32 (n, features), NaN where a number is missing; targets, empty if not read; rows, from 0.

    ``notes``: sentences on rows that are left out and on what the training file does not have.
    """

    inputs: Array
    targets: Array
    rows: Array
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Content:
    """Examples whose inputs are still columns."""

    inputs: Inputs
    targets: Array
    rows: Array


def layout(
    table: Table, labels: Sequence[str], task: str, used: Sequence[str], categorical: frozenset[str], missing: Missing
) -> Layout:
    """The layout of a training file; raises :class:`~dlx.errors.FieldError` for columns that cannot be inputs."""
    features = tuple(_feature(table, name, name in categorical, missing) for name in used)
    classes = _classes(table, labels[0]) if task == "classification" else None
    return Layout(features, tuple(labels), classes, missing)


def examples(table: Table, to: Layout, *, labelled: bool = True) -> Content:
    """The examples of a file; raises :class:`~dlx.errors.FieldError` where a cell cannot be what its column is."""
    inputs = _inputs(table, to)
    texts = [feature.column for feature in to.features if feature.categories is not None]
    complete = inputs.complete and not any(
        table.frame[name].hasnans for name in [*texts, *(to.labels if labelled else ())]
    )
    rows = inputs.rows if complete else _rows(table, to, labelled=labelled)
    targets = _targets(table, to, rows) if labelled else np.empty(0, np.float32)
    return Content(replace(inputs, rows=rows), targets, rows)


def unknown(table: Table, to: Layout) -> list[str]:
    """Sentences on the categories that a file has and the training file does not: none of their inputs is 1."""
    found = []
    for feature in to.features:
        if feature.categories is not None:
            new = [text for text in _distinct(table.frame[feature.column]) if text not in feature.categories]
            if new:
                found.append(
                    f"{table.path}: the column {feature.column!r} has what the training file has not "
                    f"({listed(new)}): its inputs are all 0 there"
                )
    return found


def left_out(table: Table, rows: Array) -> list[str]:
    """A sentence on the rows that are no examples, if there are any."""
    absent = len(table.frame) - len(rows)
    if not absent:
        return []
    first = int(np.setdiff1d(np.arange(len(table.frame)), rows)[0])
    which = f"row {first + 1}" if absent == 1 else f"{absent} rows, the first of them row {first + 1}"
    return [f"{table.path}: of {len(table.frame)} rows, left out as something is missing (missing: drop): {which}"]


def _rows(table: Table, to: Layout, *, labelled: bool) -> Array:
    """The rows that are examples, where something is missing: all, or those in which nothing is."""
    used = [feature.column for feature in to.features] + (list(to.labels) if labelled else [])
    absent = table.frame[used].isna().to_numpy()
    if to.missing == "drop":
        rows = np.flatnonzero(~absent.any(axis=1))
        if not len(rows):
            raise table.wrong("something is missing in every row: none is left", "missing")
        return rows
    learned = len(to.labels) if labelled else 0
    for number, column in enumerate(used):
        if absent[:, number].any() and (to.missing == "refuse" or number >= len(used) - learned):
            count = int(absent[:, number].sum())
            row = int(np.flatnonzero(absent[:, number])[0])
            others = "missing: drop leaves such rows out"
            if number < len(used) - learned:
                others += ", missing: mean or median fills in the training part's"
            raise table.wrong(
                f"{table.place(row, column)}: the value is missing, as in {count} of {len(absent)} rows ({others})",
                "missing" if to.missing == "refuse" else None,
            )
    return np.arange(len(absent))


def _feature(table: Table, name: str, listed_as_category: bool, missing: Missing) -> Feature:
    values = table.frame[name]
    if pd.isna(values.iloc[0]) and values.isna().all():
        raise table.wrong(f"all values of the column {name!r} are missing (ignore: [{name}] leaves it out)")
    if not listed_as_category and pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return Feature(name)
    if not listed_as_category:
        _no_numbers(table, name, _texts(values))
    found = _distinct(values)
    most = _MOST_LISTED if listed_as_category else MOST_CATEGORIES
    if len(found) > most:
        advice = f"ignore: [{name}] leaves it out"
        if not listed_as_category:
            advice += f", categorical: [{name}] takes them as categories"
        raise table.wrong(f"the column {name!r} has {len(found)} different texts in {len(values)} rows ({advice})")
    if values.hasnans and missing in ("mean", "median"):
        found.append(_UNKNOWN)
    return Feature(name, tuple(found))


def _no_numbers(table: Table, name: str, texts: pd.Series) -> None:
    """Require that a column of texts holds no number: a typing error in a column of numbers, else."""
    present = texts.notna()
    numbers = table.writing.numbers(texts).notna()
    if (others := table.writing.other.numbers(texts).notna()).sum() > numbers.sum():
        raise table.wrong(table.no_number(int(np.flatnonzero((others & ~numbers).to_numpy())[0]), name), "decimal")
    if not numbers.any():
        return
    row = int(np.flatnonzero((present & ~numbers).to_numpy())[0])
    raise table.wrong(
        f"{table.place(row, name)}: {table.cell(row, name)!r} is not a number, as {int(numbers.sum())} of the column's "
        f"{int(present.sum())} values are (categorical: [{name}] takes them all as categories)"
    )


def _classes(table: Table, name: str) -> tuple[str, ...]:
    found = _distinct(table.frame[name])
    if len(found) < 2:
        only = f"all of its rows are of class {found[0]!r}" if found else "all of its values are missing"
        raise table.wrong(f"there is nothing to learn from the column {name!r}: {only}", "label")
    numbers = table.writing.numbers(pd.Series(found, dtype=str))
    measured = len(found) > MOST_CATEGORIES and numbers.notna().all() and (numbers % 1 != 0).any()
    if measured or len(found) > _MOST_LISTED:
        raise table.wrong(
            f"the column {name!r} has {len(found)} different {'numbers' if measured else 'values'}, too many for "
            f"classes (target: {name} learns a number)",
            "label",
        )
    return tuple(found)


def _inputs(table: Table, to: Layout) -> Inputs:
    """Inputs of all rows."""
    names = [feature.column for feature in to.features if feature.categories is None]
    columns = []
    for name in names:
        values = table.frame[name]
        if not pd.api.types.is_numeric_dtype(values) or values.dtype == bool:
            texts = _texts(values)
            wrong = texts.notna() & table.writing.numbers(texts).isna()
            row = int(np.flatnonzero(wrong.to_numpy())[0])
            raise table.wrong(table.no_number(row, name))
        columns.append(values.to_numpy())
    codes = {
        place: _codes(table.frame[feature.column], feature.categories)
        for place, feature in enumerate(to.features)
        if feature.categories is not None
    }
    numbers, most = _numbers(columns, len(table.frame))
    if codes:
        most = max(most, 1.0)
    inputs = Inputs(to.features, numbers, codes, most, np.arange(len(numbers)))
    if not inputs.complete or math.isinf(inputs.largest):
        _only_missing(table, names, numbers)
    return inputs


def _numbers(columns: Sequence[Array], rows: int) -> tuple[Array, float]:
    """Columns as rows, float32 (rows, columns), and the largest absolute value, NaN if any is.

    By blocks that stay in the processor's cache, on all cores.
    """
    found: Array = np.empty((rows, len(columns)), np.float32)
    if not columns:
        return found, 0.0
    step = max(1, _BLOCK // len(columns))
    starts = range(0, rows, step)

    def convert(starts: range) -> float:
        block, most = np.empty((len(columns), step), np.float32), 0.0
        for start in starts:
            here = block[:, : min(step, rows - start)]
            with np.errstate(over="ignore"):
                for values, row in zip(columns, here, strict=True):
                    row[:] = values[start : start + step]
            found[start : start + step] = here.T
            most = float(np.maximum(most, max(here.max(), -here.min())))  # NaN where any value is
        return most

    return found, float(np.max(list(in_parallel(convert, in_shares(starts)))))


def _only_missing(table: Table, names: Sequence[str], found: Array) -> None:
    """Refuse infinite values: of what is not finite, only what is missing may stay."""
    for row, number in np.argwhere(np.isinf(found)):
        name = names[number]
        raise table.wrong(
            f"{table.place(int(row), name)}: {table.cell(int(row), name)!r} is not a finite number of float32"
        )


def _targets(table: Table, to: Layout, rows: Array) -> Array:
    if to.classes is not None:
        codes = _codes(table.frame[to.labels[0]], to.classes)[rows]
        if (codes < 0).any():
            row = int(rows[np.flatnonzero(codes < 0)[0]])
            name = to.labels[0]
            raise table.wrong(
                f"{table.place(row, name)}: the class {table.cell(row, name)!r} is not one of the training "
                f"file's ({listed(to.classes)})"
            )
        return codes.astype(np.int32)
    found = np.empty((len(rows), len(to.labels)), np.float32)
    for number, name in enumerate(to.labels):
        values = table.frame[name]
        if not pd.api.types.is_numeric_dtype(values) or values.dtype == bool:
            texts = _texts(values)
            wrong = texts.notna() & table.writing.numbers(texts).isna()
            row = int(np.flatnonzero(wrong.to_numpy())[0])
            told = table.no_number(row, name)
            raise table.wrong(told if told.endswith(")") else f"{told} (label: {name} learns classes)", "target")
        with np.errstate(over="ignore"):
            found[:, number] = values.to_numpy(np.float32)[rows]
    if not np.isfinite(found).all():
        _only_missing(table, to.labels, found)
    return found


def constant(targets: Array) -> int | None:
    """The number of a target that is the same in every example, None if there is none."""
    same = np.flatnonzero((targets == targets[0]).all(axis=0))
    return int(same[0]) if len(same) else None


def _codes(values: pd.Series, categories: Sequence[str]) -> Array:
    """The place of each value in ``categories``, −1 where it is none of them."""
    index = {category: number for number, category in enumerate(categories)}
    codes, texts = pd.factorize(values, use_na_sentinel=True)
    own = np.array([index.get(str(text).strip(), -1) for text in texts] + [index.get(_UNKNOWN, -1)], np.int64)
    found: Array = own[codes]  # −1, which is missing, takes the last
    return found


def _distinct(values: pd.Series) -> list[str]:
    """The different texts of a column, numbers by value before the rest."""
    texts = {str(text).strip() for text in values.unique() if not pd.isna(text)}
    return sorted(texts, key=_in_order)


def _texts(values: pd.Series) -> pd.Series:
    """A column as text without spaces around it; missing values stay missing."""
    present = values.dropna().astype(str).str.strip()
    return present.reindex(values.index)


def _in_order(text: str) -> tuple[int, float, str]:
    """Numbers by value, before texts."""
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text


def filled(part: Source, fill: Array) -> ArraySource:
    """A part with what is missing replaced by one value for each feature."""
    from dlx.sources import ArraySource

    assert part.arrays is not None
    inputs, targets = part.arrays
    return ArraySource(np.where(np.isnan(inputs), fill, inputs), targets, part.ids)


def fill_of(inputs: Array, how: Missing, names: Sequence[str], wrong: Callable[[str], Exception]) -> Array:
    """Mean or median of each feature of the training part, float32, over the values that are there."""
    absent = np.isnan(inputs).all(axis=0)
    if absent.any():
        name = names[int(np.flatnonzero(absent)[0])]
        raise wrong(f"all values of {name!r} are missing in the training part: there is no {how} to fill in")
    values = inputs.astype(np.float64)
    return (np.nanmean if how == "mean" else np.nanmedian)(values, axis=0).astype(np.float32)
