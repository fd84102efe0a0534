"""How long ``dlx compare`` takes over many trials, and how much memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.duel import ROOT, environment
from benchmarks.made_trials import make
from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "compare"
METRICS = ("test_accuracy@last", "grad_ratio@init")


def measure(setup: Setup) -> list[Figure]:
    """A thousand trials without and with summaries, ten thousand without; 60 epochs, 5 layers each."""
    setup.tell("compare: making 1,000 trials")
    results = setup.scratch / "thousand"
    make(results, settings=200, seeds=5)
    figures = []
    for metric in METRICS:
        cold, warm = _times(setup, results, metric)
        promise = (1.5, 1.0) if metric == METRICS[0] else (None, None)
        for words, seconds, target in (("no summary", cold, promise[0]), ("summary there", warm, promise[1])):
            what = f"dlx compare, 1,000 trials, {metric}, {words}"
            figures.append(Figure(GROUP, what, f"{seconds:.2f} s", "", seconds, "s", "≤" if target else None, target))
    setup.tell("compare: making 10,000 trials")
    results = setup.scratch / "ten-thousand"
    make(results, settings=2000, seeds=5)
    seconds, peak = _run(setup, results, METRICS[0])
    note = f"peak resident memory {peak / 2**20:.0f} MB, at most 500"
    figures.append(Figure(GROUP, "dlx compare, 10,000 trials", f"{seconds:.2f} s", "", seconds, "s", "≤", 8.0, note))
    return figures


def _times(setup: Setup, results: Path, metric: str) -> tuple[float, float]:
    """The best of each, in turns."""
    cold, warm = [], []
    for _ in range(max(3, setup.rounds)):
        (results / "made" / ".summary.json").unlink(missing_ok=True)
        cold.append(_run(setup, results, metric)[0])
        warm.append(_run(setup, results, metric)[0])
    return min(cold), min(warm)


def _run(setup: Setup, results: Path, metric: str) -> tuple[float, int]:
    """Seconds, and bytes at the peak."""
    around = {**environment(), "PYTHONPYCACHEPREFIX": str(setup.scratch / "bytecode")}
    around.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-m", "dlx", "compare", str(results), "--metric", metric]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=around, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"dlx compare ended with {process.returncode}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
