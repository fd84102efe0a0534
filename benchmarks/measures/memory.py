"""Peak memory of a whole MNIST trial and of the Keras script that one would write instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import data
from benchmarks.duel import ROOT, ContenderFailedError, environment
from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "memory"
NETWORKS = {
    "784-30-10, batch 10": ("{name: mlp, activation: sigmoid}", 10),
    "LeNet-5, batch 128": ("{name: lenet5}", 128),
}


def measure(setup: Setup) -> list[Figure]:
    """Peak resident set of ``dlx run`` with its default probes, and of load, fit and evaluate."""
    if not hasattr(os, "wait4"):
        setup.tell("peak memory is not measured here: it needs wait4")
        return []
    if setup.synthetic:
        setup.tell("peak memory is not measured: it needs MNIST")
        return []
    figures = []
    for title, (model, batch_size) in NETWORKS.items():
        setup.tell(f"peak memory, {title}")
        spec = setup.scratch / "memory.yaml"
        training = f"{{batch_size: {batch_size}, epochs: 2}}"
        spec.write_text(f"dataset: {data.yaml()}\nmodel: {model}\ntraining: {training}\n", encoding="utf-8")
        results = setup.scratch / f"memory-{batch_size}"
        ours = _peak(["-m", "dlx", "run", str(spec), "--results", str(results)], setup)
        network = "lenet5" if batch_size == 128 else "mlp"
        theirs = _peak(["-m", "benchmarks.contenders.keras_script", network, str(batch_size)], setup)
        times = f"{ours / 2**20:.0f} MB", f"Keras script: {theirs / 2**20:.0f} MB"
        figures.append(Figure(GROUP, f"MNIST, {title}: peak resident memory", *times, ours / theirs, "×", "≤", 1.3))
    return figures


def _peak(arguments: list[str], setup: Setup) -> int:
    """Bytes of the largest resident set a Python process had."""
    log = Path(setup.scratch, "memory.log")
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment(), stdout=file, stderr=file)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ContenderFailedError(log.read_text(encoding="utf-8")[-3000:])
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
