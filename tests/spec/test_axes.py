"""Sweeps and seeds: what they expand to, in which order, and what is refused before it costs."""

from __future__ import annotations

import itertools
import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.spec import Seed, load_text

from .conftest import Complain


def values(sweep: str, path: str = "model.width", **options: object) -> list[object]:
    experiment = load_text(f"model: mlp\nsweep: {{{sweep}}}", **options)  # type: ignore[arg-type]
    return [trial.parameters[path] for trial in experiment.trials]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[3, 1, 2]", [3, 1, 2]),
        ("1..4", [1, 2, 3, 4]),
        ("1..9..3", [1, 4, 7]),
        ("'log(16, 256, 5)'", [16, 32, 64, 128, 256]),
        ("'lin(2, 10, 5)'", [2, 4, 6, 8, 10]),
    ],
)
def test_values_of_whole_numbers(text: str, expected: list[int]) -> None:
    assert values(f"model.width: {text}") == expected


def test_values_of_reals() -> None:
    found = values("training.l2: 'log(1e-4, 1e-1, 4)'", "training.l2")
    assert found == [0.0001, 0.001, 0.01, 0.1]
    assert values("model.dropout: 'lin(0, 0.5, 3)'", "model.dropout") == [0, 0.25, 0.5]


def test_a_grid_has_its_first_axis_slowest_and_seeds_fastest() -> None:
    experiment = load_text("model: mlp\nseeds: 2\nsweep: {model.depth: [2, 1], training.epochs: 3..4}")
    found = [(*trial.parameters.values(), trial.seed.init) for trial in experiment.trials]
    assert found == list(itertools.product([2, 1], [3, 4], [0, 1]))
    assert [trial.index for trial in experiment.trials] == list(range(8))
    assert experiment.axes == ("model.depth", "training.epochs")


def test_zipped_axes_vary_together() -> None:
    experiment = load_text(
        "model: mlp\n"
        "sweep: {zip: [{model.depth: 1..2, training.epochs: [5, 6]}, {model.width: [7, 8]}], training.l2: [0, 1]}"
    )
    found = [tuple(trial.parameters.values()) for trial in experiment.trials]
    assert found == [(*zipped, width, l2) for zipped, width, l2 in itertools.product([(1, 5), (2, 6)], [7, 8], [0, 1])]


def test_random_draws_are_distinct_within_bounds_and_repeatable() -> None:
    sweep = (
        "random: {n: 40, seed: SEED, axes: {model.width: 'log(8, 512)', model.depth: 1..4,"
        " training.l2: 'log(1e-6, 1e-2)', model.dropout: 'lin(0, 0.5)', model.activation: [relu, tanh]}}"
    )
    experiment = load_text(f"model: mlp\nsweep: {{{sweep.replace('SEED', '0')}}}")
    rows = [trial.parameters for trial in experiment.trials]
    assert len(rows) == 40 == len({tuple(row.values()) for row in rows})
    assert all(type(row["model.width"]) is int and 8 <= row["model.width"] <= 512 for row in rows)
    assert {row["model.depth"] for row in rows} == {1, 2, 3, 4}
    assert all(1e-6 <= row["training.l2"] <= 1e-2 and 0 <= row["model.dropout"] <= 0.5 for row in rows)
    below = sum(row["training.l2"] < 1e-4 for row in rows)
    assert 8 < below < 32  # uniform in the logarithm: half of them below the geometric middle
    again = load_text(f"model: mlp\nsweep: {{{sweep.replace('SEED', '0')}}}")
    other = load_text(f"model: mlp\nsweep: {{{sweep.replace('SEED', '1')}}}")
    assert [trial.id for trial in again.trials] == [trial.id for trial in experiment.trials]
    assert not {trial.id for trial in other.trials} & {trial.id for trial in experiment.trials}


