"""Deep autoencoders, from layers pretrained one by one; what else the stages leave: representations, few labels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from dlx.augmentations import registry as augmentations
from dlx.datasets import Places, registry
from dlx.datasets._division import with_labels
from dlx.errors import SpecError
from dlx.models import registry as models
from dlx.spec import load_text
from tests.stages.conftest import Train

SPEC = """
dataset: {name: digits, validation: 200, train_limit: 400}
model: {name: autoencoder, hidden: [20, 2], activation: sigmoid, initializer: scaled_uniform}
pretraining: {method: rbm, epochs: 1, optimizer: {name: sgd, learning_rate: 0.05}}
training: {epochs: 2, batch_size: 20, loss: sigmoid_cross_entropy, optimizer: adam}
probes: {gradients: {sample: 50}, activations: {sample: 50}, representations: {sample: 30}}
"""


def test_the_autoencoder_of_the_paper() -> None:
    network = models.get("autoencoder")(name="autoencoder", hidden=[1000, 500, 250, 2]).network((28, 28, 1), 784)
    widths = [row.output_shape[0] for row in network.rows() if row.type == "Dense"]
    assert widths == [1000, 500, 250, 2, 250, 500, 1000, 784]
    assert network.parameters == sum(a * b + b for a, b in zip([784, *widths], widths, strict=False))
    assert [row.layer for row in network.rows() if row.type == "Dense"] == [1, 2, 3, 4, None, None, None, None]


@pytest.mark.parametrize("method", ["rbm", "autoencoder", "denoising_autoencoder"])
def test_the_decoder_is_what_the_layers_decoded_with(train: Train, method: str) -> None:
    trained = train(SPEC, f"pretraining={{method: {method}, epochs: 1}}", "training.epochs=0", "probes=null")
    weights, pretrained = trained.weights, trained.pretrained
    for layer in ("1", "2"):
        assert np.array_equal(weights[f"decoder_{layer}/kernel"], weights[f"dense_{layer}/kernel"].T)
        bias = f"dense_{layer}/visible_bias" if method == "rbm" else f"decoder_{layer}/bias"
        assert np.array_equal(weights[f"decoder_{layer}/bias"], pretrained[bias])
        assert np.array_equal(weights[f"dense_{layer}/kernel"], pretrained[f"dense_{layer}/kernel"])
    stages = trained.table("metrics").column("stage")
    assert list(dict.fromkeys(stages)) == ["layer1", "layer2", "finetune"]


def test_the_reconstruction_by_numpy(train: Train) -> None:
    trained = train(SPEC)
    assert np.diff(trained.column("val_loss", "finetune")).max() < 0
    splits = registry.get("digits")(name="digits", validation=200, train_limit=400).load(
        Places.here(None, download=False)
    )
    inputs = splits.scaling.apply(splits.validation.arrays[0]).reshape(200, -1).astype(np.float64)
    values = inputs
    for layer in ("dense_1", "dense_2", "decoder_2", "decoder_1"):
        values = values @ trained.weights[f"{layer}/kernel"] + trained.weights[f"{layer}/bias"]
        values = values if layer == "dense_2" else 1 / (1 + np.exp(-values))
    error = values - inputs
    assert trained.column("val_rmse", "finetune")[-1] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-4)
    variation = np.sum((inputs - inputs.mean(axis=0)) ** 2)
    assert trained.column("val_r2", "finetune")[-1] == pytest.approx(1 - np.sum(error**2) / variation, rel=1e-4)
    names = dict(
        zip(trained.table("gradients").column("name"), trained.table("gradients").column("layer"), strict=True)
    )
    assert names == {"dense_1": "1", "dense_2": "2", "decoder_1": "", "decoder_2": ""}


def test_representations_are_the_code_of_each_example(train: Train) -> None:
    trained = train(SPEC)
    rows = trained.table("representations")
    assert set(rows.column("stage")) == {"finetune"} and set(rows.column("name")) == {"dense_2"}
    splits = registry.get("digits")(name="digits", validation=200, train_limit=400).load(
        Places.here(None, download=False)
    )
    inputs = splits.scaling.apply(splits.train.arrays[0][:30]).reshape(30, -1)
    hidden = 1 / (1 + np.exp(-(inputs @ trained.weights["dense_1/kernel"] + trained.weights["dense_1/bias"])))
    code = hidden @ trained.weights["dense_2/kernel"] + trained.weights["dense_2/bias"]
    assert np.array(rows.floats("unit_1")[-30:], dtype=float) == pytest.approx(code[:, 1], rel=1e-3, abs=1e-4)
    assert rows.ints("id")[-30:] == splits.train.ids[:30].tolist()
    assert rows.ints("label")[-30:] == splits.train.arrays[1][:30].tolist()


def test_convolutions(train: Train) -> None:
    trained = train(
        SPEC, "model={name: autoencoder, filters: [4], hidden: [8]}", "pretraining={method: autoencoder, epochs: 1}"
    )
    assert np.diff(trained.column("val_loss", "finetune")).max() < 0
    assert trained.weights["decoder_1/kernel"].shape == (3, 3, 1, 4)


TIED = "model={name: autoencoder, hidden: [20, 2], activation: sigmoid, initializer: scaled_uniform, tied: true}"


def test_a_tied_decoder_counts_its_biases_only() -> None:
    network = models.get("autoencoder")(name="autoencoder", hidden=[1000, 500, 250, 2], tied=True).network(
        (28, 28, 1), 784
    )
    widths = [784, 1000, 500, 250, 2]
    kernels = sum(a * b for a, b in itertools.pairwise(widths))
    assert network.parameters == kernels + sum(widths[1:]) + sum(widths[:-1])
    assert network.multiply_adds == 2 * kernels
    model = network.build()
    assert model.count_params() == network.parameters


def test_tied_from_pretraining_to_the_end(train: Train) -> None:
    trained = train(SPEC, TIED)
    weights = trained.weights
    assert not {"decoder_1/kernel", "decoder_2/kernel"} & weights.keys()
    splits = registry.get("digits")(name="digits", validation=200, train_limit=400).load(
        Places.here(None, download=False)
    )
    inputs = splits.scaling.apply(splits.validation.arrays[0]).reshape(200, -1).astype(np.float64)
    code = 1 / (1 + np.exp(-(inputs @ weights["dense_1/kernel"] + weights["dense_1/bias"])))
    code = code @ weights["dense_2/kernel"] + weights["dense_2/bias"]
    back = 1 / (1 + np.exp(-(code @ weights["dense_2/kernel"].T + weights["decoder_2/bias"])))
    back = 1 / (1 + np.exp(-(back @ weights["dense_1/kernel"].T + weights["decoder_1/bias"])))
    error = np.sqrt(np.mean((back - inputs) ** 2))
    assert trained.column("val_rmse", "finetune")[-1] == pytest.approx(error, rel=1e-4)
    assert np.diff(trained.column("val_loss", "finetune")).max() < 0


def test_the_gradient_of_a_shared_kernel_has_both_its_uses(train: Train) -> None:
    """One step of plain gradient descent against differences of the loss in float64."""
    inputs = np.random.default_rng(0).normal(size=(6, 3)).round(2)
    text = f"""
    dataset: {{name: arrays, inputs: {inputs.tolist()}, labels: [0, 1, 0, 1, 0, 1], validation: 0, scaling: none}}
    model: {{name: autoencoder, hidden: [2], tied: true, initializer: scaled_uniform}}
    training: {{epochs: 1, batch_size: full, loss: mean_squared_error, optimizer: {{name: sgd, learning_rate: 0.1}}}}
    probes: null
    """
    start, end = train(text, "training.epochs=0").weights, train(text).weights
    kernel = start["dense_1/kernel"].astype(np.float64)

    def loss(kernel: np.ndarray) -> float:
        back = (inputs @ kernel + start["dense_1/bias"]) @ kernel.T + start["decoder_1/bias"]
        return float(np.mean((back - inputs) ** 2))

    gradient = np.zeros_like(kernel)
    for place in np.ndindex(kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-5
        gradient[place] = (loss(kernel + step) - loss(kernel - step)) / 2e-5
    assert (kernel - end["dense_1/kernel"]) / 0.1 == pytest.approx(gradient, abs=2e-5)


def test_convolutions_with_tied_weights() -> None:
    network = models.get("autoencoder")(name="autoencoder", filters=[4], hidden=[8], tied=True).network((8, 8, 1), 64)
    model = network.build()
    assert model.output_shape == (None, 64)
    assert model.count_params() == network.parameters == 3 * 3 * 4 + 4 + 64 * 8 + 8 + 64 + 1


def test_noise_end_to_end_and_clean_targets(train: Train) -> None:
    """All inputs masked, the answer is that to nothing at all, and is compared with the clean inputs."""
    still = "training.optimizer={name: sgd, learning_rate: 1.0e-30}"
    noise = "training.augmentation=[{name: masking, level: 1.0}]"
    trained = train(SPEC, still, noise, "training.epochs=1", "training.batch_size=full", "pretraining=none")
    splits = registry.get("digits")(name="digits", validation=200, train_limit=400).load(
        Places.here(None, download=False)
    )
    clean = splits.scaling.apply(splits.train.arrays[0]).reshape(400, -1).astype(np.float64)
    values = np.zeros((1, 64))
    for layer in ("dense_1", "dense_2", "decoder_2", "decoder_1"):
        values = values @ trained.weights[f"{layer}/kernel"] + trained.weights[f"{layer}/bias"]
        values = values if layer == "dense_2" else 1 / (1 + np.exp(-values))
    error = np.sqrt(np.mean((values - clean) ** 2))
    assert trained.column("train_rmse", "train")[1] == pytest.approx(error, rel=1e-4)
    assert trained.column("train_rmse", "train")[0] != pytest.approx(error, rel=1e-4)


def test_kinds_of_noise() -> None:
    import keras

    clean = keras.ops.full((200, 100), 0.5)

    def spoiled(name: str, **settings: float) -> np.ndarray:
        augmentation = augmentations.get(name)(name=name, **settings)
        augmentation.check((100,))
        return np.asarray(keras.ops.convert_to_numpy(augmentation.apply(clean, keras.random.SeedGenerator(1))))

    masked = spoiled("masking", level=0.3)
    assert set(np.unique(masked)) == {0.0, 0.5} and (masked == 0).mean() == pytest.approx(0.3, abs=0.02)
    salted = spoiled("salt_and_pepper", level=0.4, low=-1.0, high=2.0)
    assert (salted == -1).mean() == pytest.approx(0.2, abs=0.02)
    assert (salted == 2).mean() == pytest.approx(0.2, abs=0.02)
    noisy = spoiled("gaussian", level=0.2) - 0.5
    assert noisy.std() == pytest.approx(0.2, abs=0.01) and noisy.mean() == pytest.approx(0.0, abs=0.01)


CLASSIFIER = """
dataset: {name: digits, validation: 200, train_limit: 400, labelled: 100}
model: {name: mlp, hidden: [12], activation: sigmoid}
pretraining: {method: autoencoder, epochs: 1, output_epochs: 0}
training: {epochs: 1, batch_size: 20}
"""


def test_labels_for_few_and_all_for_the_rest(train: Train) -> None:
    trained = train(CLASSIFIER)
    assert trained.column("step", "layer1")[-1] == 20
    assert trained.column("step", "finetune")[-1] == 5
    splits = registry.get("digits")(name="digits", validation=200, train_limit=400).load(
        Places.here(None, download=False)
    )
    chosen = with_labels(splits, 100).labelled
    assert chosen is not None and len(chosen) == 100 and set(chosen.ids) <= set(splits.train.ids)
    assert np.bincount(chosen.arrays[1]).min() >= 9


@pytest.mark.parametrize(
    ("text", "sets", "message"),
    [
        (CLASSIFIER, ["dataset.labelled=500"], "dataset.labelled: 500 examples with labels are wanted of 400"),
        (SPEC, ["training.loss=cross_entropy"], "cross_entropy is not for reconstruction"),
        (
            SPEC,
            ["model={name: autoencoder, filters: [4, 4, 4, 4]}"],
            "model.filters[3]: halving 1x1 leaves a remainder",
        ),
        (SPEC, ["model={name: autoencoder, hidden: []}"], "needs a code"),
        (
            SPEC,
            [TIED, "pretraining={method: autoencoder, tied: false}"],
            "pretraining.tied: decoder_1 has the kernel of dense_1 (model.tied)",
        ),
        (SPEC, [TIED, "records.model=final"], "records.model: decoder_2 has the kernel of another layer"),
        (SPEC, ["training.augmentation=[{name: masking, level: 1.5}]"], "must be a number ≥ 0 and ≤ 1"),
        (SPEC, ["probes.representations.layer=3"], "has 2 layers with a kernel, not 3"),
        (SPEC, ["probes.representations.layer=dense_9"], "has no layer 'dense_9'"),
    ],
)
def test_what_is_wrong_is_told(text: str, sets: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(text, sets)
    assert message in str(caught.value)
