"""experiments/vanishing-gradient/depth.yaml on real MNIST, against the figures published and measured elsewhere."""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest

SPEC = "experiments/vanishing-gradient/depth.yaml"
PUBLISHED_SPEEDS = {"2": (0.07, 0.31), "3": (0.012, 0.060, 0.283), "4": (0.003, 0.017, 0.070, 0.285)}
MEASURED_ACCURACIES = {"1": 0.9646, "2": 0.9688, "3": 0.9643, "4": 0.9618}  # ten seeds, in NumPy and JAX

pytestmark = pytest.mark.data


def trials(dlx: Callable, results: Path, *options: str) -> dict[str, list[dict[str, str]]]:
    """Rows of trials.csv by depth."""
    done = dlx("run", SPEC, "--results", str(results), "--quiet", "--executor", "inline", *options)
    assert done.returncode == 0, done.stderr
    by_depth: dict[str, list[dict[str, str]]] = {}
    with (results / "vanishing-gradient" / "trials.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_depth.setdefault(row["model.depth"], []).append(row)
    return by_depth


def test_layers_begin_to_learn_at_the_published_speeds(dlx: Callable, tmp_path: Path) -> None:
    by_depth = trials(dlx, tmp_path, "--set", "training.epochs=0", "--seeds", "0..9")
    for depth, published in PUBLISHED_SPEEDS.items():
        rows = by_depth[depth]
        assert len(rows) == 10
        layers = range(1, int(depth) + 1)
        speeds = [statistics.fmean(float(row[f"grad_bias_first_{layer}"]) for row in rows) for layer in layers]
        for speed, expected in zip(speeds, published, strict=True):
            assert expected / 2 < speed < expected * 2
        for slower, faster in itertools.pairwise(speeds):
            assert 4 < faster / slower < 6


@pytest.mark.slow
def test_accuracies_are_those_measured_elsewhere(dlx: Callable, tmp_path: Path) -> None:
    by_depth = trials(dlx, tmp_path)
    means = {depth: statistics.fmean(float(row["val_accuracy"]) for row in rows) for depth, rows in by_depth.items()}
    for depth, expected in MEASURED_ACCURACIES.items():
        assert means[depth] == pytest.approx(expected, abs=0.004)
    assert means["2"] > means["1"]
