"""Restricted Boltzmann machines against exact enumeration in NumPy: energies, likelihoods, and what CD and PCD give."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from dlx.boltzmann import Machine
from dlx.datasets import Places, registry
from dlx.errors import SpecError, UsageError
from dlx.spec import Trial, load_text
from tests.stages.conftest import Train

DIGITS = """
dataset: {name: digits, validation: 200, train_limit: 400}
model: {name: mlp, hidden: [20, 12], activation: sigmoid, initializer: scaled_uniform}
pretraining: {method: rbm, epochs: 2, optimizer: {name: sgd, learning_rate: 0.05, momentum: 0.5}}
training: {epochs: 2, batch_size: 20, optimizer: {name: sgd, learning_rate: 0.1}}
probes: {gradients: {sample: 50}, activations: {sample: 50}}
"""
PATTERNS = [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 0]]
TINY = f"""
dataset: {{name: arrays, inputs: {[pattern for pattern in PATTERNS for _ in range(10)]}, validation: 0, scaling: none,
  labels: {[number % 2 for number in range(60)]}}}
model: {{name: mlp, hidden: [3], activation: sigmoid}}
pretraining: {{method: rbm, epochs: 60, optimizer: {{name: sgd, learning_rate: 0.2}}}}
training: {{epochs: 0, batch_size: 20}}
probes: null
"""


def states(units: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=units)))


def numbers(rng: np.random.Generator, visible: int = 4, hidden: int = 3, scale: float = 1.0) -> dict[str, np.ndarray]:
    shapes = {"kernel": (visible, hidden), "bias": (hidden,), "visible_bias": (visible,)}
    return {name: rng.normal(0.0, scale, shape).astype(np.float32) for name, shape in shapes.items()}


def machine(values: dict[str, np.ndarray], **kinds: Any) -> Machine:
    import keras

    return Machine(*(keras.ops.convert_to_tensor(values[name]) for name in ("kernel", "bias", "visible_bias")), **kinds)


def as_numpy(value: Any) -> np.ndarray:
    import keras

    return keras.ops.convert_to_numpy(value)


def joint(values: dict[str, np.ndarray]) -> np.ndarray:
    """−E(v, h) of every pair of states, in float64: (visible states, hidden states)."""
    v, h = states(len(values["visible_bias"])), states(len(values["bias"]))
    kernel, bias, visible_bias = (values[name].astype(np.float64) for name in ("kernel", "bias", "visible_bias"))
    return v @ kernel @ h.T + (v @ visible_bias)[:, None] + (h @ bias)[None, :]


def test_binary_units_by_all_states() -> None:
    values = numbers(np.random.default_rng(0))
    energies, v = joint(values), states(4)
    likelihood = np.exp(energies).sum(axis=1) / np.exp(energies).sum()
    found = machine(values)
    tensor = v.astype(np.float32)
    assert as_numpy(found.log_likelihood(tensor)) == pytest.approx(np.log(likelihood), abs=1e-4)
    assert float(found.log_partition()) == pytest.approx(np.log(np.exp(energies).sum()), rel=1e-5)
    assert as_numpy(found.free_energy(tensor)) == pytest.approx(
        -np.log(np.exp(energies).sum(axis=1)), rel=1e-4, abs=1e-4
    )
    wide = numbers(np.random.default_rng(1), visible=3, hidden=5)  # enumerated by its visible units
    assert float(machine(wide).log_partition()) == pytest.approx(np.log(np.exp(joint(wide)).sum()), rel=1e-5)


@pytest.mark.parametrize(("visible", "hidden"), [("gaussian", "binary"), ("binary", "gaussian")])
def test_gaussian_units_by_integration(visible: str, hidden: str) -> None:
    """One Gaussian unit on a fine grid, against the closed form."""
    sizes = {"visible": 1, "hidden": 3} if visible == "gaussian" else {"visible": 4, "hidden": 1}
    values = numbers(np.random.default_rng(2), **sizes)
    kernel, bias, visible_bias = (values[name].astype(np.float64) for name in ("kernel", "bias", "visible_bias"))
    grid = np.linspace(-20, 20, 40_001)
    step = grid[1] - grid[0]
    if visible == "gaussian":
        h = states(3)
        exponent = grid[:, None] * (h @ kernel[0])[None, :] + (h @ bias)[None, :]
        exponent -= 0.5 * np.square(grid - visible_bias[0])[:, None]
        v = np.array([[-1.3], [0.2], [2.5]], np.float32)
        own = v * (h @ kernel[0])[None, :] + (h @ bias)[None, :] - 0.5 * np.square(v - visible_bias[0])
        unnormalised = np.exp(own).sum(axis=1)
        partition = np.exp(exponent).sum() * step
    else:
        v = states(4).astype(np.float32)
        exponent = (v @ kernel) * grid[None, :] + (v @ visible_bias)[:, None]
        exponent += bias[0] * grid[None, :] - 0.5 * np.square(grid)[None, :]
        unnormalised = np.exp(exponent).sum(axis=1) * step
        partition = unnormalised.sum()
    found = machine(values, visible=visible, hidden=hidden)
    assert float(found.log_partition()) == pytest.approx(np.log(partition), rel=1e-4)
    assert as_numpy(found.log_likelihood(v)) == pytest.approx(np.log(unnormalised / partition), rel=1e-3, abs=1e-4)


def exact_gradient(values: dict[str, np.ndarray], data: np.ndarray) -> np.ndarray:
    """d(−mean ln p(v))/d(W, c, b), flat, by all states."""
    probabilities = np.exp(joint(values))
    probabilities /= probabilities.sum()
    v, h = states(4), states(3)
    model = [v.T @ probabilities @ h, probabilities.sum(axis=0) @ h, probabilities.sum(axis=1) @ v]
    given = 1.0 / (1.0 + np.exp(-(data @ values["kernel"].astype(np.float64) + values["bias"])))
    seen = [data.T @ given / len(data), given.mean(axis=0), data.mean(axis=0)]
    return np.concatenate([np.ravel(m - s) for m, s in zip(model, seen, strict=True)])


def build(trial: Trial) -> Any:
    splits = trial.setting.dataset.load(Places.here(None, download=False))
    planned = trial.setting.pipeline[0]
    return planned.spec.build(trial.setting, splits, planned)


def mean_update(k: int, values: dict[str, np.ndarray], persistent: bool = False, steps: int = 1) -> np.ndarray:
    """What steps ask for on average over many examples (and steps), the weights standing still."""
    import keras

    from dlx.stages import Batch

    repeats = 5000
    data = np.repeat(np.array(PATTERNS, np.float32), repeats, axis=0)
    (trial,) = load_text(TINY, [f"pretraining.k={k}", f"pretraining.persistent={str(persistent).lower()}"]).trials
    stage = build(trial)
    weights = [keras.ops.convert_to_tensor(values[name]) for name in ("kernel", "bias", "visible_bias")]
    rng = np.random.default_rng(5)
    hidden = rng.integers(0, 2, (len(data), values["bias"].size)).astype(np.float32)
    state = [keras.ops.convert_to_tensor(hidden)] if persistent else []
    key = keras.random.SeedGenerator(3)
    found = []
    for _ in range(steps):
        result = stage.step({"model": weights}, state, Batch(data, None), key, None)
        state = result.state
        found.append(np.concatenate([np.ravel(as_numpy(update)) for update in result.updates["model"]]))
    return np.mean(found[steps // 2 :], axis=0)


def test_the_contrast_is_the_difference_of_statistics() -> None:
    rng = np.random.default_rng(8)
    found = machine(numbers(rng))
    # Persistent chains are as many as a whole batch has rows, and the last batch of an epoch is smaller.
    model, data = [[rng.random((rows, units)).astype(np.float32) for units in (4, 3)] for rows in (7, 5)]
    expected = [a - b for a, b in zip(found.statistics(*model), found.statistics(*data), strict=True)]
    for one, other in zip(found.contrast(model, data), expected, strict=True):
        np.testing.assert_allclose(as_numpy(one), as_numpy(other), atol=1e-6)


def test_contrastive_divergence_against_the_exact_gradient() -> None:
    values = numbers(np.random.default_rng(4), scale=1.5)
    exact = exact_gradient(values, np.array(PATTERNS, np.float64))
    bias = [np.linalg.norm(mean_update(k, values) - exact) / np.linalg.norm(exact) for k in (1, 4, 16, 64)]
    assert bias[0] > 1.5 * bias[1] > 2.25 * bias[2], bias
    assert bias[3] < 0.03
    persistent = mean_update(1, values, persistent=True, steps=40)
    cosine = persistent @ exact / np.linalg.norm(persistent) / np.linalg.norm(exact)
    assert cosine > 0.999
    assert np.linalg.norm(persistent - exact) / np.linalg.norm(exact) < bias[0] / 3


@pytest.mark.parametrize("persistent", ["false", "true"])
def test_the_likelihood_rises_and_is_the_exact_one(train: Train, persistent: str) -> None:
    trained = train(TINY, f"pretraining.persistent={persistent}", "pretraining.output_epochs=0")
    likelihood = trained.column("train_log_likelihood", "layer1")
    assert likelihood[0] == pytest.approx(-4 * np.log(2), abs=0.05)  # nearly uniform over 16 states
    best = np.mean(np.log([PATTERNS.count(pattern) / len(PATTERNS) for pattern in PATTERNS]))
    assert best > likelihood[-1] > likelihood[0] + 0.4
    pretrained = {name: trained.pretrained[f"dense_1/{name}"] for name in ("kernel", "bias", "visible_bias")}
    energies = joint(pretrained)
    log_p = np.log(np.exp(energies).sum(axis=1) / np.exp(energies).sum())
    places = [int("".join(map(str, pattern)), 2) for pattern in PATTERNS]
    assert likelihood[-1] == pytest.approx(log_p[places].mean(), rel=1e-4)


SHORT = ("training.epochs=0", "probes=null")
"""For what is seen in the machines alone: what is not compiled takes no time."""


def test_the_columns_by_numpy(train: Train) -> None:
    trained = train(DIGITS, *SHORT)
    values = {
        name: trained.pretrained[f"dense_1/{name}"].astype(np.float64) for name in ("kernel", "bias", "visible_bias")
    }
    splits = registry.get("digits")(name="digits", validation=200, train_limit=400).load(
        Places.here(None, download=False)
    )

    def energy(v: np.ndarray) -> np.ndarray:
        return -v @ values["visible_bias"] - np.logaddexp(0.0, v @ values["kernel"] + values["bias"]).sum(axis=1)

    inputs = {
        part: splits.scaling.apply(getattr(splits, name).arrays[0]).reshape(-1, 64)[:200].astype(np.float64)
        for part, name in (("train", "train"), ("val", "validation"))
    }
    means = {part: energy(v).mean() for part, v in inputs.items()}
    for part, mean in means.items():
        assert trained.column(f"{part}_free_energy", "layer1")[-1] == pytest.approx(mean, rel=1e-5)
    gap = trained.column("free_energy_gap", "layer1")[-1]
    assert gap == pytest.approx(means["val"] - means["train"], abs=1e-3)
    v = inputs["val"]
    flipped = v.copy()
    chosen = (np.arange(200) * 7919) % 64
    flipped[np.arange(200), chosen] = 1 - flipped[np.arange(200), chosen]
    pseudo = -64 * np.logaddexp(0.0, energy(v) - energy(flipped))
    assert trained.column("val_pseudo_log_likelihood", "layer1")[-1] == pytest.approx(pseudo.mean(), rel=1e-4)
    hidden = 1 / (1 + np.exp(-(v @ values["kernel"] + values["bias"])))
    answer = 1 / (1 + np.exp(-(hidden @ values["kernel"].T + values["visible_bias"])))
    error = np.mean((answer - v) ** 2)
    assert trained.column("val_reconstruction_error", "layer1")[-1] == pytest.approx(error, rel=1e-4)


def test_the_classifier_begins_with_the_machines_weights(train: Train) -> None:
    trained = train(DIGITS, *SHORT)
    for path in ("dense_1/kernel", "dense_1/bias", "dense_2/kernel", "dense_2/bias"):
        assert np.array_equal(trained.weights[path], trained.pretrained[path])
    assert "dense_1/visible_bias" in trained.pretrained
    assert "dense_1/visible_bias" not in trained.weights


def test_interrupted_the_chains_come_back(train: Train) -> None:
    sets = ("pretraining.persistent=true", "pretraining.k=2")
    assert train(DIGITS, *sets, stop_in=("layer1", "layer2")).kept() == train(DIGITS, *sets).kept()


def test_gaussian_visible_units_read_standardized_data(train: Train) -> None:
    trained = train(
        DIGITS, "dataset.scaling=standardize", "pretraining.visible=gaussian", "model.hidden=[20]",
        "pretraining.optimizer={name: sgd, learning_rate: 0.005}", "pretraining.epochs=4", *SHORT,
    )  # fmt: skip
    errors = trained.column("val_reconstruction_error", "layer1")
    assert errors[-1] < 0.6 * errors[0]
    assert "train_pseudo_log_likelihood" not in trained.table("metrics").columns


def test_weight_decay(train: Train) -> None:
    def norm(l2: float) -> float:
        trained = train(DIGITS, f"pretraining.l2={l2}", "pretraining.output_epochs=0", *SHORT, "model.hidden=[20]")
        return float(np.linalg.norm(trained.weights["dense_1/kernel"]))

    assert norm(0.1) < 0.9 * norm(0.0)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ["dataset.scaling=standardize"],
            "binary visible units need data in [0, 1]: dataset.scaling: unit",
        ),
        (["dataset.scaling=none"], "binary visible units need data in [0, 1]"),
        (["model.activation=relu"], "hidden units of an RBM are sigmoid (binary) or linear (Gaussian)"),
        (["model.normalization=batch"], "is normalised, which an RBM's hidden units are not"),
        (["model={name: cnn, activation: sigmoid}"], "pretrains dense layers, and conv_1 is a Conv2D"),
        (["model.activation=linear"], "would have Gaussian units on both sides"),
        (["pretraining.k=0"], "must be a whole number ≥ 1"),
    ],
)
def test_what_is_wrong_is_told(sets: list[str], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(DIGITS, sets)
    assert message in str(caught.value)


def test_negative_data_are_found_out_before_they_are_learned() -> None:
    """Divided by their largest absolute value they are not in [0, 1], which only the data tell."""
    (trial,) = load_text(TINY.replace("[1, 1, 0, 0]", "[1, -1, 0, 0]").replace("scaling: none", "scaling: unit")).trials
    with pytest.raises(UsageError, match=r"needs inputs in \[0, 1\], and these go from -1 to 1: choose"):
        build(trial)


SMALLER_AT_THE_END = """
dataset: {name: digits, train_limit: 50}
model: {name: mlp, hidden: [6], activation: sigmoid}
pretraining: {method: rbm, epochs: 1}
training: {epochs: 1, batch_size: 20}
probes: {gradients: null, activations: null}
"""


def test_a_smaller_batch_at_the_end_of_an_epoch_is_sampled_too(train: Train) -> None:
    """XLA compiles whole batches only; what TensorFlow runs itself draws from another generator."""
    trial = train(SMALLER_AT_THE_END)
    assert (trial.path / "weights.npz").exists()