def test_random_draws_are_the_same_on_every_machine() -> None:
    sweep = "random: {n: 3, axes: {training.l2: 'log(1e-6, 1e-2)', model.depth: 1..9}}"
    found = load_text(f"model: mlp\nsweep: {{{sweep}}}").trials
    # Mersenne Twister from seed 0: 0.8444…, 0.7579…; 0.4205…, 0.2589…; 0.5112…, 0.4049…
    uniform = [(0.8444218515250481, 0.7579544029403025), (0.420571580830845, 0.25891675029296335)]
    for trial, (first, second) in zip(found, uniform, strict=False):
        assert trial.parameters["training.l2"] == pytest.approx(10 ** (-6 + 4 * first), rel=1e-5)
        assert trial.parameters["model.depth"] == 1 + math.floor(9 * second)


def test_more_draws_than_combinations_are_all_combinations() -> None:
    experiment = load_text("model: mlp\nsweep: {random: {n: 50, axes: {model.depth: 1..3, model.width: [4, 5]}}}")
    assert len(experiment.trials) == 6


def test_random_on_request_draws_from_all_axes() -> None:
    random = "{n: 2, seed: 3, axes: {training.epochs: 1..9}}"
    text = f"model: mlp\nsweep: {{model.depth: 1..9, zip: {{model.width: [1, 2]}}, random: {random}}}"
    experiment = load_text(text, axes={"training.l2": "log(1e-4, 1e-2)"}, random=12)
    assert len(experiment.trials) == 12
    assert experiment.axes == ("model.depth", "model.width", "training.epochs", "training.l2")


@pytest.mark.parametrize(
    ("name", "text", "path", "expected"),
    [
        ("depth", "1..3", "model.depth", [1, 2, 3]),
        ("model.depth", "[1, 3]", "model.depth", [1, 3]),
        ("activation", "relu,sigmoid, tanh", "model.activation", ["relu", "sigmoid", "tanh"]),
        ("learning-rate", "log(0.01,1,3)", "training.optimizer.learning_rate", [0.01, 0.1, 1.0]),
        ("learning_rate", "0.5", "training.optimizer.learning_rate", [0.5, 0.7]),
        ("optimizer", "sgd,{name: adam, beta_1: 0.8}", "training.optimizer", ["sgd", "{name: adam, beta_1: 0.8}"]),
        ("batch-size", "8,full", "training.batch_size", [8, "full"]),
        ("training.optimizer.name", "sgd,adam", "training.optimizer", ["sgd", "adam"]),
        ("model.hidden", "[3],[3, 4]", "model.hidden", ["[3]", "[3, 4]"]),
    ],
)
def test_axes_of_the_command_line(name: str, text: str, path: str, expected: list[object]) -> None:
    text = "0.5,0.7" if text == "0.5" else text
    experiment = load_text("model: mlp", axes={name: text})
    assert experiment.axes == (path,)
    assert [trial.parameters[path] for trial in experiment.trials] == expected


def test_an_axis_of_the_command_line_replaces_the_specs_of_that_name_in_its_place() -> None:
    text = "model: mlp\nsweep: {model.depth: 1..3, training.epochs: [5, 6]}"
    experiment = load_text(text, axes={"width": "7,8", "depth": "4..5"})
    assert [tuple(trial.parameters.values()) for trial in experiment.trials] == list(
        itertools.product([4, 5], [5, 6], [7, 8])
    )


def test_a_swept_member_starts_from_its_own_defaults_and_says_so() -> None:
    text = (
        "model: mlp\ntraining: {optimizer: {name: sgd, learning_rate: 0.1}}\nsweep: {training.optimizer: [adam, sgd]}"
    )
    experiment = load_text(text)
    assert [trial.setting.training.optimizer.learning_rate for trial in experiment.trials] == [0.001, 0.01]
    assert experiment.notes == tuple(
        f"training.optimizer is set to '{name}': the spec's learning_rate is dropped" for name in ("adam", "sgd")
    )


