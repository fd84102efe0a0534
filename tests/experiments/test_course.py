"""The experiments of the course, in full and on the real data: each shows what its claims say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

MINUTE = (
    "vanishing-gradient/speeds",
    "vanishing-gradient/curves",
    "vanishing-gradient/units",
    "vanishing-gradient/exploding",
    "vanishing-gradient/activations",
    "vanishing-gradient/initialisation",
    "vanishing-gradient/normalization",
    "representations/playground",
    "representations/approximation",
    "representations/features",
    "representations/xor",
    "representations/autoencoder-two",
    "optimisation/equal-epochs",
    "optimisation/equal-updates",
    "optimisation/saturation",
    "optimisation/initial-weights",
    "regularisation/capacity",
    "regularisation/more-data",
    "regularisation/penalties",
    "shallow-or-deep/equal-parameters",
    "shallow-or-deep/counts",
    "shallow-or-deep/by-parameters",
    "shallow-or-deep/translation",
    "shallow-or-deep/local-optima",
)
"""Those that take about a minute on one core, or less."""

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.mark.parametrize("name", MINUTE)
def test_every_claim_is_confirmed(name: str, dlx: Callable, tmp_path: Path) -> None:
    done = dlx("run", name, "--results", str(tmp_path), "--executor", "inline", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    (experiment,) = json.loads(done.stdout)["experiments"]
    assert experiment["claims"]
    assert {claim["statement"]: claim["verdict"] for claim in experiment["claims"]} == {
        claim["statement"]: "confirmed" for claim in experiment["claims"]
    }


def test_digits_that_are_moved_are_recognised_by_convolutions(dlx: Callable, tmp_path: Path) -> None:
    results = ("--results", str(tmp_path))
    assert dlx("run", "shallow-or-deep/translation", *results, "--quiet").returncode == 0
    done = dlx("evaluate", "translation", *results, "--shift", "3", "--json")
    assert done.returncode == 0, done.stderr
    of_seeds = json.loads(done.stdout)["evaluations"]
    assert len(of_seeds) == 6
    for dense, convolutional in zip(of_seeds[:3], of_seeds[3:], strict=True):
        (dense_shifted,), (shifted,) = (one["perturbed"].values() for one in (dense, convolutional))
        assert dense["metrics"]["accuracy"] == pytest.approx(convolutional["metrics"]["accuracy"], abs=0.02)
        assert shifted > dense_shifted + 0.3
