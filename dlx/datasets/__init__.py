"""The open set of data sets: what a member says about itself, and what it gives when loaded.

A member is a module with a class ``Spec``. Facts (shape, classes, sizes, digest) are
answered without reading data or importing NumPy, so that a spec can be checked on a
machine that has neither; ``load`` reads, verifies and divides.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator

from dlx.datasets import _info
from dlx.datasets._folds import Fold
from dlx.datasets._info import DatasetInfo, Split, allocate
from dlx.datasets._places import Places, Progress
from dlx.errors import FieldError, nearest
from dlx.fields import Count, Fields, Fraction, MemberFields, Positive
from dlx.members import OneOf
from dlx.rebalancing import RebalancingSpec
from dlx.rebalancing import registry as rebalancing
from dlx.registry import OpenSet

if TYPE_CHECKING:
    import numpy as np

    from dlx.sources import Official, Splits

__all__ = [
    "DatasetInfo",
    "DatasetSpec",
    "Divide",
    "Facts",
    "Fold",
    "InMemory",
    "Places",
    "Progress",
    "Split",
    "allocate",
    "registry",
]


@dataclass(frozen=True)
class Facts:
    """What ``dlx datasets`` tells of a member: prose, the terms of use, whom to cite.

    ``unit`` says what an input value is and what ``scaling: unit`` makes of it; ``origin``
    where the data are if they come in no file of their own.
    """

    title: str = ""
    unit: str = ""
    licence: str = ""
    url: str = ""
    citation: str = ""
    origin: str = ""


class Divide(Fields):
    """Scaling by a constant of one's own: x / ``divide``."""

    divide: float = Field(gt=0.0, allow_inf_nan=False, description="the number that every input is divided by")


Kept = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]
_NOT_IN_MEMORY = "is for sets that are held in memory, and this one is read as it is needed"
_SCALINGS = ("unit", "none", "standardize")
MOST = 4096
"""Pixels of a side that images are brought to, at most."""

Side = Annotated[int, Field(ge=1, le=MOST)]


