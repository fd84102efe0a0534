"""The JAX engine: its step rate, and what seeds that train together cost beside one.

The figures of a GPU are taken where there is one; without, the table says that they have not been.
"""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.duel import ratio, take_turns
from benchmarks.measures import STEPS, Setup
from benchmarks.measures.convnets import Size, resnet20, resnet50
from benchmarks.measures.steps import SMALLEST, agree, faster, slower
from benchmarks.report import Figure
from dlx import devices

GROUP = "JAX"
SEEDS = 32
DEPTHS = {1: "30", 2: "30-30", 3: "30-30-30", 4: "30-30-30-30"}
EPOCHS = 60
SIZES = {"resnet20": (12_800, 128), "resnet50": (1024, 128, 224)}
"""Images and batch of a turn, and their side: on a GPU."""


def measure(setup: Setup) -> list[Figure]:
    """Seconds per step with the norms of every step on record; packs on a GPU."""
    if find_spec("jax") is None:
        setup.tell("jax: not installed, not measured")
        return []
    gpu = bool(devices.gpus())
    small = Size(*SIZES["resnet20"]) if gpu else Size(16, 8, sample=8)
    large = Size(*SIZES["resnet50"]) if gpu else Size(4, 2, side=64, sample=2)
    return [
        *_steps(setup),
        *(_packs(setup) if gpu else _no_gpu()),
        *resnet20(setup, "jax", small, 1.2, counts=gpu),
        *resnet50(setup, large, counts=gpu),
    ]


def _steps(setup: Setup) -> list[Figure]:
    what = "784-30-30-10 on JAX, batch 10"
    setup.tell(what)
    common = {"network": SMALLEST, "batch_size": 10, "probes": STEPS, "engine": "jax"}
    heard = take_turns(
        {
            "dlx": setup.trial("jax-steps", epochs=3, **common),  # type: ignore[arg-type]
            "fit": setup.fit(network=SMALLEST, batch_size=10, epochs=1),
            "scan": setup.jax(network=SMALLEST, batch_size=10, epochs=3),
        },
        setup.rounds,
        setup.tell,
    )
    agree(heard["dlx"], heard["scan"])
    return [faster(what, heard["dlx"], heard["fit"], 14.0), slower(what, heard["dlx"], heard["scan"], 1.1)]


def _packs(setup: Setup) -> list[Figure]:
    """Each depth: seeds together and one alone; the time of the whole sweep is that of its epochs."""
    figures, total = [], 0.0
    for depth, hidden in DEPTHS.items():
        what = f"784-{hidden}-10 on {devices.gpus()[0].name}, {SEEDS} seeds"
        setup.tell(what)
        common = {"network": hidden, "batch_size": 10, "epochs": 1, "probes": STEPS, "engine": "jax"}
        heard = take_turns(
            {
                "together": setup.trial(f"jax-{depth}-many", seeds=SEEDS, pack=SEEDS, **common),  # type: ignore[arg-type]
                "one": setup.trial(f"jax-{depth}-one", **common),  # type: ignore[arg-type]
            },
            setup.rounds,
            setup.tell,
        )
        together, one = heard["together"], heard["one"]
        times = together.text(), f"one seed: {one.text()}"
        figures.append(Figure(GROUP, f"{what}: time over that of one", *times, ratio(together, one), "×", "≤", 2.0))
        total += together.compilation + EPOCHS * together.best("round")
    what = f"MNIST, depths 1 to 4, {SEEDS} seeds, {EPOCHS} epochs: epochs of the best turn, and compilation"
    return [*figures, Figure(GROUP, what, f"{total:.0f} s", "", total, "s", "≤", 180.0)]


def _no_gpu() -> list[Figure]:
    seeds = f"{SEEDS} seeds together on a GPU, depths 1 to 4: time over that of one seed"
    sweep = f"MNIST, depths 1 to 4, {SEEDS} seeds, {EPOCHS} epochs on a GPU"
    return [
        Figure(GROUP, seeds, "needs a GPU", "", None, "×", "≤", 2.0),
        Figure(GROUP, sweep, "needs a GPU", "", None, "s", "≤", 180.0),
    ]
