"""``--dry-run --estimate``: counts are the networks', times add up, nothing is created."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlx.cli.amounts import seconds, size
from dlx.cli.estimates import lines
from dlx.cli.main import main
from dlx.estimate import TRIAL_SECONDS, Estimate, estimate
from tests.sweep.conftest import SPEC, Ground

AXES = {"depth": "1..2", "learning-rate": "0.1,0.2"}


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def estimated(told: list[str], tmp_path_factory: pytest.TempPathFactory) -> Estimate:
    ground = Ground(tmp_path_factory.mktemp("estimate") / "results")
    found = estimate(ground.decide("seeds=3", axes=AXES), ground.options(), told.append)
    assert not ground.place.exists()
    return found


def test_nets_that_cost_the_same_are_timed_once(estimated: Estimate, told: list[str]) -> None:
    assert [(cost.settings, cost.trials) for cost in estimated.costs] == [
        ({"model.depth": 1}, 6),
        ({"model.depth": 2}, 6),
    ]
    assert estimated.trials == 12
    assert [line for line in told if "timing" in line] == [
        "estimate: timing net 1 of 2 (depth=1)",
        "estimate: timing net 2 of 2 (depth=2)",
    ]


def test_counts(estimated: Estimate) -> None:
    """64 inputs, hidden layers of 4, 10 outputs."""
    shallow, deep = estimated.costs
    assert (shallow.parameters, shallow.multiply_adds) == (64 * 4 + 4 + 4 * 10 + 10, 64 * 4 + 4 * 10)
    assert deep.parameters - shallow.parameters == 4 * 4 + 4
    assert deep.memory > shallow.memory > 2 * 4 * shallow.parameters


def test_times_add_up(estimated: Estimate) -> None:
    for cost in estimated.costs:
        assert 0 < 4 * cost.step_seconds < cost.epoch_seconds, "an epoch is four steps, an evaluation and the probes"
        assert cost.trial_seconds == pytest.approx(cost.epoch_seconds + TRIAL_SECONDS)
    # One worker: every trial, and each of the four programs (two depths, two rates) compiled once.
    work = sum(cost.trials * cost.trial_seconds + 2 * cost.compile_seconds for cost in estimated.costs)
    assert estimated.workers == 1
    assert estimated.seconds == pytest.approx(estimated.start_seconds + work)


def test_only_what_is_left_is_estimated(ground: Ground) -> None:
    ground.run("records.checkpoints=keep", "training.epochs=2")
    said: list[str] = []
    left = estimate(ground.decide("training.epochs=2"), ground.options(), said.append)
    assert (left.trials, left.costs, left.seconds, said) == (0, (), 0.0, [])
    assert lines(left) == ["estimate: nothing is left to run"]
    (cost,) = estimate(ground.decide("training.epochs=5"), ground.options(), said.append).costs
    assert cost.trial_seconds == pytest.approx(3 * cost.epoch_seconds + TRIAL_SECONDS), "it goes on from epoch 2"


def test_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLX_RESULTS", raising=False)
    (tmp_path / "cells.yaml").write_text(SPEC, encoding="utf-8")
    arguments = ["sweep", "depth=1..2", "cells.yaml", "--seeds", "1", "--threads", "2", "--dry-run", "--estimate"]
    assert main([*arguments, "--json"]) == 0
    captured = capsys.readouterr()
    (experiment,) = json.loads(captured.out)["experiments"]
    assert [cost["parameters"] for cost in experiment["estimate"]["costs"]] == [310, 330]
    assert experiment["estimate"]["threads"] == 2
    assert "estimate: timing net 2 of 2 (depth=2)" in captured.err
    assert main([*arguments, "--quiet"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.splitlines()[-1].startswith("estimate: 2 trials take about 0:")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.yaml"]


@pytest.mark.parametrize(
    ("value", "expected"), [(12e-6, "12 µs"), (0.0125, "12 ms"), (3.21, "3.2 s"), (75.0, "1:15"), (3725.0, "1:02:05")]
)
def test_seconds_as_people_read_them(value: float, expected: str) -> None:
    assert seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 B"), (999, "999 B"), (151_000, "151 kB"), (1_200_000, "1.2 MB"), (4 * 10**12, "4 TB")],
)
def test_sizes_as_people_read_them(value: int, expected: str) -> None:
    assert size(value) == expected
