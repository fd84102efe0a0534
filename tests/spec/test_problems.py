"""Every error at once, each with file, line, column, path, and what would be right."""

from __future__ import annotations

import pytest

from dlx.errors import SpecError
from dlx.spec import load_text

from .conftest import Complain


def test_everything_at_once_in_the_order_of_the_document(complaints: Complain) -> None:
    text = """\
datset: mnist
model:
  name: mlp
  dept: 3
  width: three
  activation: sigmod
training:
  optimizer: {name: adam, momentum: 0.9}
  batch_size: 0
  early_stopping: {patienc: 3}
probes:
  gradient: {}
  activations: {every: 5 minutes}
records: {model: best}
name: a/b
"""
    found = complaints(text)
    assert found[0] == "s.yaml:1:1: datset: unknown key (did you mean 'dataset'?)"
    assert found[1] == "s.yaml:4:3: model.dept: unknown key (did you mean 'depth'?)"
    assert found[2] == "s.yaml:5:10: model.width: must be a whole number ≥ 1 or null, not 'three'"
    assert found[3].startswith("s.yaml:6:15: model.activation: must be ")
    assert "did you mean 'sigmoid'" in found[3]
    assert found[4].startswith("s.yaml:8:27: training.optimizer.momentum: unknown key (")
    assert found[5] == "s.yaml:9:15: training.batch_size: must be a whole number ≥ 1 or full, not 0"
    assert found[6] == "s.yaml:10:20: training.early_stopping.patienc: unknown key (did you mean 'patience'?)"
    assert found[7] == "s.yaml:12:3: probes.gradient: unknown probe (did you mean 'gradients'?)"
    assert found[8] == "s.yaml:13:24: probes.activations.every: must be in epochs or steps here, not in minutes"
    assert found[9] == "s.yaml:14:18: records.model: must be final or none, not 'best'"
    assert found[10].startswith("s.yaml:15:7: name: names a folder")
    assert len(found) == 11


