"""What recording costs: the norms of every step, and the probes at the end of an epoch."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.data import TRAINING_IMAGES
from benchmarks.duel import Rounds, ratio, take_turns
from benchmarks.measures import EVERYTHING, NOTHING, STEPS, Setup
from benchmarks.report import Bound, Figure

GROUP = "recording"


@dataclass(frozen=True)
class Net:
    """What is trained: an epoch is 50,000 images, a round ``images`` of them ``epochs`` times."""

    network: str
    title: str
    batch_size: int
    images: int
    epochs: int
    in_percent: bool

    @property
    def steps(self) -> int:
        """Steps of a whole epoch."""
        return -(-TRAINING_IMAGES // self.batch_size)


NETS = (
    Net("lenet5", "LeNet-5, batch 128", 128, images=12_800, epochs=1, in_percent=True),
    Net("30-30", "784-30-30-10, batch 10", 10, images=50_000, epochs=2, in_percent=False),
)


def measure(setup: Setup) -> list[Figure]:
    """LeNet-5, where recording must be free, and the smallest net, where it is only bounded."""
    return [figure for net in NETS for figure in _compare(setup, net)]


def _compare(setup: Setup, net: Net) -> list[Figure]:
    setup.tell(f"recording, {net.title}")
    kinds = {"nothing": NOTHING, "norms": STEPS, "probes": EVERYTHING}
    common = {"network": net.network, "batch_size": net.batch_size, "epochs": net.epochs, "images": net.images}
    contenders = {
        name: setup.trial(f"recording-{net.network}-{name}", probes=probes, **common)  # type: ignore[arg-type]
        for name, probes in kinds.items()
    }
    heard = take_turns(contenders, 2 * setup.rounds, setup.tell)
    return [_norms(net, heard["norms"], heard["nothing"]), _probes(net, heard["probes"], heard["nothing"])]


def _norms(net: Net, norms: Rounds, nothing: Rounds) -> Figure:
    cost = ratio(norms, nothing) + norms.best("probes") / (net.steps * nothing.best())
    what = f"{net.title}: norms of every step (source train)"
    times = norms.text(), f"nothing recorded: {nothing.text()}"
    if net.in_percent:
        return Figure(GROUP, what, *times, 100 * (cost - 1), "%", "≤", 5.0)
    return Figure(GROUP, what, *times, cost, "×", "≤", 1.7)


def _probes(net: Net, probes: Rounds, nothing: Rounds) -> Figure:
    epoch = net.steps * nothing.best()
    spent = probes.best("probes")
    times = f"{1e3 * spent:.0f} ms after each epoch", f"an epoch of {TRAINING_IMAGES:,} images: {epoch:.2f} s"
    promise: tuple[Bound, float] | tuple[None, None] = ("≤", 5.0) if net.in_percent else (None, None)
    what = f"{net.title}: gradients and activations of 1,000 images every epoch"
    return Figure(GROUP, what, *times, 100 * spent / epoch, "%", *promise)
