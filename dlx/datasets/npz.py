"""Arrays of one's own: an ``.npz`` as NumPy writes it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.datasets import DatasetInfo, Divide, Facts, InMemory, Places, Split, _files
from dlx.errors import DataError, FieldError
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    from dlx.sources import Official

_TEST = 0.2


class Spec(InMemory):
    """Arrays ``x_train``, ``y_train`` and perhaps ``x_test``, ``y_test``, as Keras names them; or ``x`` and ``y``.

    Inputs are (n, …): numbers (n,), features (n, k), grey images (n, h, w), which get a channel,
    or images (n, h, w, c); bytes stay bytes. Targets are classes (whole numbers or texts, n or
    n × 1) or values (n, or n × k). An array of Python objects is refused, and no code in the file
    is run. The path is relative to the spec, else to ``DLX_DATA``; the digest is the SHA-256 of the
    file, and where it is has no part in a trial's id.
    """

    name: Literal["npz"] = "npz"
    summary: ClassVar[str] = "arrays of your own in an .npz: x_train, y_train, x_test, y_test, or x and y"
    source: ClassVar[str] = "https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html"
    facts: ClassVar[Facts] = Facts(
        title="An .npz of your own",
        unit="numbers as stored; unit divides bytes by 255 (0 and 1 by 1), others by the largest absolute value",
        licence="yours",
        origin="where path says",
    )
    path_fields: ClassVar[tuple[str, ...]] = ("path",)

    path: str = Field(min_length=1, description="the file, relative to the spec")
    task: Literal["classification", "regression"] | None = Field(
        default=None,
        description="null: classification where y holds whole numbers or texts, regression where real numbers",
    )
    test: Count | Fraction | None = Field(
        default=None,
        description="held out for testing before validation, where there is no x_test: a count, or a fraction below 1; "
        "null: 0.2",
    )
    split: Split | None = Field(
        default=None,
        description="which examples are held out: stratified (as many of each class as its share), shuffled (by a "
        "fixed permutation, the same for every seed) or ordered (the last ones); null: stratified for classes, "
        "shuffled for values",
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="unit",
        description="unit (bytes by 255, unless all are 0 and 1; else by the largest absolute value), none, "
        "standardize (to mean 0 and variance 1 over the training part: per channel of an image, else per feature), or "
        "{divide: NUMBER}",
    )

    target_scaling: Literal["standardize", "none"] | None = Field(
        default=None,
        description="how the targets of a regression are learned: standardize (with mean 0 and variance 1 over the "
        "training part; losses are of these, all other metrics and predictions in the targets' own units) or none; "
        "null: standardize",
    )

    def whole(self) -> DatasetInfo:
        return _known(self.in_fold(None), _files.version(self.path))

    def digest(self) -> str:
        return _files.digest(self.path)

    def scales_targets(self) -> bool:
        return self.target_scaling != "none"

    def test_share(self) -> int | float:
        if self.test is None:
            return 0 if self.whole().test else _TEST
        return self.test

    def official(self, places: Places) -> Official:
        try:
            return _read(self.in_fold(None), _files.version(self.path))[0]
        except FieldError as error:
            raise DataError(error.message) from None
        finally:
            _read.cache_clear()  # the parts are made of these arrays: they need not stay beside them


@lru_cache(maxsize=16)
def _known(spec: Spec, version: Any) -> DatasetInfo:
    import numpy as np

    official, classes = _read(spec, version)
    x, y = np.asarray(official.train_inputs), official.train_targets
    counts: list[tuple[int, ...]] = [(), ()]
    if classes is not None:
        for number, labels in enumerate((y, official.test_targets)):
            if labels is not None:
                counts[number] = tuple(np.bincount(labels, minlength=len(classes)).tolist())
    if version[1] > _files.LARGE:
        _read.cache_clear()
    largest = (
        255.0 if x.dtype == np.uint8 and x.max(initial=0) > 1 else float(max(x.max(), -x.min().astype(float))) or 1.0
    )
    if classes is not None and spec.target_scaling is not None:
        raise FieldError(
            "is for a regression, and y holds classes (task: regression learns numbers)", ("target_scaling",)
        )
    return DatasetInfo(
        input_shape=x.shape[1:],
        task="regression" if classes is None else "classification",
        outputs=y.shape[1] if classes is None else len(classes),
        train=len(x),
        test=0 if official.test_inputs is None else len(official.test_inputs),
        largest=largest,
        class_names=classes or (),
        train_counts=counts[0],
        test_counts=counts[1],
    )


@lru_cache(maxsize=1)
def _read(spec: Spec, version: Any) -> tuple[Official, tuple[str, ...] | None]:
    from dlx.datasets._npz import read

    return read(version[0], spec.task)
