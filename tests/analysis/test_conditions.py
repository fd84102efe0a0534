"""Conditions on trials: every combination against a plain evaluation, any text parsed or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.analysis.conditions import Condition, parse, resolve, select, shortest, split
from dlx.analysis.trials import Setting, Trial
from dlx.errors import UsageError
from dlx.scalars import inline

VALUES = st.one_of(
    st.integers(-5, 5), st.sampled_from([0.1, 0.5, 1.0, 2.0]), st.sampled_from(["relu", "tanh", "no", "1e-3", "a,b"]),
    st.booleans(), st.none(), st.lists(st.integers(0, 2), max_size=2),
)  # fmt: skip
COMPARISONS = {"=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b}


def trial(value: Any, seed: int = 0) -> Trial:
    setting = Setting({"model.name": "mlp", "model.depth": value, "training.epochs": 3})
    return Trial(Path("x/trials/000000000000"), "x", "done", seed, setting)


def number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@given(VALUES, VALUES, st.sampled_from(list(COMPARISONS)))
def test_every_comparison(value: Any, wanted: Any, comparison: str) -> None:
    if comparison in ("<", ">=") and not number(wanted):
        with pytest.raises(UsageError, match="compares numbers"):
            parse(f"depth{comparison}{inline(wanted)}")
        return
    found = bool(select([trial(value)], parse(f"depth{comparison}{inline(wanted)}")))
    if comparison in ("<", ">="):
        expected = number(value) and COMPARISONS[comparison](value, wanted)
    else:
        same = value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
        same = same or (isinstance(value, str) != isinstance(wanted, str) and str(value) == str(wanted))
        expected = same == (comparison == "=")
    assert found == expected


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_several_hold_together(values: list[Any]) -> None:
    text = ", ".join(f"depth={inline(value)}" for value in values)
    assert [condition.value for condition in parse(text)] == values
    held = select([trial(values[0])], parse(text))
    assert bool(held) == all(select([trial(values[0])], parse(f"depth={inline(value)}")) for value in values)


@pytest.mark.parametrize("name", ["rebalance", "dataset.rebalance"])
def test_a_member_by_the_heading_of_its_column(name: str) -> None:
    """Null in one trial and a member with settings in another: the column is called as the path that is null."""
    settings = [{"dataset.rebalance": None}, {"dataset.rebalance.name": "rbm", "dataset.rebalance.hidden": 10}]
    trials = [Trial(Path("x"), "x", "done", seed, Setting(setting)) for seed, setting in enumerate(settings)]
    for condition, seeds in (("=rbm", [1]), ("=null", [0]), ("=none", [0]), ("!=rbm", [0]), ("!=null", [1])):
        assert [one.seed for one in select(trials, parse(f"{name}{condition}"))] == seeds, condition


@given(st.text(st.sampled_from('ab.=!<>,[]{}"\\ 01-\n'), max_size=25))
def test_any_text_is_conditions_or_a_clear_refusal(text: str) -> None:
    try:
        found = parse(text)
    except UsageError as error:
        assert "not a condition" in error.message or "compares numbers" in error.message
        return
    assert found and all(isinstance(condition, Condition) for condition in found)


@given(st.lists(st.text(st.sampled_from('ab[](){}"'), max_size=6), min_size=1, max_size=4))
def test_splitting_loses_nothing(parts: list[str]) -> None:
    assert ",".join(split(",".join(parts))) == ",".join(parts)


def test_names_are_the_shortest_that_are_unambiguous() -> None:
    paths = [
        "model.name", "model.depth", "model.initializer.kernel.name", "training.optimizer.name",
        "training.optimizer.learning_rate", "pretraining.optimizer.name", "digests.dataset", "dataset.name",
    ]  # fmt: skip
    names = shortest(paths)
    assert list(names.values()) == [
        "model", "depth", "initializer.kernel", "training.optimizer", "learning_rate", "pretraining.optimizer",
        "digests.dataset", "dataset",
    ]  # fmt: skip
    for path, name in names.items():
        assert resolve(name, paths) == path
        assert resolve(path, paths) == path
    assert resolve("learning-rate", paths) == "training.optimizer.learning_rate"
    with pytest.raises(
        UsageError, match=r"'optimizer' could mean pretraining.optimizer.name or training.optimizer.name"
    ):
        resolve("optimizer", paths)
    assert resolve("seed", paths) == "seed"
