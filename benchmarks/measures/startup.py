"""How long a command takes that only looks."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.duel import ROOT, environment
from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "start-up"
PROCESSES = 10
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "dlx --help": ["-m", "dlx", "--help"],
    "dlx check experiments/quickstart.yaml": ["-m", "dlx", "check", "experiments/quickstart.yaml"],
}
TARGETS = {"dlx --help": 0.3, "dlx check experiments/quickstart.yaml": 0.7}


def measure(setup: Setup) -> list[Figure]:
    """The median of ten processes of each kind, in turns, files in the page cache and compiled to bytecode."""
    setup.tell("start-up")
    # As where dlx is installed: modules are compiled once, whatever this process was told about it.
    around = {**environment(), "PYTHONPYCACHEPREFIX": str(setup.scratch / "bytecode")}
    around.pop("PYTHONDONTWRITEBYTECODE", None)
    took: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(PROCESSES + 1):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], cwd=ROOT, env=around, check=True, capture_output=True)
            if turn:
                took[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(seconds) for name, seconds in took.items()}
    bare = f"python -c pass: {medians['python -c pass']:.3f} s"
    return [
        Figure(GROUP, name, f"{medians[name]:.3f} s", bare, medians[name], "s", "≤", target)
        for name, target in TARGETS.items()
    ]
