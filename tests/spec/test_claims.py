"""``expect:``: its form, and whether there are trials that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dlx.spec import load_text
from dlx.spec.document import parse

SWEEP = """model: mlp
sweep: {model.depth: [1, 2], training.optimizer: [sgd, adam]}
expect:
  - """

GOOD = [
    "{metric: test_accuracy@last, at: {model.depth: 2}, above: {model.depth: 1}}",
    "{metric: test_accuracy@last, at: {depth: 2}, below: {depth: 1}}",
    "{metric: test_accuracy@last, between: [0.96, 0.975]}",
    "{metric: test_accuracy, at_least: 0.9}",
    "{metric: test_accuracy, at: {optimizer: adam, model.depth: 1}, at_most: 1}",
    "{metric: grad_ratio, decreasing_over: model.depth}",
    "{metric: grad_ratio, increasing_over: optimizer}",
    "{state: diverged, at: {training.optimizer: sgd}}",
    "{state: done}",
]


@pytest.mark.parametrize("claim", GOOD)
def test_what_may_be_claimed(claim: str) -> None:
    experiment = load_text(SWEEP + claim)
    assert len(experiment.claims) == 1
    assert experiment.notes == ()


def test_short_names_and_members_are_paths() -> None:
    (claim,) = load_text(SWEEP + "{metric: x, at: {depth: 2, optimizer: adam}, above: {depth: 1}}").claims
    assert dict(claim.at) == {"model.depth": 2, "training.optimizer": "adam"}
    assert dict(claim.other or {}) == {"model.depth": 1}


@pytest.mark.parametrize(
    ("claim", "complaint"),
    [
        ("{metric: x}", "4:5: expect[0]: must say one of above, below, between, at_least, at_most, decreasing_over"),
        ("{metric: x, at_least: 1, at_most: 2}", "4:5: expect[0]: must say only one of at_least, at_most"),
        ("{at_least: 1}", "4:5: expect[0]: must say either a metric or a state"),
        ("{metric: x, state: done, at_least: 1}", "4:5: expect[0]: must say either a metric or a state"),
        ("{state: done, at_least: 1}", "4:29: expect[0].at_least: a state is not at_least anything"),
        ("{state: exploded}", "4:13: expect[0].state: must be done, diverged, failed or null, not 'exploded'"),
        ("{metric: x, at_lest: 1}", "4:17: expect[0].at_lest: unknown key (did you mean 'at_least' or 'at_most'?)"),
        ("{metric: x, at_least: much}", "4:27: expect[0].at_least: must be a number or null, not 'much'"),
        ("{metric: x, at_least: .nan}", "4:27: expect[0].at_least: must be a number or null, not nan"),
        ("{metric: x, between: [2, 1]}", "4:26: expect[0].between: the lower end comes first: [1, 2]"),
        ("{metric: x, between: [2]}", "expect[0].between"),
        ("{metric: x, above: {}}", "expect[0].above"),
        ("{metric: x, above: 0.9}", "expect[0].above: must be a mapping or null, not 0.9"),
        ("{metric: x, at: {depth: 1}, above: {depth: 1}}", "at and this say the same"),
        ("{metric: x, at: {modl.depth: 1}, at_least: 1}", "4:34: expect[0].at.modl.depth: unknown axis 'modl.depth'"),
        ("{metric: x, at: {model.dept: 1}, at_least: 1}", "no trial has model.dept (did you mean 'model.depth'"),
        (
            "{metric: x, at: {model.depth: 7}, at_least: 1}",
            "4:35: expect[0].at.model.depth: no trial has model.depth 7",
        ),
        ("{metric: x, at: {model.depth: true}, at_least: 1}", "no trial has model.depth True (there are: 1, 2)"),
        ("{metric: x, above: {model.depth: 7}}", "expect[0].above.model.depth: no trial has model.depth 7"),
        ("{metric: x, decreasing_over: model.width}", "4:34: expect[0].decreasing_over: model.width does not vary"),
        ("{metric: x, decreasing_over: model.depht}", "no trial has model.depht (did you mean 'model.depth'"),
        ("{metric: x, at: {optimizer: {name: sgd}}, at_least: 1}", "must be one value: name its fields by path"),
        ("3", "4:5: expect[0]: must be a mapping, not 3"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(complaints: Callable[..., list[str]], claim: str, complaint: str) -> None:
    found = complaints(SWEEP + claim)
    assert any(complaint in line for line in found), found


def test_everything_wrong_is_said_at_once(complaints: Callable[..., list[str]]) -> None:
    assert len(complaints(SWEEP + "{metric: x}\n  - {state: done, at_least: 1}\n  - 3")) == 3


def test_it_must_be_a_list(complaints: Callable[..., list[str]]) -> None:
    assert complaints("model: mlp\nexpect: {metric: x}") == [
        "s.yaml:2:9: expect: must be a list of claims, not a mapping"
    ]


def test_a_pair_of_values_that_no_trial_has(complaints: Callable[..., list[str]]) -> None:
    spec = "model: mlp\nsweep:\n  zip: {model.depth: [1, 2], model.width: [10, 20]}\nexpect:\n  - "
    (line,) = complaints(spec + "{metric: x, at: {model.depth: 1, model.width: 20}, at_least: 1}")
    assert "no trial has all of model.depth 1, model.width 20" in line


def test_no_pretraining_is_a_value_like_others(complaints: Callable[..., list[str]]) -> None:
    """Though its section is left out where nothing else is said of it."""
    spec = "model: {name: mlp, activation: sigmoid}\nsweep:\n  pretraining: [none, rbm]\nexpect:\n  - "
    assert load_text(spec + "{metric: x, at: {pretraining: rbm}, above: {pretraining: none}}").claims
    (line,) = complaints(spec + "{metric: x, at: {pretraining: autoencoder}, at_least: 1}")
    assert "no trial has pretraining autoencoder (there are: none, rbm)" in line


def test_claims_change_no_id() -> None:
    plain = load_text("model: mlp\n")
    claimed = load_text("model: mlp\nexpect:\n  - {metric: test_accuracy, at_least: 0.9}\n")
    assert [trial.id for trial in plain.trials] == [trial.id for trial in claimed.trials]


def test_what_the_command_line_leaves_no_trials_for_is_left_out_with_a_note() -> None:
    claims = "{metric: x, at: {model.depth: 2}, above: {model.depth: 1}}\n  - {metric: x, at_least: 1}"
    experiment = load_text(SWEEP + claims, axes={"depth": "3"})
    assert [claim.number for claim in experiment.claims] == [1]
    assert any("no trial has model.depth 2 (there are: 3): the claim is left out" in note for note in experiment.notes)


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"sets": ["training.epochs=1"]}, "training.epochs"),
        ({"axes": {"width": "10,20"}}, "model.width"),
        ({"sets": ["model.depth=1"]}, None),
        ({"sets": ["probes.gradients=null"]}, None),
        ({"axes": {"depth": "1..3"}}, None),
        ({"seeds": "7"}, None),
        ({"sets": ["training.epochs=1", "expect=[{metric: x, at_least: 1}]"]}, None),
    ],
)
def test_claims_are_about_the_spec_as_it_stands(how: dict[str, Any], what: str | None) -> None:
    """What the command line makes something else of is not what was claimed; its spec on record claims nothing."""
    experiment = load_text(SWEEP + "{metric: x, at_least: 1}", **how)
    assert bool(experiment.claims) == (what is None)
    assert any(f"{what} changes what is trained: it is left out" in note for note in experiment.notes) == bool(what)
    assert ("expect" in parse(experiment.source, "kept").value) == (what is None)


def test_claims_stay_in_the_spec_that_is_put_on_record() -> None:
    experiment = load_text(SWEEP + GOOD[0], seeds="2")
    kept = parse(experiment.source, "kept")
    assert kept.value["expect"] == [
        {"metric": "test_accuracy@last", "at": {"model.depth": 2}, "above": {"model.depth": 1}}
    ]
    assert len(load_text(experiment.source).claims) == 1
