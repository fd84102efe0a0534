"""How long ``dlx plot`` takes over a sweep, start-up included."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.duel import ROOT, environment
from benchmarks.made_trials import make
from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "plot"
COMMANDS = (
    ("sweep", ".svg"),
    ("sweep", ".html"),
    ("learning-speed", ".svg"),
    ("learning-speed", ".pdf"),
    ("learning-speed", ".html"),
    ("accuracy", ".png"),
)
TARGET = 3.0


def measure(setup: Setup) -> list[Figure]:
    """The median time of a picture of fifty trials: ten settings, five seeds, 60 epochs, 5 layers."""
    setup.tell("plot: making 50 trials")
    results = setup.scratch / "fifty"
    make(results, settings=10, seeds=5)
    around = {**environment(), "PYTHONPYCACHEPREFIX": str(setup.scratch / "bytecode")}
    around.pop("PYTHONDONTWRITEBYTECODE", None)
    took: dict[tuple[str, str], list[float]] = {command: [] for command in COMMANDS}
    for turn in range(max(3, setup.rounds // 2) + 1):
        for kind, suffix in COMMANDS:
            output = setup.scratch / f"picture{suffix}"
            command = [sys.executable, "-m", "dlx", "plot", kind, str(results), "-o", str(output)]
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, env=around, check=True, capture_output=True)
            if turn:  # the first compiles to bytecode
                took[kind, suffix].append(time.perf_counter() - began)
    figures = []
    for (kind, suffix), seconds in took.items():
        median = statistics.median(seconds)
        what = f"dlx plot {kind} of 50 trials, {suffix}"
        figures.append(Figure(GROUP, what, f"{median:.2f} s", "", median, "s", "≤", TARGET))
    return figures
