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
OVER_FIT, OVER_HAND = "step rate over fit's", "time of a step over JAX's"
RECORDING = "gradients of every step and of the probe"
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
    """ResNet-20 on CIFAR-10 by the TensorFlow engine.

    Few steps, as each takes a third of a second on two cores; so many that what is done once an epoch (the last step's
    moves) weighs little in them, and that the probe has the images that it looks at.
    """
    return resnet20(setup, "tensorflow", Size(3072, 128), 1.0)


def resnet20(setup: Setup, engine: str, size: Size, target: float, *, counts: bool = True) -> list[Figure]:
    """Beside ``fit`` on the same backend; without ``counts``, only to see that it runs."""
    what = f"ResNet-{DEPTH} on CIFAR-10, {engine}, batch {size.batch_size}"
    setup.tell(what)
    synthetic = setup.synthetic or not data.present(Cifar10)
    dataset = _saved(setup, size, data.first(size.images, synthetic))
    rival = {
        "backend": engine, "depth": DEPTH, "images": size.images, "batch_size": size.batch_size, "synthetic": synthetic,
    }  # fmt: skip
    ours = _ours(setup, "resnet20", engine, size, counts, dataset=dataset, synthetic=False)
    heard = take_turns({**ours, "fit": ("keras_net", rival)}, setup.rounds if counts else 0, setup.tell)
    if not counts:
        return _seen(what, OVER_FIT, "≥", target)
    plain, fit = heard["dlx"], heard["fit"]
    times = plain.text(), f"Keras fit: {fit.text()}"
    rate = Figure(GROUP, f"{what}: {OVER_FIT}", *times, ratio(fit, plain), "×", "≥", target)
    return [rate, *_recording(what, heard, EPOCH / size.batch_size)]


def resnet50(setup: Setup, size: Size, *, counts: bool = True) -> list[Figure]:
    """ResNet-50 in bfloat16 on noise, beside a step of JAX by hand."""
    what = f"ResNet-50 on JAX, {size.side} pixels, bfloat16, batch {size.batch_size}"
    setup.tell(what)
    classes = min(CLASSES, size.images)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (size.images, size.side, size.side, 3), dtype=np.uint8)
    dataset = _saved(setup, size, (noise, np.arange(size.images, dtype=np.int32) % classes))
    rival = {"images": size.images, "size": size.side, "batch_size": size.batch_size, "classes": classes}
    ours = _ours(setup, "resnet50", "jax", size, counts, dataset=dataset, synthetic=False, precision="mixed_bfloat16")
    heard = take_turns({**ours, "by hand": ("jax_resnet50", rival)}, setup.rounds if counts else 0, setup.tell)
    hand = heard["by hand"]
    assert hand.first["parameters"] == PARAMETERS - FEATURES * (CLASSES - classes), hand.first
    if not counts:
        return _seen(what, OVER_HAND, "≤", 1.1)
    plain = heard["dlx"]
    times = plain.text(), f"JAX by hand: {hand.text()}"
    rate = Figure(GROUP, f"{what}: {OVER_HAND}", *times, ratio(plain, hand), "×", "≤", 1.1)
    return [rate, *_recording(what, heard, 1_281_167 / size.batch_size)]


def _saved(setup: Setup, size: Size, examples: tuple[Any, Any]) -> str:
    """A data set of these images and labels, all of them for training: none are evaluated, which no figure is about."""
    path = setup.scratch / f"images-{size.side}.npz"
    np.savez(path, x_train=examples[0], y_train=examples[1])
    return f"{{name: npz, path: {path}, test: 0, validation: 0}}"


def _ours(setup: Setup, network: str, engine: str, size: Size, both: bool, **more: Any) -> dict[str, Contender]:
    """The trial with gradients, of every step and of the probe, and, of ``both``, the one that records none."""
    gradients = GRADIENTS.replace("{sources", f"{{sample: {size.sample}, sources")
    return {
        name: setup.trial(
            f"{network}-{engine}-{name}", network=network, batch_size=size.batch_size, epochs=1, probes=probes,
            engine=engine, **more,
        )
        for name, probes in {"dlx": NOTHING, "recorded": gradients}.items() if both or name == "recorded"
    }  # fmt: skip


def _recording(what: str, heard: dict[str, Rounds], steps: float) -> list[Figure]:
    """Norms of every step and the probe after an epoch of so many ``steps``."""
    plain, recorded = heard["dlx"], heard["recorded"]
    probe = recorded.best("probes")
    cost = ratio(recorded, plain) + probe / (steps * plain.best()) - 1
    times = f"{recorded.text()}, and {1e3 * probe:.0f} ms an epoch", f"nothing recorded: {plain.text()}"
    return [Figure(GROUP, f"{what}: {RECORDING}", *times, 100 * cost, "%", "≤", 3.0)]


def _seen(what: str, compared: str, bound: Bound, target: float) -> list[Figure]:
    """What stands in the place of figures where a small size has only shown that they can be taken."""
    seen = "needs a GPU; ran here at a tiny size"
    return [
        Figure(GROUP, f"{what}: {compared}", seen, "", None, "×", bound, target),
        Figure(GROUP, f"{what}: {RECORDING}", seen, "", None, "%", "≤", 3.0),
    ]
