"""Some of the classes, superclasses, a test part of one's own: what is taken, and that the facts say it beforehand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.datasets import Places, registry
from dlx.datasets.cifar100 import _SUPERCLASSES
from dlx.errors import FieldError, SpecError
from dlx.sources import Official, Splits
from dlx.spec import load_text

NOWHERE = Places(download=False)
Digits = registry.get("digits")


def whole_digits() -> tuple[np.ndarray, np.ndarray]:
    """The embedded file by another route: NumPy's text reader."""
    table = np.loadtxt(Path(__file__).parents[2] / "dlx/datasets/digits.csv.gz", delimiter=",")
    return table[:, :64].astype(np.uint8).reshape(-1, 8, 8, 1), table[:, 64].astype(int)


def part(splits: Splits, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source = getattr(splits, name)
    return *source.arrays, source.ids


@pytest.mark.parametrize(
    ("wanted", "names"), [([3, 8], ("3", "8")), (["8", 3], ("8", "3")), ([0, 1, 9], ("0", "1", "9"))]
)
def test_some_classes(wanted: list[Any], names: tuple[str, ...]) -> None:
    spec = Digits(classes=wanted, validation=0)
    splits, everything = spec.load(NOWHERE), Digits(validation=0).load(NOWHERE)
    info = spec.info()
    assert (info.class_names, info.outputs) == (names, len(names))
    for name in ("train", "test"):
        inputs, targets, ids = part(splits, name)
        all_inputs, all_targets, _ = part(everything, name)
        numbers = [int(each) for each in names]
        expected = np.flatnonzero(np.isin(all_targets, numbers))
        assert np.array_equal(ids, expected)  # the ids are those of the whole set
        assert np.array_equal(inputs, all_inputs[expected])
        assert np.array_equal(np.array(numbers)[targets], all_targets[expected])
        assert targets.dtype == np.int32
        assert len(ids) == spec.sizes()[name]
        assert tuple(np.bincount(targets)) == getattr(info, f"{name}_counts")


@pytest.mark.parametrize("split", ["stratified", "shuffled", "ordered"])
@pytest.mark.parametrize("test", [0.3, 100, 0])
def test_a_test_part_drawn_anew(split: str, test: float) -> None:
    spec = Digits(test=test, split=split, validation=50)
    splits = spec.load(NOWHERE)
    inputs, labels = whole_digits()
    sizes = {"train": len(splits.train), "validation": 50, "test": len(splits.test) if splits.test else 0}
    assert sizes == spec.sizes()
    assert sum(sizes.values()) == len(labels)
    assert sizes["test"] == (round(0.3 * len(labels)) if test == 0.3 else test)
    parts = [name for name in sizes if sizes[name]]
    found = np.concatenate([part(splits, name)[2] for name in parts])
    assert np.array_equal(np.sort(found), np.arange(len(labels)))  # the ids number the examples of the file
    for name in parts:
        got, targets, ids = part(splits, name)
        assert np.array_equal(got, inputs[ids])
        assert np.array_equal(targets, labels[ids])
    if split == "ordered" and test:
        assert part(splits, "test")[2][-1] == len(labels) - 1
    if split == "stratified" and test:
        counts = np.bincount(part(splits, "test")[1], minlength=10)
        assert np.abs(counts - np.bincount(labels) * sizes["test"] / len(labels)).max() < 1


def test_the_usual_test_part_is_one_of_those_that_can_be_drawn() -> None:
    usual = part(Digits(validation=0).load(NOWHERE), "test")
    drawn = part(Digits(validation=0, test=360).load(NOWHERE), "test")
    assert np.array_equal(usual[0], drawn[0])
    assert np.array_equal(usual[1], drawn[1])


def test_classes_and_a_test_part_together() -> None:
    spec = Digits(classes=[4, 9], test=0.5, validation=0.1)
    splits = spec.load(NOWHERE)
    inputs, labels = whole_digits()
    assert len(splits.test) == round(0.5 * np.isin(labels, [4, 9]).sum()) == spec.info().test
    # ids count the examples of the whole file
    assert np.array_equal(np.array([4, 9])[part(splits, "test")[1]], labels[part(splits, "test")[2]])
    assert np.array_equal(part(splits, "train")[0], inputs[part(splits, "train")[2]])


@pytest.mark.data
def test_semeion_drawn_anew(real: Places) -> None:
    spec = registry.get("semeion")
    usual, drawn = spec(validation=0).load(real), spec(validation=0, test=319).load(real)
    assert np.array_equal(part(usual, "test")[0], part(drawn, "test")[0])
    assert len(spec(test=0.5).load(real).test) == round(1593 / 2) == spec(test=0.5).info().test


def test_superclasses() -> None:
    spec = registry.get("cifar100")(labels="coarse")
    fine = registry.get("cifar100")().info()
    info = spec.info()
    assert (info.outputs, info.train_counts, info.test_counts) == (20, (2500,) * 20, (500,) * 20)
    assert list(info.class_names) == sorted(info.class_names)
    labels = np.arange(100, dtype=np.int32)
    inputs = np.zeros((100, 1), np.uint8)
    coarse = spec.relabelled(Official(inputs, labels, inputs, labels[::-1]))
    for name, number in [("maple_tree", "trees"), ("shark", "fish"), ("bus", "vehicles_1"), ("baby", "people")]:
        assert info.class_names[coarse.train_targets[fine.class_names.index(name)]] == number
    assert (np.bincount(coarse.train_targets) == 5).all()
    assert coarse.train_targets.tolist() == _SUPERCLASSES == coarse.test_targets[::-1].tolist()
    assert coarse.train_targets.dtype == np.int32


@pytest.mark.parametrize(
    ("settings", "path", "message"),
    [
        ({"classes": [3, 12]}, ("classes", 1), r"there is no class 12 \(did you mean '2' or '1'"),
        ({"classes": [3, "3"]}, ("classes", 1), "the class '3' is there twice"),
        ({"classes": ["cat", "dgo"], "name": "cifar10"}, ("classes", 1), "did you mean 'dog'"),
        ({"test": 100, "name": "mnist"}, ("test",), "there is a test set of 10,000 examples"),
        ({"test": 1797}, ("test",), "1797 of 1797 examples held out leave none to train on"),
        ({"test": 0.0001}, ("test",), "0.0001 of 1797 examples is less than one"),
        ({"test": 5}, ("test",), "class '0' has 178 of the 1797 examples, too few to be in both parts when 5"),
    ],
)
def test_what_cannot_be_taken(settings: dict[str, Any], path: tuple[Any, ...], message: str) -> None:
    name = settings.pop("name", "digits")
    with pytest.raises(FieldError, match=message) as caught:
        registry.get(name)(**settings).sizes()
    assert caught.value.path == path


def test_mistakes_stand_where_they_are_in_the_spec() -> None:
    text = "model: mlp\ndataset:\n  name: digits\n  classes: [3]\n  test: 1.5\n"
    with pytest.raises(SpecError) as caught:
        load_text(text)
    lines = [str(problem) for problem in caught.value.problems]
    assert any(re.match(r"<spec>:4:\d+: dataset.classes: ", line) for line in lines), lines
    assert any(re.match(r"<spec>:5:\d+: dataset.test: ", line) for line in lines), lines
    with pytest.raises(SpecError, match=r"<spec>:1:51: dataset.classes\[1\]: there is no class 'x'"):
        load_text("{model: mlp, dataset: {name: digits, classes: [1, x]}}")


def test_defaults_leave_every_id_alone_and_settings_do_not() -> None:
    def trial(dataset: str) -> str:
        return load_text(f"{{model: mlp, dataset: {dataset}}}").trials[0].id

    usual = trial("digits")
    assert trial("{name: digits, test: null, classes: null}") == usual
    others = {trial(f"{{name: digits, {each}}}") for each in ("test: 0.2", "classes: [3, 8]", "classes: [8, 3]")}
    assert len({usual, *others}) == 4
    assert trial("cifar100") == trial("{name: cifar100, labels: fine}") != trial("{name: cifar100, labels: coarse}")
