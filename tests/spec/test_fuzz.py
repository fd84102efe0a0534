"""Whatever bytes come in, a spec is read or refused; nothing else, and not for long."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dlx.errors import DlxError, SpecError
from dlx.spec import load, load_text, load_trial, resolved
from dlx.spec.load import Experiment

GOOD = """\
name: fuzzed
description: of every section something
dataset: {name: digits, validation: 0.2, scaling: {divide: 16}}
model: {name: mlp, depth: 2, initializer: {kernel: scaled_normal, bias: normal}}
training:
  optimizer: {name: sgd, learning_rate: {name: cosine_decay, initial_learning_rate: 0.1, decay_steps: 10}}
  early_stopping: {patience: 3}
  class_weights: {0: 2.0}
  checkpoint: {every: 5 minutes}
probes: {gradients: {every: 10 steps, sources: [probe]}, activations: null}
records: {checkpoints: keep}
seeds: {init: 0..2, order: 0}
sweep:
  model.width: 3..5
  training.optimizer: [adam, {name: sgd, momentum: 0.9}]
  zip: {training.epochs: [1, 2], training.batch_size: [8, full]}
  random: {n: 2, axes: {model.dropout: "lin(0, 0.5)"}}
"""


def outcome(run: object, *arguments: object, **options: object) -> object:
    try:
        return run(*arguments, **options)  # type: ignore[operator]
    except DlxError as error:
        assert str(error)
        return error


def test_the_seed_of_the_fuzzing_is_good() -> None:
    assert len(load_text(GOOD).trials) == 3 * 2 * 2 * 2 * 3


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf")
@example(b'"\\xff"')
@example(b"%YAML 1.1\n---\n- &a !!binary *a")
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    assert isinstance(outcome(load, path), Experiment | SpecError)


SNIPPETS = (
    *"{}[]:,-&*!|>'\"%@`?#\n ", "\n  ", ": ", "- ", "&a ", "*a", "<<", "---", "...", "model", "mlp", "name", "sweep",
    "seeds", "training", "1", "1e5", ".nan", "1..3", "log(1,2,3)", "null", "\t", "\x85", "\u2028", "\\x", "zip",
)  # fmt: skip
YAMLISH = st.lists(st.sampled_from(SNIPPETS), max_size=40).map("".join)


@settings(max_examples=500, deadline=None)
@given(YAMLISH)
def test_any_text_that_looks_like_yaml(text: str) -> None:
    assert isinstance(outcome(load_text, text, cap=100), Experiment | SpecError)


SCALARS = st.sampled_from(
    [None, True, 0, -1, 1, 3, 10**30, 0.5, -0.5, 1e400, float("nan"), "", "x", "mlp", "adam", "1..3", "full", "5 steps"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "x", "0", "kernel"]), inner),
    max_leaves=4,
)
PATH_NAMES = """
name description dataset dataset.name dataset.validation dataset.split dataset.train_limit dataset.scaling
dataset.scaling.divide model model.name model.depth model.hidden model.hidden.0 model.width model.initializer
model.initializer.kernel model.initializer.kernel.stddev model.output_activation model.initial_weights training
training.loss training.optimizer training.optimizer.name training.optimizer.learning_rate training.l1
training.optimizer.learning_rate.name training.batch_size training.epochs training.early_stopping
training.early_stopping.monitor training.class_weights training.class_weights.3 training.precision
training.checkpoint training.checkpoint.every probes probes.gradients probes.gradients.every probes.x
probes.gradients.sources records records.model seeds seeds.init seeds.order x model.x.y
"""
PATHS = st.sampled_from(PATH_NAMES.split())


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(PATHS, VALUES), min_size=1, max_size=3))
def test_any_value_anywhere(assignments: list[tuple[str, object]]) -> None:
    from dlx.scalars import inline

    sets = [f"{path}={inline(value)}" for path, value in assignments]
    assert isinstance(outcome(load_text, GOOD, sets), Experiment | SpecError)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(PATHS | st.sampled_from(["zip", "random", "depth"]), VALUES, min_size=1, max_size=3))
def test_any_sweep(sweep: dict[str, object]) -> None:
    from dlx.scalars import write

    text = write({"model": "mlp", "sweep": sweep})
    assert isinstance(outcome(load_text, text, cap=100), Experiment | SpecError)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_trial_file_is_refused_or_says_the_same(tmp_path: Path, data: st.DataObject) -> None:
    trial = load_text("model: {name: mlp, depth: 1}", seeds="1").trials[0]
    text = resolved(trial, "x")
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.sampled_from(["", "x", ":", "\n", "0", "null", " "])) + text[at + 1 :]
    path = tmp_path / "trial.yaml"
    path.write_text(damaged, encoding="utf-8")
    found = outcome(load_trial, path)
    assert isinstance(found, SpecError) or found.id == trial.id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "text", ["training.epochs", "=3", "a b=3", "[0]=1", "model..depth=1", "model.depth=[", "a=b: c"]
)
def test_settings_that_are_no_settings(text: str) -> None:
    assert isinstance(outcome(load_text, "model: mlp", [text]), SpecError)
