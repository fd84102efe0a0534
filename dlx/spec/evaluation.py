"""How a setting is tested: ``evaluation:``, folds that are held out in turn.

::

    evaluation: {method: repeated_kfold, folds: 2, repeats: 5}   # 5×2: ten trials of each setting and seed
    evaluation: {method: kfold, folds: 10}
    evaluation: {method: holdout, test: 0.2, repeats: 20}        # twenty draws of a fifth

A fold is a cell as a seed is: a trial of its own, which `test_*` of its tables are about.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dlx.datasets import DatasetSpec, InMemory
from dlx.datasets._folds import Fold
from dlx.errors import FieldError
from dlx.fields import Fields, Positive

FOLDS = 5
REPEATS = 2
TEST = 0.2

_OF: dict[str, tuple[str, ...]] = {
    "kfold": ("folds",),
    "repeated_kfold": ("folds", "repeats"),
    "holdout": ("test", "repeats"),
}


class Evaluation(Fields):
    """What is held out for testing, how often."""

    method: Literal["kfold", "repeated_kfold", "holdout"] = Field(
        default="kfold",
        description="kfold: each part once; repeated_kfold: of several divisions; holdout: a part drawn at random",
    )
    folds: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description=f"parts of a division into folds; null: {FOLDS}"
    )
    repeats: Positive | None = Field(
        default=None, description=f"divisions of repeated_kfold (null: {REPEATS}), draws of holdout (null: 1)"
    )
    test: Annotated[float, Field(gt=0.0, lt=1.0)] | None = Field(
        default=None, description=f"the fraction that holdout draws; null: {TEST}"
    )
    stratified: bool | None = Field(
        default=None, description="as many of each class in every part as can be; null: true for classes"
    )

    @model_validator(mode="after")
    def _of_this_method(self) -> Evaluation:
        for name in ("folds", "repeats", "test"):
            if getattr(self, name) is not None and name not in _OF[self.method]:
                others = " and ".join(method for method, names in _OF.items() if name in names)
                raise ValueError(f"{name} is for {others}, not for {self.method}")
        return self

    def cells(self, dataset: DatasetSpec) -> list[Fold]:
        """What is held out of a data set in turn, division by division.

        Raises :class:`~dlx.errors.FieldError`, relative to the protocol, where it cannot be divided so.
        """
        if not isinstance(dataset, InMemory):
            raise FieldError(f"is for data that are held in memory, and {dataset.name} is not")
        if dataset.test is not None:
            raise FieldError("says what is held out for testing: leave dataset.test out")
        stratified = dataset.divisible().task == "classification" if self.stratified is None else self.stratified
        if self.method == "holdout":
            return [Fold(repeat, stratified, test=self.test or TEST) for repeat in range(self.repeats or 1)]
        folds = self.folds or FOLDS
        repeats = (self.repeats or REPEATS) if self.method == "repeated_kfold" else 1
        return [Fold(repeat, stratified, fold, folds) for repeat in range(repeats) for fold in range(folds)]

    @property
    def times(self) -> int:
        """How many trials there are of each setting and seed."""
        if self.method == "holdout":
            return self.repeats or 1
        return (self.folds or FOLDS) * ((self.repeats or REPEATS) if self.method == "repeated_kfold" else 1)
