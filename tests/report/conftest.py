"""Made experiments with whatever a page must bear: claims, verdicts, failures, and words that look like markup."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "analysis"))

from made import depth, make  # found only now

SPEC = """
description: "What does <b>depth</b> buy? </script><script>window.broken = 1</script> & more"
model: {name: mlp, width: 4}
training: {epochs: 4}
sweep: {model.depth: [1, 2, 3], model.activation: [relu, sigmoid]}
seeds: 3
expect:
  - {metric: test_accuracy, at: {model.depth: 3}, at_least: 0.2}
  - {metric: test_accuracy, at: {model.depth: 1}, at_least: 0.99}
"""


def chance(*about: object) -> float:
    """A number in [0, 1) that depends on nothing but what it is told."""
    return int(hashlib.sha256(repr(about).encode()).hexdigest()[:8], 16) / 2**32


def numbers(trial: Any, epoch: int) -> dict[str, float]:
    """Test accuracies that grow with depth, the rest by chance."""
    columns = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss")
    measured = {name: 0.3 + 0.6 * chance(trial.id, epoch, name) for name in columns}
    return measured | {"test_accuracy": 0.2 * depth(trial) + 0.05 * chance(trial.id, epoch), "learning_rate": 0.1}


def gradient(trial: Any, epoch: int, layer: int, parameter: str) -> float:
    """Norms over three decades."""
    return 10.0 ** (layer - depth(trial) + chance(trial.id, epoch, layer, parameter))


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory with the experiment ``grid``: 18 trials, one of which diverged; not to be changed."""
    place = tmp_path_factory.mktemp("reported") / "results"
    first: list[str] = []

    def state(trial: Any) -> Any:
        first.append(trial.id)
        return "diverged" if trial.id == first[0] else "done"

    make(place, SPEC, numbers, name="grid", epochs=4, gradient=gradient, state=state)
    return place
