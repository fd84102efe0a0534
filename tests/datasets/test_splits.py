"""Which examples are held out: sizes, shares, and draws that never change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dlx.datasets import Places, allocate, registry
from dlx.datasets._division import hold_out_shuffled, hold_out_stratified
from dlx.errors import FieldError

Digits = registry.get("digits")

VALIDATION_IDS = [8, 9, 13, 23, 24, 32]
SHUFFLED = ([3, 5, 2, 9, 7, 0, 8], [6, 1, 4])
STRATIFIED = ([1, 2, 4], [0, 3, 5])


def test_the_draws_are_for_ever() -> None:
    """Golden: another draw would be another data set under the same digest and the same trial id."""
    splits = Digits().load(Places())
    assert splits.validation is not None
    assert splits.validation.ids[:6].tolist() == VALIDATION_IDS
    kept, held = hold_out_shuffled(10, 3, key=1)
    assert (kept.tolist(), held.tolist()) == SHUFFLED
    kept, held = hold_out_stratified(np.array([0, 0, 1, 1, 1, 1]), (1, 2), key=1)
    assert (kept.tolist(), held.tolist()) == STRATIFIED


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.data())
def test_shares_add_up_and_are_fair(counts: list[int], data: st.DataObject) -> None:
    total = sum(counts)
    held = data.draw(st.integers(1, total))
    try:
        shares = allocate(tuple(counts), held)
    except FieldError as error:
        assert error.path == ("validation",)
        fair = [held * count / total for count in counts]
        # refused only where rounding a fair share up or down leaves a side of some class empty
        assert any(share < 1 or share > count - 1 for share, count in zip(fair, counts, strict=True))
        return
    assert sum(shares) == held
    assert all(abs(share - held * count / total) < 1 for share, count in zip(shares, counts, strict=True))
    assert all(0 < share < count for share, count in zip(shares, counts, strict=True))


def test_largest_remainder_by_hand() -> None:
    # fair shares 1.2, 1.4, 1.4: the two that remain go to the larger remainders, the lower class first
    assert allocate((6, 7, 7), 4) == (1, 2, 1)
    assert allocate((10, 10), 4) == (2, 2)
    assert allocate((10, 0, 10), 4) == (2, 0, 2)  # a class without examples is no reason to refuse


@pytest.mark.parametrize(
    ("settings", "path", "says"),
    [
        ({"validation": 1437}, "validation", "leave none to train on"),
        ({"validation": 5000}, "validation", "leave none to train on"),
        ({"validation": 1e-4}, "validation", "less than one"),
        ({"validation": 5}, "validation", "too few"),
        ({"validation": 1430}, "validation", "too few"),
        ({"train_limit": 1438, "validation": 0}, "train_limit", "1437 are there"),
        ({"train_limit": 1400}, "train_limit", "1293 are there"),
    ],
)
def test_impossible_sizes_are_told_without_loading(settings: dict[str, object], path: str, says: str) -> None:
    spec = Digits(**settings)
    with pytest.raises(FieldError, match=says) as caught:
        spec.sizes()
    assert caught.value.path == (path,)
    with pytest.raises(FieldError):
        spec.load(Places())


def test_sizes() -> None:
    assert Digits().sizes() == {"train": 1293, "validation": 144, "test": 360}
    assert Digits(validation=100).sizes() == {"train": 1337, "validation": 100, "test": 360}
    assert Digits(validation=0, train_limit=7).sizes() == {"train": 7, "validation": 0, "test": 360}
    assert Digits(validation=5, split="shuffled").sizes()["validation"] == 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("validation", -1),
        ("validation", 1.0),
        ("validation", float("nan")),
        ("validation", True),
        ("validation", "10%"),
        ("split", "random"),
        ("train_limit", 0),
        ("scaling", "unti"),
        ("scaling", {"divide": 0}),
        ("scaling", {"divide": float("inf")}),
        ("scaling", {"divid": 256}),
        ("scaling", 255),
    ],
)
def test_each_wrong_setting_is_one_error_at_its_field(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Digits(**{field: value})
    places = {error["loc"][0] for error in caught.value.errors()}
    assert places == {field}
    if field in ("validation",) or isinstance(value, str | dict):
        assert len(caught.value.errors()) == 1


def test_ordered_copies_nothing() -> None:
    spec = Digits(split="ordered", validation=100)
    official = spec.official(Places())
    from dlx.datasets._division import divide

    splits = divide(spec, official)
    assert splits.train.arrays is not None
    assert np.shares_memory(splits.train.arrays[0], official.train_inputs)
