"""Nets that were really trained: each ill in one way, and several that are well."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dlx.analysis.diagnose import SettingDiagnosis, diagnose_all, rules
from dlx.analysis.selectors import find
from dlx.spec import load_text

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """A spec of one trial on the digits and the verdicts on it."""

    model: str
    training: str
    verdicts: frozenset[str]
    dataset: str = "digits"

    @property
    def spec(self) -> str:
        return f"dataset: {self.dataset}\nmodel: {{{self.model}}}\ntraining: {{{self.training}}}\n"


def case(model: str, training: str, *verdicts: str, dataset: str = "digits") -> Case:
    return Case(model, training, frozenset(verdicts), dataset)


HIGH = "learning_rate_high"
DEEP = "name: mlp, depth: 4"
CASES = {
    "deep-sigmoid": case(f"{DEEP}, activation: sigmoid", "epochs: 1", "vanishing"),
    # what the verdict on it suggests
    "deep-relu": case(f"{DEEP}, activation: relu", "epochs: 1"),
    "deep-sigmoid-normalised": case(f"{DEEP}, activation: sigmoid, normalization: batch", "epochs: 2"),
    "large-weights-relu": case(
        "name: mlp, depth: 6, width: 50, initializer: {name: normal, stddev: 1.0}",
        "epochs: 5, optimizer: {name: sgd, learning_rate: 0.001}",
        "exploding",
        "diverged",
    ),
    "large-weights-tanh": case(
        "name: mlp, depth: 2, width: 50, activation: tanh, initializer: {name: normal, stddev: 2.0}",
        "epochs: 1",
        "saturated",
    ),
    "dead": case("name: mlp, depth: 3", "epochs: 6, optimizer: {name: rmsprop, learning_rate: 0.1}", "dead", HIGH),
    "jumping": case(
        "name: mlp, depth: 3, activation: elu",
        "epochs: 12, optimizer: {name: adam, learning_rate: 0.1}",
        HIGH,
    ),
    "creeping": case("name: mlp", "epochs: 6, optimizer: {name: sgd, learning_rate: 0.0002}", "learning_rate_low"),
    "plateau": case(
        "name: mlp, depth: 5, activation: sigmoid",
        "epochs: 6, optimizer: {name: sgd, learning_rate: 0.1}",
        "plateau",
        "vanishing",
    ),
    "zeros": case("name: mlp, depth: 2, initializer: zeros, activation: tanh", "epochs: 6", "idle_layer", "plateau"),
    "too-few-examples": case(
        "name: mlp, depth: 2, width: 100",
        "epochs: 60, batch_size: 10, optimizer: {name: adam, learning_rate: 0.01}",
        "overfitting",
        dataset="{name: digits, train_limit: 60}",
    ),
    "two-units": case(
        "name: mlp, hidden: [2], activation: tanh",
        "epochs: 80, optimizer: {name: adam, learning_rate: 0.003}",
        "underfitting",
    ),
    "well": case("name: mlp", "epochs: 30"),
}
SLOW = {
    "well-convolutional": case("name: cnn", "epochs: 10"),
    "well-dropout": case("name: mlp, width: 100, depth: 2, dropout: 0.5", "epochs: 30"),
    "well-ten-layers": case(
        "name: mlp, depth: 10, width: 50, initializer: he_normal",
        "epochs: 40, batch_size: 20, optimizer: {name: sgd, learning_rate: 0.02}",
    ),
    "well-ten-sigmoid-layers-normalised": case(
        "name: mlp, depth: 10, width: 50, activation: sigmoid, normalization: batch", "epochs: 40, batch_size: 20"
    ),
}


QUICK = {name: CASES[name] for name in ("deep-sigmoid", "deep-relu", "large-weights-relu", "dead", "zeros")}
"""Those that are trained in every run of the tests."""


@pytest.fixture(scope="module")
def quick_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick cases, trained."""
    return train(tmp_path_factory.mktemp("quick"), QUICK)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The other cases and the quickstart, trained."""
    others = {name: one for name, one in CASES.items() if name not in QUICK}
    return train(tmp_path_factory.mktemp("real"), others, ROOT / "experiments" / "quickstart.yaml")


@pytest.fixture(scope="module")
def slow_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The slow cases, trained."""
    return train(tmp_path_factory.mktemp("slow"), SLOW)


def marked(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in names]


def trained(name: str, request: pytest.FixtureRequest) -> Path:
    """Where a case has been trained."""
    place: Path = request.getfixturevalue("quick_results" if name in QUICK else "results")
    return place


def train(place: Path, cases: dict[str, Case], *others: Path) -> Path:
    for name, one in cases.items():
        (place / f"{name}.yaml").write_text(one.spec, encoding="utf-8")
    dlx("run", *(f"{name}.yaml" for name in cases), *map(str, others), "--quiet", "--allow", "diverged", place=place)
    return place / "results"