FOUR = "model: mlp\ndataset: {name: arrays, inputs: [[0], [1], [2], [3]], labels: [0, 1, 0, 1], validation: 0}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "1:1: is empty"),
        ("- a", "must be a mapping"),
        ("dataset: digits", "1:1: model: is missing: which model? (available: "),
        ("model:", "model: is missing"),
        ("model: mlpp", "1:8: model: unknown model 'mlpp' (did you mean 'mlp'?)"),
        ("model: {name: mlpp}", "1:15: model.name: unknown model 'mlpp'"),
        ("model: {depth: 3}", "model: is missing: which model?"),
        ("model: 3", "must be the name of a model or a mapping with its name, not 3"),
        ("model: {name: [mlp]}", "must be the name of a model"),
        ("model: mlp\ndataset: {name: minst}", "2:17: dataset.name: unknown dataset 'minst' (did you mean 'mnist'?)"),
        ("model: {name: mlp, hidden: [3, x]}", "1:32: model.hidden[1]: must be a whole number ≥ 1, not 'x'"),
        ("model: {name: mlp, depth: 1.0}", "must be a whole number ≥ 0 and ≤ 1000 or null, not 1.0"),
        ("model: {name: mlp, dropout: true}", "must be a number ≥ 0 and < 1, not true"),
        ("model: {name: mlp, dropout: .nan}", "model.dropout: must be a number"),
        ("model: mlp\ntraining: {optimizer: {learning_rate: -1}}", "must be a number > 0, the name of a learning-rate"),
        ("model: mlp\ntraining: {optimizer: {learning_rate: {name: cosine_decay, initial_learning_rate: 1}}}",
         "2:39: training.optimizer.learning_rate.decay_steps: is missing: a whole number ≥ 1"),
        ("model: mlp\ntraining: {optimizer: {clipnorm: 1, clipvalue: 2}}", "only one of clipnorm and clipvalue"),
        ("model: mlp\ntraining: {epochs: 3, epocs: 4}", "did you mean 'epochs'?"),
        ("model: mlp\ntraining: 3", "training: must be a mapping, not 3"),
        ("model: mlp\ndataset: {name: digits, classes: [3]}", "2:34: dataset.classes: must hold at least 2, not 1"),
        ("model: mlp\ndataset: {name: digits, imbalance: {}}", "dataset.imbalance: must hold at least 1, not 0"),
        ("model: mlp\ndataset: {name: digits, classes: 3}", "dataset.classes: must be a list or null, not 3"),
        ("model: mlp\ntraining: {class_weights: {0: 0}}", "must give some class a weight above 0"),
        ("model: mlp\nprobes: {gradients: 3}", "must be a mapping of settings ({} for the defaults), or null for off"),
        ("model: mlp\nprobes: {gradients: {name: activations}}", "must be gradients, or left out"),
        ("model: mlp\nprobes: 3", "must be a mapping from names of probes"),
        ("model: mlp\ndescription: 3", "2:14: description: must be text, not 3"),
        ("model: mlp\nname: 3", "name: names a folder"),
        ("model: mlp\nname: CON.txt", "cannot be a folder on Windows"),
        ("model: mlp\nname: ..", "name: names a folder"),
        ("model: mlp\npretrainig: null", "unknown key"),
        ("model: mlp\nseeds: 0", "seeds: must be a number of seeds ≥ 1"),
        ("model: mlp\nseeds: [1, -1]", "seeds: must be"),
        ("model: mlp\nseeds: 1.5", "seeds: must be"),
        ("model: mlp\nseeds: {inti: 0}", "seeds.inti: unknown key (did you mean 'init'?)"),
        ("model: mlp\nseeds: 5..1", "the range 5..1 is empty"),
    ],
)  # fmt: skip
def test_one_sentence_each(complaints: Complain, text: str, words: str) -> None:
    found = complaints(text)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "model: {name: mlp, output_activation: sigmoid}",
            "1:39: model.output_activation: sigmoid does not go with the loss cross_entropy, which wants softmax",
        ),
        (
            "model: mlp\ntraining: {batch_size: 5000}",
            "2:24: training.batch_size: 5000 is more than the 1293 training examples (full takes them all)",
        ),
        (
            f"{FOUR}\ntraining: {{batch_size: 33}}",
            "3:24: training.batch_size: 33 is more than the 4 training examples (full takes them all)",
        ),
        ("model: mlp\ndataset: {validation: 5000}", "2:23: dataset.validation: 5000 of 1437 examples held out"),
        ("model: mlp\ndataset: {train_limit: 5000}", "2:24: dataset.train_limit: "),
        (
            "model: mlp\ndataset: {validation: 0}\ntraining: {early_stopping: {}}",
            "3:28: training.early_stopping: needs a validation set",
        ),
        (
            "model: mlp\ntraining: {early_stopping: {monitor: val_r2}}",
            "training.early_stopping.monitor: val_r2 is not measured here: val_loss, val_accuracy are",
        ),
        ("model: mlp\ntraining: {class_weights: {ten: 2}}", "training.class_weights.ten: there is no such class"),
        (
            "model: {name: cnn, blocks: [{pool: {type: max, size: 2}}, {pool: {type: max, size: 50}}]}",
            "model.blocks[1]",
        ),
    ],
)
def test_what_sections_ask_of_one_another(complaints: Complain, text: str, words: str) -> None:
    found = complaints(text)
    assert len(found) == 1
    assert words in found[0]


def test_a_bad_swept_value_is_told_once_at_its_own_place(complaints: Complain) -> None:
    found = complaints(
        "model: mlp\nseeds: 3\nsweep:\n  model.width: [3, x, 4, -1]\n  training.epochs: 1..3\n  model.dept: [1, 2]\n"
    )
    assert found == [
        "s.yaml:4:20: model.width: must be a whole number ≥ 1 or null, not 'x'",
        "s.yaml:4:26: model.width: must be a whole number ≥ 1 or null, not -1",
        found[2],
    ]
    assert found[2].startswith("s.yaml:6:3: model.dept: unknown key (did you mean 'depth'?)")


def test_fewer_examples_than_a_usual_batch_are_no_mistake() -> None:
    """Whether or not a template wrote the default down: it is the same trial, and trained as one batch."""
    plain, written = (load_text(f"{FOUR}{more}").trials[0] for more in ("", "\ntraining: {batch_size: 32}"))
    assert plain.id == written.id
    assert plain.setting.steps(labelled=True) == 1


def test_a_problem_of_one_combination_alone_is_found(complaints: Complain) -> None:
    found = complaints("model: mlp\nsweep: {dataset.validation: [0.1, 0.9], training.batch_size: [8, 1000]}")
    # 1,437 less nine tenths
    assert found == [
        "s.yaml:2:66: training.batch_size: 1000 is more than the 144 training examples (full takes them all)"
    ]


def test_problems_beyond_a_hundred_are_counted() -> None:
    text = "model: mlp\n" + "".join(f"x{number}: 1\n" for number in range(130))
    with pytest.raises(SpecError) as caught:
        load_text(text)
    assert len(caught.value.problems) == 101
    assert str(caught.value.problems[-1]) == "and 30 more problems"
