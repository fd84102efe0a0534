"""Results directories of any size, as dlx leaves them, made without training: for measuring what reads them."""

from __future__ import annotations

import json
import random
from pathlib import Path

from dlx.records.cells import format_float
from dlx.records.tables import GRADIENTS, METRICS
from dlx.spec import load_text, resolved

SPEC = """
dataset: digits
model: {{name: mlp, depth: 4, width: 30}}
training: {{epochs: {epochs}, optimizer: {{name: sgd}}}}
sweep: {{training.optimizer.learning_rate: {rates}}}
seeds: {seeds}
"""
GRADIENT_FILES = 20
"""Distinct ``gradients.csv``; the other trials' are links to them, which are read like files of their own."""


def make(results: Path, *, settings: int, seeds: int, epochs: int = 60, layers: int = 5, name: str = "made") -> int:
    """Write ``settings`` × ``seeds`` finished trials; gives their number."""
    rng = random.Random(0)
    rates = [round(0.001 * (number + 1), 6) for number in range(settings)]
    experiment = load_text(SPEC.format(epochs=epochs, rates=rates, seeds=seeds), cap=settings * seeds)
    gradients: list[Path] = []
    for trial in experiment.trials:
        directory = results / name / "trials" / trial.id
        directory.mkdir(parents=True)
        (directory / "trial.yaml").write_text(resolved(trial, name), encoding="utf-8")
        (directory / "metrics.csv").write_text(_metrics(rng, epochs), encoding="utf-8")
        table = directory / "gradients.csv"
        if len(gradients) < GRADIENT_FILES:
            table.write_text(_gradients(rng, epochs, layers), encoding="utf-8")
            gradients.append(table)
        else:
            table.hardlink_to(rng.choice(gradients))
        attempt = {"number": 1, "started": "2026-01-01T00:00:00Z", "host": "h", "pid": 1, "ended": None, "exit": "done"}
        parameters = dict(trial.parameters)
        status = {
            "schema": "dlx.status/1", "state": "done", "reason": None, "log": None, "attempts": [attempt], "notes": [],
            "listing": {"trial": trial.id, "seed": trial.seed.init, "parameters": parameters},
            "summary": {"engine": "tensorflow", "epochs": epochs},
        }  # fmt: skip
        (directory / "status.json").write_text(json.dumps(status, indent=2) + "\n", encoding="utf-8")
        (directory / "environment.json").write_text('{"engine": "tensorflow"}\n', encoding="utf-8")
    return len(experiment.trials)


def _metrics(rng: random.Random, epochs: int) -> str:
    lines = [METRICS.header.decode()]
    best = rng.uniform(0.9, 0.95)
    for epoch in range(epochs + 1):
        accuracy = best * (1 - 0.9 * 0.9**epoch) + rng.gauss(0, 0.005)
        cells = [format_float(value) for _ in range(3) for value in (1 - accuracy, accuracy)]
        lines.append(",".join(["train", str(epoch), str(100 * epoch), *cells, "0.1"]) + "\n")
    return "".join(lines)


def _gradients(rng: random.Random, epochs: int, layers: int) -> str:
    lines = [GRADIENTS.header.decode()]
    for epoch in range(epochs + 1):
        for layer in range(1, layers + 1):
            layer_name = "output" if layer == layers else f"dense_{layer}"
            for source in ("probe", "train") if epoch else ("probe",):
                for parameter in ("kernel", "bias", "all"):
                    norms = [format_float(rng.lognormvariate(0, 1)) for _ in range(3)]
                    norms[2] = norms[2] if source == "train" else ""
                    place = ["train", str(epoch), str(100 * epoch), str(layer), layer_name, parameter, source]
                    lines.append(",".join([*place, *norms]) + "\n")
    return "".join(lines)
