"""What being interruptible costs: checkpoints at the default schedule, and training in chunks."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.duel import Contender, ratio, take_turns
from benchmarks.measures import STEPS, Setup
from benchmarks.report import Figure

GROUP = "interruption"
NEVER = "{every: 1000000 epochs}"
ROUNDS = 3


@dataclass(frozen=True)
class Net:
    """What is trained; ``epochs`` fill a round of a dozen seconds, in which a checkpoint falls due."""

    network: str
    title: str
    batch_size: int
    images: int
    epochs: int


NETS = (
    Net("30-30", "784-30-30-10, batch 10", 10, images=50_000, epochs=30),
    Net("lenet5", "LeNet-5, batch 128", 128, images=12_800, epochs=6),
)


def measure(setup: Setup) -> list[Figure]:
    """The share of checkpoints in the training time, and two programs that differ only in their chunks."""
    return [*(_checkpoints(setup, net) for net in NETS), *(_chunks(setup, net) for net in NETS)]


def _checkpoints(setup: Setup, net: Net) -> Figure:
    setup.tell(f"checkpoints, {net.title}")
    contenders = {
        "default": _trial(setup, net, "default", net.epochs),
        "never": _trial(setup, net, "never", net.epochs, checkpoint=NEVER),
    }
    heard = take_turns(contenders, ROUNDS, setup.tell)
    default, never = heard.values()
    steps = -(-net.images // net.batch_size)
    kept = [seconds for reply in default.counted for seconds in reply["kept"]]
    trained = sum((reply["seconds"] * steps + reply["rest"]) * net.epochs for reply in default.counted)
    each = f"{1e3 * sum(kept) / len(kept):.0f} ms" if kept else "nothing"
    return Figure(
        GROUP,
        f"{net.title}: time in checkpoints, default schedule",
        f"{len(kept)} of {each} in {trained:.0f} s; step {default.text()}",
        f"no checkpoints: {never.text()}",
        100 * sum(kept) / trained,
        "%",
        "<",
        2.0,
        CONSERVATIVE,
    )


CONSERVATIVE = (
    "A checkpoint is due ten seconds after the last one at the earliest. The clock goes on while the other "
    "contender has its turn, so that there are more of them here than in an undisturbed trial."
)


def _chunks(setup: Setup, net: Net) -> Figure:
    setup.tell(f"chunks, {net.title}")
    epochs = max(1, net.epochs // 10)
    contenders = {
        "chunks": _trial(setup, net, "chunks", epochs, checkpoint=NEVER),
        "one call": _trial(setup, net, "one", epochs, checkpoint=NEVER, one_call=True),
        "one call again": _trial(setup, net, "again", epochs, checkpoint=NEVER, one_call=True),
    }
    chunks, whole, again = take_turns(contenders, 2 * setup.rounds, setup.tell).values()
    noise = 100 * abs(ratio(again, whole) - 1)
    return Figure(
        GROUP,
        f"{net.title}: chunks of 0.4 s, time added to a step",
        chunks.text(),
        f"one call per epoch: {whole.text()}",
        100 * (ratio(chunks, whole) - 1),
        "%",
        note=f"{net.title}: two processes that do the very same differ by {noise:.1f} % in this run; less is nothing.",
    )


def _trial(setup: Setup, net: Net, name: str, epochs: int, **more: object) -> Contender:
    return setup.trial(
        f"{name}-{net.network}",
        network=net.network,
        batch_size=net.batch_size,
        images=net.images,
        epochs=epochs,
        probes=STEPS,
        **more,
    )
