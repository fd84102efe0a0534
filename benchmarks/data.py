"""The images that every contender trains on: MNIST, or noise of its shape where MNIST is not there."""

from __future__ import annotations

import numpy as np

from dlx.datasets import DatasetSpec, Places
from dlx.datasets.cifar10 import Spec as Cifar10
from dlx.datasets.mnist import Spec
from dlx.sources import Official, Splits

TRAINING_IMAGES = 50_000


def yaml(images: int | None = None) -> str:
    """The data set of a spec: all training images, or the first ones."""
    limit = f", train_limit: {images}" if images else ""
    return f"{{name: mnist, split: ordered, validation: {60_000 - TRAINING_IMAGES}{limit}}}"


def present(dataset: type[DatasetSpec] = Spec) -> bool:
    """Whether a data set itself, MNIST by default, is in one of the places where dlx looks."""
    return dataset.find(Places.here(download=False)) is not None


def splits(synthetic: bool) -> Splits:
    """50,000 training, 10,000 validation and 10,000 test images, uint8 (28, 28, 1), in official order."""
    if synthetic:
        replace_images()
    return Spec(split="ordered", validation=60_000 - TRAINING_IMAGES).load(Places.here(download=False))


def first(images: int, synthetic: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first images of CIFAR-10's training part and their labels, or noise of their shape."""
    if synthetic:
        replace_images()
    train = Cifar10(validation=5000, train_limit=images).load(Places.here(download=False)).train
    assert train.arrays is not None
    return train.arrays


def replace_images() -> None:
    """From now on ``mnist`` and ``cifar10`` are noise of their shapes, in this process."""
    Spec.official = lambda self, places: _noise(60_000, (28, 28, 1))  # type: ignore[method-assign]
    Cifar10.official = lambda self, places: _noise(50_000, (32, 32, 3))  # type: ignore[method-assign]


def _noise(training: int, shape: tuple[int, ...]) -> Official:
    rng = np.random.default_rng(0)

    def images(count: int) -> np.ndarray:
        # Four fifths of MNIST's pixels are 0, though no contender is faster for it.
        pixels = rng.integers(0, 256, size=(count, *shape), dtype=np.uint8)
        return pixels * (rng.random(pixels.shape, dtype=np.float32) < 0.2).astype(np.uint8)

    def labels(count: int) -> np.ndarray:
        return rng.integers(0, 10, size=count).astype(np.int32)

    return Official(images(training), labels(training), images(10_000), labels(10_000))
