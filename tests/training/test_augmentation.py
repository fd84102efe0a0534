"""Augmentation against NumPy and SciPy, one operation at a time, and inside the compiled step."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy import ndimage

from dlx import augmentations
from dlx.augmentations import (
    AugmentationSpec,
    Pixels,
    augment,
    color_jitter,
    erasing,
    lighting,
    resized_crop,
    rotation,
    scale,
    shift,
)
from dlx.errors import FieldError, SpecError
from dlx.sources import ArraySource
from dlx.spec import load_text
from dlx.training.accumulators import to_host
from dlx.training.program import Program
from dlx.training.step_key import StepKey
from tests.training.backpropagation import Perceptron
from tests.training.made import bits, cnn, made_splits, mlp, order, start, supervised, train

MakeProgram = Callable[..., Program]
IMAGES = np.random.default_rng(0).normal(size=(24, 7, 10, 3)).astype(np.float32)


def each(*values: float) -> np.ndarray:
    """One number per image, as the draws come."""
    return np.resize(np.array(values, np.float32), len(IMAGES)).reshape(-1, 1, 1)


def key(step: int = 0, seed: int = 5) -> Any:
    from keras import ops

    return StepKey(ops.convert_to_tensor(np.array([seed, 9], np.uint32)), ops.convert_to_tensor(step, "int32"))


def applied(name: str, images: np.ndarray = IMAGES, *, step: int = 0, **settings: Any) -> np.ndarray:
    from keras import ops

    return to_host(augmentations.registry.get(name)(**settings).apply(ops.convert_to_tensor(images), key(step)))


def test_a_crop_is_an_exact_slice_of_the_padded_image() -> None:
    places = [(0, 0), (6, 6), (3, 3), (1, 5), (4, 0)]
    rows, columns = (np.resize(np.array(one, np.int32), 24).reshape(-1, 1, 1) for one in zip(*places, strict=True))
    found = to_host(augmentations._moved(IMAGES, [lambda down, across: (down + rows - 3, across + columns - 3)]))
    for image, result, top, left in zip(IMAGES, found, rows.flat, columns.flat, strict=True):
        padded = np.pad(image, [(3, 3), (3, 3), (0, 0)])
        np.testing.assert_array_equal(result, padded[top : top + 7, left : left + 10])


def test_crops_are_drawn_from_all_places_alike() -> None:
    images = np.zeros((2000, 5, 5, 1), np.float32)
    images[:, 2, 2] = 1
    places = np.argwhere(applied("crop", images, padding=2)[..., 0])
    assert len(places) == 2000  # the marked pixel is always in view
    counts = np.bincount(places[:, 1] * 5 + places[:, 2], minlength=25)
    assert counts.min() > 0
    assert np.square(counts - 80).sum() / 80 < 43  # chi-squared with 24 degrees of freedom: 99 %


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 2), ("vertical", 1)])
def test_a_flip_is_the_exact_mirror_image(direction: str, axis: int) -> None:
    np.testing.assert_array_equal(applied("flip", probability=1.0, direction=direction), np.flip(IMAGES, axis))
    np.testing.assert_array_equal(applied("flip", probability=0.0, direction=direction), IMAGES)
    some = applied("flip", probability=0.5, direction=direction)
    flipped = [np.array_equal(one, np.flip(image, axis - 1)) for one, image in zip(some, IMAGES, strict=True)]
    kept = [np.array_equal(one, image) for one, image in zip(some, IMAGES, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 4 <= sum(flipped) <= 20


def test_a_quarter_turn_is_rot90() -> None:
    square = IMAGES[:, :, :7]
    for quarters in (1, 2, 3, -1):
        found = to_host(rotation.rotated(square, each(quarters * math.pi / 2)))
        np.testing.assert_allclose(found, np.rot90(square, quarters, axes=(1, 2)), atol=1e-5)


@pytest.mark.parametrize("degrees", [-170.0, -30.0, 3.0, 45.0, 100.0])
def test_rotation_is_that_of_scipy(degrees: float) -> None:
    found = to_host(rotation.rotated(IMAGES, each(math.radians(degrees))))
    expected = ndimage.rotate(IMAGES, degrees, axes=(2, 1), reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("move", [(0.0, 0.0), (2.0, -3.0), (0.3, 1.75), (-6.5, 9.5), (20.0, 0.0)])
def test_a_shift_is_that_of_scipy(move: tuple[float, float]) -> None:
    found = to_host(shift.shifted(IMAGES, each(move[0]), each(move[1])))
    expected = ndimage.shift(IMAGES, (0, *move, 0), order=1, mode="grid-constant")
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.3, 2.0])
def test_scale_is_that_of_scipy(factor: float) -> None:
    found = to_host(scale.scaled(IMAGES, each(factor)))
    centre = (np.array([7, 10]) - 1) / 2
    offset = centre - centre / factor
    for image, result in zip(IMAGES[:3], found, strict=False):
        for channel in range(3):
            expected = ndimage.affine_transform(
                image[..., channel], np.full(2, 1 / factor), offset, order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(result[..., channel], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "least", "most"),
    [
        ("rotation", {"degrees": 90.0}, -90, 90),
        ("scale", {"smallest": 0.5, "largest": 2.0}, 0.5, 2.0),
        ("shift", {"vertical": 0.4, "horizontal": 0.0}, -4, 4),
    ],
)
def test_draws_are_uniform_within_their_limits(
    name: str, settings: dict[str, float], least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"rotation": rotation, "scale": scale, "shift": shift}[name]
    function = {"rotation": "rotated", "scale": "scaled", "shift": "shifted"}[name]
    seen: list[np.ndarray] = []
    monkeypatch.setattr(module, function, lambda images, *drawn: seen.extend(map(to_host, drawn)))
    applied(name, np.zeros((4000, 10, 10, 1), np.float32), **settings)
    draws = np.degrees(seen[0]) if name == "rotation" else seen[0]
    assert draws.shape == (4000, 1, 1)
    np.testing.assert_allclose([draws.min(), draws.max()], [least, most], atol=0.01 * (most - least))
    np.testing.assert_allclose(draws.mean(), (least + most) / 2, atol=0.02 * (most - least))
    if name == "shift":
        assert not seen[1].any()


def test_brightness_is_one_amount_for_each_image() -> None:
    added = applied("brightness", amount=0.3) - IMAGES
    assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-6
    amounts = added[:, 0, 0, 0]
    assert len(np.unique(amounts.round(4))) > 20
    assert 0.2 < np.abs(amounts).max() <= 0.3


def test_an_erased_rectangle_is_where_it_should_be() -> None:
    found = to_host(erasing.erased(IMAGES, each(2), each(0, 5), each(3), each(4), 7.0))
    expected = IMAGES.copy()
    expected[::2, 2:5, 0:4] = 7
    expected[1::2, 2:5, 5:9] = 7
    np.testing.assert_array_equal(found, expected)


def test_erasing_takes_the_share_that_it_says() -> None:
    images = np.ones((3000, 20, 30, 1), np.float32)
    gone = 1 - applied("erasing", images, probability=0.5, smallest=0.05, largest=0.25, ratio=2.0)[..., 0]
    shares = gone.mean(axis=(1, 2))
    lost = shares > 0
    assert lost.mean() == pytest.approx(0.5, abs=0.03)
    assert shares[lost].mean() == pytest.approx(0.15, abs=0.005)
    assert 0.04 < shares[lost].min() < 0.06
    assert 0.24 < shares[lost].max() < 0.28  # sides are whole pixels
    tall, wide = gone.any(axis=2).sum(axis=1)[lost], gone.any(axis=1).sum(axis=1)[lost]
    np.testing.assert_array_equal(tall * wide, gone.sum(axis=(1, 2))[lost])  # a full rectangle
    assert 1.8 < (tall / wide).max() < 2.4
    assert gone.mean(axis=0).min() > 0  # anywhere, corners too
    whole = applied("erasing", images[:50], probability=1.0, smallest=1.0, largest=1.0, ratio=1.0)
    assert not whole[:, :, 6:24].any()  # a square of 24, as large as the image, is cut off at its height
    assert (whole.sum(axis=(1, 2, 3)) == 20 * 6).all()


def test_a_resized_crop_is_that_part_of_the_image_enlarged() -> None:
    """Against Pillow, which computes with bytes."""
    pixels = np.random.default_rng(1).integers(0, 256, (24, 16, 20, 3), dtype=np.uint8)
    corners = [(0, 0, 1, 1), (0.25, 0.5, 0.5, 0.25), (0.1, 0, 0.37, 0.8), (0.5, 0.5, 0.5, 0.5)]
    drawn = [np.resize(np.array(one, np.float32), 24).reshape(-1, 1, 1) for one in zip(*corners, strict=True)]
    found = to_host(resized_crop.enlarged(pixels.astype(np.float32), *drawn))
    for at, image in enumerate(pixels):
        top, left, height, width = corners[at % 4]
        box = (20 * left, 16 * top, 20 * (left + width), 16 * (top + height))
        padded = Image.fromarray(image).resize((20, 16), Image.Resampling.BILINEAR, box=box)
        inside = slice(None) if at % 4 == 0 else slice(4, -4)  # Pillow does not look beyond the border of the box
        difference = np.abs(found[at] - np.asarray(padded).astype(float))[inside, inside]
        assert difference.max() <= (0 if at % 4 == 0 else 1.5)


def test_resized_crops_have_the_sizes_and_places_that_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    monkeypatch.setattr(resized_crop, "enlarged", lambda images, *drawn: seen.extend(map(to_host, drawn)))
    applied("resized_crop", np.zeros((4000, 4, 4, 1), np.float32), smallest=0.2, largest=0.6, ratio=1.5)
    tops, lefts, heights, widths = (drawn.ravel() for drawn in seen)
    shares, ratios = heights * widths, widths / heights
    np.testing.assert_allclose([shares.min(), shares.mean(), shares.max()], [0.2, 0.4, 0.6], atol=0.01)
    np.testing.assert_allclose([ratios.min(), ratios.max()], [1 / 1.5, 1.5], atol=0.01)
    assert np.log(ratios).mean() == pytest.approx(0, abs=0.02)
    assert min(tops.min(), lefts.min()) >= 0
    assert max((tops + heights).max(), (lefts + widths).max()) <= 1 + 1e-6
    assert ((tops + heights / 2).mean(), (lefts + widths / 2).mean()) == pytest.approx((0.5, 0.5), abs=0.01)
    seen.clear()
    applied("resized_crop", np.zeros((500, 4, 4, 1), np.float32), smallest=1.0, ratio=2.0)
    assert max(seen[2].max(), seen[3].max()) == 1  # cut to the image


@pytest.mark.parametrize(("at", "enhance"), list(enumerate(("Brightness", "Contrast", "Color"))))
def test_jitter_is_what_pillow_makes_of_photographs(at: int, enhance: str) -> None:
    pixels = np.random.default_rng(2).integers(60, 160, (3, 9, 8, 3), dtype=np.uint8)
    for factor in (0.6, 1.0, 1.4):
        factors = [np.full((3, 1, 1), factor if number == at else 1, np.float32) for number in range(3)]
        found = to_host(color_jitter.jittered(pixels / np.float32(255), *factors, np.zeros((3, 1, 1), np.float32)))
        wanted = [np.asarray(getattr(ImageEnhance, enhance)(Image.fromarray(one)).enhance(factor)) for one in pixels]
        np.testing.assert_allclose(255 * found, np.stack(wanted), atol=1.6)  # Pillow rounds, its mean grey as well


def test_hue_turns_colours_and_leaves_grey_and_brightness() -> None:
    rng = np.random.default_rng(3)
    pixels = rng.uniform(0.2, 0.8, (5, 4, 4, 3)).astype(np.float32)
    pixels[:, 0, 0] = 0.5
    one = np.ones((5, 1, 1), np.float32)
    turn = one * np.array([0, 0.5, -0.7, 2 * np.pi, np.pi], np.float32).reshape(-1, 1, 1)
    found = to_host(color_jitter.jittered(pixels, one, one, one, turn))
    np.testing.assert_allclose(found[:, 0, 0], 0.5, atol=1e-5)
    np.testing.assert_allclose(found @ np.array(color_jitter.LUMA), pixels @ np.array(color_jitter.LUMA), atol=1e-5)
    np.testing.assert_allclose(found[[0, 3]], pixels[[0, 3]], atol=1e-5)
    for after, before, angle in zip(found, pixels, turn.ravel().tolist(), strict=True):
        for new, old in zip(after.reshape(-1, 3), before.reshape(-1, 3), strict=True):
            (i0, q0), (i1, q1) = (colorsys.rgb_to_yiq(*map(float, rgb))[1:] for rgb in (old, new))
            np.testing.assert_allclose(complex(i1, q1), complex(i0, q0) * np.exp(1j * angle), atol=0.02)


def test_lighting_adds_the_same_colour_everywhere() -> None:
    images = np.zeros((20_000, 1, 2, 3), np.float32)
    added = applied("lighting", images, stddev=0.5)
    assert np.ptp(added, axis=2).max() == 0
    components = np.array(lighting.DIRECTIONS) * np.array(lighting.SPREADS)
    expected = components @ components.T * 0.25
    np.testing.assert_allclose(np.cov(added[:, 0, 0].T), expected, atol=0.02 * expected.max())
    np.testing.assert_allclose(np.array(lighting.DIRECTIONS).T @ lighting.DIRECTIONS, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(to_host(lighting.lit(images[:1], np.eye(3)[1:2].astype(np.float32)))[0, 0, 0],
                               np.array([0.7192, -0.0045, -0.6948]) * 0.0188, rtol=1e-5)  # fmt: skip


@pytest.mark.parametrize("name", ["color_jitter", "lighting"])
def test_colours_change_alike_however_images_are_scaled(name: str) -> None:
    """Standardised images are made pixels and back: black is black, whatever the mean."""
    pixels = np.random.default_rng(4).uniform(size=(6, 5, 5, 3)).astype(np.float32)
    subtract, divide = np.float32([0.4, 0.5, 0.3]), np.float32([0.2, 0.25, 0.3])
    (spec,) = some_of(name)
    plain = to_host(augment([spec], pixels, key()))
    scaled = to_host(augment([spec], (pixels - subtract) / divide, key(), Pixels(subtract, divide)))
    np.testing.assert_allclose(scaled * divide + subtract, plain, atol=1e-5)
    assert np.abs(plain - pixels).max() > 1e-3


def some_of(*names: str) -> list[AugmentationSpec]:
    return [augmentations.registry.get(name)() for name in names]


@pytest.mark.parametrize("name", ["color_jitter", "lighting"])
def test_colours_are_for_rgb_images(name: str) -> None:
    with pytest.raises(FieldError, match=f"{name} is for RGB images, and the data have 1 channels"):
        some_of(name)[0].check((28, 28, 1))


ALL = [{"name": name} for name in augmentations.registry.names()]


def test_what_was_outside_once_stays_outside() -> None:
    def by(distance: int) -> Any:
        return lambda rows, columns: (rows, columns + distance)

    found = to_host(augmentations._moved(IMAGES, [by(-2), by(2)]))
    np.testing.assert_array_equal(found[:, :, :-2], IMAGES[:, :, :-2])
    np.testing.assert_array_equal(found[:, :, -2:], 0)


@pytest.mark.parametrize("name", augmentations.registry.names())
def test_draws_are_a_function_of_the_step(name: str) -> None:
    once = applied(name, step=3)
    assert once.shape == IMAGES.shape
    assert once.dtype == np.float32
    np.testing.assert_array_equal(applied(name, step=3), once)
    assert not np.array_equal(applied(name, step=4), once)
    alike = applied(name, np.repeat(IMAGES[:1], 24, axis=0))
    assert len({image.tobytes() for image in alike}) > 1  # each image has draws of its own


def test_one_after_the_other_with_draws_of_their_own() -> None:
    from keras import ops

    crop, flip = (augmentations.registry.get(name)() for name in ("crop", "flip"))
    images, together = ops.convert_to_tensor(IMAGES), key()
    found = to_host(augment([crop, flip], images, key()))
    np.testing.assert_array_equal(found, to_host(flip.apply(crop.apply(images, together), together)))
    again = key()
    assert not np.array_equal(to_host(flip.apply(images, again)), to_host(flip.apply(images, again)))


# Inside the compiled step


def stage(splits: Any, optimizer: Any, *augmentation: AugmentationSpec) -> Any:
    return supervised(cnn(splits), optimizer, augmentation=augmentation)


def some(**settings: Any) -> list[AugmentationSpec]:
    names = ("flip", "crop", "rotation", "erasing", "resized_crop")
    return [augmentations.registry.get(name)(**settings.get(name, {})) for name in names]


def sgd() -> Any:
    import keras

    return keras.optimizers.SGD(0.1, momentum=0.9)


def test_a_flip_that_is_certain_is_training_on_flipped_images(program: MakeProgram) -> None:
    splits = made_splits(shape=(6, 6, 1))
    inputs, labels = splits.train.arrays
    mirrored = replace(splits, train=ArraySource(inputs[:, :, ::-1], labels))
    certain = augmentations.registry.get("flip")(probability=1.0)
    one = program(lambda: stage(splits, sgd(), certain), splits)
    other = program(lambda: stage(splits, sgd()), mirrored)
    numbers, expected = train(one, 2), train(other, 2)
    np.testing.assert_allclose(numbers[-1].sums["loss"], expected[-1].sums["loss"], rtol=1e-6)
    for value, wanted in zip(one.weights().values(), other.weights().values(), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-7)
    plain = program(lambda: stage(splits, sgd()), splits)
    assert abs(train(plain, 2)[-1].sums["loss"] - expected[-1].sums["loss"]) > 1e-3


def test_only_training_batches_are_augmented(program: MakeProgram) -> None:
    from dlx.probes.gradients import Spec as Gradients

    splits = made_splits(shape=(6, 6, 1))
    one = program(lambda: stage(splits, sgd(), *some(crop={"padding": 2})), splits)
    other = program(lambda: stage(splits, sgd()), splits)
    for part in ("train", "validation", "test"):
        assert one.evaluate(part) == other.evaluate(part)
    for name, value in other.measure(Gradients()).items():
        np.testing.assert_array_equal(one.measure(Gradients())[name], value)
    assert train(one)[0].sums["loss"] != train(other)[0].sums["loss"]


def test_chunks_and_interruptions_change_no_bit(program: MakeProgram) -> None:
    splits = made_splits(shape=(6, 6, 1))

    def made() -> Program:
        return program(lambda: stage(splits, sgd(), *some(crop={"padding": 2})), splits)

    whole, cut = made(), made()
    numbers = train(whole, 2)
    assert train(cut, 2, cuts=(1, 3)) == numbers
    begun = made()
    begun.begin_epoch(order(begun, 0), 0)
    begun.run(0, 3)
    kept = begun.snapshot()
    begun.load(start(begun), 77)
    begun.load(start(begun), 0)
    begun.restore(kept)
    begun.begin_epoch(order(begun, 0), 0)
    begun.run(3, begun.steps)
    assert begun.end_epoch() == numbers[0]
    begun.begin_epoch(order(begun, 1), begun.steps)
    begun.run(0, begun.steps)
    assert begun.end_epoch() == numbers[1]
    assert list(bits(begun.weights()).values()) == list(bits(whole.weights()).values())
    other = made()
    other.load(start(other), 1)
    assert train(other)[0].sums["loss"] != numbers[0].sums["loss"]  # another seed sees other images


def test_dense_nets_are_augmented_too(program: MakeProgram) -> None:
    splits = made_splits(shape=(6, 6, 3))
    every = [augmentations.registry.get(name)() for name in augmentations.registry.names()]
    made = program(lambda: supervised(mlp(splits, 5), sgd(), augmentation=every), splits)
    first, second = train(made, 2)
    assert np.isfinite([first.sums["loss"], second.sums["loss"]]).all()


# Sums in place of means, in the same step


def test_a_sum_over_examples_moves_by_it_and_records_the_mean(program: MakeProgram) -> None:
    import keras

    splits = made_splits()  # 43 examples: the last batch has three
    made = program(lambda: supervised(mlp(splits, 5, 4), keras.optimizers.SGD(0.05), reduction="sum", l2=0.1), splits)
    net = Perceptron.of(list(start(made).values()))
    inputs, labels = splits.scaling.apply(splits.train.arrays[0]).astype(np.float64), splits.train.arrays[1]
    (numbers,) = train(made)
    squares, losses = np.zeros(6), 0.0
    visited = order(made, 0)
    for at in range(0, 43, 10):
        batch = visited[at : at + 10]
        gradients = net.gradients(inputs[batch], labels[batch])
        squares += [np.square(gradient).sum() for gradient in gradients]
        losses += net.loss(inputs[batch], labels[batch]).sum()
        for place, (value, gradient) in enumerate(zip(net.parameters(), gradients, strict=True)):
            value -= 0.05 * (len(batch) * gradient + (0.1 * value if place % 2 == 0 else 0))
    np.testing.assert_allclose(numbers.gradient_norms["model"], np.sqrt(squares / made.steps), rtol=1e-5)
    np.testing.assert_allclose(numbers.sums["loss"], losses, rtol=1e-5)
    for value, expected in zip(made.weights().values(), net.parameters(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)


# In a spec


@pytest.mark.parametrize(
    ("dataset", "listed", "complaint"),
    [
        ("digits", "[{name: crop, padding: 8}]", r"augmentation\[0\]\.padding: a border of 8 pixels is too wide"),
        ("digits", "[flip, {name: flip, probability: 1.5}]", r"augmentation\[1\]\.probability: must be a number ≥ 0"),
        ("digits", "[{name: erasing, probability: -0.1}]", r"probability: must be a number ≥ 0 and ≤ 1, not -0\.1"),
        (
            "digits",
            "[mirror]",
            r"augmentation\[0\]: unknown augmentation 'mirror' \(available: brightness, color_jitter",
        ),
        ("digits", "[{name: scale, smallest: 2, largest: 1}]", r"smallest \(2\) is more than largest \(1\)"),
        ("digits", "[{name: shift, vertical: 0, horizontal: 0}]", "nothing is moved"),
        ("digits", "flip", "must be a list"),
        ("{name: arrays, inputs: [[1, 2], [3, 4]], labels: [0, 1], validation: 0}", "[flip]", "data have shape 2"),
    ],
)
def test_what_cannot_be_done_is_said(dataset: str, listed: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        load_text(f"dataset: {dataset}\nmodel: mlp\ntraining: {{augmentation: {listed}}}\n")


def test_it_enters_the_id_and_trials_without_it_keep_theirs() -> None:
    def ids(training: str) -> str:
        return load_text(f"model: mlp\ntraining: {training}\n").trials[0].id

    plain = ids("{}")
    assert ids("{augmentation: []}") == ids("{reduction: mean}") == plain
    others = [ids("{augmentation: [flip]}"), ids("{augmentation: [crop, flip]}"), ids("{augmentation: [flip, crop]}")]
    assert len({plain, *others, ids("{reduction: sum}")}) == 5
    assert others[0] == ids("{augmentation: [{name: flip, probability: 0.5}]}")
