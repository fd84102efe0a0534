"""How long ``dlx report`` takes over a hundred trials, start-up included, and how large the page is."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.duel import ROOT, environment
from benchmarks.made_trials import make
from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "report"
SECONDS, MEGABYTES = 10.0, 3.0


def measure(setup: Setup) -> list[Figure]:
    """Twenty settings, five seeds, 60 epochs, 5 layers: the median time, without what a first call leaves behind."""
    setup.tell("report: making 100 trials")
    results, page = setup.scratch / "hundred", setup.scratch / "report.html"
    make(results, settings=20, seeds=5)
    around = {**environment(), "PYTHONPYCACHEPREFIX": str(setup.scratch / "bytecode")}
    around.pop("PYTHONDONTWRITEBYTECODE", None)
    took = []
    for turn in range(max(3, setup.rounds // 2) + 1):
        (results / "made" / ".summary.json").unlink(missing_ok=True)
        began = time.perf_counter()
        command = [sys.executable, "-m", "dlx", "report", str(results), "-o", str(page)]
        subprocess.run(command, cwd=ROOT, env=around, check=True, capture_output=True)
        if turn:  # the first compiles to bytecode
            took.append(time.perf_counter() - began)
    median, size = statistics.median(took), page.stat().st_size / 1e6
    what = "dlx report of 100 trials"
    return [
        Figure(GROUP, what, f"{median:.2f} s", "", median, "s", "≤", SECONDS),
        Figure(GROUP, f"{what}: the page", f"{size:.2f} MB", "", size, "MB", "≤", MEGABYTES),
    ]
