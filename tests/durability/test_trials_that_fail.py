"""A trial that cannot be trained is its own row and reason, and nothing else's problem."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable

import pytest

from tests.durability.conftest import Ground
from tests.durability.proof import trials

TOO_WIDE = "[400000, 400000]"
"""Two layers of so many units have 640 GB of weights."""


def rows(ground: Ground) -> list[dict[str, str]]:
    (path,) = ground.results.glob("*/trials.csv")
    return list(csv.DictReader(path.open(encoding="utf-8")))


def test_a_loss_that_is_no_number(ground: Ground) -> None:
    steep = ("--set", "training.optimizer={name: sgd, learning_rate: 1.0e+30}")
    code, output = ground.run(*steep)
    assert code == 1
    assert ground.status()["state"] == "diverged"
    assert ground.status()["reason"].startswith("the training loss is nan after epoch 1")
    assert ground.status()["reason"] in output
    assert [row["state"] for row in rows(ground)] == ["diverged"]
    last = list(csv.DictReader((ground.trial / "metrics.csv").open(encoding="utf-8")))[-1]
    assert (last["epoch"], last["train_loss"]) == ("1", "nan"), "the row is on record"
    before = ground.status()
    assert ground.run(*steep)[0] == 1, "it would diverge again"
    assert ground.run(*steep, "--allow", "diverged")[0] == 0
    assert ground.status() == before, "and is not tried unasked"


@pytest.mark.slow
def test_a_diverged_trial_is_begun_afresh_when_it_is_tried_again(ground: Ground) -> None:
    steep = ("--set", "training.optimizer={name: sgd, learning_rate: 1.0e+30}")
    assert ground.run(*steep)[0] == 1
    assert ground.run(*steep, "--retry")[0] == 1
    assert [attempt["number"] for attempt in ground.status()["attempts"]] == [1]


@pytest.mark.slow
def test_out_of_memory_is_tried_once_more_in_a_fresh_process(ground: Ground) -> None:
    code, output = ground.run("--set", f"model.hidden={TOO_WIDE}")
    assert code == 1
    status = ground.status()
    assert status["state"] == "failed"
    assert "out of memory" in status["reason"]
    assert status["reason"] in output
    attempts = status["attempts"]
    assert [attempt["exit"] for attempt in attempts] == ["out of memory"] * 2
    assert attempts[0]["pid"] != attempts[1]["pid"]


@pytest.mark.slow
def test_one_that_fails_is_no_problem_of_the_others(ground: Ground) -> None:
    spec = ground.path / "widths.yaml"
    text = ground.spec.read_text("utf-8").replace("hidden: [16, 16]", "hidden: [8]")
    spec.write_text(f"{text}sweep: {{model.hidden: [[8], {TOO_WIDE}, [9]]}}\n", "utf-8")
    ground.spec = spec
    assert ground.run()[0] == 1
    found = [(row["model.hidden"], row["state"], row["reason"][:13]) for row in rows(ground)]
    assert [each[1:] for each in found] == [("done", ""), ("failed", "out of memory"), ("done", "")]
    assert len(trials(ground.results)) == 3


def test_a_failed_trial_with_a_checkpoint_goes_on_from_it(interrupted: Ground, same: Callable[..., None]) -> None:
    path = interrupted.trial / "status.json"
    content = json.loads(path.read_bytes()) | {"state": "failed", "reason": "its worker died: signal SIGSEGV"}
    path.write_text(json.dumps(content))
    before = path.read_bytes()
    code, output = interrupted.run()
    assert code == 1
    assert "--retry" in output
    assert path.read_bytes() == before, "not unasked"
    code, output = interrupted.run("--retry")
    assert code == 0
    assert "continues from epoch" in output
    same(interrupted)
