"""What augmentation costs: an epoch of a small convolutional net on CIFAR-10 with and without it."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks import data
from benchmarks.duel import Rounds, take_turns
from benchmarks.measures import NOTHING, Setup
from benchmarks.report import Figure
from dlx.datasets.cifar10 import Spec as Cifar10

GROUP = "augmentation"
BATCH = 128
STEPS_OF_AN_EPOCH = -(-45_000 // BATCH)

USUAL = "[flip, {name: crop, padding: 4}]"
LISTS = {
    "flip, crop": USUAL,
    "flip, crop, erasing, brightness": "[flip, {name: crop, padding: 4}, erasing, brightness]",
    "rotation": "[rotation]",
}
"""The usual recipe for CIFAR-10, with a promise; more of it; and what has to be interpolated."""


def measure(setup: Setup) -> list[Figure]:
    """As small a net as anybody would train, and that of ``experiments/convnets/cifar10-small.yaml``.

    The steps of the larger one take six times as long: fewer of them, and fewer turns, last as long.
    """
    small = _compare(setup, "cnn", LISTS, images=12_800, rounds=setup.rounds)
    large = _compare(setup, "cnn 32-64-128", {"flip, crop": USUAL}, images=3_200, rounds=-(-setup.rounds // 2))
    return [*small, *large]


def _compare(setup: Setup, network: str, lists: Mapping[str, str], *, images: int, rounds: int) -> list[Figure]:
    setup.tell(f"augmentation, {network} on CIFAR-10")
    common = {
        "network": network, "batch_size": BATCH, "epochs": 1, "probes": NOTHING,
        "dataset": f"{{name: cifar10, validation: 5000, train_limit: {images}}}",
        "synthetic": setup.synthetic or not data.present(Cifar10),
    }  # fmt: skip
    contenders = {
        name: setup.trial(f"augmentation-{network}-{at}", augmentation=listed, **common)  # type: ignore[arg-type]
        for at, (name, listed) in enumerate({"none": "[]", **lists}.items())
    }
    heard = take_turns(contenders, rounds, setup.tell)
    return [_cost(network, name, heard[name], heard["none"]) for name in lists]


def _cost(network: str, name: str, augmented: Rounds, plain: Rounds) -> Figure:
    """Of a whole epoch: its steps and the evaluation behind them, in the fastest round of each."""
    extra = STEPS_OF_AN_EPOCH * (augmented.best() - plain.best())
    epoch = STEPS_OF_AN_EPOCH * plain.best() + plain.best("rest")
    times = augmented.text(), f"without: {plain.text()}"
    target = 15.0 if name == "flip, crop" else None
    what = f"{network} on CIFAR-10, batch {BATCH}: {name}, of an epoch"
    return Figure(GROUP, what, *times, 100 * extra / epoch, "%", "≤" if target else None, target)
