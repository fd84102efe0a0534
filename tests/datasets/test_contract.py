"""What every data set owes: one suite, all members."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlx.datasets import DatasetSpec, InMemory, Places, registry
from dlx.errors import DataError
from dlx.sources import Scaling, Source, Splits

XOR = {"inputs": [[0, 0], [0, 1], [1, 0], [1, 1]], "labels": [0, 1, 1, 0], "test_inputs": [[1, 0]], "test_labels": [1]}
SETTINGS: dict[str, dict[str, Any]] = {"arrays": XOR, "tfds": {"dataset": "mnist"}}
"""Of members that cannot do without; those that are files are added by the fixture ``files``."""
OWN = {"csv", "npz", "image_folder"}
EMBEDDED = {"arrays", "digits", "photographs", "points", "function", *OWN}
REAL_VALUED = {"arrays", "csv", "points", "function"}
DRAWN = {"photographs", "points", "function"}
DRAWN_FROM_IT = {"csv", "npz", "image_folder", *DRAWN}  # their test part is, unless test: 0 says otherwise
NOT_AT_HAND = {"cifar100", "svhn"}  # no copies to test with; their readers have tests of their own
ELSEWHERE = {"tfds"}  # needs an extra; see test_tfds.py
NAMES = [name for name in registry.names() if name not in ELSEWHERE]
MEMBERS = [
    pytest.param(name, marks=[] if name in EMBEDDED else [pytest.mark.data])
    for name in NAMES
    if name not in NOT_AT_HAND
]


@pytest.fixture(scope="session", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file for each of the sets that are files of one's own."""
    folder = tmp_path_factory.mktemp("own")
    rows = [f"{n % 17},{'red' if n % 3 else 'blue'},{n * 0.5},{'ab'[n % 5 < 2]}" for n in range(250)]
    (folder / "own.csv").write_text("\n".join(["size,colour,weight,kind", *rows]))
    rng = np.random.default_rng(0)
    np.savez(folder / "own.npz", x=rng.integers(0, 256, (250, 5, 5), dtype=np.uint8), y=np.arange(250) % 3)
    SETTINGS["csv"] = {"path": str(folder / "own.csv"), "label": "kind", "scaling": "unit"}
    SETTINGS["npz"] = {"path": str(folder / "own.npz")}
    for n in range(250):
        image = folder / "images" / "abc"[n % 3] / f"{n:03}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(image)
    SETTINGS["image_folder"] = {"path": str(folder / "images"), "resize": 8}


def spec_of(name: str, **changed: Any) -> DatasetSpec:
    return registry.get(name)(**SETTINGS.get(name, {}) | changed)


def parts(splits: Splits) -> dict[str, Source]:
    named = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {name: part for name, part in named.items() if part is not None}


@pytest.mark.parametrize("name", NAMES)
def test_tells_its_facts_without_data(name: str) -> None:
    spec = spec_of(name)
    info = spec.info()
    assert info.task in ("classification", "regression")
    if info.task == "classification":
        assert len(info.class_names) == info.outputs == len(info.train_counts)
        assert sum(info.train_counts) == info.train
        assert sum(info.test_counts) == info.test
    else:
        assert info.class_names == info.train_counts == info.test_counts == ()
    assert len(spec.digest()) == 64
    assert int(spec.digest(), 16)
    assert spec.name == name
    assert spec.summary
    assert spec.source
    assert spec.facts.title
    assert spec.facts.unit
    assert spec.facts.licence
    assert (spec.download_bytes() > 0) == bool(spec.wanted())
    assert set(spec.path_fields) <= set(type(spec).model_fields)
    for field_name, field in type(spec).model_fields.items():
        assert field_name == "name" or field.description


