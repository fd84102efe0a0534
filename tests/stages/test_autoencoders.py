"""Layers trained as autoencoders: what they minimise, what they hand on, and what a spec may not ask of them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from dlx.datasets import Places, registry
from dlx.errors import SpecError
from dlx.sources import Splits
from dlx.spec import load_text
from tests.stages.conftest import Train, Trained

SPEC = """
dataset: {name: digits, validation: 200, train_limit: 400}
model: {name: mlp, hidden: [20, 12], activation: sigmoid, initializer: scaled_uniform}
pretraining:
  method: autoencoder
  epochs: 2
  optimizer: {name: sgd, learning_rate: 0.1}
training: {epochs: 2, batch_size: 20, optimizer: {name: sgd, learning_rate: 0.1}}
probes: {gradients: {sample: 50}, activations: {sample: 50}}
"""


def digits(**settings: object) -> Splits:
    return registry.get("digits")(name="digits", **settings).load(Places.here(None, download=False))


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-values))


def test_layers_one_by_one_then_the_output_then_all(train: Train) -> None:
    trained = train(SPEC)
    stages = [name for name in ("layer1", "layer2", "output", "finetune") for _ in range(3)]
    assert trained.table("metrics").column("stage") == stages
    for stage in ("layer1", "layer2"):
        for part in ("train", "val", "test"):
            assert np.diff(trained.column(f"{part}_reconstruction_error", stage)).max() < 0
        assert np.isnan(trained.column("val_accuracy", stage)).all()
    assert trained.column("val_loss", "finetune")[0] == trained.column("val_loss", "output")[-1]
    gradients = trained.table("gradients")
    numbered = dict(zip(gradients.column("name"), gradients.column("layer"), strict=True))
    assert numbered == {"dense_1": "1", "decoder_1": "", "dense_2": "2", "decoder_2": "", "output": "3"}


@pytest.mark.parametrize("more", [(), ("pretraining.tied=false",)], ids=["tied", "untied"])
def test_the_numbers_are_those_of_the_definition(train: Train, more: tuple[str, ...]) -> None:
    """With no epoch of training every weight is known: reconstruction and loss from NumPy, in float64."""
    trained = train(SPEC, "training.epochs=0", "pretraining.epochs=0", *more)
    splits = digits(validation=200, train_limit=400)
    inputs = splits.scaling.apply(splits.validation.arrays[0].reshape(200, -1)).astype(np.float64)
    kernel, bias = trained.weights["dense_1/kernel"], trained.weights["dense_1/bias"]
    decoder = kernel.T
    if more:
        from dlx import randomness

        limit = 1 / np.sqrt(20)
        drawn = randomness.generator(0, "init/decoder_1/kernel").uniform(-limit, limit, (20, 64))
        decoder = drawn.astype(np.float32)
    answer = sigmoid(sigmoid(inputs @ kernel + bias) @ decoder)
    error = np.mean((answer - inputs) ** 2)
    loss = -np.mean(np.sum(inputs * np.log(answer) + (1 - inputs) * np.log(1 - answer), axis=1))
    assert trained.column("val_reconstruction_error", "layer1")[0] == pytest.approx(error, rel=1e-5)
    assert trained.column("val_loss", "layer1")[0] == pytest.approx(loss, rel=1e-5)


def test_pretrained_weights_arrive_bit_for_bit_and_frozen_layers_stay(train: Train) -> None:
    first = "{name: autoencoder, layer: 1, epochs: 2}"
    second = "{name: autoencoder, layer: 2, epochs: 2}"
    look = "{name: supervised, epochs: 0}"
    off = "pretraining=none"
    one = train(SPEC, off, f"stages=[{first}, {look}]").weights
    two = train(SPEC, off, f"stages=[{first}, {second}, {look}]").weights
    output = train(SPEC, off, f"stages=[{first}, {second}, {{layers: [output], epochs: 2}}]").weights
    start = train(SPEC, off, f"stages=[{look}]").weights
    for name in ("kernel", "bias"):
        assert not np.array_equal(one[f"dense_1/{name}"], start[f"dense_1/{name}"])
        assert np.array_equal(one[f"dense_1/{name}"], two[f"dense_1/{name}"])
        assert np.array_equal(one[f"dense_2/{name}"], start[f"dense_2/{name}"])
        assert not np.array_equal(two[f"dense_2/{name}"], start[f"dense_2/{name}"])
        for layer in ("dense_1", "dense_2"):
            assert np.array_equal(output[f"{layer}/{name}"], two[f"{layer}/{name}"])


def test_a_linear_autoencoder_spans_the_subspace_of_the_principal_components(train: Train) -> None:
    rate = "{name: exponential_decay, initial_learning_rate: 0.003, decay_steps: 800, decay_rate: 0.5}"
    trained = train(
        SPEC, "model.hidden=[3]", "model.activation=linear", "pretraining.loss=squared_error", "training.epochs=0",
        f"pretraining.optimizer={{name: sgd, momentum: 0.9, learning_rate: {rate}}}", "training.batch_size=100",
        "pretraining.epochs=400", "pretraining.output_epochs=0", "probes=null",
        "dataset={name: digits, validation: 200, train_limit: 1000, scaling: standardize}",
    )  # fmt: skip
    splits = digits(validation=200, train_limit=1000, scaling="standardize")
    inputs = splits.scaling.apply(splits.train.arrays[0]).reshape(1000, -1).astype(np.float64)
    centred = inputs - inputs.mean(axis=0)
    components = np.linalg.svd(centred, full_matrices=False)[2][:3].T
    angles = np.degrees(scipy.linalg.subspace_angles(trained.weights["dense_1/kernel"].astype(np.float64), components))
    assert angles.max() < 5.0
    best = np.mean((centred - centred @ components @ components.T) ** 2)
    assert trained.column("train_reconstruction_error", "layer1")[-1] == pytest.approx(best, rel=0.01)


STAGES = ("layer1", "layer2", "output", "finetune")
ONE_OF_THEM = [pytest.param((stage,), marks=pytest.mark.slow) for stage in STAGES]


@pytest.mark.parametrize("stop_in", [STAGES, *ONE_OF_THEM], ids="-".join)
def test_interrupted_in_any_stage_the_bytes_are_the_same(train: Train, stop_in: tuple[str, ...]) -> None:
    sets = ("pretraining={method: denoising_autoencoder, epochs: 2}",)
    assert train(SPEC, *sets, stop_in=stop_in).kept() == train(SPEC, *sets).kept()


def spoil(level: float, corruption: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs of 0.5 and 0.7 and what training makes of them."""
    import keras

    (trial,) = load_text(
        SPEC, [f"pretraining={{method: denoising_autoencoder, corruption: {corruption}, level: {level}}}"]
    ).trials
    spec = trial.setting.pipeline[0].spec
    clean = np.where(np.arange(40_000).reshape(400, 100) % 2, 0.5, 0.7).astype(np.float32)
    corrupt = spec.corruption_of(trial.setting, spec.block(trial.setting))
    spoiled = corrupt(keras.ops.convert_to_tensor(clean), keras.random.SeedGenerator(1))
    return clean, keras.ops.convert_to_numpy(spoiled)


