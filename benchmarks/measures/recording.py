"""What recording costs: the norms of every step, and the probes at the end of an epoch."""

from __future__ import annotations

import statistics

from benchmarks.duel import Rounds, ratio, take_turns
from benchmarks.measures import EVERYTHING, NOTHING, STEPS, Setup
from benchmarks.report import Figure, microseconds

GROUP = "recording"


def measure(setup: Setup) -> list[Figure]:
    """LeNet-5, where recording must be free, and the smallest net, where it is only bounded."""
    return [
        *_compare(setup, "lenet5", "LeNet-5, batch 128", 128, epochs=1, promised=True),
        *_compare(setup, "30-30", "784-30-30-10, batch 10", 10, epochs=6, promised=False),
    ]


def _compare(setup: Setup, network: str, title: str, batch_size: int, *, epochs: int, promised: bool) -> list[Figure]:
    setup.tell(f"recording, {title}")
    kinds = {"nothing": NOTHING, "norms": STEPS, "norms and probes": EVERYTHING}
    contenders = {
        name: setup.trial(f"recording-{network}-{name}", network=network, batch_size=batch_size, epochs=epochs, probes=probes)
        for name, probes in kinds.items()
    }
    heard = take_turns(contenders, setup.rounds, setup.tell)
    nothing, norms, probes = heard.values()
    steps = -(-50_000 // batch_size)
    cost = ratio(norms, nothing)
    times = microseconds(norms.median()), f"nothing recorded: {microseconds(nothing.median())}"
    what = f"{title}: norms of every step"
    per_step = (
        Figure(GROUP, what, *times, 100 * (cost - 1), "%", "≤", 5.0)
        if promised
        else Figure(GROUP, what, *times, cost, "×", "≤", 1.7)
    )
    probing, evaluating = probes.median("rest"), nothing.median("rest")
    share = statistics.median(_probe_shares(probes, nothing, steps))
    times = f"{probing * 1e3:.0f} ms after an epoch", f"no probes: {evaluating * 1e3:.0f} ms"
    what = f"{title}: gradient and activation probes every epoch, of the epoch's {nothing.median() * steps:.2f} s"
    bound, target = ("≤", 5.0) if promised else (None, None)
    return [per_step, Figure(GROUP, what, *times, 100 * share, "%", bound, target)]  # type: ignore[arg-type]


def _probe_shares(probes: Rounds, nothing: Rounds, steps: int) -> list[float]:
    """What the probes add to the time after the steps, by the time of the steps, both without them."""
    return [
        (with_probes - without) / (seconds * steps)
        for with_probes, without, seconds in zip(
            probes.values("rest"), nothing.values("rest"), nothing.values(), strict=True
        )
    ]
