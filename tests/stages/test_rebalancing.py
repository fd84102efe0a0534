"""Imbalanced sets, classes made even, and the recalls that show what it did: no backend is needed for the first two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dlx.analysis.metrics import direction
from dlx.datasets import Places
from dlx.errors import SpecError, UsageError
from dlx.metrics import Metrics
from dlx.packing import kind
from dlx.rebalancing import registry
from dlx.rebalancing._evening import NEW, evened
from dlx.sources import Splits
from dlx.spec import load_text
from dlx.worker import Worker
from tests.stages.conftest import Train
from tests.stages.test_boltzmann import joint

SPEC = """
dataset: {name: digits, imbalance: {3: 0.2, 8: 0.1}}
model: {name: mlp, hidden: [12], activation: sigmoid}
training: {epochs: 1, batch_size: 20}
"""


def setting(*sets: str) -> Any:
    return load_text(SPEC, sets).trials[0].setting


def load(*sets: str) -> Splits:
    dataset = setting(*sets).dataset
    splits: Splits = dataset.load(Places.here(None, download=False))
    sizes = dataset.sizes()
    assert (len(splits.train), len(splits.validation or ())) == (sizes["train"], sizes["validation"])
    return splits


def counts(source: Any) -> list[int]:
    return np.bincount(source.arrays[1], minlength=10).tolist()


def test_a_fraction_of_a_class_is_kept_and_the_test_part_is_as_it_was() -> None:
    whole, thin = load("dataset.imbalance=null", "dataset.validation=0"), load("dataset.validation=0")
    before, after = counts(whole.train), counts(thin.train)
    wanted = [round(count * {3: 0.2, 8: 0.1}.get(label, 1.0)) for label, count in enumerate(before)]
    assert after == wanted == list(thin.info.train_counts)
    assert set(thin.train.ids) < set(whole.train.ids) and (np.diff(thin.train.ids) > 0).all()
    assert whole.test and thin.test
    assert np.array_equal(whole.test.arrays[0], thin.test.arrays[0])
    again = load("dataset.validation=0")
    assert np.array_equal(again.train.ids, thin.train.ids)


def test_validation_is_held_out_of_what_is_kept() -> None:
    thin = load("dataset.validation=0.2")
    assert thin.validation
    held, kept = counts(thin.validation), counts(thin.train)
    for label in range(10):
        assert held[label] / (held[label] + kept[label]) == pytest.approx(0.2, abs=0.07)


@pytest.mark.parametrize("method", ["oversample", "{method: rbm, epochs: 2, hidden: 8}"])
def test_classes_are_even_in_the_training_part_alone(method: str) -> None:
    splits = load(f"dataset.rebalance={method}")
    way = setting(f"dataset.rebalance={method}").dataset.rebalance
    even = evened(splits, way, 0)
    assert even.labelled is not None and even.train is splits.train
    assert even.validation is splits.validation and even.test is splits.test
    most, own = max(counts(splits.train)), len(splits.train)
    assert counts(even.labelled) == [most] * 10
    inputs, labels = even.labelled.arrays
    assert inputs.dtype == splits.train.arrays[0].dtype
    assert np.array_equal(inputs[:own], splits.train.arrays[0]) and np.array_equal(labels[:own], splits.train.arrays[1])
    added = even.labelled.ids[own:]
    if method == "oversample":
        places = {each: place for place, each in enumerate(splits.train.ids.tolist())}
        rows = [places[each] for each in added.tolist()]
        assert np.array_equal(inputs[own:], splits.train.arrays[0][rows])
        assert np.array_equal(labels[own:], splits.train.arrays[1][rows])
        times = np.bincount(rows, minlength=own)[splits.train.arrays[1] == 8]
        assert times.max() - times.min() == 1  # each example as often as any other
    else:
        assert set(added) == {NEW}
        assert not (inputs[own:, None] == inputs[None, :own]).all(axis=(2, 3, 4)).any()
    once_more, other = evened(splits, way, 0), evened(splits, way, 1)
    assert once_more.labelled and other.labelled
    assert np.array_equal(once_more.labelled.arrays[0], inputs)
    assert not np.array_equal(other.labelled.arrays[0], inputs)


def test_of_few_labels_those_are_made_even() -> None:
    from dlx.datasets._division import with_labels

    splits = with_labels(load(), 300)
    assert splits.labelled
    even = evened(splits, setting("dataset.rebalance=oversample").dataset.rebalance, 0)
    assert even.labelled and counts(even.labelled) == [max(counts(splits.labelled))] * 10


PATTERNS = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]]


def test_what_is_generated_has_the_distribution_of_the_class() -> None:
    """The learned machine by all its states against the examples it learned, and the chains against these."""
    data = np.array(PATTERNS * 20, float)
    way = registry.get("rbm")(name="rbm", hidden=6, epochs=300, l2=0.0, learning_rate=0.1, batch_size=20)
    machine = way.learned(data, np.random.default_rng(0), lambda: None)  # type: ignore[attr-defined]
    likely = np.exp(joint(vars(machine)))
    distribution = likely.sum(axis=1) / likely.sum()
    seen = np.zeros(16)
    for pattern in PATTERNS:
        seen[int("".join(map(str, pattern)), 2)] += 1 / len(PATTERNS)
    assert np.abs(distribution - seen).sum() / 2 < 0.15  # total variation; uniform would be at 0.69
    _, drawn = machine.gibbs(np.tile(data, (160, 1)), 10, np.random.default_rng(1))
    found = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16) / len(drawn)
    assert np.abs(found - seen).sum() / 2 < 0.15


def test_the_step_is_the_one_that_the_engines_take() -> None:
    from dlx.boltzmann import Machine as KerasMachine
    from dlx.machine import Machine

    rng = np.random.default_rng(2)
    parameters = rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=5)
    data = rng.integers(0, 2, (7, 5)).astype(float)
    own, theirs = Machine(*parameters, "binary", "binary"), KerasMachine(*(p.astype("float32") for p in parameters))
    batch = data.astype("float32")
    expected = theirs.statistics(batch, theirs.hidden_mean(batch))
    for one, other in zip(own.statistics(data), expected, strict=True):
        assert one == pytest.approx(np.asarray(other), rel=1e-5, abs=1e-6)


def test_gaussian_units_take_any_numbers() -> None:
    rng = np.random.default_rng(3)
    examples = (rng.normal(size=(200, 1)) * [3.0, -2.0, 1.0] + [10.0, -5.0, 0.0]).astype(np.float32)
    binary, gaussian = (
        registry.get("rbm")(name="rbm", visible=visible, hidden=8) for visible in ("binary", "gaussian")
    )
    with pytest.raises(UsageError, match="binary units stand for values from 0 to 1"):
        binary.more(examples, 5, 1.0, rng, lambda: None)
    made, repeated = gaussian.more(examples, 400, 1.0, rng, lambda: None)
    assert repeated is None and made.dtype == np.float32
    assert made.mean(axis=0) == pytest.approx(examples.mean(axis=0), abs=1.0)
    assert np.corrcoef(made.T)[0, 1] < -0.5  # the features go together as they did


def test_a_class_without_examples_cannot_be_made_more_of() -> None:
    splits = load("dataset={name: digits, train_limit: 5, imbalance: {3: 0.2}}", "training.batch_size=full")
    with pytest.raises(UsageError, match="no training example of class"):
        evened(splits, registry.get("oversample")(name="oversample"), 0)


def test_asking_to_stop_is_heard() -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        evened(load(), registry.get("rbm")(name="rbm"), 0, stop)


def test_ids_have_them_where_they_are_set_and_packs_do_not_mix_seeds() -> None:
    plain = load_text(SPEC, ["dataset=digits"]).trials[0]
    assert load_text(SPEC, ["dataset={name: digits, imbalance: null, rebalance: null}"]).trials[0].id == plain.id
    ids = {
        load_text(SPEC, [f"dataset.rebalance={method}", *more]).trials[0].id
        for method in ("null", "oversample", "rbm", "{method: rbm, steps: 3}")
        for more in ([], ["dataset.imbalance=null"])
    }
    assert len(ids) == 8
    assert load_text(SPEC, ["records.recalls=false"]).trials[0].id == load_text(SPEC).trials[0].id
    one, other = load_text(SPEC, ["dataset.rebalance=rbm"], seeds="2").trials
    assert kind(one) != kind(other)
    one, other = load_text(SPEC, seeds="2").trials
    assert kind(one) == kind(other)


def test_recalls_by_numpy() -> None:
    import keras

    rng = np.random.default_rng(4)
    logits, labels = rng.normal(size=(50, 4)).astype("float32"), rng.integers(0, 3, 50)  # none of class 3
    weights = (rng.random(50) < 0.7).astype("float32")
    metrics = Metrics("classification", 4, "softmax", recalls=True)
    sums = metrics.sums(np.zeros(50, "float32"), logits, labels, weights)
    assert set(sums) == set(metrics.shapes())
    found = metrics.finish({name: keras.ops.convert_to_numpy(value) for name, value in sums.items()}, 50)
    counted = weights > 0
    recalls = [np.mean(logits.argmax(axis=1)[counted & (labels == label)] == label) for label in range(3)]
    assert [found[f"recall_{label}"] for label in range(3)] == pytest.approx(recalls)
    assert np.isnan(found["recall_3"])
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert tuple(found) == metrics.names
    assert direction("test_recall_3") == direction("test_balanced_accuracy") == 1


TRAINED = """
dataset: {name: digits, train_limit: 300, imbalance: {3: 0.2, 8: 0.1}, rebalance: {method: rbm, epochs: 3, hidden: 8}}
model: {name: mlp, hidden: [12], activation: sigmoid, initializer: scaled_uniform}
pretraining: {method: autoencoder, epochs: 2, output_epochs: 2, optimizer: {name: sgd, learning_rate: 0.1}}
training: {epochs: 2, batch_size: 20, optimizer: {name: sgd, learning_rate: 0.5}}
probes: {gradients: {sample: 50}, activations: {sample: 50}}
"""


def test_trained_on_even_classes_and_measured_on_all(train: Train) -> None:
    trained = train(TRAINED)
    most = max(counts(load("dataset.train_limit=300").train))
    assert trained.column("step", "layer1")[-1] == 2 * 300 / 20  # without labels: what there is
    assert trained.column("step", "finetune")[-1] == 2 * -(-10 * most // 20)
    recalls = [trained.column(f"test_recall_{label}", "finetune")[-1] for label in range(10)]
    assert trained.column("test_balanced_accuracy", "finetune")[-1] == pytest.approx(np.mean(recalls), rel=1e-5)
    sizes = np.array(load().info.test_counts)
    accuracy = trained.column("test_accuracy", "finetune")[-1]
    assert accuracy == pytest.approx(np.dot(recalls, sizes) / sizes.sum(), rel=1e-5)
    assert np.isnan(trained.column("test_recall_3", "layer1")).all()
    # of a training part that is even, accuracy and balanced accuracy are the same
    assert trained.column("train_balanced_accuracy", "finetune") == pytest.approx(
        trained.column("train_accuracy", "finetune"), rel=1e-5
    )


def test_interrupted_the_same_examples_are_made_again(train: Train, worker: Worker) -> None:
    undisturbed = train(TRAINED).kept()
    worker.forget()  # as in another process: nothing is left of what was generated
    assert train(TRAINED, stop_in=("layer1", "output", "finetune")).kept() == undisturbed


def test_frozen_features_are_classified(train: Train) -> None:
    """``fine_tune: false``: the machine is the feature extractor, and the output layer alone learns."""
    trained = train(TRAINED, "pretraining={method: rbm, epochs: 2, fine_tune: false}")
    assert list(dict.fromkeys(trained.table("metrics").column("stage"))) == ["layer1", "output"]
    for name in ("kernel", "bias"):
        assert np.array_equal(trained.weights[f"dense_1/{name}"], trained.pretrained[f"dense_1/{name}"])
    losses = trained.column("train_loss", "output")
    assert losses[-1] < losses[0]


def test_recalls_when_they_are_asked_for(train: Train) -> None:
    short = "{name: digits, train_limit: 100}"
    asked = train(TRAINED, f"dataset={short}", "pretraining=none", "records.recalls=true")
    plain = train(TRAINED, f"dataset={short}", "pretraining=none")
    assert "val_recall_9" in asked.table("metrics").columns
    assert not any("recall" in column for column in plain.table("metrics").columns)
    assert (asked.path / "weights.npz").read_bytes() == (plain.path / "weights.npz").read_bytes()


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["dataset.imbalance={12: 0.5}"], "dataset.imbalance.12: there is no class '12'"),
        (
            ["dataset.imbalance={3: 0.001}"],
            "dataset.imbalance.3: 0.001 of the 146 training examples of class '3' is less than one",
        ),
        (["dataset.imbalance={3: 1.5}"], "must be"),
        (["dataset.imbalance={3: 0}"], "must be"),
        (["dataset.imbalance={}"], "dataset.imbalance"),
        (["dataset.imbalance=0.5"], "dataset.imbalance"),
        (["dataset={name: function, imbalance: {0: 0.5}}"], "dataset.imbalance: is for classification"),
        (["dataset={name: function, rebalance: oversample}"], "dataset.rebalance: makes classes even, and this is a"),
        (["dataset.rebalance=smote"], "unknown way of rebalancing 'smote'"),
        (["dataset.rebalance={method: oversample, hidden: 3}"], "unknown key"),
        (["dataset.rebalance={method: rbm, momentum: 1.0}"], "must be a number"),
        (["dataset.rebalance={method: rbm, learning_rate: 0}"], "must be a number"),
        (["dataset.rebalance={method: rbm, hidden: 0}"], "must be a whole number ≥ 1"),
        (["model=autoencoder", "dataset.rebalance=rbm"], "autoencoder learns without labels"),
        (
            ["model=autoencoder", "records.recalls=true"],
            "records.recalls: are of classes, and this is a reconstruction",
        ),
        (
            ["pretraining={method: none, match: steps}", "dataset.rebalance=oversample"],
            "steps of an epoch are not known before the classes are even: match: epochs",
        ),
    ],
)
def test_what_is_wrong_is_told(sets: Sequence[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(SPEC, sets)
    assert message in str(caught.value)