def test_masking() -> None:
    clean, spoiled = spoil(0.3, "masking")
    assert set(np.unique(spoiled)) == {0.0, *np.unique(clean)}
    assert np.array_equal(spoiled[spoiled > 0], clean[spoiled > 0])
    assert (spoiled == 0).mean() == pytest.approx(0.3, abs=0.01)


def test_salt_and_pepper() -> None:
    clean, spoiled = spoil(0.4, "salt_and_pepper")
    assert (spoiled == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert (spoiled == 1).mean() == pytest.approx(0.2, abs=0.01)
    assert (spoiled == clean).mean() == pytest.approx(0.6, abs=0.01)


def test_gaussian() -> None:
    clean, spoiled = spoil(0.2, "gaussian")
    noise = spoiled - clean
    assert noise.mean() == pytest.approx(0.0, abs=0.005)
    assert noise.std() == pytest.approx(0.2, abs=0.005)


def test_noise_is_for_training_and_a_level_for_each_layer(train: Train) -> None:
    clean = train(SPEC, "training.epochs=0", "probes=null")
    settings = "epochs: 2, level: [0.5, 0.0], optimizer: {name: sgd, learning_rate: 0.1}"
    noisy = train(
        SPEC, "training.epochs=0", "probes=null", f"pretraining={{method: denoising_autoencoder, {settings}}}"
    )
    # before training nothing is spoiled; while training the first layer learns something else
    assert noisy.column("train_loss", "layer1")[0] == clean.column("train_loss", "layer1")[0]
    assert noisy.column("train_loss", "layer1")[1] > clean.column("train_loss", "layer1")[1]
    assert not np.array_equal(noisy.weights["dense_1/kernel"], clean.weights["dense_1/kernel"])


def test_an_activity_penalty_makes_codes_sparse(train: Train) -> None:
    def activity(penalty: float) -> float:
        off = ("training.epochs=0", "pretraining.output_epochs=0", "probes.gradients=null", "model.hidden=[20]")
        trained = train(SPEC, f"pretraining.activity_l1={penalty}", *off)
        return float(trained.column("mean", "layer1", "activations")[-2])  # the row before its decoder's

    assert activity(0.5) < 0.7 * activity(0.0)


@pytest.mark.parametrize("tied", ["true", "false"])
def test_convolutions_are_trained_as_they_are(train: Train, tied: str) -> None:
    trained = train(
        SPEC,
        "model={name: cnn, blocks: [{filters: 4, pool: max}, {filters: 6, padding: valid}], dense: [8]}",
        "model.activation=sigmoid",
        f"pretraining.tied={tied}",
        "pretraining.optimizer={name: sgd, learning_rate: 0.01}",
    )
    for stage in ("layer1", "layer2", "layer3"):
        assert np.diff(trained.column("val_reconstruction_error", stage)).max() < 0
    assert trained.weights["conv_1/kernel"].shape == (3, 3, 1, 4)
    assert {path.partition("/")[0] for path in trained.weights} == {"conv_1", "conv_2", "dense_1", "output"}


def moving(trained: Trained) -> np.ndarray:
    return trained.weights["dense_1_normalization/moving_mean"]


def test_normalisation_is_pretrained_with_its_layer(train: Train) -> None:
    sets = ("model.normalization=batch", "training.epochs=0", "probes=null")
    assert not moving(train(SPEC, *sets, "pretraining=none")).any()
    assert moving(train(SPEC, *sets, "pretraining.output_epochs=0")).any()


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["model={name: mlp, depth: 0}"], "pretraining: mlp has no hidden layer to pretrain"),
        (["model={name: lenet5, variant: original}", "dataset=mnist"], "C3 is a PartialConv2D"),
        (["model=cifar_resnet", "dataset=cifar10"], "cifar_resnet has no layers to pretrain one after the other"),
        (["pretraining={method: denoising_autoencoder, level: 1.5}"], "spoils a fraction of the inputs, at most 1"),
        (["pretraining={method: denoising_autoencoder, level: [0.1]}"], "1 levels for 2 layers"),
        (["pretraining={method: denoising_autoencoder, level: -0.1}"], "must be a number ≥ 0"),
        (["pretraining.loss=cross_entropy", "dataset.scaling=standardize"], "cross_entropy needs inputs in [0, 1]"),
        (
            ["pretraining.decoder_activation=tanh", "pretraining.loss=cross_entropy"],
            "goes with a sigmoid, not with tanh",
        ),
        (
            ["model={name: cnn, blocks: [{filters: 4, kernel: 3, stride: 2, padding: valid}], dense: []}"],
            "tied weights cannot decode conv_1: a transposed convolution of the same kernel and stride gives 7x7",
        ),
        (["pretraining.method=autoencodr"], "unknown pretraining method 'autoencodr' (did you mean"),
        (["pretraining.layer=1"], "every layer has its stage here"),
        (["pretraining.corruption=masking"], "unknown key"),
        (["stages=[supervised]"], "stages are listed too"),
        (["pretraining=none", "stages=[{name: autoencoder, layer: 1}]"], "the last stage must be of the whole network"),
        (["pretraining=none", "stages=[autoencoder, supervised]"], "stages[0].layer: which layer?"),
        (["pretraining=none", "stages=[{name: autoencoder, layer: 3}, supervised]"], "has 2 layers to pretrain, not 3"),
        (["pretraining={method: none, epochs: 3}"], "epochs without pretraining say nothing"),
    ],
)
def test_what_is_wrong_is_told(sets: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(SPEC, sets)
    assert message in str(caught.value)


def test_the_settings_reset_with_the_method() -> None:
    experiment = load_text(SPEC, ["pretraining.method=denoising_autoencoder"])
    assert experiment.trials[0].setting.pretraining.epochs == 5
    assert any(" dropped" in note for note in experiment.notes)


@pytest.mark.parametrize(("match", "epochs"), [("epochs", 12), ("steps", 12), ("null", 2)])
def test_without_pretraining_the_budget_can_be_the_same(match: str, epochs: int) -> None:
    settings = ", epochs: 4, output_epochs: 2" if match != "null" else ""
    (trial,) = load_text(SPEC, [f"pretraining={{method: none, match: {match}{settings}}}"]).trials
    (stage,) = trial.setting.pipeline
    assert (stage.name, stage.epochs) == ("train", epochs)


def test_fine_tune_false_trains_the_output_layer_alone() -> None:
    (trial,) = load_text(SPEC, ["pretraining.fine_tune=false"]).trials
    lengths = {stage.name: stage.epochs for stage in trial.setting.pipeline}
    assert lengths == {"layer1": 2, "layer2": 2, "output": 2}
