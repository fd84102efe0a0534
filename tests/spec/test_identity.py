"""Trial ids: what enters, what does not, and that no release changes them by accident."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlx.errors import SpecError
from dlx.members import canonical
from dlx.spec import Trial, load_text, load_trial, resolved
from dlx.spec.identity import identity

EMBEDDED = "ebe01c7b7916df83878b05fbba4cbf0372acab9a6ead674f4b038442e84d6498"
DIGITS = f'"dataset":{{"digest":"{EMBEDDED}","name":"digits","revision":1}}'
NIELSEN = """\
dataset: {name: mnist, validation: 10000, split: ordered, scaling: {divide: 256}}
model:
  name: mlp
  hidden: [30, 30]
  activation: sigmoid
  initializer: {kernel: scaled_normal, bias: normal}
training:
  loss: sigmoid_cross_entropy
  optimizer: {name: sgd, learning_rate: 0.1}
  l2: 0.0001
  batch_size: 10
  epochs: 30
"""


MNIST = "fb2ac7567992cc335ac0bc7465d0193e5bb582e0c0f1056b9d36c04977918d69"
LENET = (
    f'{{"dataset":{{"digest":"{MNIST}","name":"mnist","revision":1}},'
    '"model":{"name":"lenet5","revision":1},"seed":0,"training":{}}'
)
NIELSEN_JSON = (
    f'{{"dataset":{{"digest":"{MNIST}","name":"mnist","revision":1,"scaling":{{"divide":256.0}},'
    '"split":"ordered","validation":10000},'
    '"model":{"activation":"sigmoid","depth":null,"hidden":[30,30],'
    '"initializer":{"bias":{"name":"normal"},"kernel":{"name":"scaled_normal"}},'
    '"name":"mlp","revision":1,"width":null},"seed":0,'
    '"training":{"batch_size":10,"epochs":30,"l2":0.0001,"loss":"sigmoid_cross_entropy",'
    '"optimizer":{"learning_rate":0.1,"name":"sgd","revision":1}}}'
)


COSINE = "{{model: mlp, training: {{optimizer: {{name: adam, learning_rate: {}}}}}}}"


def trial(text: str, *sets: str) -> Trial:
    return load_text(text, sets).trials[0]


# Written by hand from DESIGN's definition of an id and hashed by the test, not by the code under test.
GOLDEN = [
    ("5b145eff4f13", "model: mlp", f'{{{DIGITS},"model":{{"name":"mlp","revision":1}},"seed":0,"training":{{}}}}'),
    ("aa95e5c25b05", "model: cnn", f'{{{DIGITS},"model":{{"name":"cnn","revision":1}},"seed":0,"training":{{}}}}'),
    (
        "170d21ae1d38",
        "model: {name: mlp, depth: 3}\ntraining: {optimizer: {name: sgd, learning_rate: 1}, l2: 1e-4}\n"
        "seeds: {init: 2, order: 5}",
        f'{{{DIGITS},"model":{{"depth":3,"name":"mlp","revision":1}},"seed":{{"init":2,"order":5}},'
        '"training":{"l2":0.0001,"optimizer":{"learning_rate":1.0,"name":"sgd","revision":1}}}',
    ),
    ("35a5ac3394c2", "model: lenet5\ndataset: mnist", LENET),
    ("238cf5944c1e", NIELSEN, NIELSEN_JSON),
]


@pytest.mark.parametrize(("expected", "text", "written"), GOLDEN)
def test_golden_ids(expected: str, text: str, written: str) -> None:
    assert hashlib.sha256(written.encode()).hexdigest()[:12] == expected
    assert trial(text).id == expected


def test_the_id_is_the_hash_of_the_canonical_json() -> None:
    for one in load_text(NIELSEN + "seeds: {init: 0..1, order: 0}").trials:
        text = json.dumps(identity(one.setting, one.seed), sort_keys=True, separators=(",", ":"))
        assert one.id == hashlib.sha256(text.encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model: mlp", "model: {name: mlp}"),
        ("model: mlp", "model: {name: mlp, depth: 1, activation: relu, dropout: 0}"),
        ("model: mlp", "model: mlp\ndataset: digits"),
        ("model: mlp", "model: mlp\ndataset: {name: digits, validation: 0.1, scaling: unit}"),
        ("model: mlp", "model: mlp\ntraining: {loss: cross_entropy, optimizer: adam, l2: 0, batch_size: 32}"),
        ("model: mlp", "model: {name: mlp, output_activation: softmax}\ntraining: {}"),
        ("model: mlp", "model: mlp\ntraining: {optimizer: Adam, l1: -0.0}"),
        ("model: mlp", "model: mlp\ntraining: {optimizer: {learning_rate: 1e-3}}"),
        ("model: mlp", "model: mlp\nseeds: {init: 0, order: 0}"),
        ("model: mlp", "model: mlp\nseeds: [0]"),
        ("model: mlp\ntraining: {l2: 1}", "model: mlp\ntraining: {l2: 1.0}"),
        ("model: mlp\ndataset: {scaling: {divide: 16}}", "model: mlp\ndataset: {scaling: {divide: 16.0}}"),
        (
            COSINE.format("{name: CosineDecay, initial_learning_rate: 1, decay_steps: 9}"),
            COSINE.format("{name: cosine_decay, initial_learning_rate: 1.0, decay_steps: 9, warmup_steps: 0}"),
        ),
        # what changes nothing that is trained
        ("model: mlp", "model: mlp\nname: other\ndescription: why"),
        ("model: mlp", "model: mlp\nprobes: null\nrecords: {model: final}"),
        ("model: mlp", "model: mlp\nprobes: {gradients: {every: 3 steps}}"),
        ("model: mlp", "model: mlp\ntraining: {checkpoint: {every: 5 minutes}}"),
    ],
)
def test_two_spellings_of_one_trial(one: str, other: str) -> None:
    assert trial(one).id == trial(other).id


CHANGES = [
    "dataset=mnist", "dataset.validation=0.2", "dataset.split=ordered", "dataset.train_limit=100",
    "dataset.scaling=none", "model=cnn", "model.depth=2", "model.width=31", "model.activation=tanh",
    "model.dropout=0.1", "model.initializer=he_normal", "model.initializer={bias: normal}",
    "model.initializer={name: normal, stddev: 0.5}", "model.initializer=normal", "training.loss=quadratic",
    "training.loss=mean_squared_error", "training.optimizer=sgd", "training.optimizer.learning_rate=0.5",
    "training.l1=0.1", "training.l2=0.1", "training.batch_size=31", "training.batch_size=full", "training.epochs=11",
    "training.early_stopping={}", "training.early_stopping={patience: 1}", "training.class_weights=balanced",
    "training.class_weights={1: 2}", "training.precision=mixed_bfloat16", "seeds={init: 1, order: 0}",
    "seeds={init: 0, order: 1}", "seeds=[1]",
]  # fmt: skip


def test_every_change_of_what_is_trained_is_another_id() -> None:
    ids = {change: trial("model: mlp", change).id for change in CHANGES}
    assert len({trial("model: mlp").id, *ids.values()}) == len(CHANGES) + 1


def test_a_raised_revision_changes_the_id_even_of_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    before = trial("model: mlp").id
    one = trial("model: mlp")
    monkeypatch.setattr(type(one.setting.training.optimizer), "revision", 2)
    assert canonical(one.setting.training)["optimizer"] == {"name": "adam", "revision": 2}
    assert trial("model: mlp").id != before


OPTIMIZERS = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": st.floats(1e-6, 10),
        "clipnorm": st.none() | st.integers(1, 5),
        "use_ema": st.booleans(),
        "epsilon": st.floats(0, 1),
    },
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {"name": st.just("mlp")},
        optional={"depth": st.integers(0, 4), "width": st.integers(1, 9), "dropout": st.floats(0, 0.9)},
    ),
    OPTIMIZERS,
    st.integers(0, 2**63 - 1),
    st.integers(0, 3),
)
def test_a_trial_file_has_everything_and_reads_back(
    tmp_path: Path, model: dict[str, object], optimizer: dict[str, object], init: int, order: int
) -> None:
    text = json.dumps(
        {"model": model, "training": {"optimizer": optimizer}, "seeds": {"init": [init], "order": [order]}}
    )
    one = trial(text)
    path = tmp_path / "trial.yaml"
    path.write_text(resolved(one, "experiment"), encoding="utf-8")
    again = load_trial(path)
    assert again == replace(one, parameters={})
    # its sections are a spec: written out in full or as short as it was, the same trial
    sections = "dataset:\n" + path.read_text("utf-8").partition("\ndataset:\n")[2]
    assert trial(sections, f"seeds={{init: [{init}], order: [{order}]}}").id == one.id


def test_a_trial_file_keeps_what_is_off_off(tmp_path: Path) -> None:
    path = tmp_path / "trial.yaml"
    for probes in ("null", "{gradients: null}", "{activations: {every: 7 steps}}"):
        one = trial(f"model: mlp\nprobes: {probes}")
        path.write_text(resolved(one), encoding="utf-8")
        assert load_trial(path) == replace(one, parameters={})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("depth: 1", "depth: 2", "is not what this version of dlx or its data would train"),
        ("seed: 0", "seed: [0, 1]", "must be one seed"),
        ("trial: ", "trial: 7\n#", "trial: not as dlx writes it"),
        ("experiment: x\n", "", "experiment missing"),
        ("seed: 0", "seed: 0\nsede: 0", "sede: unknown key"),
        ("name: mlp", "name: mpl", "unknown model"),
    ],
)
def test_a_trial_file_that_was_changed_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "trial.yaml"
    text = resolved(trial("model: mlp"), "x")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_trial(path)
    assert words in str(caught.value)
