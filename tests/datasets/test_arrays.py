"""Values written in the spec: what they mean, how small they may be, and one clear message for each mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from dlx.datasets import Places, registry
from dlx.errors import FieldError

Arrays = registry.get("arrays")
NOWHERE = Places(download=False)


def test_classes_by_number() -> None:
    spec = Arrays(inputs=[[0, 0], [0, 1], [1, 0]], labels=[0, 2, 0], test_inputs=[[5, 5]], test_labels=[1])
    info = spec.info()
    assert (info.input_shape, info.task, info.outputs, info.train, info.test) == ((2,), "classification", 3, 3, 1)
    assert info.class_names == ("0", "1", "2")
    assert info.train_counts == (2, 0, 1)
    splits = spec.load(NOWHERE)
    inputs, targets = splits.train.read([1, 0])
    assert inputs.tolist() == [[0.0, 1.0], [0.0, 0.0]]
    assert inputs.dtype == np.float32
    assert targets.tolist() == [2, 0]
    assert targets.dtype == np.int32
    assert splits.validation is None
    assert splits.test is not None
    assert splits.test.read([0])[1].tolist() == [1]


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        ([-1, 1, 1], ("-1", "+1"), [0, 1, 1]),
        ([-1, -1, -1], ("-1", "+1"), [0, 0, 0]),
        ([1, 1, 1], ("0", "1"), [1, 1, 1]),
        (["no", "yes", "no"], ("no", "yes"), [0, 1, 0]),
    ],
)
def test_classes_by_sign_and_by_name(labels: list[Any], names: tuple[str, ...], numbers: list[int]) -> None:
    spec = Arrays(inputs=[1, 2, 3], labels=labels)
    assert spec.info().class_names == names
    assert spec.load(NOWHERE).train.read([0, 1, 2])[1].tolist() == numbers


def test_regression() -> None:
    spec = Arrays(inputs=[[0.5], [1.5]], targets=[1, -2], test_inputs=[[3]], test_targets=[[7]])
    assert spec.info().task == "regression"
    assert spec.info().outputs == 1
    targets = spec.load(NOWHERE).train.read([0, 1])[1]
    assert targets.dtype == np.float32
    assert targets.tolist() == [[1.0], [-2.0]]
    assert Arrays(inputs=[1], targets=[[1, 2, 3]]).info().outputs == 3
    with pytest.raises(FieldError, match="regression") as caught:
        Arrays(inputs=[1, 2, 3], targets=[1, 2, 3], validation=1, split="stratified").sizes()
    assert caught.value.path == ("split",)


def test_one_example_is_enough() -> None:
    splits = Arrays(inputs=[1.0], labels=[1]).load(NOWHERE)
    assert len(splits.train) == 1
    assert splits.train.read([0])[0].shape == (1, 1)
    standardized = Arrays(inputs=[[3.0, 4.0]], targets=[0], scaling="standardize").load(NOWHERE)
    assert standardized.scaling.apply(np.array([[3.0, 4.0]])).tolist() == [[0.0, 0.0]]


def test_unit_is_the_largest_absolute_value() -> None:
    inputs = [[1.0, -8.0], [2.0, 4.0]]
    assert Arrays(inputs=inputs, targets=[0, 0]).load(NOWHERE).scaling.divide == 1
    assert Arrays(inputs=inputs, targets=[0, 0], scaling="unit").load(NOWHERE).scaling.divide == 8
    assert Arrays(inputs=[0.0], targets=[0], scaling="unit").load(NOWHERE).scaling.divide == 1


def test_images() -> None:
    image = [[[1], [2]], [[3], [4]]]
    assert Arrays(inputs=[image, image], labels=[0, 1]).info().input_shape == (2, 2, 1)


def test_the_digest_is_of_the_content() -> None:
    base = Arrays(inputs=[[0, 1], [1, 0]], labels=[0, 1])
    assert base.digest() == Arrays(inputs=((0.0, 1.0), (1, 0)), labels=(0, 1)).digest()
    assert Arrays(inputs=[0, 1], labels=[0, 1]).digest() == Arrays(inputs=[[0], [1]], labels=[0, 1]).digest()
    assert base.digest() == Arrays(inputs=[[0, 1], [1, 0]], labels=[0, 1], validation=1, scaling="unit").digest()
    assert base == Arrays(inputs=((0.0, 1.0), (1, 0)), labels=(0, 1))
    others = [
        Arrays(inputs=[[0, 1], [1, 0.5]], labels=[0, 1]),
        Arrays(inputs=[[0, 1], [1, 0]], labels=[1, 0]),
        Arrays(inputs=[[0, 1], [1, 0]], labels=["a", "b"]),
        Arrays(inputs=[[0, 1], [1, 0]], targets=[0, 1]),
        Arrays(inputs=[[0, 1], [1, 0]], labels=[0, 1], test_inputs=[[0, 0]], test_labels=[0]),
    ]
    assert len({base.digest(), *(other.digest() for other in others)}) == 6


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), elements=st.floats(-9, 9, width=32))
)
def test_any_rectangle_comes_back(values: np.ndarray) -> None:
    spec = Arrays(inputs=values.tolist(), targets=[0] * len(values))
    got = spec.load(NOWHERE).train.read(np.arange(len(values)))[0]
    assert np.array_equal(got, values.reshape(len(values), -1) if values.ndim == 1 else values)
    assert got.shape[1:] == spec.info().input_shape
    assert Arrays.model_validate(spec.model_dump(mode="json")) == spec  # as trial.yaml holds it


@pytest.mark.parametrize(
    ("settings", "field", "says"),
    [
        ({"inputs": []}, "inputs", "at least one"),
        ({"inputs": 3}, "inputs", "at least one"),
        ({"inputs": [[1], [1, 2]]}, "inputs", "different shapes"),
        ({"inputs": [[1], 2]}, "inputs", "different shapes"),
        ({"inputs": [[], []]}, "inputs", "empty"),
        ({"inputs": [["a"]]}, "inputs", "numbers, not 'a'"),
        ({"inputs": [True]}, "inputs", "not True"),
        ({"inputs": [float("nan")]}, "inputs", "finite"),
        ({"inputs": [1e39]}, "inputs", "float32"),
        ({"inputs": [10**400]}, "inputs", "float32"),
        ({"labels": [0]}, "labels", "1 of them for 2"),
        ({"labels": [0, -2]}, "labels", "not -2 to 0"),
        ({"labels": [0, 10**6]}, "labels", "not 0 to 1000000"),
        ({"labels": [0, "a"]}, "labels", "all numbers or all names"),
        ({"labels": [0, 1.5]}, "labels", "not 1.5"),
        ({"labels": None}, "targets", "either labels"),
        ({"targets": [1, 2]}, "targets", "either labels"),
        ({"labels": None, "targets": [1]}, "targets", "1 of them for 2"),
        ({"labels": None, "targets": [[[1]], [[2]]]}, "targets", "a number or a list"),
        ({"test_inputs": [[1, 2, 3]], "test_labels": [0]}, "test_inputs", r"are \(3,\), and inputs are \(2,\)"),
        ({"test_inputs": [[1, 2]]}, "test_labels", "missing"),
        ({"test_labels": [1]}, "test_labels", "needs test_inputs"),
        ({"test_inputs": [[1, 2]], "test_labels": [7]}, "test_labels", "has the class 7"),
        ({"test_inputs": [[1, 2]], "test_labels": [0, 1]}, "test_labels", "2 of them for 1"),
        ({"colour": "red"}, "colour", "not permitted"),
    ],
)
def test_each_mistake_is_told_at_its_field(settings: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Arrays(**{"inputs": [[0, 1], [1, 0]], "labels": [0, 1], **settings})
    assert field in {error["loc"][0] for error in caught.value.errors()}
