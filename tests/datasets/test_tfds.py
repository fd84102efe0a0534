"""Sets of TensorFlow Datasets: against a stand-in for the library, and against the library where it is installed."""

from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlx.datasets import Places, tfds
from dlx.errors import FieldError

HERE = importlib.util.find_spec("tensorflow_datasets") is not None


def png(value: int, size: tuple[int, int] = (6, 9)) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class StandIn:
    """As much of the library as is used: a prepared set with encoded images, and one that is not prepared."""

    class features:  # noqa: N801
        class Image:
            def __init__(self, shape: tuple[Any, ...]) -> None:
                self.shape = shape

        class ClassLabel:
            names = ("cat", "dog")

        class Text: ...

    class core:  # noqa: N801
        class DatasetNotFoundError(Exception): ...

    decode = SimpleNamespace(SkipDecoding=lambda: "as it is")

    def __init__(self, parts: dict[str, int], *, format: str = "array_record", label: type | None = None) -> None:
        self.read = 0
        features = {"image": self.features.Image((None, None, 3)), "label": (label or self.features.ClassLabel)()}
        self.info = SimpleNamespace(
            full_name="pets/1.0.0",
            file_format=SimpleNamespace(value=format),
            features=features,
            supervised_keys=("image", "label"),
            splits={name: SimpleNamespace(num_examples=count) for name, count in parts.items()},
        )

    def list_builders(self, **_: Any) -> list[str]:
        return ["pets", "mnist"]

    def builder(self, name: str, data_dir: str | None = None) -> Any:
        if name == "absent":
            return SimpleNamespace(name=name, info=SimpleNamespace(splits={}))
        if name != "pets":
            raise self.core.DatasetNotFoundError(name)
        return SimpleNamespace(name=name, info=self.info, data_dir="/there/pets")

    def builder_from_directory(self, folder: str) -> Any:
        assert folder == "/there/pets"
        return SimpleNamespace(as_data_source=self.source)

    def source(self, part: str, decoders: dict[str, Any]) -> Any:
        assert decoders == {"image": "as it is"}
        outer, first = self, 100 if part == "train" else 10

        class Records:
            def __getitem__(self, at: int) -> dict[str, Any]:
                outer.read += 1
                return {"image": png(first + at), "label": np.int64(at % 2)}

        return Records()


@pytest.fixture(autouse=True)
def afresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    for kept in (tfds._known, tfds._classes):
        kept.cache_clear()
    yield
    for kept in (tfds._known, tfds._classes):
        kept.cache_clear()


def library(monkeypatch: pytest.MonkeyPatch, **made: Any) -> StandIn:
    found = StandIn(**{"parts": {"train": 20, "validation": 4}, **made})
    monkeypatch.setattr(tfds, "_library", lambda: found)
    return found


def test_parts_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    found = library(monkeypatch)
    spec = tfds.Spec(dataset="pets", resize=(3, 4))
    assert spec.info().input_shape == (3, 4, 3)
    assert spec.info().class_names == ("cat", "dog")
    assert spec.sizes() == {"train": 20, "validation": 4, "test": 0}
    assert found.read == 24  # each class once
    tfds._classes.cache_clear()
    assert spec.whole().train_counts == (10, 10)
    assert found.read == 24  # kept in the cache folder
    splits = spec.load(Places())
    inputs, targets = splits.train.read([0, 5])
    assert inputs[:, 0, 0, 0].tolist() == [100, 105]
    assert targets.tolist() == [0, 1]
    assert splits.validation is not None
    assert splits.validation.read([1])[0].max() == 11


def test_its_own_validation_part_is_for_testing_where_another_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    library(monkeypatch)
    spec = tfds.Spec(dataset="pets", resize=3, validation=4, classes=("dog", "cat"))
    assert spec.sizes() == {"train": 16, "validation": 4, "test": 4}
    splits = spec.load(Places())
    assert splits.test is not None
    inputs, targets = splits.test.read(np.arange(4))
    assert targets.tolist() == [1, 0, 1, 0]  # numbered anew
    assert inputs[:, 0, 0, 0].tolist() == [10, 11, 12, 13]
    assert len(splits.train) == 16


@pytest.mark.parametrize(
    ("settings", "made", "message"),
    [
        ({"dataset": "pest"}, {}, r"TensorFlow Datasets has no 'pest' \(did you mean 'pets'\?\)"),
        ({"dataset": "zzz"}, {}, r"has no 'zzz' \(they are listed on"),
        ({"dataset": "absent"}, {}, "absent is not prepared here: tfds build absent --file_format=array_record"),
        ({"dataset": "pets", "resize": 3}, {"format": "tfrecord"}, "only read from front to end: tfds build pets"),
        ({"dataset": "pets"}, {}, "the images of pets/1.0.0 differ in size: resize: N brings them to one"),
        ({"dataset": "pets", "resize": 3}, {"label": StandIn.features.Text}, "is no set of images with one class each"),
        ({"dataset": "pets", "resize": 3}, {"parts": {"test": 3}}, "pets/1.0.0 has no part train: test"),
    ],
)
def test_what_cannot_be_trained_on(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], made: dict[str, Any], message: str
) -> None:
    library(monkeypatch, **made)
    with pytest.raises(FieldError, match=message):
        tfds.Spec(**settings).sizes()


@pytest.mark.skipif(HERE, reason="the extra is installed")
def test_without_the_extra_it_says_so() -> None:
    with pytest.raises(FieldError, match=r"pip install 'dlx\[tfds\]'"):
        tfds.Spec(dataset="mnist").info()


BUILDER = """
import numpy as np
import tensorflow_datasets as tfds


class Shapes(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        image, label = tfds.features.Image(shape=(None, None, 3)), tfds.features.ClassLabel(names=["dark", "light"])
        features = tfds.features.FeaturesDict({"image": image, "label": label})
        return self.dataset_info_from_configs(features=features, supervised_keys=("image", "label"))

    def _split_generators(self, manager):
        return {"train": self._generate_examples(20)}

    def _generate_examples(self, count):
        for at in range(count):
            yield at, {"image": np.full((5, 7, 3), 200 * (at % 2), np.uint8), "label": at % 2}
"""


@pytest.mark.slow
@pytest.mark.skipif(not HERE, reason="needs the extra `tfds`")
def test_a_set_that_the_library_has_prepared_is_read_without_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes/__init__.py").touch()
    (tmp_path / "shapes/shapes.py").write_text(BUILDER)
    make = (
        f"from shapes.shapes import Shapes; Shapes(data_dir={str(tmp_path / 'data')!r}, file_format='array_record')"
        ".download_and_prepare()"
    )
    read = (
        "import sys; from dlx.datasets import Places, tfds\n"
        "spec = tfds.Spec(dataset='shapes', resize=4, validation=0)\n"
        "splits = spec.load(Places.here())\n"
        "inputs, targets = splits.train.read(range(20))\n"
        "assert (inputs.reshape(20, -1) == 200 * targets[:, None]).all() and targets.sum() == 10\n"
        "assert not {'tensorflow', 'jax'} & set(sys.modules)\n"
    )

    for code in (make, read):
        env = {
            **os.environ,
            "DLX_DATA": str(tmp_path / "data"),
            "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)]),
        }
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