def test_facts_need_neither_numpy_nor_data() -> None:
    code = (
        "import sys; from dlx.datasets import registry, Places\n"
        "for name in registry.names():\n"
        "    spec = registry.get(name)\n"
        "    spec.find(Places.here())\n"
        "    if name not in ('arrays', 'csv', 'npz', 'image_folder', 'tfds'):\n"
        "        spec().sizes(), spec().info(), spec().digest()\n"
        "heavy = {'numpy', 'keras', 'tensorflow', 'pandas', 'scipy', 'sklearn', 'jax'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    top = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=top, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MEMBERS)
def test_loads_what_it_promises(name: str, real: Places) -> None:
    spec = spec_of(name)
    splits = spec.load(real)
    info = spec.info()
    assert {part: len(source) for part, source in parts(splits).items()} == {
        part: size for part, size in spec.sizes().items() if size
    }
    for source in parts(splits).values():
        inputs, targets = source.read(np.array([0, len(source) - 1]))
        assert inputs.shape == (2, *info.input_shape)
        assert inputs.dtype == (np.float32 if name in REAL_VALUED else np.uint8)
        if info.task == "classification":
            assert targets.dtype == np.int32
            assert targets.shape == (2,)
            assert targets.min() >= 0
            assert targets.max() < info.outputs
        else:
            assert targets.dtype == np.float32
            assert targets.shape == (2, info.outputs)
        assert source.arrays is not None
        whole, all_targets = source.arrays
        assert np.array_equal(whole[[0, -1]], inputs)
        assert np.array_equal(all_targets[[0, -1]], targets)
        assert source.nbytes == whole.nbytes + all_targets.nbytes
        assert len(source.ids) == len(source)
        assert whole.min() >= (-info.largest if name in REAL_VALUED else 0)
        assert whole.max() <= info.largest
    train, largest = parts(splits)["train"].arrays[0], info.largest
    assert splits.info == info
    assert splits.scaling.divide == np.float32(largest if spec.scaling == "unit" else 1)
    assert splits.scaling.apply(train[:2]).dtype == np.float32


@pytest.mark.parametrize("name", MEMBERS)
def test_facts_are_those_of_the_data(name: str, real: Places) -> None:
    spec = spec_of(name)
    if not isinstance(spec, InMemory):
        pytest.skip("its images are made as they are read")
    official, whole = spec.official(real), spec.whole()
    if whole.task == "classification":
        assert tuple(np.bincount(official.train_targets, minlength=whole.outputs)) == whole.train_counts
        if official.test_targets is not None:
            assert tuple(np.bincount(official.test_targets, minlength=whole.outputs)) == whole.test_counts
    if name not in ("points", "function"):  # which are drawn: no more than that much is possible
        assert np.asarray(official.train_inputs).max() == whole.largest
    if name not in {"arrays", *DRAWN_FROM_IT}:
        assert official.digest() == spec.digest()


@pytest.mark.parametrize("how", ["stratified", "shuffled", "ordered"])
@pytest.mark.parametrize("name", MEMBERS)
def test_split_parts_the_training_set(name: str, how: str, real: Places) -> None:
    held = 2 if name == "arrays" else 0.2
    if name == "function" and how == "stratified":
        pytest.skip("a regression")
    no_test = {"test": 0} if name in DRAWN_FROM_IT else {}
    splits = spec_of(name, split=how, validation=held, **no_test).load(real)
    whole = spec_of(name, split=how, validation=0, **no_test).load(real)
    assert whole.validation is None
    assert splits.validation is not None
    ids = np.concatenate([splits.train.ids, splits.validation.ids])
    assert np.array_equal(np.sort(ids), np.arange(len(whole.train)))
    for part in (splits.train, splits.validation):  # the ids are those of the examples
        picked = np.linspace(0, len(part) - 1, 50).astype(int)
        for got, expected in zip(part.read(picked), whole.train.read(part.ids[picked]), strict=True):
            assert np.array_equal(got, expected)
    if how == "ordered":
        assert np.array_equal(ids, np.arange(len(whole.train)))
    elif name != "arrays":
        assert not np.array_equal(ids, np.arange(len(whole.train)))
    if how == "stratified":
        counts = np.array(whole.info.train_counts)
        got = np.bincount(splits.validation.read(np.arange(len(splits.validation)))[1], minlength=len(counts))
        assert np.abs(got - counts * len(splits.validation) / counts.sum()).max() < 1
        assert (np.diff(splits.train.ids) > 0).all()


@pytest.mark.parametrize("name", MEMBERS)
def test_train_limit_counts_after_the_split(name: str, real: Places) -> None:
    held = 2 if name == "arrays" else 100
    how = "shuffled" if name == "function" else "stratified"
    whole = spec_of(name, split=how, validation=held).load(real)
    limited = spec_of(name, split=how, validation=held, train_limit=2).load(real)
    assert np.array_equal(limited.train.ids, whole.train.ids[:2])
    assert limited.validation is not None
    assert whole.validation is not None
    assert np.array_equal(limited.validation.ids, whole.validation.ids)


@pytest.mark.parametrize("name", MEMBERS)
def test_standardize_is_of_the_training_part(name: str, real: Places) -> None:
    limit = 3 if name == "arrays" else 100 if name in EMBEDDED else 500
    splits = spec_of(name, scaling="standardize", train_limit=limit).load(real)
    assert splits.train.arrays is not None
    inputs = splits.train.arrays[0].astype(np.float64)
    axes = (0, 1, 2) if inputs.ndim == 4 else (0,)
    mean, std = inputs.mean(axis=axes), inputs.std(axis=axes)
    mean[list(splits.info.indicators)], std[list(splits.info.indicators)] = 0, 1  # categories stay 0 and 1
    np.testing.assert_allclose(splits.scaling.subtract.ravel(), mean, rtol=1e-6)
    np.testing.assert_allclose(splits.scaling.divide.ravel(), np.where(std > 0, std, 1), rtol=1e-6)
    scaled = splits.scaling.apply(splits.train.arrays[0])
    scaled[..., list(splits.info.indicators)] = 0
    np.testing.assert_allclose(scaled.mean(axis=axes), 0, atol=1e-4)


@pytest.mark.parametrize("name", MEMBERS)
def test_scaling_by_a_number_and_not_at_all(name: str, real: Places) -> None:
    by_number: Scaling = spec_of(name, scaling={"divide": 256}).load(real).scaling
    not_at_all: Scaling = spec_of(name, scaling="none").load(real).scaling
    values = np.array([[0, 255]], np.uint8)
    assert by_number.apply(values).tolist() == [[0.0, 0.99609375]]
    assert not_at_all.apply(values).tolist() == [[0.0, 255.0]]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in EMBEDDED])
def test_absent_names_the_places_and_what_to_do(name: str, tmp_path: Path) -> None:
    nowhere = Places(data_dir=tmp_path / "a", environment=tmp_path / "b", cache=tmp_path / "c", download=False)
    with pytest.raises(DataError) as caught:
        spec_of(name).load(nowhere)
    text = str(caught.value)
    assert all(str(tmp_path / folder) in text for folder in "abc")
    assert f"dlx datasets {name} --download" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", registry.names())
def test_specs_are_values(name: str) -> None:
    spec = spec_of(name)
    assert spec == spec_of(name)
    assert type(spec).model_validate(spec.model_dump()) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec  # executors send them to workers
