"""Folders of images: what is found in them, how it is divided, what is made of odd images, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlx import images
from dlx.datasets import Places, _folder
from dlx.datasets.image_folder import Spec
from dlx.errors import DataError, FieldError, SpecError
from dlx.sources import Splits
from dlx.sources.images import ImageFiles
from dlx.spec import load_text, load_trial, resolved
from tests.photographs import fill, picture


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(folder))
    _folder.forget()
    yield folder
    _folder.forget()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos")


def spec(folder: Path, **settings: Any) -> Spec:
    return Spec(**{"path": str(folder), "resize": 16, **settings})


def load(one: Spec) -> Splits:
    return one.load(Places())


def refusal(folder: Path, **settings: Any) -> str:
    """What is said of a folder that is refused, without where it is."""
    with pytest.raises(FieldError) as caught:
        spec(folder, **settings).sizes()
    return caught.value.message.replace(str(folder), "FOLDER")


class TestLayouts:
    def test_folders_of_classes_are_divided_as_arrays_are(self, folder: Path) -> None:
        one = spec(folder, validation=3)
        assert one.info().class_names == ("blue", "green", "red")
        assert one.info().input_shape == (16, 16, 3)
        assert one.sizes() == {"train": 11, "validation": 3, "test": 4}  # a fifth of 18 for testing
        splits = load(one)
        ids = [source.ids for source in (splits.train, splits.validation, splits.test) if source]
        assert sorted(np.concatenate(ids).tolist()) == list(range(18))
        for source in (splits.train, splits.validation, splits.test):
            assert source is not None
            inputs, targets = source.read(np.arange(len(source)))
            brightest = inputs.mean(axis=(1, 2)).argmax(axis=1)  # of red, green and blue
            assert targets.tolist() == [2 - one for one in brightest.tolist()]
            assert targets.tolist() == (source.ids // 6).tolist()  # numbered in the order of the names

    def test_train_and_val(self, tmp_path: Path) -> None:
        fill(tmp_path / "both/train", 6)
        fill(tmp_path / "both/val", 2)
        one = spec(tmp_path / "both")
        assert one.sizes() == {"train": 18, "validation": 6, "test": 0}
        splits = load(one)
        assert splits.test is None
        assert splits.validation is not None
        assert splits.validation.targets.tolist() == [0, 0, 1, 1, 2, 2]

    def test_val_is_for_testing_where_validation_is_held_out(self, tmp_path: Path) -> None:
        fill(tmp_path / "both/train", 6)
        fill(tmp_path / "both/val", 2)
        one = spec(tmp_path / "both", validation=3)
        assert one.sizes() == {"train": 15, "validation": 3, "test": 6}
        assert len(load(one).test or ()) == 6
        fill(tmp_path / "both/test", 1)
        assert spec(tmp_path / "both").sizes() == {"train": 18, "validation": 6, "test": 3}
        assert "already: none are held out" in refusal(tmp_path / "both", validation=3)

    def test_some_of_the_classes(self, tmp_path: Path) -> None:
        fill(tmp_path / "both/train", 6)
        fill(tmp_path / "both/val", 2)
        one = spec(tmp_path / "both", classes=("red", "blue"))
        assert one.info().class_names == ("red", "blue")
        assert one.sizes() == {"train": 12, "validation": 4, "test": 0}
        splits = load(one)
        assert splits.train.targets.tolist() == [1] * 6 + [0] * 6
        assert splits.validation is not None
        inputs, targets = splits.validation.read([0, 3])
        assert targets.tolist() == [1, 0]
        assert inputs.mean(axis=(1, 2)).argmax(axis=1).tolist() == [2, 0]

    def test_a_folder_train_with_images_in_it_is_a_class(self, tmp_path: Path) -> None:
        fill(tmp_path / "vehicles", classes={"car": (1, 2, 3), "train": (200, 0, 0)})
        assert spec(tmp_path / "vehicles").info().class_names == ("car", "train")

    def test_folders_within_classes_and_other_files(self, folder: Path) -> None:
        (folder / "red/more").mkdir()
        picture((200, 0, 0), 99).save(folder / "red/more/a.jpeg")
        (folder / "red/notes.txt").write_text("of last year")
        (folder / "red/.hidden.png").write_text("")
        (folder / "__MACOSX").mkdir()
        assert spec(folder).whole().train_counts == (6, 6, 7)


class TestImages:
    def test_the_rule_is_shorter_side_then_centre(self, tmp_path: Path) -> None:
        wide = np.zeros((40, 100, 3), np.uint8)
        wide[:, :30], wide[:, 70:] = 255, 255  # cut off: the centre is from 30 to 70
        found = images.decoded(_png(wide), (20, 20), 3)
        assert found.shape == (20, 20, 3)
        assert found[:, 1:-1].max() == 0
        tall = images.decoded(_png(wide.transpose(1, 0, 2)), (20, 20), 3)
        assert np.array_equal(tall, found.transpose(1, 0, 2))
        assert images.decoded(_png(wide), (10, 25), 3).shape == (10, 25, 3)

    def test_scaling_down_averages_and_up_interpolates(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        # Halving by a triangle over four pixels: weights 1 3 3 1, computed here by hand away from the border.
        weights = np.array([1, 3, 3, 1]) / 8
        rows = sum(w * pixels[1 + k : 29 + k : 2].astype(float) for k, w in enumerate(weights))
        both = sum(w * rows[:, 1 + k : 29 + k : 2] for k, w in enumerate(weights))
        assert np.abs(images.decoded(_png(pixels), (16, 16), 3)[1:15, 1:15] - both).max() <= 1.0
        flat = np.full((5, 5, 3), 77, np.uint8)
        assert (images.decoded(_png(flat), (13, 13), 3) == 77).all()

    def test_large_photographs_are_scaled_as_small_ones(self) -> None:
        """The decoder's own reduction saves time and leaves the picture."""
        gradient = np.linspace(0, 255, 900).astype(np.uint8)
        photo = Image.fromarray(np.stack([np.tile(gradient, (600, 1))] * 3, axis=-1))
        reduced = images.decoded(_saved(photo, "JPEG", quality=95), (32, 32), 3).astype(int)
        exact = images.decoded(_saved(photo, "PNG"), (32, 32), 3).astype(int)
        assert np.abs(reduced - exact).max() <= 2

    def test_photographs_are_turned_upright(self) -> None:
        pixels = np.zeros((30, 20, 3), np.uint8)
        pixels[:10] = 255
        exif = Image.Exif()
        exif[0x0112] = 6  # the camera was turned: what is shown is this turned clockwise
        found = images.decoded(_saved(Image.fromarray(pixels), "JPEG", exif=exif), None, 3)
        assert found.shape == (20, 30, 3)
        assert found[:, 25:].min() > 200
        assert images.kind_of(_saved(Image.fromarray(pixels), "JPEG", exif=exif)) == ("RGB", 20, 30)

    @pytest.mark.parametrize(
        ("mode", "kind"),
        [("L", "grey"), ("1", "grey"), ("CMYK", "CMYK"), ("I;16", "16-bit"), ("RGBA", "transparent"), ("P", "RGB")],
    )
    def test_odd_images_become_rgb(self, mode: str, kind: str) -> None:
        grey = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (16, 1))
        image = Image.fromarray(grey)
        if mode == "I;16":
            image = Image.fromarray(grey.astype(np.uint16) * 257)
        elif mode != "L":
            image = image.convert("RGB").convert(mode, palette=Image.Palette.ADAPTIVE)
        content = _saved(image, "JPEG" if mode == "CMYK" else "PNG", **({"quality": 100} if mode == "CMYK" else {}))
        assert images.kind_of(content)[0] == kind
        found = images.decoded(content, (16, 16), 3).astype(int)
        if mode != "1":
            assert np.abs(found - grey[..., None]).max() <= 4
        assert images.decoded(content, (16, 16), 1).shape == (16, 16, 1)

    def test_grey_among_rgb_is_converted_with_a_note(self, folder: Path) -> None:
        assert spec(folder).notes() == ()
        Image.open(folder / "red/00.png").convert("L").save(folder / "red/00.png")
        Image.open(folder / "red/01.png").convert("CMYK").save(folder / "red/01.jpg")
        deep = np.full((20, 26), 40_000, np.uint16)
        Image.fromarray(deep).save(folder / "blue/deep.png")
        _folder.forget()
        one = spec(folder)
        assert one.notes() == ("images that are not RGB are converted to it: 1 grey, 1 CMYK, 1 16-bit",)
        assert one.info().input_shape == (16, 16, 3)
        grey = spec(folder, channels=1)
        assert grey.info().input_shape == (16, 16, 1)
        assert grey.notes() == ("images that are not grey are converted to it: 17 RGB, 1 CMYK, 1 16-bit",)

    def test_all_grey_images_stay_grey(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / "grey" / name).mkdir(parents=True)
            for at in range(4):
                picture((90, 90, 90), at).convert("L").save(tmp_path / "grey" / name / f"{at}.png")
        assert spec(tmp_path / "grey").info().input_shape == (16, 16, 1)
        assert spec(tmp_path / "grey").notes() == ()

    def test_what_is_neither_in_a_class_nor_in_a_part_is_passed_over_with_a_note(self, tmp_path: Path) -> None:
        fill(tmp_path / "set/train")
        fill(tmp_path / "set/val")
        assert spec(tmp_path / "set").notes() == ()
        picture((200, 0, 0), 1).save(tmp_path / "set/train/loose.png")
        (tmp_path / "set/train/notes.txt").write_text("of last year")
        fill(tmp_path / "set/holidays")
        assert spec(tmp_path / "set").notes() == (
            "1 image in no folder of a class is passed over",
            "folders beside train, validation are passed over: holidays",
        )

    def test_small_images_are_enlarged_with_a_note(self, folder: Path) -> None:
        picture((200, 0, 0), 1, (12, 40)).save(folder / "red/00.png")
        _folder.forget()
        assert spec(folder).notes() == ("1 image is smaller than 16 × 16 pixels and enlarged",)


