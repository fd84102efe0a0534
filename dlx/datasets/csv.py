"""A table of one's own: a CSV file with a column to be learned."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from dlx.datasets import DatasetInfo, Divide, Facts, InMemory, Places, Split, _files
from dlx.errors import DataError, FieldError
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    from dlx.datasets._columns import Content, Examples, Layout
    from dlx.datasets._table import Table
    from dlx.sources import Official, Splits

Names = Annotated[tuple[str, ...], Field(strict=False)]
_TEST = 0.2


class Spec(InMemory):
    """Rows of numbers and categories, and a ``label`` (a class) or a ``target`` (a number) to be learned from them.

    Columns of numbers are inputs as they are, columns of text become an input of 0 or 1 for
    each category. ``standardize`` and what ``missing`` fills in are taken from the training part
    alone. Paths are relative to the spec, else to ``DLX_DATA``; the digest is the SHA-256 of the
    file (of both, with ``test_path``), and where a file is has no part in a trial's id.
    """

    name: Literal["csv"] = "csv"
    summary: ClassVar[str] = "a CSV file of your own: numbers and categories, to learn a class or a number"
    source: ClassVar[str] = "RFC 4180"
    facts: ClassVar[Facts] = Facts(
        title="A CSV file of your own",
        unit="numbers as written, 0 or 1 for each category; unit divides by the largest absolute value of any input",
        licence="yours",
        origin="where path says",
    )
    path_fields: ClassVar[tuple[str, ...]] = ("path", "test_path")

    path: str = Field(min_length=1, description="the file, relative to the spec")
    label: str | None = Field(default=None, description="column with the class of each row, a text or a number")
    target: str | Names | None = Field(
        default=None, description="column (or columns) with the number that each row should give: a regression"
    )
    task: Literal["classification", "regression"] | None = Field(
        default=None, description="null: classification with label, regression with target"
    )
    features: Names | None = Field(default=None, description="columns that are inputs; null: all others")
    ignore: Names = Field(default=(), description="columns that are left out")
    categorical: Names = Field(
        default=(), description="columns that are categories though they hold numbers, or more than 50 different texts"
    )
    missing: Literal["refuse", "drop", "mean", "median"] = Field(
        default="refuse",
        description="empty cells, NA, N/A, NaN, null and ?: refuse them, drop their rows, or fill in the training "
        "part's mean or median (a category that is missing counts as one of its own)",
    )
    test_path: str | None = Field(
        default=None, min_length=1, description="a file of test examples with the same columns; null: see test"
    )
    columns: Names | None = Field(
        default=None, description="names of the columns, for a file whose first line is data already"
    )
    separator: Literal["comma", "semicolon", "tab", "space", "pipe"] | None = Field(
        default=None, description="between cells; null: what stands most often in the first line"
    )
    decimal: Literal["point", "comma"] = Field(
        default="point", description="what stands before the decimals of a number: comma for 1,5"
    )
    encoding: str = Field(default="utf-8", description="of the text: utf-8, latin-1, cp1252, …")
    test: Count | Fraction | None = Field(
        default=None,
        description="held out for testing before validation: a count, or a fraction below 1; null: 0.2, unless "
        "there is a test_path",
    )
    split: Split | None = Field(
        default=None,
        description="which examples are held out: stratified (as many of each class as its share), shuffled (by a "
        "fixed permutation, the same for every seed) or ordered (the last rows); null: stratified for a label, "
        "shuffled for a target",
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="standardize",
        description="standardize (numbers to mean 0 and variance 1 over the training part), none, unit (by the largest "
        "absolute value), or {divide: NUMBER}",
    )

    target_scaling: Literal["standardize", "none"] | None = Field(
        default=None,
        description="how targets are learned: standardize (with mean 0 and variance 1 over the training part; losses "
        "are of these, all other metrics and predictions in the targets' own units) or none; null: standardize",
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            text = codecs.lookup(value)._is_text_encoding
        except (LookupError, ValueError):
            text = False
        if not text:
            raise ValueError(f"unknown encoding {value!r}: utf-8, latin-1, cp1252, utf-16 are some that there are")
        return value

    @field_validator("features", "columns", "ignore", "categorical", "target")
    @classmethod
    def _once_each(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, tuple):
            if not value and info.field_name not in ("ignore", "categorical"):
                raise ValueError("must name at least one column")
            for position, name in enumerate(value):
                if name in value[:position]:
                    raise ValueError(f"the column {name!r} is there twice")
        return value

    @model_validator(mode="after")
    def _one_thing_to_learn(self) -> Spec:
        if self.label is not None and self.target is not None:
            raise ValueError("give either label (a class) or target (a number) to learn")
        if self.label is not None and self.target_scaling is not None:
            raise ValueError("target_scaling goes with target (a number), and a label is a class")
        if self.label is not None and self.task == "regression":
            raise ValueError(f"a label is a class; for a regression write target: {self.label}")
        if self.target is not None and self.task == "classification":
            raise ValueError(f"a target is a number; for a classification write label: {self.target}")
        return self

    def whole(self) -> DatasetInfo:
        return _known(self.in_fold(None), *self._versions()).info

    def notes(self) -> tuple[str, ...]:
        return _known(self.in_fold(None), *self._versions()).notes

    def digest(self) -> str:
        return _files.digest_of_several({field: getattr(self, field) for field in self.path_fields})

    def scales_targets(self) -> bool:
        return self.target_scaling != "none"

    def test_share(self) -> int | float:
        if self.test_path is not None:
            return 0
        return _TEST if self.test is None else self.test

    def official(self, places: Places) -> Official:
        from dlx.sources import Official

        try:
            train, test = _read(self.in_fold(None), *self._versions())
        except FieldError as error:
            raise DataError(error.message) from None
        if test is None:
            return Official(train.inputs, train.targets, train_ids=train.rows)
        return Official(
            train.inputs, train.targets, test.inputs, test.targets, train_ids=train.rows, test_ids=test.rows
        )

    def completed(self, splits: Splits) -> Splits:
        from dlx.datasets._columns import fill_of, filled
        from dlx.datasets._division import scaling_of
        from dlx.datasets._table import read_table

        _read.cache_clear()  # the parts are made: neither arrays nor table need stay in memory beside them
        read_table.cache_clear()
        if self.missing not in ("mean", "median"):
            return splits
        assert splits.train.arrays is not None
        inputs, names = splits.train.arrays[0], splits.info.feature_names
        fill = fill_of(inputs, self.missing, names, lambda why: DataError(f"{self.path}: {why}"))
        train = filled(splits.train, fill)
        return replace(
            splits,
            train=train,
            validation=filled(splits.validation, fill) if splits.validation else None,
            test=filled(splits.test, fill) if splits.test else None,
            scaling=scaling_of(self, splits.info.largest, train, splits.info.indicators),
        )

    def examples(self, path: str, splits: Splits, *, labelled: bool) -> Examples:
        """The rows of another file as the trial's network takes them, missing numbers filled in as in ``splits``.

        With ``labelled``, the file has the column to be learned as well. Raises
        :class:`~dlx.errors.DataError` where the file does not have the training file's columns.
        """
        import numpy as np

        from dlx.datasets._columns import Examples, examples, fill_of, left_out, unknown

        known = _known(self.in_fold(None), *self._versions())
        try:
            table = _table(self, _files.version(path), "path", known.layout, labelled=labelled)
            found = examples(table, known.layout, labelled=labelled)
        except FieldError as error:
            raise DataError(error.message) from None
        inputs = np.asarray(found.inputs)
        if self.missing in ("mean", "median"):
            assert splits.train.arrays is not None
            # Of values that were filled in with their mean or median, mean and median are what they were.
            fill = fill_of(splits.train.arrays[0], self.missing, known.layout.names, DataError)
            inputs = np.where(np.isnan(inputs), fill, inputs)
        notes = (*left_out(table, found.rows), *unknown(table, known.layout))
        return Examples(inputs, found.targets, found.rows, notes)

    @property
    def learned(self) -> tuple[str, ...]:
        """The columns to be learned."""
        if self.label is not None:
            return (self.label,)
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    def _versions(self) -> tuple[Any, Any]:
        train = _files.version(self.path)
        return train, None if self.test_path is None else _files.version(self.test_path, "test_path")


@dataclass(frozen=True)
class _Known:
    """What is kept of a file when its table is let go."""

    info: DatasetInfo
    layout: Layout
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def _known(spec: Spec, train_version: Any, test_version: Any) -> _Known:
    import numpy as np

    from dlx.datasets._columns import constant, unknown
    from dlx.datasets._table import read_table

    layout = _layout(spec, train_version)
    train, test = _read(spec, train_version, test_version)
    counts: list[tuple[int, ...]] = [(), ()]
    if layout.classes is not None:
        for number, part in enumerate((train, test)):
            if part is not None:
                counts[number] = tuple(np.bincount(part.targets, minlength=len(layout.classes)).tolist())
    elif (same := constant(train.targets)) is not None:
        value = train.targets[0, same]
        message = f"{layout.labels[same]!r} is {value} in every row: there is nothing to learn"
        raise FieldError(message, ("target",))
    info = DatasetInfo(
        input_shape=(len(layout.names),),
        task="regression" if layout.classes is None else "classification",
        outputs=len(layout.labels) if layout.classes is None else len(layout.classes),
        train=len(train.rows),
        test=0 if test is None else len(test.rows),
        largest=train.inputs.largest or 1.0,
        class_names=layout.classes or (),
        train_counts=counts[0],
        test_counts=counts[1],
        feature_names=layout.names,
        target_names=layout.labels if layout.classes is None else (),
        indicators=layout.indicators,
    )
    notes = [] if test_version is None else unknown(_table(spec, test_version, "test_path", layout), layout)
    if train_version[1] > _files.LARGE:
        _read.cache_clear()
        read_table.cache_clear()
    return _Known(info, layout, tuple(notes))


def forget() -> None:
    """Let go of all that is kept of files between a look at them and the training."""
    from dlx.datasets._table import read_table

    for kept in (_known, _read, _layout, read_table):
        kept.cache_clear()


@lru_cache(maxsize=1)
def _read(spec: Spec, train_version: Any, test_version: Any) -> tuple[Content, Content | None]:
    from dlx.datasets._columns import examples

    layout = _layout(spec, train_version)
    train = examples(_table(spec, train_version, "path", None), layout)
    if test_version is None:
        return train, None
    return train, examples(_table(spec, test_version, "test_path", layout), layout)


@lru_cache(maxsize=16)
def _layout(spec: Spec, version: Any) -> Layout:
    from dlx.datasets._columns import layout
    from dlx.datasets._table import listed

    table = _table(spec, version, "path", None)
    if not spec.learned:
        raise FieldError(
            f"which column is to be learned? label: NAME for a class, target: NAME for a number (of "
            f"{listed(table.columns)})",
            ("label",),
        )
    field = "label" if spec.label is not None else "target"
    learned = [table.column(name, field) for name in spec.learned]
    for name, names in (("ignore", spec.ignore), ("categorical", spec.categorical), ("features", spec.features or ())):
        for column in names:
            table.column(column, name)
    if spec.target is not None and (both := {*learned} & {*spec.categorical}):
        raise FieldError(f"{min(both)!r} is a target, a number: no category", ("categorical",))
    used = [name for name in spec.features or table.columns if name not in (*learned, *spec.ignore)]
    if spec.features and (both := set(spec.features) & {*learned, *spec.ignore}):
        raise FieldError(
            f"{min(both)!r} cannot be an input: it is {field if both & set(learned) else 'ignore'}d",
            ("features",),
        )
    if not used:
        raise FieldError(f"no column is left to learn from (of {listed(table.columns)})", (field,))
    task = "classification" if spec.label is not None else "regression"
    return layout(table, learned, task, used, frozenset(spec.categorical), spec.missing)


def _table(spec: Spec, version: Any, field: str, like: Layout | None, *, labelled: bool = True) -> Table:
    """A file's table; ``like`` the training file, whose columns it must have and whose categories are texts."""
    from dlx.datasets._table import MARKS, Writing, read_table

    texts = {*spec.categorical, *([spec.label] if spec.label is not None else [])}
    if like is not None:
        texts |= {feature.column for feature in like.features if feature.categories is not None}
    writing = Writing(spec.separator, spec.encoding, spec.columns, MARKS[spec.decimal])
    table = read_table(version, field, writing, frozenset(texts))
    if like is not None:
        for name in [*(feature.column for feature in like.features), *(like.labels if labelled else ())]:
            table.column(name, field)
    return table
