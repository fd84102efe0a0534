"""The JAX engine: its step rate, and what seeds that train together cost beside one.

The figures of a GPU are taken where there is one; without, the table says that they have not been.
"""

from __future__ import annotations

from collections.abc import Iterator
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


ON_CPU = {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1"}


def measure(setup: Setup) -> Iterator[Figure]:
    """Seconds per step with the norms of every step on record, on a CPU; packs and large nets on a GPU.

    Figure by figure, so that those there are stand in the table even if a later contender fails.
    """
    if find_spec("jax") is None:
        setup.tell("jax: not installed, not measured")
        return
    gpu = bool(devices.gpus())
    small = Size(*SIZES["resnet20"]) if gpu else Size(16, 8, sample=8)
    large = Size(*SIZES["resnet50"]) if gpu else Size(4, 2, side=32, sample=2)
    yield from _steps(setup)
    yield from _packs(setup) if gpu else _no_gpu()
    yield from resnet20(setup, "jax", small, 1.2, counts=gpu)
    yield from resnet50(setup, large, counts=gpu)


def _steps(setup: Setup) -> list[Figure]:
    """What is promised of a CPU, and taken there though there be a GPU; ``fit`` on TensorFlow where that is."""
    backend = "tensorflow" if find_spec("tensorflow") else "jax"
    what = "784-30-30-10 on JAX, batch 10"
    setup.tell(what)
    common = {"network": SMALLEST, "batch_size": 10, "probes": STEPS, "engine": "jax", "environment": ON_CPU}
    heard = take_turns(
        {
            "dlx": setup.trial("jax-steps", epochs=3, **common),  # type: ignore[arg-type]
            "fit": setup.fit(network=SMALLEST, batch_size=10, epochs=1, backend=backend, environment=ON_CPU),
            "scan": setup.jax(network=SMALLEST, batch_size=10, epochs=3, environment=ON_CPU),
        },
        setup.rounds,
        setup.tell,
    )
    agree(heard["dlx"], heard["scan"])
    fit = what if backend == "tensorflow" else f"{what}, fit on JAX as well"
    return [faster(fit, heard["dlx"], heard["fit"], 14.0), slower(what, heard["dlx"], heard["scan"], 1.1)]


def _packs(setup: Setup) -> Iterator[Figure]:
    """Each depth: seeds together and one alone; the time of the whole sweep is that of its epochs."""
    total = 0.0
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
        yield Figure(GROUP, f"{what}: time over that of one", *times, ratio(together, one), "×", "≤", 2.0)
        total += together.compilation + EPOCHS * together.best("round")
    what = f"MNIST, depths 1 to 4, {SEEDS} seeds, {EPOCHS} epochs: epochs of the best turn, and compilation"
    yield Figure(GROUP, what, f"{total:.0f} s", "", total, "s", "≤", 180.0)


def _no_gpu() -> Iterator[Figure]:
    seeds = f"{SEEDS} seeds together on a GPU, depths 1 to 4: time over that of one seed"
    sweep = f"MNIST, depths 1 to 4, {SEEDS} seeds, {EPOCHS} epochs on a GPU"
    yield Figure(GROUP, seeds, "needs a GPU", "", None, "×", "≤", 2.0)
    yield Figure(GROUP, sweep, "needs a GPU", "", None, "s", "≤", 180.0)
