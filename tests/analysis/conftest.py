"""A small experiment of three depths and three seeds, with made numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from made import depth, make  # found only now

SPEC = """
model: {name: mlp, width: 4}
training: {epochs: 3}
sweep: {model.depth: [1, 2, 3]}
seeds: 3
"""


def accuracy(trial_depth: int, seed: int, epoch: int) -> float:
    """Test accuracy: grows with depth, seed and epoch; best validation is in epoch 2."""
    return 0.5 + 0.1 * trial_depth + 0.01 * seed + 0.02 * epoch


def numbers(trial: object, epoch: int) -> dict[str, float]:
    """What the made trials measure."""
    test = accuracy(depth(trial), trial.seed.init, epoch)  # type: ignore[arg-type, attr-defined]
    val = test - 0.05 - (0.2 if epoch == 3 else 0.0)
    return {
        "train_loss": 1 - test,
        "train_accuracy": 1.0 if epoch == 3 and depth(trial) > 1 else test,  # type: ignore[arg-type]
        "val_loss": 1 - val,
        "val_accuracy": val,
        "test_loss": 1 - test,
        "test_accuracy": test,
        "learning_rate": 0.1,
    }


def gradient(trial: object, epoch: int, layer: int, parameter: str) -> float:
    """Norms that grow five-fold from layer to layer."""
    return 5.0**layer * (1 if parameter == "bias" else 10) / (epoch + 1)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory with the experiment ``depth``; not to be changed."""
    place = tmp_path_factory.mktemp("made") / "results"
    make(place, SPEC, numbers, gradient=gradient)
    return place
