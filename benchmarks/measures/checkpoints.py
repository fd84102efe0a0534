"""What being interruptible costs: checkpoints at the default schedule, and training in chunks."""

from __future__ import annotations

from benchmarks.duel import ratio, take_turns
from benchmarks.measures import STEPS, Setup
from benchmarks.report import Figure, microseconds

GROUP = "interruption"
NEVER = "{every: 1000000 epochs}"
NETWORKS = {"30-30": ("784-30-30-10, batch 10", 10, 40), "lenet5": ("LeNet-5, batch 128", 128, 6)}
"""Title, batch size, epochs per round: enough for a checkpoint in every round."""


def measure(setup: Setup) -> list[Figure]:
    """The share of checkpoints in the training time, and two programs that differ only in their chunks."""
    figures: list[Figure] = []
    for network, (title, batch_size, epochs) in NETWORKS.items():
        figures += [_checkpoints(setup, network, title, batch_size, epochs)]
    for network, (title, batch_size, epochs) in NETWORKS.items():
        figures += _chunks(setup, network, title, batch_size, max(1, epochs // 6))
    return figures


def _checkpoints(setup: Setup, network: str, title: str, batch_size: int, epochs: int) -> Figure:
    setup.tell(f"checkpoints, {title}")
    common = {"network": network, "batch_size": batch_size, "epochs": epochs, "probes": STEPS}
    contenders = {
        "default": setup.trial(f"checkpoints-{network}-default", **common),
        "never": setup.trial(f"checkpoints-{network}-never", **common, checkpoint=NEVER),
    }
    heard = take_turns(contenders, max(3, setup.rounds // 2), setup.tell)
    steps = -(-50_000 // batch_size)
    kept = [seconds for reply in heard["default"].counted for seconds in reply["kept"]]
    trained = sum((reply["seconds"] * steps + reply["rest"]) * epochs for reply in heard["default"].counted)
    never = heard["never"].median()
    return Figure(
        GROUP,
        f"{title}: time in checkpoints, default schedule",
        f"{len(kept)} of {1e3 * sum(kept) / max(1, len(kept)):.0f} ms in {trained:.0f} s",
        f"step {microseconds(heard['default'].median())}, without checkpoints {microseconds(never)}",
        100 * sum(kept) / trained,
        "%",
        "<",
        2.0,
        CONSERVATIVE,
    )


CONSERVATIVE = (
    "A checkpoint is due ten seconds after the last one at the earliest; here it is in every round, since the "
    "clock goes on while the other contender has its turn: an undisturbed trial spends less."
)


def _chunks(setup: Setup, network: str, title: str, batch_size: int, epochs: int) -> list[Figure]:
    setup.tell(f"chunks, {title}")
    common = {"network": network, "batch_size": batch_size, "epochs": epochs, "probes": STEPS, "checkpoint": NEVER}
    contenders = {
        "chunks": setup.trial(f"chunks-{network}-chunks", **common),
        "one call": setup.trial(f"chunks-{network}-one", **common, one_call=True),
        "one call again": setup.trial(f"chunks-{network}-again", **common, one_call=True),
    }
    heard = take_turns(contenders, setup.rounds, setup.tell)
    chunks, whole, again = heard.values()
    noise = 100 * abs(ratio(again, whole) - 1)
    return [
        Figure(
            GROUP,
            f"{title}: chunks of 0.4 s, time added to a step",
            microseconds(chunks.median()),
            f"one call per epoch: {microseconds(whole.median())}; the same again: {microseconds(again.median())}",
            100 * (ratio(chunks, whole) - 1),
            "%",
            note=f"Two processes that do the very same differ by {noise:.1f} % in this run ({title}): what is less is nothing.",
        )
    ]