class DatasetSpec(MemberFields):
    """The contract of a data set: the settings common to all, the facts, and ``load``.

    ``path_fields``: those that name files of one's own. Where they are is no part of a trial's
    id; what is in them is, by :meth:`digest`. ``drawn_test``: the test part is no official one
    but was drawn from the examples once for all, and may be drawn anew. ``in_memory``: what is
    loaded are arrays.
    """

    facts: ClassVar[Facts] = Facts()
    path_fields: ClassVar[tuple[str, ...]] = ()
    drawn_test: ClassVar[bool] = False
    in_memory: ClassVar[bool] = False

    validation: Count | Fraction | None = Field(
        default=0.1,
        description="held out of the training set: a count of examples, or a fraction below 1; 0 for none",
    )
    split: Split | None = Field(
        default="stratified",
        description="which examples are held out: stratified (as many of each class as its share), "
        "shuffled (by a fixed permutation, the same for every seed), ordered (the last ones); "
        "null: stratified for classes, shuffled for values",
    )
    test: Count | Fraction | None = Field(
        default=None,
        description="held out for testing before validation, where there is no official test set: a count, or a "
        "fraction below 1; null: as the set says",
    )
    classes: Annotated[tuple[int | str, ...], Field(strict=False, min_length=2)] | None = Field(
        default=None, description="these classes only, by name or number, numbered from 0 in this order; null: all"
    )
    train_limit: Positive | None = Field(
        default=None, description="train on the first N examples only, counted after the split"
    )
    labelled: Positive | None = Field(
        default=None,
        description="training examples that have labels, as many of each class as its share: stages with labels are "
        "trained on them, stages without on all; null: all",
    )
    resize: Side | tuple[Side, Side] | None = Field(
        default=None,
        description="images are brought to N x N pixels, or to [height, width]: scaled until they cover it (the "
        "shorter side fits) and the centre cut out; null: they stay as they are",
    )
    imbalance: Annotated[dict[str, Kept], Field(min_length=1)] | None = Field(
        default=None,
        description="classes, by name or number, of which only a fraction of the examples is kept, by a draw that is "
        "always the same: {3: 0.1}. Before validation is held out, after testing is; null: all are kept",
    )
    rebalance: Annotated[RebalancingSpec, OneOf(rebalancing, key="method")] | None = Field(
        default=None,
        description="how smaller classes get more training examples until all have as many as the largest, for stages "
        "with labels: oversample, rbm, or {method: …} and its settings; null: they do not",
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="unit",
        description="unit (by the set's largest value, into [0, 1]), none, standardize (to mean 0 and variance 1 "
        "over the training part: per channel of an image, per feature otherwise), or {divide: NUMBER}",
    )

    _fold: Fold | None = PrivateAttr(default=None)

    @property
    def fold(self) -> Fold | None:
        """What is held out for testing in place of any test part; no setting of the data set but of how it is used."""
        return self._fold

    def in_fold(self, fold: Fold | None) -> Self:
        """The data set with that held out for testing."""
        if fold == self._fold:
            return self
        copy = self.model_copy()
        copy._fold = fold
        return copy

    @field_validator("validation", "test", mode="before")
    @classmethod
    def _count_or_fraction(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and (info.field_name == "test" or cls.model_fields["validation"].default is None):
            return value
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not whole and not (isinstance(value, float) and 0.0 <= value < 1.0):
            raise ValueError(f"must be a count (0, 1, 2, …) or a fraction (0 ≤ … < 1), not {value!r}")
        return value

    @field_validator("resize", mode="before")
    @classmethod
    def _sides(cls, value: Any) -> Any:
        sides = value if isinstance(value, list | tuple) else (value,)
        whole = all(isinstance(side, int) and not isinstance(side, bool) and 1 <= side <= MOST for side in sides)
        if value is None and cls.model_fields["resize"].default is None:
            return None
        if not whole or len(sides) != (2 if isinstance(value, list | tuple) else 1):
            raise ValueError(f"must be a number of pixels (1 to {MOST}) or [height, width], not {value!r}")
        return tuple(value) if isinstance(value, list) else value

    @field_validator("scaling", mode="before")
    @classmethod
    def _one_scaling(cls, value: Any) -> Any:
        # One sentence instead of a union's list of everything that each alternative disliked.
        if isinstance(value, str):
            if value not in _SCALINGS:
                raise ValueError(f"unknown scaling {value!r}: {nearest(value, _SCALINGS)}")
        elif isinstance(value, dict):
            number: Any = value.get("divide")
            numeric = isinstance(number, int | float) and not isinstance(number, bool)
            if set(value) != {"divide"} or not numeric or not 0.0 < number < float("inf"):
                raise ValueError(f"must be unit, none, standardize or {{divide: a number above 0}}, not {value!r}")
        return value

    @abstractmethod
    def whole(self) -> DatasetInfo:
        """Shape, task, classes and sizes of all there is, before ``classes`` and ``test``; reads no examples."""

    def info(self) -> DatasetInfo:
        """Shape, task, classes and sizes as trained on; reads no examples.

        Raises :class:`~dlx.errors.FieldError` where the settings cannot be met.
        """
        info = self._with_test() if self._fold is None else self._fold.info(self.divisible())
        if self.imbalance is not None:
            if not self.in_memory:
                raise FieldError(_NOT_IN_MEMORY, ("imbalance",))
            info = _info.thinned(info, _info.kept_counts(info, self.imbalance))
        return info if self.sides is None else _info.resized(info, self.sides)

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width that images are brought to, None where they stay as they are."""
        return (self.resize, self.resize) if isinstance(self.resize, int) else self.resize

    def _with_test(self) -> DatasetInfo:
        info = self._chosen()
        if self.test is not None and info.test:
            if not self.drawn_test:
                message = f"there is a test set of {info.test:,} examples already: none is drawn"
                raise FieldError(message, ("test",))
            info = _info.rejoined(info)
        test = self.test_share()
        return info if info.test or not test else _info.test_drawn(info, test, self.way(info))

    def _chosen(self) -> DatasetInfo:
        info = self.whole()
        return info if self.classes is None else _info.picked(info, _info.class_numbers(info, self.classes))

    def divisible(self) -> DatasetInfo:
        """What is divided into folds: the training examples, with a test part that was drawn from them put back.

        An official test part is left out, so that it stays unseen.
        """
        info = self._chosen()
        if info.test and self.drawn_test:
            return _info.rejoined(info)
        return replace(info, test=0, test_counts=())

    def test_share(self) -> int | float:
        """What is held out for testing where there is no test set."""
        return self.test or 0

    def scales_targets(self) -> bool:
        """Whether the targets of a regression are learned with mean 0 and variance 1 over the training part."""
        return False

    def plane(self) -> DatasetSpec | None:
        """The same examples as two coordinates each, whatever is made of them; None where there are no two."""
        return self if self.whole().input_shape == (2,) else None

    def lifted(self, points: np.ndarray) -> np.ndarray:
        """The inputs (n, features) that points (n, 2) of :meth:`plane` become."""
        return points

    def function_of(self, inputs: np.ndarray) -> np.ndarray | None:
        """What targets (n, outputs) would be without noise, of inputs as stored; None where that is not known."""
        return None

    def way(self, info: DatasetInfo) -> Split:
        """How examples are held out: ``split``, or what suits the task."""
        return self.split or ("stratified" if info.task == "classification" else "shuffled")

    @abstractmethod
    def digest(self) -> str:
        """64 hex digits that stand for the content, whatever file it comes from."""

    @abstractmethod
    def load(self, places: Places) -> Splits:
        """The parts of the data set, verified and divided as set.

        Raises :class:`~dlx.errors.DataError` where the data are absent, not fetchable or
        not what they should be, :class:`~dlx.errors.FieldError` as :meth:`sizes` does.
        """

    @classmethod
    def wanted(cls) -> tuple[str, ...]:
        """The names under which files are looked for; empty for a set that needs none."""
        return ()

    @classmethod
    def download_bytes(cls) -> int:
        """Bytes that :meth:`fetch` brings over; 0 where there is nothing to fetch."""
        return 0

    @classmethod
    def find(cls, places: Places) -> Path | None:
        """The file or folder that :meth:`load` would read; None where there is none (yet), or none is needed."""
        return None

    @classmethod
    def fetch(cls, places: Places) -> Path | None:
        """Download what :meth:`load` needs, even if it is elsewhere already, and return where it is.

        None for a set that has no files. Raises :class:`~dlx.errors.DataError`.
        """
        return None

    def notes(self) -> tuple[str, ...]:
        """What the person should know of the data and is no mistake."""
        return ()

    def sizes(self) -> dict[str, int]:
        """Examples in ``train``, ``validation`` and ``test`` after the split and ``train_limit``; reads no data.

        Raises :class:`~dlx.errors.FieldError` where the settings cannot be met.
        """
        info = self.info()
        if info.validation:
            return self._limited(info, info.train, 0)
        held = self.held_out(info.train)
        if (held or self.test) and self.way(info) == "stratified":
            if info.task != "classification":
                raise FieldError("stratified needs classes, and this is a regression: shuffled or ordered", ("split",))
            if held and info.train_counts:
                allocate(info.train_counts, held, info.names)
        return self._limited(info, info.train - held, held)

    def _limited(self, info: DatasetInfo, train: int, held: int) -> dict[str, int]:
        """The sizes with what ``train_limit`` and ``labelled`` leave of the training part."""
        if self.train_limit is not None and self.train_limit > train:
            raise FieldError(
                f"{self.train_limit} examples are wanted and {train} are there "
                f"({info.train} less {held} for validation)",
                ("train_limit",),
            )
        train = self.train_limit or train
        if self.labelled is not None and self.labelled > train:
            raise FieldError(f"{self.labelled} examples with labels are wanted of {train}", ("labelled",))
        if self.rebalance is not None and info.task != "classification":
            raise FieldError("makes classes even, and this is a regression", ("rebalance",))
        if self.rebalance is not None and not self.in_memory:
            raise FieldError(_NOT_IN_MEMORY, ("rebalance",))
        return {"train": train, "validation": held or info.validation, "test": info.test}

    def held_out(self, examples: int) -> int:
        """How many of ``examples`` are held out for validation; :class:`~dlx.errors.FieldError` if impossible."""
        return _info.share(0.1 if self.validation is None else self.validation, examples, "validation")


class InMemory(DatasetSpec):
    """A data set small enough to be arrays in memory: a member says how to read them, the rest is done here."""

    in_memory: ClassVar[bool] = True

    @abstractmethod
    def official(self, places: Places) -> Official:
        """All training and test examples in official order, verified; raises :class:`~dlx.errors.DataError`."""

    def load(self, places: Places) -> Splits:
        from dlx.datasets._division import arrange, divide

        self.sizes()  # impossible settings are told before a download is begun
        splits = self.completed(divide(self, arrange(self, self.official(places))))
        if self.sides is None:
            return splits
        from dlx.datasets._images import resized

        return resized(splits, self.sides)

    def completed(self, splits: Splits) -> Splits:
        """The parts with what can only be known when the training part is, besides its scaling."""
        return splits


registry: OpenSet[DatasetSpec] = OpenSet(
    "dataset",
    "dlx.datasets",
    DatasetSpec,
)
