"""Values written in the spec: XOR, a parabola, whatever fits on a page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from dlx.datasets import DatasetInfo, Divide, Facts, InMemory, Places, Split
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    from dlx.sources import Official

_MOST_CLASSES = 1000
_LARGEST = 3.4e38


class Spec(InMemory):
    """Examples given as nested lists: ``inputs`` with ``labels`` (classes) or ``targets`` (real numbers).

    An input is a number or lists of numbers, all of one shape; a bare number counts as one
    feature. Labels are 0, 1, 2, …, or −1 and 1, or names. All examples train unless
    ``validation`` says otherwise, and values are taken as written unless ``scaling`` does.
    The digest is that of the content: how the numbers are written does not matter.
    """

    name: Literal["arrays"] = "arrays"
    summary: ClassVar[str] = "values written in the spec: inputs with labels or real targets"
    source: ClassVar[str] = "the spec"
    facts: ClassVar[Facts] = Facts(
        title="Values written in the spec",
        unit="whatever is written; unit divides by the largest absolute value among the inputs",
        licence="yours",
        url="",
        citation="",
        origin="in the spec",
    )

    inputs: tuple[Any, ...] = Field(description="training examples: numbers, or nested lists of one shape")
    labels: tuple[int | str, ...] | None = Field(
        default=None, description="the class of each example: 0, 1, 2, …, or -1 and 1, or names"
    )
    targets: tuple[Any, ...] | None = Field(
        default=None, description="what each example should give: numbers, or lists of one length"
    )
    test_inputs: tuple[Any, ...] | None = Field(default=None, description="test examples, shaped as inputs")
    test_labels: tuple[int | str, ...] | None = Field(default=None, description="the class of each test example")
    test_targets: tuple[Any, ...] | None = Field(default=None, description="what each test example should give")
    validation: Count | Fraction = Field(
        default=0, description="held out of the examples: a count, or a fraction below 1; 0 for none"
    )
    split: Split | None = Field(
        default="shuffled",
        description="which examples are held out: stratified, shuffled or ordered (the last ones); "
        "null: stratified for labels, shuffled for targets",
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="none",
        description="none, unit (by the largest absolute value among the inputs), standardize, or {divide: NUMBER}",
    )

    @field_validator("inputs", "targets", "test_inputs", "test_targets", mode="before")
    @classmethod
    def _rectangular(cls, value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("must be a list of at least one example")
        _shape(value)
        return _frozen(value)

    @field_validator("labels", "test_labels", mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not value:
            raise ValueError("must be a list of at least one class")
        for label in value:
            if isinstance(label, bool) or not isinstance(label, int | str):
                raise ValueError(f"a class is a whole number or a name, not {label!r}")
        if len({isinstance(label, str) for label in value}) > 1:
            raise ValueError("classes are either all numbers or all names")
        return tuple(value)

    @field_validator("labels")
    @classmethod
    def _one_per_input(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None:
            _same_number(value, info.data.get("inputs"), "inputs")
            _class_names(value)
        return value

    @field_validator("targets")
    @classmethod
    def _labels_or_targets(cls, value: Any, info: ValidationInfo) -> Any:
        if "labels" in info.data and (value is None) == (info.data["labels"] is None):
            raise ValueError("give either labels (classes) or targets (real numbers)")
        if value is not None:
            _same_number(value, info.data.get("inputs"), "inputs")
            if len(_example_shape(value)) != 1:
                raise ValueError("a target is a number or a list of numbers")
        return value

    @field_validator("test_inputs")
    @classmethod
    def _shaped_as_inputs(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and "inputs" in info.data and _example_shape(value) != _example_shape(info.data["inputs"]):
            raise ValueError(f"are {_example_shape(value)}, and inputs are {_example_shape(info.data['inputs'])}")
        return value

    @field_validator("test_labels", "test_targets")
    @classmethod
    def _as_the_training_part(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        ours = info.field_name.removeprefix("test_")
        if ours not in info.data or "test_inputs" not in info.data:
            return value  # that one is wrong, and told of already
        train, inputs = info.data[ours], info.data["test_inputs"]
        wanted = inputs is not None and train is not None
        if (value is not None) != wanted:
            raise ValueError(f"{'missing: test_inputs are given with' if wanted else 'needs test_inputs and'} {ours}")
        if value is not None:
            _same_number(value, inputs, "test_inputs")
            if ours == "labels":
                _class_numbers(value, _class_names(train))
            elif _example_shape(value) != _example_shape(train):
                raise ValueError(f"are {_example_shape(value)}, and targets are {_example_shape(train)}")
        return value

    def whole(self) -> DatasetInfo:
        names: tuple[str, ...] = ()
        counts: tuple[int, ...] = ()
        test_counts: tuple[int, ...] = ()
        if self.labels is not None:
            names = _class_names(self.labels)
            numbers = _class_numbers(self.labels, names)
            counts = tuple(numbers.count(label) for label in range(len(names)))
        if self.test_labels is not None:
            numbers = _class_numbers(self.test_labels, names)
            test_counts = tuple(numbers.count(label) for label in range(len(names)))
        return DatasetInfo(
            input_shape=_example_shape(self.inputs),
            task="classification" if self.labels is not None else "regression",
            outputs=len(names) if self.labels is not None else _example_shape(self.targets or ())[0],
            train=len(self.inputs),
            test=len(self.test_inputs or ()),
            largest=max(map(abs, _numbers(self.inputs))) or 1.0,
            class_names=names,
            train_counts=counts,
            test_counts=test_counts,
        )

    def digest(self) -> str:
        names = _class_names(self.labels) if self.labels is not None else ()
        content = {
            "inputs": _features(self.inputs),
            "targets": _features(self.targets),
            "labels": _class_numbers(self.labels, names) if self.labels is not None else None,
            "classes": names,
            "test_inputs": _features(self.test_inputs),
            "test_targets": _features(self.test_targets),
            "test_labels": _class_numbers(self.test_labels, names) if self.test_labels is not None else None,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def official(self, places: Places) -> Official:
        import numpy as np

        from dlx.sources import Official

        names = _class_names(self.labels) if self.labels is not None else ()

        def inputs(values: Any) -> Any:
            if values is None:
                return None
            return np.array(values, np.float32).reshape(len(values), *_example_shape(values))

        def targets(labels: Any, values: Any) -> Any:
            if labels is not None:
                return np.array(_class_numbers(labels, names), np.int32)
            return inputs(values)

        return Official(
            inputs(self.inputs),
            targets(self.labels, self.targets),
            inputs(self.test_inputs),
            targets(self.test_labels, self.test_targets),
        )


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of nested lists; ValueError where they are not rectangular or hold anything but finite numbers."""
    if isinstance(value, list | tuple):
        shapes = {_shape(item) for item in value}
        if len(shapes) != 1:
            raise ValueError("is empty in places" if not shapes else "has examples of different shapes")
        return (len(value), *shapes.pop())
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must hold numbers, not {value!r}")
    if not abs(value) <= _LARGEST:
        raise ValueError(f"must hold finite numbers of float32, not {value!r}")
    return ()