def dlx(*arguments: str, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, which gets the results; it must succeed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    flags = ["--executor", "inline", "--threads", "1", "--results", "results"]
    command = [sys.executable, "-m", "dlx", *arguments, *flags]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done


def settings(results: Path, selector: str) -> list[SettingDiagnosis]:
    found, damaged = diagnose_all(find([selector], results).trials, rules())
    assert damaged == []
    return found


def raised(setting: SettingDiagnosis) -> set[str]:
    return {verdict.rule for verdict in setting.verdicts}


@pytest.mark.parametrize("name", marked(CASES))
def test_each_is_told_what_it_is_ill_with_and_nothing_else(request: pytest.FixtureRequest, name: str) -> None:
    (setting,) = settings(trained(name, request), name)
    told = [verdict.verdict.sentence for verdict in setting.verdicts]
    assert raised(setting) == CASES[name].verdicts, told


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_what_is_well_is_left_alone(slow_results: Path, name: str) -> None:
    (setting,) = settings(slow_results, name)
    assert raised(setting) == SLOW[name].verdicts, [verdict.verdict.sentence for verdict in setting.verdicts]


@pytest.mark.parametrize("name", marked(name for name, one in CASES.items() if one.verdicts))
def test_what_is_suggested_can_be_pasted(request: pytest.FixtureRequest, name: str) -> None:
    """Every suggestion makes another trial of the same spec, without a complaint."""
    (setting,) = settings(trained(name, request), name)
    before = load_text(CASES[name].spec).trials[0].id
    for verdict in setting.verdicts:
        assert verdict.verdict.finding.suggestions
        for suggestion in verdict.verdict.finding.suggestions:
            assert load_text(CASES[name].spec, [suggestion]).trials[0].id != before, suggestion


def test_every_rule_has_a_trial_that_triggers_it() -> None:
    triggered = {rule for one in CASES.values() for rule in one.verdicts}
    assert triggered == {rule.name for rule in rules()}


@pytest.mark.slow
def test_the_quickstart_shows_vanishing_gradients_and_nothing_else(results: Path) -> None:
    """As the course it follows says of its nets: from three hidden layers on, the first learns far slower."""
    by_depth = {setting.pooled.setting["model.depth"]: raised(setting) for setting in settings(results, "quickstart")}
    assert by_depth == {1: set(), 2: set(), 3: {"vanishing"}, 4: {"vanishing"}}


@pytest.mark.slow
def test_the_sweep_over_depth_shows_what_glorot_and_bengio_saw(tmp_path: Path) -> None:
    """Deep sigmoid nets stay on a plateau, in the deepest with the last hidden layer saturated (2010, section 3.1)."""
    dlx("sweep", "depth", place=tmp_path)
    by_depth = {
        setting.pooled.setting["model.depth"]: raised(setting) for setting in settings(tmp_path / "results", "depth")
    }
    slow = {"vanishing", "plateau"}
    assert by_depth == {1: set(), 2: set(), 3: {"vanishing"}, 4: slow, 5: {*slow, "saturated"}}


@pytest.mark.slow
@pytest.mark.data
def test_the_nets_of_nielsen_show_vanishing_gradients_and_nothing_else(tmp_path: Path) -> None:
    """Chapter 5; the claims of the experiment hold, or are left open."""
    run = dlx("run", str(ROOT / "experiments" / "vanishing-gradient" / "depth.yaml"), "--json", place=tmp_path)
    found = settings(tmp_path / "results", "vanishing-gradient")
    by_depth = {setting.pooled.setting["model.depth"]: raised(setting) for setting in found}
    assert by_depth == {1: set(), 2: set(), 3: {"vanishing"}, 4: {"vanishing"}}
    (experiment,) = json.loads(run.stdout)["experiments"]
    verdicts = [claim["verdict"] for claim in experiment["claims"]]
    assert verdicts[:3] == ["confirmed"] * 3
    assert "refuted" not in verdicts


@pytest.mark.slow
def test_the_numbers_of_a_verdict_are_rows_of_the_tables(results: Path) -> None:
    """Read again with the csv module: before training, over the probe sample, the norms of the biases' gradients."""
    for setting in settings(results, "quickstart:depth>=3"):
        (verdict,) = setting.verdicts
        numbers, depth = verdict.verdict.finding.numbers, setting.pooled.setting["model.depth"]
        with (verdict.told.trial.path / "gradients.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["parameter"] == "bias" and row["source"] == "probe"]
        norms: dict[tuple[int, str], float] = {(int(r["epoch"]), r["name"]): float(r["grad_norm"]) for r in rows}
        assert numbers["first"] == norms[0, "dense_1"]
        assert numbers["last"] == norms[0, f"dense_{depth}"]
        assert numbers["slower"] == pytest.approx(norms[0, f"dense_{depth}"] / norms[0, "dense_1"], rel=1e-12)
        later = sorted(norms[epoch, "dense_1"] / norms[epoch, f"dense_{depth}"] for epoch in range(1, 101))
        assert numbers["during"] == pytest.approx((later[49] + later[50]) / 2, rel=1e-12)
        assert f"{numbers['first']:.3g}" in verdict.verdict.sentence
