"""Folds: every example is held out once, each has its share of every class, and nothing but the repeat draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dlx.datasets import DatasetSpec, Fold, Places, registry
from dlx.datasets.digits import Spec as Digits
from dlx.errors import DataError, FieldError

PLACES = Places.here(None, download=False)


def folds(count: int, repeat: int = 0, stratified: bool = True) -> list[Fold]:
    return [Fold(repeat, stratified, fold, count) for fold in range(count)]


def made(kind: str, tmp_path: Path) -> DatasetSpec:
    """A hundred and three examples in three classes of very different sizes, 60, 36 and 7."""
    labels = np.array([0] * 60 + [1] * 36 + [2] * 7)
    order = np.random.default_rng(1).permutation(len(labels))
    inputs = np.random.default_rng(2).normal(5.0, 3.0, (len(labels), 4)).astype(np.float32)
    if kind == "npz":
        np.savez(tmp_path / "d.npz", x=inputs, y=labels[order])
        return registry.get("npz")(name="npz", path=str(tmp_path / "d.npz"), validation=0)
    rows = [
        "a,b,c,d,what",
        *(",".join([*map(str, x), f"class {y}"]) for x, y in zip(inputs, labels[order], strict=True)),
    ]
    (tmp_path / "d.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return registry.get("csv")(name="csv", path=str(tmp_path / "d.csv"), label="what", validation=0)


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("kind", ["csv", "npz", "digits"])
def test_every_example_is_held_out_once(kind: str, stratified: bool, tmp_path: Path) -> None:
    spec = Digits(name="digits", validation=0) if kind == "digits" else made(kind, tmp_path)
    whole = spec.divisible()
    held, sizes = [], []
    for fold in folds(5, stratified=stratified):
        folded = spec.in_fold(fold)
        splits = folded.load(PLACES)
        assert folded.sizes() == {"train": len(splits.train), "validation": 0, "test": len(splits.test)}
        assert not set(splits.train.ids) & set(splits.test.ids)
        assert len(splits.train) + len(splits.test) == whole.train
        if stratified:
            for part, counts in ((splits.train, folded.info().train_counts), (splits.test, folded.info().test_counts)):
                assert tuple(np.bincount(part.arrays[1], minlength=whole.outputs)) == counts
            shares = np.array(folded.info().test_counts) - np.array(whole.train_counts) / 5
            assert np.abs(shares).max() < 1
        held += list(splits.test.ids)
        sizes.append(len(splits.test))
    assert len(held) == whole.train
    assert len(set(held)) == whole.train
    assert max(sizes) - min(sizes) <= 1


def test_the_test_part_that_was_drawn_is_divided_too_and_an_official_one_is_not() -> None:
    digits = Digits(name="digits")
    assert digits.divisible().train == 1797
    mnist = registry.get("mnist")(name="mnist")
    assert mnist.divisible().train == 60_000
    assert mnist.in_fold(Fold(0, True, 0, 6)).info().test == 10_000
    assert mnist.in_fold(Fold(0, True, 0, 6)).sizes()["validation"] == 5_000


def test_folds_are_drawn_from_the_repeat_alone() -> None:
    """Whatever else the data set is told, and in whatever order folds are asked for."""
    one, other = Digits(name="digits"), Digits(name="digits", validation=0.3, train_limit=50, scaling="standardize")
    first = [one.in_fold(fold).load(PLACES).test.ids for fold in folds(3)]
    again = [other.in_fold(fold).load(PLACES).test.ids for fold in reversed(folds(3))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    next_repeat = one.in_fold(folds(3, repeat=1)[0]).load(PLACES).test.ids
    shared = len(np.intersect1d(first[0], next_repeat)) / len(next_repeat)
    assert 0.25 < shared < 0.42  # a third, by chance


def test_a_division_is_for_ever() -> None:
    """Pinned: results of years would no longer belong together if these changed."""
    ids = Digits(name="digits").in_fold(Fold(0, True, 0, 5)).load(PLACES).test.ids
    assert ids[:12].tolist() == [8, 9, 14, 28, 30, 40, 46, 47, 50, 64, 67, 72]
    drawn = Digits(name="digits").in_fold(Fold(3, True, test=0.2)).load(PLACES).test.ids
    assert drawn[:8].tolist() == [0, 6, 9, 12, 13, 15, 16, 17]


def test_images_of_a_fold_are_resized_too() -> None:
    folded = Digits(name="digits", resize=4).in_fold(Fold(0, True, 0, 3))
    assert folded.info().input_shape == (4, 4, 1)
    assert folded.load(PLACES).test.read([0])[0].shape == (1, 4, 4, 1)


def test_imbalance_thins_the_training_folds_only() -> None:
    folded = Digits(name="digits", validation=0, imbalance={"3": 0.1}).in_fold(Fold(0, True, 0, 3))
    splits = folded.load(PLACES)
    counts = np.bincount(splits.train.arrays[1])
    assert tuple(counts) == folded.info().train_counts
    assert counts[3] < 0.2 * counts[2]
    assert np.bincount(splits.test.arrays[1])[3] == 61
    assert not set(splits.train.ids) & set(splits.test.ids)


def test_draws_are_of_the_size_asked_for_and_differ() -> None:
    drawn = [Digits(name="digits").in_fold(Fold(repeat, True, test=0.25)).load(PLACES) for repeat in range(2)]
    assert [len(splits.test) for splits in drawn] == [449, 449]
    assert not np.array_equal(drawn[0].test.ids, drawn[1].test.ids)


def test_standardising_looks_at_the_training_folds_only(tmp_path: Path) -> None:
    """The scaling is that of scikit-learn's on the rows that are trained on, read from the file another way."""
    from sklearn.preprocessing import StandardScaler

    spec = made("csv", tmp_path).model_copy(update={"validation": 10})
    table = np.loadtxt(tmp_path / "d.csv", delimiter=",", skiprows=1, usecols=range(4))
    scalings = []
    for fold in folds(3):
        splits = spec.in_fold(fold).load(PLACES)
        scaler = StandardScaler().fit(table[splits.train.ids])
        np.testing.assert_allclose(splits.scaling.subtract, scaler.mean_, rtol=1e-5)
        np.testing.assert_allclose(splits.scaling.divide, scaler.scale_, rtol=1e-5)
        scalings.append(splits.scaling.subtract)
        assert len(splits.validation) == 10
    assert not np.allclose(scalings[0], scalings[1])


def test_too_few_examples_of_a_class_are_one_message(tmp_path: Path) -> None:
    spec = made("csv", tmp_path)
    with pytest.raises(FieldError) as caught:
        spec.in_fold(Fold(0, True, 0, 8)).info()
    assert caught.value.path == ("folds",)
    assert caught.value.message == (
        "class 'class 2' has 7 of the 103 examples, too few for each of 8 folds to have one "
        "(folds: 7 at most, or stratified: false)"
    )
    assert spec.in_fold(Fold(0, False, 0, 8)).info().test == 13
    with pytest.raises(FieldError, match="104 folds of 103 examples leave some of them empty"):
        spec.in_fold(Fold(0, False, 0, 104)).info()


def test_other_content_is_still_an_error(tmp_path: Path) -> None:
    spec = made("csv", tmp_path).in_fold(Fold(0, True, 0, 2))
    spec.info()
    (tmp_path / "d.csv").write_text("a,b,c,d,what\n1,2,3,4,x\n", encoding="utf-8")
    with pytest.raises((DataError, FieldError)):
        spec.load(PLACES)
