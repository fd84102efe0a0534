"""The two photographs: patches lie where they should, in colour and grey, and other files are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dlx.datasets import Places, photographs, registry
from dlx.errors import DataError

NOWHERE = Places(download=False)
Photographs = registry.get("photographs")


def whole(name: str, mode: str) -> np.ndarray:
    with Image.open(photographs._folder() / f"{name}.jpg") as image:
        return np.asarray(image.convert(mode))


@pytest.mark.parametrize(("size", "colour"), [(32, True), (100, False), (427, True)])
def test_patches_lie_side_by_side(size: int, colour: bool) -> None:
    spec = Photographs(size=size, colour=colour)
    official, info = spec.official(NOWHERE), spec.whole()
    assert official.train_inputs.shape == (info.train, *info.input_shape)
    rows, columns = 427 // size, 640 // size
    assert info.train_counts == (rows * columns,) * 2
    for label, name in enumerate(("china", "flower")):
        image = whole(name, "RGB" if colour else "L").reshape(427, 640, -1)
        own = official.train_inputs[official.train_targets == label]
        for row, column in ((0, 0), (rows - 1, columns - 1)):
            expected = image[row * size : (row + 1) * size, column * size : (column + 1) * size]
            assert np.array_equal(own[row * columns + column], expected)


def test_what_is_cut_is_in_the_digest() -> None:
    digests = {Photographs(size=size, colour=colour).digest() for size in (16, 32) for colour in (True, False)}
    assert len(digests) == 4


def test_another_picture_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr(photographs, "_folder", lambda: tmp_path)
    with pytest.raises(DataError, match=r"china\.jpg is not there \(reinstall scikit-learn\)"):
        Photographs().official(NOWHERE)
    Image.new("RGB", (640, 427)).save(tmp_path / "china.jpg")
    with pytest.raises(DataError, match="is not the photograph that scikit-learn comes with"):
        Photographs().official(NOWHERE)
