"""What is cut out of whole pictures as they are read: the same for every engine, by seed, epoch and example."""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlx import images
from dlx.augmentations import registry
from dlx.cli.main import main
from dlx.errors import SpecError
from dlx.sources import ArraySource
from dlx.sources.images import ImageFiles, Resized
from dlx.spec import load_text
from dlx.training.feed import Stream

HEIGHT, WIDTH = 240, 400


def crop(**settings: Any) -> Any:
    return registry.get("resized_crop")(name="resized_crop", of="picture", **settings)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of six pictures each, that say at every pixel where it is: its column in red, its row in green."""
    folder = tmp_path_factory.mktemp("pictures")
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    for kind in range(2):
        (folder / f"kind{kind}").mkdir()
        for number in range(6):
            blue = np.full((HEIGHT, WIDTH), 40 * number + 10 * kind)
            pixels = np.stack([across * 255 / (WIDTH - 1), down * 255 / (HEIGHT - 1), blue], axis=-1)
            Image.fromarray(pixels.round().astype(np.uint8)).save(folder / f"kind{kind}" / f"{number}.png")
    return folder


def test_a_part_has_the_area_and_the_shape_that_the_papers_say() -> None:
    draws = np.random.default_rng(0).random((4000, 4))
    boxes = np.array([crop().box(draw, (300, 400), (224, 224)) for draw in draws])
    left, top, right, bottom = boxes.T
    assert (left >= 0).all() and (top >= 0).all() and (right <= 400).all() and (bottom <= 300).all()
    wide, high = right - left, bottom - top
    shares, ratios = wide * high / (300 * 400), wide / high
    cut = (wide > 400 - 1e-6) | (high > 300 - 1e-6)
    assert (shares <= 1 + 1e-9).all() and (shares[~cut] >= 0.08).all()
    assert (np.abs(np.log(ratios[~cut])) <= np.log(4 / 3) + 1e-9).all()
    # Uniform: parts that are not cut to the picture are no sample of all of them above a half.
    small = draws[:, 0] < 0.4
    assert not cut[small].any()
    np.testing.assert_allclose(shares[small], 0.08 + draws[small, 0] * 0.92, rtol=1e-9)
    assert left.min() < 20 and right.max() > 380  # the sides, which the centre of a picture has not


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("turned", [False, True], ids=["upright", "on its side"])
def test_what_is_decoded_is_that_part_of_the_picture(pictures: Path, tmp_path: Path, suffix: str, turned: bool) -> None:
    path, size = tmp_path / f"one.{suffix}", (32, 48)
    with Image.open(pictures / "kind0" / "3.png") as picture:
        exif = Image.Exif()
        if turned:
            exif[0x0112] = 6  # to be turned by a quarter to be upright
        (picture.transpose(Image.Transpose.ROTATE_90) if turned else picture).save(path, exif=exif, quality=95)
        for draws in np.random.default_rng(1).random((6, 4)):
            box = crop().box(draws, (HEIGHT, WIDTH), size)
            expected = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR, box=box), dtype=float)
            found = images.decoded(path, size, 3, partial(crop().box, draws)).astype(float)
            assert found.shape == (*size, 3)
            # A JPEG is not what it was made of, and is read at half its size where that is enough.
            assert np.abs(found - expected).max() <= (0 if suffix == "png" else 12)
            assert np.abs(found - expected).mean() <= (0 if suffix == "png" else 2)


def test_an_array_that_is_resized_is_cut_as_well(pictures: Path) -> None:
    with Image.open(pictures / "kind1" / "2.png") as picture:
        whole = np.asarray(picture)
        source = Resized(ArraySource(whole[None], np.zeros(1, np.int32)), (20, 20), whole=True)
        draws = np.random.default_rng(2).random((1, 4))
        found, _ = source.view([0], crop().box, draws)
        box = crop().box(draws[0], (HEIGHT, WIDTH), (20, 20))
        expected = np.asarray(picture.resize((20, 20), Image.Resampling.BILINEAR, box=box))
    np.testing.assert_array_equal(found[0], expected)


def test_some_of_the_images_may_be_numbered_anew() -> None:
    inputs = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4, 1)
    source = Resized(ArraySource(inputs, np.arange(3, dtype=np.int32)), (2, 2), whole=True)
    rows, labels = np.array([2, 0]), np.array([7, 8], np.int32)
    for taken, expected in ((source.take(rows), [2, 0]), (source.take(rows, labels), [7, 8])):
        images, targets = taken.read([0, 1])
        np.testing.assert_array_equal(targets, expected)
        np.testing.assert_array_equal(taken.targets, expected)
        np.testing.assert_array_equal(images, source.read(rows)[0])
        np.testing.assert_array_equal(taken.ids, rows)


def test_what_is_seen_goes_by_the_example_and_not_by_its_place_in_the_order(pictures: Path) -> None:
    paths = sorted(str(path.relative_to(pictures)) for path in pictures.rglob("*.png"))
    source = ImageFiles(pictures, paths, (16, 16), 3, np.arange(12, dtype=np.int32))
    draws = np.random.default_rng(3).random((12, 4), dtype=np.float32)
    seen = []
    for order in (np.arange(12), np.arange(12)[::-1]):
        stream = Stream(source, 5, crop().box)
        stream.begin_epoch(order.astype(np.int32), draws)
        windows = [window for _, _, _, window in stream.windows(0, 3)]
        inputs = np.concatenate([window[0] for window in windows])[:12]
        targets = np.concatenate([window[1] for window in windows])[:12]
        np.testing.assert_array_equal(targets, order)
        seen.append(inputs[np.argsort(order)])
    np.testing.assert_array_equal(seen[0], seen[1])
    red = seen[0].reshape(12, -1, 3)[:, :, 0].astype(float)
    assert red.min() < 30 and red.max() > 225  # columns that the centre does not have, from 52 to 203


SPEC = """
name: seen
dataset: {{name: image_folder, path: {path}, resize: 16, validation: 2, test: 2}}
model: {{name: cnn, blocks: [{{filters: 4}}], dense: []}}
training:
  augmentation: [{augmentation}]
  epochs: 2
  batch_size: 3
