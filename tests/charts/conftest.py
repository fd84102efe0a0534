"""An experiment of two activations, three depths and three seeds with made numbers; pandas to read it."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "analysis"))

from made import depth, make  # found only now

SPEC = """
model: {name: mlp, width: 4}
training: {epochs: 4}
sweep: {model.depth: [1, 2, 3], model.activation: [relu, sigmoid]}
seeds: 3
"""


def chance(*about: object) -> float:
    """A number in [0, 1) that depends on nothing but what it is told."""
    return int(hashlib.sha256(repr(about).encode()).hexdigest()[:8], 16) / 2**32


def numbers(trial: object, epoch: int) -> dict[str, float]:
    """What the made trials measure: nothing that a formula could be guessed from."""
    columns = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy")
    return {name: 0.3 + 0.6 * chance(trial.id, epoch, name) for name in columns} | {"learning_rate": 0.1}  # type: ignore[attr-defined]


def gradient(trial: object, epoch: int, layer: int, parameter: str) -> float:
    """Norms over three decades."""
    return 10.0 ** (layer - depth(trial) + chance(trial.id, epoch, layer, parameter))  # type: ignore[arg-type, attr-defined]


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results directory with the experiment ``grid``; not to be changed."""
    place = tmp_path_factory.mktemp("made") / "results"
    make(place, SPEC, numbers, name="grid", epochs=4, gradient=gradient)
    return place


@pytest.fixture(scope="session")
def frame(results: Path) -> dict[str, pd.DataFrame]:
    """Every table of every trial as one frame, read by pandas, with the parameters from ``trials.csv``."""
    trials = pd.read_csv(results / "grid" / "trials.csv", dtype={"trial": str})
    trials = trials.rename(columns={"model.depth": "depth", "model.activation": "activation"})
    tables: dict[str, pd.DataFrame] = {"trials": trials}
    for table in ("metrics", "gradients", "activations"):
        parts = []
        for row in trials.itertuples():
            part = pd.read_csv(results / "grid" / "trials" / row.trial / f"{table}.csv")
            parts.append(part.assign(trial=row.trial, seed=row.seed, depth=row.depth, activation=row.activation))
        tables[table] = pd.concat(parts)
    return tables