def test_names_go_before_what_they_hold_whatever_the_order_of_axes() -> None:
    sweep = "{training.optimizer.learning_rate: [0.3, 0.4], training.optimizer: [adam, sgd]}"
    trials = load_text(f"model: mlp\nsweep: {sweep}", ["training.optimizer.weight_decay=0.5"]).trials
    found = [trial.setting.training.optimizer for trial in trials]
    assert [(one.learning_rate, one.name) for one in found] == list(itertools.product([0.3, 0.4], ["adam", "sgd"]))
    assert {one.weight_decay for one in found} == {0.5}


def test_combinations_that_are_the_same_trial_are_trained_once() -> None:
    experiment = load_text(
        "model: mlp\nsweep: {training.optimizer: [adam, {name: Adam, beta_1: 0.9}], model.depth: [1, 1]}"
    )
    assert len(experiment.trials) == 1
    assert experiment.notes == ("3 of the combinations are the same trial as another and are left out",)


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ("model.depth: 3", "2:22: sweep.model.depth: must be a list of values, a range such as 1..8"),
        ("model.depth: []", "must be a list of values"),
        ("model: {depth: [1]}", "write the whole path as one key, for instance model.depth"),
        ("model.depth: 3..1", "the range 3..1 is empty"),
        ("model.depth: 1..3..0", "is empty"),
        ("model.width: 'log(0, 1, 3)'", "a logarithm begins above 0"),
        ("model.width: 'log(2, 1, 3)'", "the lower first"),
        ("model.width: 'log(a, 1, 3)'", "the ends must be two numbers"),
        ("model.width: 'log(1, 2)'", "needs a number of points"),
        ("model.width: 'log(1, 2, 1)'", "at least 2"),
        ("model.width: 'log(1)'", "log(1) is none of log(1e-4, 1e-1), lin(0, 0.5), or with a number of points"),
        ("model.width: log(1, 8, 3)", 'a comma ends a value: write model.width: "log(1, 8, 3)", in quotes'),
        ("model.depth: [1, 2], model.width: log(1, 8, 3)", "2:43: sweep.model.width: within {} a comma"),
        ("zip: {model.width: log(1, 8, 2), model.depth: [1, 2]}", 'write model.width: "log(1, 8, 2)", in quotes'),
        ("random: {n: 2, axes: {width: log(1, 8)}}", "sweep.random.axes.width: within {} a comma ends a value"),
        ("model.width: [log(1, 8, 3)]", "write model.width: log(1, 8, 3), without a list around it"),
        ("model.depth: [1..3]", "write model.depth: 1..3, without a list"),
        ("model.dropout: 0.1..0.5", "or log(1e-4, 1e-1, 4), not '0.1..0.5': lin(0.1, 0.5, 5) is one"),
        ("model.depth: 1...4", "not '1...4': 1..4 is one"),
        (
            "model.dropout: [0, 0.1..0.5]",
            "0.1..0.5 is no range, which is of whole numbers as 1..8: write model.dropout: lin",
        ),
        (
            "mode.depth: [1]",
            "unknown axis 'mode.depth': paths begin with dataset, model, pretraining, training or stages "
            "(did you mean 'model'?)",
        ),
        ("dpth: [1]", "did you mean 'depth'"),
        ("probes.gradients.sample: [1]", "unknown axis"),
        ("model.depth: [1], depth: [2]", "model.depth is swept twice"),
        ("zip: {model.depth: [1, 2], model.width: [1]}", "as many values: model.depth has 2, model.width has 1"),
        ("zip: 3", "sweep.zip: must be a mapping"),
        ("random: {axes: {model.depth: [1]}}", "sweep.random.n: is missing"),
        ("random: {n: 0, axes: {model.depth: [1]}}", "must be a whole number ≥ 1, not 0"),
        ("random: {n: 3}", "sweep.random.axes: must be a mapping"),
        ("random: {n: 3, axs: {}, axes: {model.depth: [1]}}", "did you mean 'axes'"),
    ],
)
def test_refused(complaints: Complain, sweep: str, words: str) -> None:
    found = complaints(f"model: mlp\nsweep: {{{sweep}}}")
    assert len(found) == 1
    assert words in found[0]


