"""A trial is a list of stages: weights go from one to the next, frozen layers stay, and each can be resumed in."""

from __future__ import annotations

import numpy as np
import pytest

from dlx.errors import SpecError
from dlx.spec import load_text, load_trial, resolved
from tests.stages.conftest import Train

SPEC = """
dataset: {name: digits, train_limit: 300}
model: {name: mlp, depth: 2, width: 12, activation: sigmoid, dropout: 0.1}
training: {epochs: 2, batch_size: 20, optimizer: {name: sgd, learning_rate: 0.5, momentum: 0.5}}
probes: {gradients: {sample: 50}, activations: {sample: 50}}
stages:
- {stage: first, layers: [dense_1], epochs: 2}
- {layers: [output], epochs: 3, optimizer: adam, batch_size: 50}
- supervised
"""


def test_each_stage_has_its_rows_and_begins_with_what_the_one_before_left(train: Train) -> None:
    trained = train(SPEC)
    metrics = trained.table("metrics")
    stages = ["first"] * 3 + ["output"] * 4 + ["finetune"] * 3
    assert metrics.column("stage") == stages
    assert metrics.ints("epoch") == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2]
    assert trained.table("timing").column("stage") == ["first"] * 2 + ["output"] * 3 + ["finetune"] * 2
    for before, after in (("first", "output"), ("output", "finetune")):
        assert trained.column("val_loss", before)[-1] == trained.column("val_loss", after)[0]
    gradients = trained.table("gradients")
    trained_layers = {
        stage: {
            layer for at, layer in zip(gradients.column("stage"), gradients.column("name"), strict=True) if at == stage
        }
        for stage in stages
    }
    assert trained_layers == {"first": {"dense_1"}, "output": {"output"}, "finetune": {"dense_1", "dense_2", "output"}}
    assert set(gradients.ints("layer")) == {1, 2, 3}


def test_frozen_layers_do_not_move(train: Train) -> None:
    start = train(SPEC, "stages=[{stage: train, epochs: 0}]").weights
    first = train(SPEC, "stages=[{stage: first, layers: [dense_1], epochs: 2}]").weights
    moved = {name for name in start if not np.array_equal(start[name], first[name])}
    assert moved == {"dense_1/kernel", "dense_1/bias"}


def test_one_plain_stage_is_training_as_ever(train: Train) -> None:
    plain = train(SPEC, "stages=null").kept()
    listed = train(SPEC, "stages=[supervised]").kept()
    assert plain == listed


STAGES = ("first", "output", "finetune")
ONE_OF_THEM = [pytest.param((stage,), marks=pytest.mark.slow) for stage in STAGES]


@pytest.mark.parametrize("stop_in", [STAGES, *ONE_OF_THEM], ids="-".join)
def test_interrupted_in_any_stage_the_bytes_are_the_same(train: Train, stop_in: tuple[str, ...]) -> None:
    assert train(SPEC, stop_in=stop_in).kept() == train(SPEC).kept()


def test_the_stages_enter_the_id_and_the_file(tmp_path: object) -> None:
    (plain,) = load_text(SPEC, ["stages=null"]).trials
    (staged,) = load_text(SPEC).trials
    assert plain.id != staged.id
    assert "stages" not in resolved(plain)
    from pathlib import Path

    path = Path(str(tmp_path)) / "trial.yaml"
    path.write_text(resolved(staged), "utf-8")
    again = load_trial(path)
    assert again.setting == staged.setting
    assert [planned.name for planned in again.setting.pipeline] == ["first", "output", "finetune"]


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("[{layers: [dense_9]}]", "stages[0].layers[0]: the network has no layer 'dense_9' with weights"),
        ("[{layers: [dense_1]}, {layers: [dense_2], stage: train}, {stage: train}]", "two stages are called train"),
        ("[{name: supervisd}]", "unknown stage 'supervisd'"),
        ("[{epochs: -1}]", "must be a whole number ≥ 0"),
        ("[{batch_size: 5000}]", "5000 is more than the 300 training examples"),
        ("[]", "must be a list of stages, one after the other, not an empty one"),
        ("supervised", "must be a list of stages"),
        ("[{epoch: 1}]", "unknown key (did you mean 'epochs'?)"),
    ],
)
def test_what_is_wrong_with_stages_is_told(stages: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(SPEC, [f"stages={stages}"])
    assert message in str(caught.value)


def test_how_far_the_weights_moved(train: Train) -> None:
    start = train(SPEC, "stages=[{stage: train, epochs: 0}]").weights
    moved = train(SPEC, "stages=[{stage: first, layers: [dense_1], epochs: 2}, {stage: second, epochs: 0}]")
    rows = moved.table("moves")
    about = list(zip(*map(rows.column, ("stage", "name", "parameter")), strict=True))
    at = about.index(("first", "dense_1", "kernel"))
    before, after = start["dense_1/kernel"].astype(float), moved.weights["dense_1/kernel"].astype(float)
    distance = np.linalg.norm(after - before)
    assert rows.floats("moved")[at] == pytest.approx(distance, rel=1e-6)
    assert rows.floats("moved_ratio")[at] == pytest.approx(distance / np.linalg.norm(before), rel=1e-6)
    cosine = np.sum(before * after) / np.linalg.norm(before) / np.linalg.norm(after)
    assert rows.floats("cosine")[at] == pytest.approx(cosine, rel=1e-6)
    assert {value for key, value in zip(about, rows.floats("moved"), strict=True) if key[0] == "second"} == {0.0}
    assert not (train(SPEC, "stages=null").path / "moves.csv").exists()
