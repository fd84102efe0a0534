"""``smoke:``: an experiment made small, and what is told where that is not possible."""

from __future__ import annotations

import pytest

from dlx.errors import SpecError
from dlx.spec import load_text

SPEC = """name: whole
model: {name: mlp, depth: 2}
training: {epochs: 50}
seeds: 5
sweep: {model.depth: 1..4, model.activation: [relu, tanh]}
smoke: {training.epochs: 1, model.depth: [1, 3], model.activation: relu, seeds: 2}
expect: [{metric: test_accuracy@last, at_least: 0.9}]
"""


def test_without_being_asked_for_it_changes_nothing() -> None:
    bare = "\n".join(line for line in SPEC.splitlines() if not line.startswith("smoke"))
    small, whole = load_text(SPEC), load_text(bare)
    assert [trial.id for trial in small.trials] == [trial.id for trial in whole.trials]
    assert len(small.trials) == 40
    assert len(small.claims) == 1


def test_values_and_axes_take_the_place_of_the_specs() -> None:
    small = load_text(SPEC, smoke=True)
    assert small.name == "whole-smoke"
    assert [(dict(trial.parameters), trial.seed.init) for trial in small.trials] == [
        ({"model.depth": depth}, seed) for depth in (1, 3) for seed in (0, 1)
    ]
    assert {trial.setting.training.epochs for trial in small.trials} == {1}
    assert {trial.setting.model.activation for trial in small.trials} == {"relu"}
    assert small.claims == ()
    again = load_text(small.source)
    assert (again.name, [trial.id for trial in again.trials]) == (small.name, [trial.id for trial in small.trials])


def test_the_command_line_goes_before_it() -> None:
    small = load_text(SPEC, ["training.epochs=3"], {"model.depth": "2"}, "1", smoke=True)
    (trial,) = small.trials
    assert (trial.setting.training.epochs, trial.setting.model.depth) == (3, 2)
    plain = "model: {name: mlp, depth: 2}\nsmoke: {training.epochs: 1, model.depth: 1}"
    (other,) = load_text(plain, ["model=cnn"], smoke=True).trials
    assert (other.setting.model.name, other.setting.training.epochs) == ("cnn", 1)


def test_a_list_for_a_path_that_is_not_swept_is_a_value() -> None:
    (trial,) = load_text("model: {name: mlp}\nsmoke: {model.hidden: [3, 4]}", smoke=True).trials
    assert list(trial.setting.model.hidden) == [3, 4]


def test_a_random_sweep_is_as_small_as_its_values() -> None:
    text = "model: mlp\nsweep: {random: {n: 20, axes: {model.width: 'log(8, 512)'}}}\nsmoke: {model.width: [4]}"
    assert [trial.setting.model.width for trial in load_text(text, smoke=True).trials] == [4]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("smoke: 3", "2:8", "must be a mapping from paths to values"),
        ("smoke: {model.dpeth: 1}", "2:9", "unknown key (did you mean 'depth' or"),
        ("smoke: {model.depth: none}", "2:22", "depth"),
        ("smoke: {sweep: {model.depth: [1]}}", "2:9", "sweep is not set here"),
        ("smoke: {nothing.here: 1}", "2:9", "unknown key"),
        ("smoke: {seeds: -1}", "2:16", "must be a number of seeds"),
    ],
)
def test_what_is_wrong_is_told_without_running_it(text: str, where: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(f"model: mlp\n{text}\n", file="s.yaml")
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"s.yaml:{where}: ")
    assert message in str(problem)


def test_zipped_axes_are_made_small_together() -> None:
    text = "model: mlp\nsweep: {zip: {model.depth: [1, 2], training.epochs: [3, 4]}}\nsmoke: {model.depth: [1]}"
    with pytest.raises(SpecError, match="zipped axes must have as many values"):
        load_text(text)


def test_a_spec_without_it_says_so() -> None:
    with pytest.raises(SpecError, match=r"s\.yaml:1:1: has no smoke: \(for instance"):
        load_text("model: mlp\n", file="s.yaml", smoke=True)