def test_a_cut_value_that_is_wrong_besides(complaints: Complain) -> None:
    """Both are told at once."""
    begins, quotes = complaints("model: mlp\nsearch: {model.width: Log(0, 4)}")
    assert "Log(0, 4) is none of log(1e-4, 1e-1)" in begins and 'write model.width: "Log(0, 4)", in quotes' in quotes
    (twice,) = complaints("model: mlp\nsearch: {model.width: log(1, 4), model.depth: log(2, 4)}")
    assert "the key '4)' stands here twice: first in" in twice and "log(1, 4) stands in quotes" in twice
    begins, quotes = complaints("model: mlp\nsearch: {model.width: log(0, 4)}")
    assert "log(0, 4): a logarithm begins above 0, as log(1e-4, 1e-1) does" in begins


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "model: mlp\nsweep: {model.depth: 1..999999999, model.width: 1..999999999}",
            "s.yaml:2:8: sweep: would make 999,9",
        ),
        ("model: mlp\nseeds: 999999999999", "s.yaml:2:8: seeds: would make 999,999,999,999 trials"),
        ("model: mlp\nseeds: {init: 0..99999999, order: 0..99999999}", "would make"),
        ("model: mlp\nsweep: {training.l2: 'log(1, 2, 999999999)'}", "would make 999,999,999 trials"),
        ("model: mlp\nsweep: {random: {n: 999999999, axes: {training.l2: 'log(1, 2)'}}}", "would make"),
    ],
)
def test_too_many_trials_cost_nothing(complaints: Complain, text: str, words: str) -> None:
    start = time.process_time()
    (found,) = complaints(text)
    assert words in found
    assert time.process_time() - start < 2, "it counted them one by one, which takes minutes"


def test_the_cap_is_the_callers(complaints: Complain) -> None:
    assert "more than the 3 that are allowed" in complaints("model: mlp\nseeds: 4", cap=3)[0]
    assert len(load_text("model: mlp\nseeds: 4", cap=4).trials) == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", [(0, 0), (1, 1), (2, 2)]),
        ("4..5", [(4, 4), (5, 5)]),
        ("[7, 3, 7]", [(7, 7), (3, 3)]),
        ("{init: 0..1, order: 0}", [(0, 0), (1, 0)]),
        ("{order: [5, 6], init: 1..2}", [(1, 5), (1, 6), (2, 5), (2, 6)]),
        ("{order: 2..3}", [(0, 2), (0, 3)]),
    ],
)
def test_seeds(text: str, expected: list[tuple[int, int]]) -> None:
    found = [trial.seed for trial in load_text(f"model: mlp\nseeds: {text}").trials]
    assert found == [Seed(*pair) for pair in expected]
    assert [trial.seed for trial in load_text("model: mlp\nseeds: 9", seeds=text).trials] == found


def test_default_seeds_are_the_callers() -> None:
    assert len(load_text("model: mlp").trials) == 1
    assert len(load_text("model: mlp", default_seeds=3).trials) == 3
    assert len(load_text("model: mlp\nseeds: 2", default_seeds=3).trials) == 2


WIDTHS = st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True)


@settings(deadline=None, max_examples=50)
@given(WIDTHS, WIDTHS, st.integers(1, 3))
def test_a_grid_is_the_product_of_its_axes(widths: list[int], epochs: list[int], seeds: int) -> None:
    trials = load_text(
        f"model: mlp\nseeds: {seeds}\nsweep: {{model.width: {widths}, training.epochs: {epochs}}}"
    ).trials
    found = [(t.setting.model.width, t.setting.training.epochs, t.seed.init) for t in trials]  # type: ignore[attr-defined]
    assert found == list(itertools.product(widths, epochs, range(seeds)))
    assert len({trial.id for trial in trials}) == len(trials)


def test_a_thousand_trials_take_no_time() -> None:
    text = "model: mlp\nseeds: 5\nsweep: {model.depth: 1..10, training.optimizer.learning_rate: 'log(1e-4, 1e-1, 20)'}"
    load_text(text)
    start = time.process_time()
    assert len(load_text(text).trials) == 1000
    assert time.process_time() - start < 2
