"""``--set``: checked like the file, names before what they hold, and nothing dropped in silence."""

from __future__ import annotations

import itertools

import pytest

from dlx.spec import Setting, load_text, settings

from .conftest import Complain

SPEC = "model: {name: mlp, depth: 2, width: 5}\ntraining: {optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.5}}\n"


def setting(*sets: str) -> Setting:
    return load_text(SPEC, sets).trials[0].setting


def test_values_are_yaml() -> None:
    found = setting("training.l2=1e-3", "training.batch_size=full", "training.class_weights={3: 2}", "model.depth=0x3")
    assert (found.training.l2, found.training.batch_size) == (0.001, "full")
    assert found.training.class_weights == {"3": 2.0}
    assert found.model.depth == 3  # type: ignore[attr-defined]


def test_what_the_spec_does_not_have_is_made() -> None:
    assert setting("training.early_stopping.patience=3").training.early_stopping.patience == 3  # type: ignore[union-attr]
    assert setting("dataset.validation=70").dataset.validation == 70
    assert load_text("model: mlp", ["model.depth=4"]).trials[0].setting.model.depth == 4  # type: ignore[attr-defined]
    found = load_text("model: mlp", ["training.optimizer.learning_rate=0.5"]).trials[0].setting.training.optimizer
    assert (found.name, found.learning_rate) == ("adam", 0.5)


@pytest.mark.parametrize("path", ["training.optimizer", "training.optimizer.name"])
def test_a_name_resets_its_siblings_and_says_so(path: str) -> None:
    experiment = load_text(SPEC, [f"{path}=adam"])
    assert experiment.trials[0].setting.training.optimizer.learning_rate == 0.001
    assert experiment.notes == ("training.optimizer is set to 'adam': the spec's learning_rate, momentum are dropped",)
    assert load_text("model: mlp", [f"{path}=sgd"]).notes == ()


@pytest.mark.parametrize(
    "sets",
    [*itertools.permutations([f"training.optimizer.{one}" for one in ("name=adam", "beta_1=0.8", "epsilon=1")])],
)
def test_order_never_matters(sets: tuple[str, ...]) -> None:
    optimizer = setting(*sets).training.optimizer
    assert (optimizer.name, optimizer.beta_1, optimizer.epsilon) == ("adam", 0.8, 1.0)  # type: ignore[attr-defined]


def test_of_two_values_for_a_path_the_last_counts() -> None:
    assert setting("training.epochs=1", "training.epochs=2").training.epochs == 2


@pytest.mark.parametrize("path", ["model.blocks[1].filters", "model.blocks.1.filters"])
def test_items_of_lists(path: str) -> None:
    spec = "model: {name: cnn, blocks: [{filters: 3}, {filters: 4}]}"
    found = settings(load_text(spec, [f"{path}=7"]).trials[0].setting)
    assert [block["filters"] for block in found["model"]["blocks"]] == [3, 7]


def test_an_item_that_is_not_there(complaints: Complain) -> None:
    (found,) = complaints("model: {name: cnn, blocks: [{filters: 3}]}", "model.blocks[1].filters=7")
    assert "model.blocks: has no item 1: it is a list of 1" in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model.dept=3", "--set model.dept=3: model.dept: unknown key (did you mean 'depth'?)"),
        ("modle.depth=3", "--set modle.depth=3: modle: unknown key (did you mean 'model'"),
        ("model.depth=x", "--set model.depth=x: model.depth: must be a whole number ≥ 0 and ≤ 1000 or null, not 'x'"),
        ("training.epochs.x=1", "training.epochs.x"),
        ("model.width.x=1", "model.width: is 5, which has no x"),
        ("model.depth", "must be path=value"),
        ("model..depth=1", "is not a path"),
        ("model.depth=[1", "not valid YAML"),
        ("model.depth=!!int 1", "tags"),
        ("sweep.model.depth=[1]", "sweep: axes are not set"),
        ("model=mlpp", "--set model=mlpp: model: unknown model 'mlpp'"),
    ],
)
def test_said_with_the_option_as_the_place(complaints: Complain, text: str, words: str) -> None:
    (found,) = complaints(SPEC, text)
    assert found.startswith(f"--set {text}")
    assert words in found


def test_name_and_seeds_can_be_set() -> None:
    experiment = load_text(SPEC, ["name=other", "seeds=3", "description=why"])
    assert (experiment.name, experiment.description, len(experiment.trials)) == ("other", "why", 3)


def test_setting_what_is_swept_ends_the_sweep() -> None:
    experiment = load_text("model: mlp\nsweep: {model.depth: 1..3, model.width: [4, 5]}", ["model.depth=7"])
    assert [trial.parameters for trial in experiment.trials] == [{"model.width": 4}, {"model.width": 5}]
    assert {trial.setting.model.depth for trial in experiment.trials} == {7}  # type: ignore[attr-defined]
    assert experiment.notes == ("model.depth is set: the spec's axis of that name is left out",)


def test_a_path_is_not_both_set_and_swept_on_the_command_line(complaints: Complain) -> None:
    (found,) = complaints("model: mlp", "model.depth=7", axes={"depth": "1..3"})
    assert "model.depth is both set and swept" in found