probes: {{activations: null}}
"""


def trained(text: str, place: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    place.mkdir()
    (place / "seen.yaml").write_text(text, encoding="utf-8")
    arguments = ["run", str(place / "seen.yaml"), "--results", str(place), "--executor", "inline", "--quiet"]
    assert main(arguments) == 0, capsys.readouterr().err
    (trial,) = (place / "seen" / "trials").iterdir()
    with (trial / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_trials_see_the_same_wherever_the_images_are(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SPEC.format(path=pictures, augmentation="{name: resized_crop, of: picture}, flip")
    first = trained(text, tmp_path / "a", capsys)
    monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")
    assert trained(text, tmp_path / "b", capsys) == first
    other = trained(SPEC.format(path=pictures, augmentation="resized_crop, flip"), tmp_path / "c", capsys)
    # Untrained they are the same, evaluated on the centres of the pictures; trained on different parts they are not.
    assert other[0] == first[0]
    assert other[1]["train_loss"] != first[1]["train_loss"]


@pytest.mark.parametrize(
    ("dataset", "augmentation", "message"),
    [
        ("{name: digits}", "{name: resized_crop, of: picture}", "dataset.resize"),
        ("{name: digits, resize: 16}", "flip, {name: resized_crop, of: picture}", "put it first"),
        ("{name: digits, resize: 16}", "{name: resized_crop, of: file}", "of: "),
    ],
)
def test_what_it_refuses(dataset: str, augmentation: str, message: str) -> None:
    text = f"dataset: {dataset}\nmodel: {{name: cnn}}\ntraining: {{augmentation: [{augmentation}]}}"
    with pytest.raises(SpecError, match=message) as caught:
        load_text(text)
    assert len(str(caught.value).splitlines()) == 1


def test_the_default_is_no_part_of_an_id() -> None:
    text = "dataset: {{name: digits, resize: 16}}\nmodel: {{name: cnn}}\ntraining: {{augmentation: [{}]}}"
    plain, said, other = (
        load_text(text.format(one)).trials[0].id
        for one in ("resized_crop", "{name: resized_crop, of: image}", "{name: resized_crop, of: picture}")
    )
    assert plain == said != other