class TestRefusals:
    def test_no_folder(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(tmp_path / "nowhere")
        (tmp_path / "file.png").write_text("")
        assert "a folder is wanted" in refusal(tmp_path / "file.png")

    def test_no_classes(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert refusal(tmp_path / "empty") == (
            "FOLDER has no classes: it holds no folder at all, and a folder for the images of each class is wanted"
        )
        for at in range(3):
            picture((1, 2, 3), at).save(tmp_path / "empty" / f"{at}.jpg")
        assert "FOLDER has no classes: 3 images lie in it directly" in refusal(tmp_path / "empty")
        (tmp_path / "hollow/a").mkdir(parents=True)
        (tmp_path / "hollow/b").mkdir()
        assert refusal(tmp_path / "hollow") == "FOLDER has no images in its folders: a, b"

    def test_one_image(self, tmp_path: Path) -> None:
        fill(tmp_path / "one", 1, {"red": (200, 0, 0)})
        (tmp_path / "one/blue").mkdir()
        assert refusal(tmp_path / "one") == "FOLDER has one image to train on, red/00.png: too few"

    def test_one_image_of_a_class(self, folder: Path) -> None:
        for at in range(1, 6):
            (folder / f"red/{at:02}.png").unlink()
        assert "class 'red' has 1 of the 13 examples" in refusal(folder)

    def test_one_class(self, tmp_path: Path) -> None:
        fill(tmp_path / "one", 5, {"red": (200, 0, 0)})
        assert refusal(tmp_path / "one") == "FOLDER has one class, 'red': there is nothing to learn"

    def test_different_classes_in_train_and_val(self, tmp_path: Path) -> None:
        fill(tmp_path / "both/train", 3)
        fill(tmp_path / "both/val", 2, {"blue": (0, 0, 9), "green": (0, 9, 0), "rad": (9, 0, 0)})
        assert refusal(tmp_path / "both") == (
            "FOLDER: train and validation have different classes: only train has 'red'; only validation has 'rad'"
        )

    def test_val_without_train(self, tmp_path: Path) -> None:
        fill(tmp_path / "half/val", 2)
        assert "has val and no train" in refusal(tmp_path / "half")

    def test_texts_called_jpg(self, folder: Path) -> None:
        for at in range(3):
            (folder / f"red/text{at}.jpg").write_text("no image at all")
        assert refusal(folder) == (
            "FOLDER: 3 of 21 images cannot be read, and 1 may be left out (unreadable): red/text0.jpg (it is no "
            "image), red/text1.jpg (it is no image), red/text2.jpg (it is no image)"
        )

    def test_more_than_a_few_names_are_counted(self, folder: Path) -> None:
        for at in range(9):
            (folder / f"red/text{at}.jpg").write_text("no image at all")
        assert refusal(folder).endswith("red/text4.jpg (it is no image) and 4 more")

    def test_in_a_spec_it_is_one_line_with_its_place(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(SpecError) as caught:
            load_text(f"dataset:\n  name: image_folder\n  path: {tmp_path / 'empty'}\nmodel: cnn\n")
        (problem,) = str(caught.value).splitlines()
        assert ":3:9: dataset.path: " in problem


class TestUnreadable:
    @pytest.fixture
    def damaged(self, folder: Path) -> Path:
        """Two of twenty images are damaged: one is cut off, one is empty."""
        picture((200, 0, 0), 7, (200, 200)).save(folder / "red/cut.jpg", quality=95)
        whole = (folder / "red/cut.jpg").read_bytes()
        (folder / "red/cut.jpg").write_bytes(whole[: len(whole) // 2])
        (folder / "blue/empty.png").write_bytes(b"")
        return folder

    def test_are_named_counted_and_left_out_up_to_a_limit(self, damaged: Path) -> None:
        one = spec(damaged, unreadable=2, validation=3)
        (note,) = one.notes()
        assert note.startswith("2 images cannot be read and are left out: blue/empty.png (the file is empty), red/cut")
        assert "truncated" in note
        assert one.whole().train_counts == (6, 6, 6)
        assert one.sizes() == spec(damaged, unreadable=0.5, validation=3).sizes()
        assert len(load(one).train) == one.sizes()["train"]
        assert "2 of 20 images cannot be read, and 1 may be left out" in refusal(damaged, unreadable=1)
        assert "and 0 may be left out" in refusal(damaged, unreadable=0)

    @pytest.mark.skipif(os.name == "nt", reason="links ask for a privilege")
    def test_links_to_nowhere_are_among_them(self, folder: Path) -> None:
        (folder / "red/gone.jpg").symlink_to(folder / "nowhere.jpg")
        (note,) = spec(folder, unreadable=1).notes()
        assert note.endswith("red/gone.jpg (cannot be read: No such file or directory)")

    def test_do_not_enter_the_digest(self, damaged: Path) -> None:
        before = spec(damaged).digest()
        (damaged / "red/cut.jpg").unlink()
        _folder.forget()
        assert spec(damaged).digest() == before

    def test_a_file_that_breaks_later_is_named(self, folder: Path) -> None:
        source = load(spec(folder, validation=3)).train
        assert isinstance(source, ImageFiles)
        (folder / source._paths[int(np.argmin(source.ids))]).write_bytes(b"broken")
        with pytest.raises(DataError, match=r"blue/0.\.png could be read when the folder was looked through"):
            source.read([int(np.argmin(source.ids))])

    @pytest.mark.parametrize(
        "content", [b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM", b"II*\x00", b"%!PS"]
    )
    def test_any_bytes_are_told_apart_from_images(self, content: bytes) -> None:
        for more in (b"", b"\0" * 64, bytes(range(256))):
            with pytest.raises(images.Unreadable):
                images.kind_of(content + more)


class TestDigest:
    def test_is_of_paths_and_contents(self, folder: Path) -> None:
        lines = sorted(
            f"{path.relative_to(folder).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
            for path in folder.rglob("*.png")
        )
        assert spec(folder).digest() == hashlib.sha256("".join(lines).encode()).hexdigest()

    def test_what_was_found_is_kept_by_size_and_time(
        self, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_folder, "_SETTLED_S", -1.0)  # just written files count as settled
        before = spec(folder).digest()
        assert len(list((cache / "datasets/listings").iterdir())) == 1
        read: list[Path] = []
        look = _folder._seen
        monkeypatch.setattr(_folder, "_seen", lambda path: read.append(path) or look(path))
        _folder.forget()
        assert spec(folder).digest() == before
        assert read == []
        picture((3, 2, 1), 8).save(folder / "red/00.png")
        _folder.forget()
        assert spec(folder).digest() != before
        assert read == [folder / "red/00.png"]

    def test_a_damaged_record_is_made_anew(self, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_folder, "_SETTLED_S", -1.0)
        before = spec(folder).digest()
        (kept,) = (cache / "datasets/listings").iterdir()
        for content in ("", "something else\n", kept.read_text()[:-30]):
            kept.write_text(content)
            _folder.forget()
            assert spec(folder).digest() == before

    def test_new_files_are_seen_in_the_same_process(self, folder: Path) -> None:
        assert spec(folder).whole().train == 18
        picture((3, 2, 1), 8).save(folder / "red/new.png")
        assert spec(folder).whole().train == 19


class TestReading:
    def test_streamed_and_resident_images_are_the_same(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        resident = load(spec(folder, validation=3)).train
        monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")
        streamed = load(spec(folder, validation=3)).train
        assert resident.arrays is None  # asked for anew each time
        monkeypatch.delenv("DLX_RESIDENT_BYTES")
        rows = np.array([3, 0, 3, 9, 1])
        assert resident.arrays is not None
        for one, other in zip(resident.read(rows), streamed.read(rows), strict=True):
            assert np.array_equal(one, other)

    def test_nothing_is_decoded_twice_that_fits(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        decoded: list[int] = []
        make = ImageFiles.make
        monkeypatch.setattr(ImageFiles, "make", lambda self, row: decoded.append(row) or make(self, row))
        monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")
        source = load(spec(folder, validation=3)).train
        first = source.read([2, 5, 2, 0])[0]
        assert sorted(decoded) == [0, 2, 2, 5]
        assert np.array_equal(source.read([0, 5])[0], first[[3, 1]])
        source.read(np.arange(len(source)))
        assert len(decoded) == len(source) + 1
        monkeypatch.setenv("DLX_KEPT_BYTES", str(3 * 16 * 16 * 3))  # room for three
        decoded.clear()
        source = load(spec(folder, validation=3)).train
        source.read(np.arange(len(source)))
        source.read(np.arange(len(source)))
        assert len(decoded) == 2 * len(source) - 3

    def test_standardize_is_the_same_streamed(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        resident = load(spec(folder, validation=3, scaling="standardize")).scaling
        pixels = load(spec(folder, validation=3)).train.read(np.arange(11))[0].astype(np.float64)
        np.testing.assert_allclose(resident.subtract.ravel(), pixels.mean(axis=(0, 1, 2)), rtol=1e-6)
        np.testing.assert_allclose(resident.divide.ravel(), pixels.std(axis=(0, 1, 2)), rtol=1e-6)
        monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")
        streamed = load(spec(folder, validation=3, scaling="standardize")).scaling
        assert np.array_equal(resident.subtract, streamed.subtract)
        assert np.array_equal(resident.divide, streamed.divide)

    def test_labelled_examples_are_files_too(self, folder: Path) -> None:
        from dlx.worker import Runtime, Worker

        splits = Worker(Runtime()).load(spec(folder, validation=3, labelled=3))
        assert isinstance(splits.labelled, ImageFiles)
        assert splits.labelled.targets.tolist() == [0, 1, 2]


class TestTrials:
    @staticmethod
    def trial(path: Path | str) -> Any:
        dataset = f"dataset: {{name: image_folder, path: {path}, resize: 16, validation: 3}}\n"
        (trial,) = load_text(dataset + "model: cnn\ntraining: {batch_size: 4}\n").trials
        return trial

    def test_ids_know_the_images_and_not_the_place(self, folder: Path, tmp_path: Path) -> None:
        before = self.trial(folder)
        moved = tmp_path / "project" / "photos"
        moved.parent.mkdir()
        text = resolved(before, "x")
        folder.rename(moved)
        assert self.trial(moved).id == before.id
        # An old trial finds the folder below those above it.
        written = tmp_path / "project/results/x/trials" / before.id / "trial.yaml"
        written.parent.mkdir(parents=True)
        written.write_text(text)
        assert load_trial(written).setting.dataset.path == str(moved)
        (moved / "red/00.png").rename(moved / "red/renamed.png")
        assert self.trial(moved).id != before.id
        with pytest.raises(SpecError, match="no longer there with the content that was trained on"):
            load_trial(written)

    def test_what_only_the_data_folder_has(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DLX_DATA", str(folder.parent))
        assert self.trial("photos").setting.dataset.path == str(folder)


def _png(pixels: np.ndarray) -> bytes:
    return _saved(Image.fromarray(pixels), "PNG")


def _saved(image: Image.Image, format: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **more)
    return buffer.getvalue()
