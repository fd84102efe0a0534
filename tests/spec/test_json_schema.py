"""What editors are told: the schema takes the specs that dlx takes and refuses misspellings."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dlx import datasets, models, optimizers, probes
from dlx.spec import json_schema, load_text, resolved, settings
from dlx.spec.document import parse

from .test_fuzz import GOOD
from .test_identity import NIELSEN

EXPERIMENTS = sorted((Path(__file__).resolve().parents[2] / "experiments").rglob("*.yaml"))
DESIGN = """\
name: vanishing-gradient
description: Sigmoid MLPs of growing depth on MNIST; how fast does each layer learn?
dataset: {name: mnist, validation: 10000, split: ordered, train_limit: null, scaling: unit}
model:
  name: mlp
  depth: 2
  width: 30
  activation: sigmoid
  initializer: {kernel: scaled_normal, bias: normal}
  dropout: 0.0
  output_activation: softmax
training:
  loss: cross_entropy
  optimizer: {name: sgd, learning_rate: 0.1}
  l2: 0.0
  batch_size: 10
  epochs: 60
  early_stopping: null
  checkpoint: null
probes:
  gradients: {every: 1 epoch, sample: 1000, sources: [probe, train]}
  activations: {every: 1 epoch, sample: 1000}
records: {checkpoints: until_done, model: final}
seeds: 5
sweep:
  model.depth: [1, 2, 3, 4]
"""
SHORT = [
    "model: {name: mlp}",
    "model: mlp\nprobes: null",
    "model: mlp\ntraining: {optimizer: {learning_rate: 0.1}}",
    "model: mlp\n"
    "training: {optimizer: {learning_rate: {name: cosine_decay, initial_learning_rate: 0.1, decay_steps: 9}}}",
    "model: mlp\nseeds: {init: 0..9, order: 0}\nsweep: {zip: [{model.depth: [1, 2]}]}",
    "model: {name: mlp, initializer: he_normal}",
    "model: lenet5\ndataset: mnist",
    "model: {name: cnn, blocks: [{filters: 3}]}",
]


@cache
def validator() -> Any:
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def accepts(text: str) -> bool:
    return bool(validator().is_valid(parse(text, "s").value))


@pytest.mark.parametrize("text", [DESIGN, GOOD, NIELSEN, *SHORT, *(path.read_text("utf-8") for path in EXPERIMENTS)])
def test_accepts_what_dlx_accepts(text: str) -> None:
    # in their smallest size: some name a folder of photographs that is to be given
    assert load_text(text, smoke="\nsmoke:" in text).trials
    assert accepts(text)


def test_accepts_a_setting_written_out_in_full() -> None:
    for text in (DESIGN, "model: lenet5\ndataset: mnist", "model: cnn"):
        trial = load_text(text).trials[0]
        assert accepts("dataset:\n" + resolved(trial).partition("\ndataset:\n")[2])
        assert set(settings(trial.setting)) == {"dataset", "model", "training", "probes", "records"}


@pytest.mark.parametrize(
    "text",
    [
        "dataset: mnist",
        "model: mlpp",
        "model: {depth: 3}",
        "model: {name: mlp, dept: 3}",
        "model: {name: mlp, depth: three}",
        "model: mlp\ndatset: mnist",
        "model: mlp\ntraining: {optimizer: {name: adam, momentum: 0.9}}",
        "model: mlp\ntraining: {batch_size: 0}",
        "model: mlp\ntraining: {early_stopping: {patienc: 3}}",
        "model: mlp\ntraining: {checkpoint: {every: 5 days}}",
        "model: mlp\nprobes: {gradient: {}}",
        "model: mlp\nprobes: {gradients: {evry: 3}}",
        "model: mlp\nprobes: {gradients: {every: 3 minutes}}",
        "model: mlp\nsweep: {model.depth: 3}",
        "model: mlp\nseeds: many",
        "model: mlp\nname: a/b",
    ],
)
def test_refuses_what_dlx_refuses(text: str) -> None:
    assert not accepts(text)


def test_every_member_and_every_field_is_described() -> None:
    text = json.dumps(json_schema())
    for known in (datasets.registry, models.registry, probes.registry, optimizers.registry, optimizers.schedules):
        for name in known.names():
            assert f'"{name}"' in text
            for field_name, field in known.get(name).model_fields.items():
                assert field_name == "name" or field.description, (name, field_name)


def test_defaults_are_as_one_would_write_them() -> None:
    text = json.dumps(json_schema())
    assert '"default": "1 epoch"' in text
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    training = json_schema()["$defs"]["Training"]["properties"]
    assert (training["optimizer"]["default"], training["batch_size"]["default"]) == ("adam", 32)
