"""Whatever stands in the tables, each rule finds something, finds nothing, or says what it lacks.

Norms, shares and deviations are never negative: a table that has one is named, and left out.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from handwritten import Trial
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.diagnoses import NotJudged, registry
from dlx.records.history import read_history

NUMBER = st.one_of(
    st.none(),
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, 1.0, 1e-38, 3e38, math.nan, math.inf, -math.inf, 1e-3, 0.1]),
)
RULES = [registry.get(name)(name=name) for name in registry.names()]
SPECS = ("model: {name: mlp, depth: 3, activation: sigmoid}", "model: {name: mlp, hidden: [3, 3, 3]}")
LAYERS = ("dense_1", "dense_2", "dense_3", "output")


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    epochs = draw(st.integers(1, 12))

    def series(length: int) -> st.SearchStrategy[list[float | None]]:
        usual = st.lists(NUMBER, min_size=length, max_size=length)
        constant = NUMBER.map(lambda value: [value] * length)
        return st.one_of(usual, constant)

    def layers(length: int) -> dict[str, Any]:
        present = draw(st.lists(st.sampled_from(LAYERS), unique=True))
        return {name: draw(series(length)) for name in present}

    names = draw(st.lists(st.sampled_from(["train_loss", "train_accuracy", "val_loss", "val_accuracy"]), unique=True))
    keys = [(q, p, s) for q in ("grad_norm", "weight_norm", "update_ratio") for p in ("bias", "kernel", "all")
            for s in ("probe", "train")]  # fmt: skip
    recorded = draw(st.lists(st.sampled_from(keys), unique=True, max_size=8))
    watched = draw(st.lists(st.sampled_from(["saturated", "dead"]), unique=True))
    return Trial(
        draw(st.sampled_from(SPECS)),
        metrics={name: draw(series(epochs)) for name in names},
        gradients={key: layers(epochs) for key in recorded},
        activations={name: layers(epochs) for name in watched},
        state=draw(st.sampled_from(["done", "diverged", "interrupted", "failed"])),
        batch_normalized=draw(st.booleans()),
    )


@given(trials())
@settings(max_examples=150)
def test_no_table_breaks_a_rule(trial: Trial) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history, damaged = read_history(trial.write(Path(folder) / "made" / "trials"))
    negative = [name for name, tables in (("gradients", trial.gradients), ("activations", trial.activations))
                if any(value is not None and value < 0 for layers in tables.values() for values in layers.values()
                       for value in values)]  # fmt: skip
    assert [
        f"{name}.csv" in sentence and "is negative" in sentence
        for name, sentence in zip(negative, damaged, strict=True)
    ] == [True] * len(negative)
    for rule in RULES:
        try:
            finding = rule.judge(history)
        except NotJudged as lacking:
            assert str(lacking)
            continue
        if finding is not None:
            sentence = rule.say(finding)
            assert sentence.endswith(".") and "{" not in sentence
            headline = finding.numbers[rule.headline]
            assert rule.span(headline, headline)
            for suggestion in finding.suggestions:
                assert "nan" not in suggestion and "inf" not in suggestion


@pytest.mark.parametrize("content", [b"", b"stage,epoch\n", b"\xff\xfe", b"a,b\n1\n", b"stage,epoch,step\ntrain,x,1\n"])
@pytest.mark.parametrize("table", ["metrics", "gradients", "activations", "layers"])
def test_a_damaged_table_is_named(tmp_path: Path, table: str, content: bytes) -> None:
    trial = Trial(metrics={"train_loss": (1.0, 0.5)}).write(tmp_path / "made" / "trials")
    (trial / f"{table}.csv").write_bytes(content)
    history, (sentence,) = read_history(trial)
    assert f"{table}.csv" in sentence
    assert table not in history.tables
