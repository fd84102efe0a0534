"""Nets of convolutions: their step rate beside the same net by Keras or by hand, and what recording costs them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks import data
from benchmarks.duel import Contender, Rounds, paired, take_turns
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
    """How much an epoch trains on; ``sample``: images that the probe looks at."""

    images: int
    batch_size: int
    side: int = 32
    sample: int = 1000


EPOCHS, CHUNKS = 2, 45
"""Turns of the comparison with others, and of what recording adds to a chunk of steps, per round that is asked for.

Two equal trials differ by 10 % from one step of 0.3 s to the next on a shared machine; over 400 pairs of neighbours the
median is certain to half a percent, which tells whether recording costs less than three.
"""


def measure(setup: Setup) -> list[Figure]:
    """ResNet-20 on CIFAR-10 by the TensorFlow engine: short epochs, as a step takes 0.3 s on two cores."""
    return resnet20(setup, "tensorflow", Size(1536, 128), 1.0)


def resnet20(setup: Setup, engine: str, size: Size, target: float, *, counts: bool = True) -> list[Figure]:
    """Beside ``fit`` on the same backend; without ``counts``, only to see that it runs."""
    what = f"ResNet-{DEPTH} on CIFAR-10, {engine}, batch {size.batch_size}"
    setup.tell(what)
    synthetic = setup.synthetic or not data.present(Cifar10)
    dataset = _saved(setup, size, data.first(size.images, synthetic))
    rival = {
        "backend": engine, "depth": DEPTH, "images": size.images, "batch_size": size.batch_size, "synthetic": synthetic,
    }  # fmt: skip
    ours = _Ours(setup, "resnet20", engine, size, {"dataset": dataset, "synthetic": False})
    plain, fit = _turns(setup, ours.trial("nothing", 1), ("keras_net", rival), counts)
    figures = _recording(setup, what, ours, EPOCH / size.batch_size, counts)
    if not counts:
        return [_seen(f"{what}: {OVER_FIT}", "×", "≥", target), *figures]
    times = plain.text(), f"Keras fit: {fit.text()}"
    return [Figure(GROUP, f"{what}: {OVER_FIT}", *times, paired(fit, plain), "×", "≥", target), *figures]


def resnet50(setup: Setup, size: Size, *, counts: bool = True) -> list[Figure]:
    """ResNet-50 in bfloat16 on noise, beside a step of JAX by hand."""
    what = f"ResNet-50 on JAX, {size.side} pixels, bfloat16, batch {size.batch_size}"
    setup.tell(what)
    classes = min(CLASSES, size.images)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (size.images, size.side, size.side, 3), dtype=np.uint8)
    dataset = _saved(setup, size, (noise, np.arange(size.images, dtype=np.int32) % classes))
    rival = {"images": size.images, "size": size.side, "batch_size": size.batch_size, "classes": classes}
    ours = _Ours(
        setup, "resnet50", "jax", size, {"dataset": dataset, "synthetic": False, "precision": "mixed_bfloat16"}
    )
    plain, hand = _turns(setup, ours.trial("nothing", 1), ("jax_resnet50", rival), counts)
    assert hand.first["parameters"] == PARAMETERS - FEATURES * (CLASSES - classes), hand.first
    figures = _recording(setup, what, ours, 1_281_167 / size.batch_size, counts)
    if not counts:
        return [_seen(f"{what}: {OVER_HAND}", "×", "≤", 1.1), *figures]
    times = plain.text(), f"JAX by hand: {hand.text()}"
    return [Figure(GROUP, f"{what}: {OVER_HAND}", *times, paired(plain, hand), "×", "≤", 1.1), *figures]


def _saved(setup: Setup, size: Size, examples: tuple[Any, Any]) -> str:
    """A data set of these images and labels, all of them for training: none are evaluated, which no figure is about."""
    path = setup.scratch / f"images-{size.side}.npz"
    np.savez(path, x_train=examples[0], y_train=examples[1])
    return f"{{name: npz, path: {path}, test: 0, validation: 0}}"


@dataclass(frozen=True)
class _Ours:
    """The trials of a net, which differ in what they record."""

    setup: Setup
    network: str
    engine: str
    size: Size
    more: dict[str, Any]

    def trial(self, probes: str, epochs: int | None) -> Contender:
        """Recording ``nothing``, or ``gradients`` of every step and of the probe; a round is a chunk or ``epochs``."""
        gradients = GRADIENTS.replace("{sources", f"{{sample: {self.size.sample}, sources")
        recorded = {"nothing": NOTHING, "gradients": gradients}[probes]
        return self.setup.trial(
            f"{self.network}-{self.engine}-{probes}-{epochs}", network=self.network, batch_size=self.size.batch_size,
            epochs=epochs, probes=recorded, engine=self.engine, **self.more,
        )  # fmt: skip


def _turns(setup: Setup, ours: Contender, rival: Contender, counts: bool) -> tuple[Rounds, Rounds]:
    """Of the trial that records nothing, and of its rival."""
    heard = take_turns({"dlx": ours, "rival": rival}, EPOCHS * setup.rounds if counts else 0, setup.tell)
    return heard["dlx"], heard["rival"]


def _recording(setup: Setup, what: str, ours: _Ours, steps: float, counts: bool) -> list[Figure]:
    """Norms of every step, chunk by chunk, and the probe after an epoch of so many ``steps``."""
    contenders = {name: ours.trial(name, None) for name in ("nothing", "gradients")}
    heard = take_turns(contenders, CHUNKS * setup.rounds if counts else 0, setup.tell)
    plain, recorded = heard["nothing"], heard["gradients"]
    if not counts:
        return [_seen(f"{what}: {RECORDING}", "%", "≤", 3.0)]
    probe = statistics.median(chunk["probes"] for chunk in recorded.counted if chunk["ended"])
    cost = paired(recorded, plain) + probe / (steps * plain.median()) - 1
    times = f"{recorded.text()}, and {1e3 * probe:.0f} ms an epoch", f"nothing recorded: {plain.text()}"
    return [Figure(GROUP, f"{what}: {RECORDING}", *times, 100 * cost, "%", "≤", 3.0)]


def _seen(what: str, unit: Literal["×", "%"], bound: Bound, target: float) -> Figure:
    """What stands in the place of a figure where a small size has only shown that it can be taken."""
    return Figure(GROUP, what, "needs a GPU; ran here at a tiny size", "", None, unit, bound, target)