def _example_shape(values: tuple[Any, ...]) -> tuple[int, ...]:
    return _shape(values)[1:] or (1,)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    else:
        yield value


def _frozen(value: Any) -> Any:
    """Lists as tuples, and every number a float: 1 and 1.0 are one setting with one trial id."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else float(value)


def _features(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """The examples with a bare number as one feature: 1 and [1] are one content."""
    return values if values is None or isinstance(values[0], tuple) else tuple((number,) for number in values)


def _same_number(values: tuple[Any, ...], inputs: tuple[Any, ...] | None, of: str) -> None:
    if inputs is not None and len(values) != len(inputs):
        raise ValueError(f"there are {len(values)} of them for {len(inputs)} {of}")


def _class_names(labels: tuple[int | str, ...]) -> tuple[str, ...]:
    """Names sorted; −1 and +1; or 0, 1, … up to the largest label. ValueError for other numbers."""
    if isinstance(labels[0], str):
        return tuple(sorted({str(label) for label in labels}))
    numbers = {int(label) for label in labels}
    if -1 in numbers and numbers <= {-1, 1}:
        return ("-1", "+1")
    if min(numbers) < 0 or max(numbers) >= _MOST_CLASSES:
        raise ValueError(f"are 0 to {_MOST_CLASSES - 1}, or -1 and 1, or names; not {min(numbers)} to {max(numbers)}")
    return tuple(str(number) for number in range(max(2, max(numbers) + 1)))


def _class_numbers(labels: tuple[int | str, ...], names: tuple[str, ...]) -> list[int]:
    """The number of each label's class; ValueError for a class that the training part does not have."""
    index: dict[int | str, int] = {name: number for number, name in enumerate(names)}
    if not isinstance(labels[0], str):
        index = {-1: 0, 1: 1} if names == ("-1", "+1") else {number: number for number in range(len(names))}
    unknown = [label for label in labels if label not in index]
    if unknown:
        raise ValueError(f"has the class {unknown[0]!r}, and the training examples are of {', '.join(names)}")
    return [index[label] for label in labels]
