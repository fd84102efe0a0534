"""SVHN from made .mat files in the published layout: the real ones are 1.6 GB."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dlx.datasets import Places, svhn
from dlx.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (26, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([10, *range(1, 10), 10, 1, 2, 10, 10, 3, *range(1, 11)])
PARTS = {"train": slice(0, 12), "test": slice(12, 16), "extra": slice(16, 26)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder with three small files that are made the official ones."""
    (tmp_path / "data/svhn").mkdir(parents=True)
    counts = {}
    for name, part in PARTS.items():
        path = tmp_path / f"data/svhn/{name}_32x32.mat"
        savemat(path, {"X": IMAGES[part].transpose(1, 2, 3, 0), "y": LABELS[part, None]}, do_compression=True)
        remote = replace(getattr(svhn, name.upper()), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        monkeypatch.setattr(svhn, name.upper(), remote)
        counts[name] = tuple(np.bincount(LABELS[part] % 10, minlength=10).tolist())
    about = replace(
        svhn.Spec.about, train=12, test=4, train_counts=counts["train"], test_counts=counts["test"]
    )  # fmt: skip
    monkeypatch.setattr(svhn.Spec, "about", about)
    monkeypatch.setattr(svhn, "_EXTRA_COUNTS", counts["extra"])
    yield tmp_path / "data"


def test_published_counts_add_up() -> None:
    about = svhn.Spec.about
    assert (sum(about.train_counts), sum(about.test_counts)) == (about.train, about.test) == (73_257, 26_032)
    assert svhn.Spec(extra=True).whole().train == 73_257 + 531_131
    assert svhn.Spec(extra=True).digest() != svhn.Spec().digest()


def test_images_and_labels_are_those_of_the_files(folder: Path, only: Callable[..., Places]) -> None:
    spec = svhn.Spec(validation=0)
    assert spec.find(only()) == folder / "svhn"
    splits = spec.load(only())
    for source, part in ((splits.train, PARTS["train"]), (splits.test, PARTS["test"])):
        assert source is not None
        assert source.arrays is not None
        np.testing.assert_array_equal(source.arrays[0], IMAGES[part])
        np.testing.assert_array_equal(source.targets, LABELS[part] % 10)  # the digit 0 is 10 in the files


def test_extra_images_stand_behind(folder: Path, only: Callable[..., Places]) -> None:
    spec = svhn.Spec(extra=True, validation=0)
    splits = spec.load(only())
    assert splits.train.arrays is not None
    np.testing.assert_array_equal(splits.train.arrays[0], np.concatenate([IMAGES[:12], IMAGES[16:]]))
    (folder / "svhn/extra_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"svhn/extra_32x32\.mat is not here: looked in --data-dir"):
        spec.load(only())


def test_other_files_of_these_names_are_refused(folder: Path, only: Callable[..., Places]) -> None:
    path = folder / "svhn/test_32x32.mat"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"test_32x32\.mat is not the official file: its SHA-256 is"):
        svhn.Spec(validation=0).load(only())
