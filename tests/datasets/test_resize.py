"""``dataset.resize`` of sets that are arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from dlx.datasets import Places, registry
from dlx.errors import FieldError, SpecError
from dlx.images import fitted
from dlx.spec import load_text

RNG = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Colour images of 6 × 8 as bytes."""
    np.savez(tmp_path / "own.npz", x=RNG.integers(0, 256, (40, 6, 8, 3), dtype=np.uint8), y=np.arange(40) % 2)
    return tmp_path / "own.npz"


def test_bytes_stay_bytes_by_the_rule_of_photographs(pictures: Path) -> None:
    npz = registry.get("npz")
    before, after = (npz(path=str(pictures), **more).load(Places()) for more in ({}, {"resize": 12}))
    for part in ("train", "validation", "test"):
        small, large = getattr(before, part), getattr(after, part)
        assert np.array_equal(small.ids, large.ids)
        assert np.array_equal(small.targets, large.targets)
        inputs, _ = large.read([1])
        assert inputs.shape == (1, 12, 12, 3)
        assert inputs.dtype == np.uint8
        image = Image.fromarray(small.arrays[0][1])
        centre = image.resize((16, 12), Image.Resampling.BILINEAR).crop((2, 0, 14, 12))
        assert np.abs(inputs[0].astype(int) - np.asarray(centre)).max() <= 1
        assert np.array_equal(large.arrays[0][1], inputs[0])
        assert large.nbytes == large.arrays[0].nbytes + large.targets.nbytes
    assert after.info.input_shape == (12, 12, 3)
    assert after.scaling == before.scaling


def test_other_values_are_interpolated_without_rounding() -> None:
    digits = registry.get("digits")(resize=(16, 12))
    splits = digits.load(Places())
    inputs, _ = splits.train.read([0])
    assert inputs.dtype == np.float32
    assert inputs.shape == (1, 16, 12, 1)
    assert inputs.min() >= 0
    assert inputs.max() <= 16
    assert (inputs != inputs.round()).any()
    assert splits.scaling.divide == 16


@given(height=st.integers(1, 700), width=st.integers(1, 700), size=st.integers(1, 300))
@example(height=224, width=320, size=224)
def test_every_shape_has_a_centre(height: int, width: int, size: int) -> None:
    """Also where a product of the scale is rounded past the edge, which Pillow refuses."""
    assert fitted(Image.new("L", (width, height)), (size, size)).size == (size, size)


def test_streamed_and_resident_are_the_same(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = registry.get("npz")(path=str(pictures), resize=(9, 11))
    resident = spec.load(Places()).train
    assert resident.arrays is not None
    monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")
    streamed = spec.load(Places()).train
    assert streamed.arrays is None
    assert np.array_equal(streamed.read([4, 2])[0], resident.read([4, 2])[0])


def test_it_is_part_of_the_id_where_it_is_set() -> None:
    plain, small, same = (
        load_text(f"dataset: {{name: digits{more}}}\nmodel: mlp\n").trials[0].id
        for more in ("", ", resize: 12", ", resize: null")
    )
    assert plain == same != small
    swept = load_text("dataset: digits\nmodel: mlp\nsweep: {dataset.resize: [8, 16, [16, 12]]}\n").trials
    assert [trial.setting.dataset.info().input_shape for trial in swept] == [(8, 8, 1), (16, 16, 1), (16, 12, 1)]


@pytest.mark.parametrize("wrong", ["0", "-3", "[3]", "[1, 2, 3]", "true", "big", "5000", "2.5"])
def test_what_is_no_size(wrong: str) -> None:
    with pytest.raises(SpecError, match=r"dataset.resize: must be a number of pixels \(1 to 4096\) or \["):
        load_text(f"dataset: {{name: digits, resize: {wrong}}}\nmodel: mlp\n")


def test_only_images_have_a_size() -> None:
    with pytest.raises(FieldError, match="is for images") as caught:
        registry.get("points")(resize=8).info()
    assert caught.value.path == ("resize",)
