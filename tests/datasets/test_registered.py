"""Registered sets: found in order, verified, and what is said when a file is damaged, foreign, or not there."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.datasets import Places, _decoded, registry
from dlx.errors import DataError


def test_searched_in_order(tiny: Any, tmp_path: Path) -> None:
    places = Places(tmp_path / "a", tmp_path / "b", tmp_path / "c", download=False)
    for _, folder in reversed(places.folders()):
        folder.mkdir()
        (folder / "tiny.npz").write_bytes(tiny.npz)
        assert tiny.spec().find(places) == folder / "tiny.npz"


def test_places_of_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DLX_DATA", str(tmp_path))
    places = Places.here("~/x")
    assert [label for label, _ in places.folders()] == ["--data-dir", "DLX_DATA", "cache"]
    assert places.environment == tmp_path
    assert places.data_dir == Path.home() / "x"
    assert tmp_path not in places.for_downloads()
    monkeypatch.delenv("DLX_DATA")
    assert [label for label, _ in Places.here().folders()] == ["cache"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[:-30], id="cut"),
        pytest.param(
            lambda content: content[: len(content) // 2] + b"\x55" + content[len(content) // 2 + 1 :], id="flip"
        ),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: b"<!DOCTYPE html>" + content, id="a web page"),
    ],
)
@pytest.mark.parametrize("gz", [True, False])
def test_a_damaged_file_is_named_with_what_to_do(
    damage: Callable[[bytes], bytes], gz: bool, tiny: Any, only: Callable[..., Places]
) -> None:
    places = only()
    folder = tiny.write_idx(places.data_dir / "tiny", gz=gz)
    path = folder / ("train-images-idx3-ubyte" + ".gz" * gz)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError) as caught:
        tiny.spec().load(places)
    assert str(folder) in str(caught.value)
    assert "dlx datasets tiny --download" in str(caught.value)


def test_other_content_under_the_right_name(tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    tiny.official.train_inputs[3, 2, 1, 0] ^= 1
    altered = tiny.npz
    tiny.official.train_inputs[3, 2, 1, 0] ^= 1
    (places.data_dir / "tiny.npz").write_bytes(altered)
    with pytest.raises(DataError, match=r"tiny\.npz is not Tiny: the digest"):
        tiny.spec().load(places)


def test_labels_out_of_range(tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    folder = tiny.write_idx(places.data_dir / "tiny")
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")
    with pytest.raises(DataError, match="labels from 0 to 7, not 0 to 2"):
        tiny.spec().load(places)


def test_another_set_of_the_same_names_is_passed_over(tiny: Any, tmp_path: Path) -> None:
    """Fashion-MNIST lying flat in a folder is no damaged MNIST when MNIST is elsewhere."""
    places = Places(tmp_path / "a", tmp_path / "b", download=False)
    (tmp_path / "b").mkdir()
    tiny.official.train_inputs[:] = 255 - tiny.official.train_inputs
    tiny.write_idx(tmp_path / "a")
    tiny.official.train_inputs[:] = 255 - tiny.official.train_inputs
    with pytest.raises(DataError, match=r"a is not Tiny"):
        tiny.spec().load(places)
    (tmp_path / "b" / "tiny.npz").write_bytes(tiny.npz)
    assert len(tiny.spec().load(places).train) == 6


def test_three_of_four_files_are_none(tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    folder = tiny.write_idx(places.data_dir / "tiny")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="tiny is not here"):
        tiny.spec().load(places)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    path = places.data_dir / "tiny.npz"
    path.write_bytes(tiny.npz)
    path.chmod(0)
    with pytest.raises(DataError, match=r"tiny\.npz cannot be read: Permission denied"):
        tiny.spec().load(places)


class TestDecoded:
    """Sets that are slow to decode are kept as arrays; the copy is used when whole and never trusted."""

    def kept(self, places: Places) -> list[Path]:
        assert places.cache is not None
        return sorted(places.cache.glob("decoded/*/*.npy"))

    def test_used_when_whole(self, tiny: Any, only: Callable[..., Places]) -> None:
        places = only()
        (places.data_dir / "tiny.npz").write_bytes(tiny.npz)
        tiny.spec(slow=True).load(places)
        assert len(self.kept(places)) == 4
        (places.data_dir / "tiny.npz").unlink()
        again = tiny.spec(slow=True, split="ordered").load(places)
        assert np.array_equal(again.train.arrays[0], tiny.official.train_inputs)
        assert again.train.read([5])[1].tolist() == [2]

    @pytest.mark.parametrize("damage", ["flip", "cut", "missing", "another type"])
    def test_discarded_when_not(self, damage: str, tiny: Any, only: Callable[..., Places]) -> None:
        places = only()
        (places.data_dir / "tiny.npz").write_bytes(tiny.npz)
        tiny.spec(slow=True).load(places)
        victim = next(path for path in self.kept(places) if path.stem == "train_inputs")
        content = victim.read_bytes()
        if damage == "missing":
            victim.unlink()
        elif damage == "another type":
            np.save(victim, np.arange(3.0))
        else:
            victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]) if damage == "flip" else content[:-1])
        assert np.array_equal(tiny.spec(slow=True).load(places).train.arrays[0], tiny.official.train_inputs)
        assert victim.read_bytes() == content

    def test_a_cache_that_cannot_be_written_is_no_error(self, tiny: Any, only: Callable[..., Places]) -> None:
        places = only()
        (places.data_dir / "tiny.npz").write_bytes(tiny.npz)
        assert places.cache is not None
        places.cache.write_text("a file where the folder should be")
        assert len(tiny.spec(slow=True).load(places).train) == 6
        assert len(tiny.spec(slow=True).load(only(cache=None)).train) == 6

    def test_the_first_of_two_writers_wins(self, tiny: Any, only: Callable[..., Places]) -> None:
        places = only()
        for _ in range(2):
            _decoded.save(places.cache, "tiny", "d" * 64, tiny.official)
        assert len(self.kept(places)) == 4
        assert list((places.cache / "decoded").glob(".*")) == []


@pytest.mark.data
def test_mnist_in_each_of_its_containers(tmp_path: Path) -> None:
    data = Path(os.environ["DLX_DATA"])
    mnist = registry.get("mnist")()
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for path in (data / "mnist").iterdir():  # torchvision keeps them so
        (tmp_path / "MNIST" / "raw" / path.name.removesuffix(".gz")).write_bytes(gzip.decompress(path.read_bytes()))
    official = mnist.official(Places(tmp_path, download=False))
    assert official.digest() == mnist.digest()
    # the published pixel sums
    assert int(official.train_inputs.sum(dtype=np.int64)) == 1567298545
    assert int(official.test_inputs.sum(dtype=np.int64)) == 264923200
