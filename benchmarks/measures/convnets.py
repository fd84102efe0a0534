"""Nets of convolutions: their step rate beside the same net by Keras or by hand, and what recording costs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import data
from benchmarks.duel import Contender, Rounds, ratio, take_turns
from benchmarks.measures import NOTHING, Setup
from benchmarks.report import Bound, Figure
from dlx.datasets.cifar10 import Spec as Cifar10

GROUP = "convolutional nets"
DEPTH = 20
GRADIENTS = "{gradients: {sources: [probe, train]}, activations: null}"
EPOCH = 45_000
CLASSES, PARAMETERS, FEATURES = 1000, 25_636_712, 2049
"""Of ImageNet; of ResNet-50 with as many outputs; and of each of these."""


@dataclass(frozen=True)
class Size:
    """How much a turn trains on; ``sample``: images that the probe looks at."""

    images: int
    batch_size: int
    side: int = 32
    sample: int = 1000


def measure(setup: Setup) -> list[Figure]:
    """ResNet-20 on CIFAR-10 by the TensorFlow engine: few steps, which take a second each on a CPU."""
    return resnet20(setup, "tensorflow", Size(768, 128), 1.0)


def resnet20(setup: Setup, engine: str, size: Size, target: float, *, counts: bool = True) -> list[Figure]:
    """Beside ``fit`` on the same backend; without ``counts``, only to see that it runs."""
    what = f"ResNet-{DEPTH} on CIFAR-10, {engine}, batch {size.batch_size}"
    setup.tell(what)
    synthetic = setup.synthetic or not data.present(Cifar10)
    dataset = f"{{name: cifar10, validation: 5000, train_limit: {size.images}}}"
    rival = {
        "backend": engine, "depth": DEPTH, "images": size.images, "batch_size": size.batch_size, "synthetic": synthetic,
    }  # fmt: skip
    ours = _ours(setup, "resnet20", engine, size, dataset=dataset, synthetic=synthetic)
    heard = take_turns({**ours, "fit": ("keras_net", rival)}, setup.rounds if counts else 1, setup.tell)
    plain, fit = heard["dlx"], heard["fit"]
    times = plain.text(), f"Keras fit: {fit.text()}"
    rate = Figure(GROUP, f"{what}: step rate over fit's", *times, ratio(fit, plain), "×", "≥", target)
    return _counted([rate, *_recording(what, heard, EPOCH / size.batch_size)], counts)


def resnet50(setup: Setup, size: Size, *, counts: bool = True) -> list[Figure]:
    """ResNet-50 in bfloat16 on noise, beside a step of JAX by hand."""
    what = f"ResNet-50 on JAX, {size.side} pixels, bfloat16, batch {size.batch_size}"
    setup.tell(what)
    rng = np.random.default_rng(0)
    path = setup.scratch / "noise.npz"
    classes = min(CLASSES, size.images)
    labels = np.arange(size.images, dtype=np.int32) % classes
    shape = (size.images, size.side, size.side, 3)
    np.savez(path, x_train=rng.integers(0, 256, shape, dtype=np.uint8), y_train=labels)
    dataset = f"{{name: npz, path: {path}, test: 0, validation: 0}}"
    rival = {"images": size.images, "size": size.side, "batch_size": size.batch_size, "classes": classes}
    ours = _ours(setup, "resnet50", "jax", size, dataset=dataset, synthetic=False, precision="mixed_bfloat16")
    heard = take_turns({**ours, "by hand": ("jax_resnet50", rival)}, setup.rounds if counts else 1, setup.tell)
    plain, hand = heard["dlx"], heard["by hand"]
    assert hand.first["parameters"] == PARAMETERS - FEATURES * (CLASSES - classes), hand.first
    times = plain.text(), f"JAX by hand: {hand.text()}"
    rate = Figure(GROUP, f"{what}: time of a step over JAX's", *times, ratio(plain, hand), "×", "≤", 1.1)
    return _counted([rate, *_recording(what, heard, 1_281_167 / size.batch_size)], counts)


def _ours(setup: Setup, network: str, engine: str, size: Size, **more: Any) -> dict[str, Contender]:
    """The trial without and with gradients, of every step and of the probe."""
    gradients = GRADIENTS.replace("{sources", f"{{sample: {size.sample}, sources")
    return {
        name: setup.trial(
            f"{network}-{engine}-{name}", network=network, batch_size=size.batch_size, epochs=1, probes=probes,
            engine=engine, **more,
        )
        for name, probes in {"dlx": NOTHING, "recorded": gradients}.items()
    }  # fmt: skip


def _recording(what: str, heard: dict[str, Rounds], steps: float) -> list[Figure]:
    """Norms of every step and the probe after an epoch of so many ``steps``."""
    plain, recorded = heard["dlx"], heard["recorded"]
    probe = recorded.best("probes")
    cost = ratio(recorded, plain) + probe / (steps * plain.best()) - 1
    times = f"{recorded.text()}, and {1e3 * probe:.0f} ms an epoch", f"nothing recorded: {plain.text()}"
    bound: Bound = "≤"
    return [Figure(GROUP, f"{what}: gradients of every step and of the probe", *times, 100 * cost, "%", bound, 3.0)]


def _counted(figures: list[Figure], counts: bool) -> list[Figure]:
    """The figures, or what they would be of where a small size has only shown that they can be taken."""
    if counts:
        return figures
    seen = "needs a GPU; ran here at a tiny size"
    return [Figure(one.group, one.what, seen, "", None, one.unit, one.bound, one.target) for one in figures]
