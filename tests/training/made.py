"""Data, models and stages for the engine contract."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from dlx import losses
from dlx.datasets import DatasetInfo
from dlx.metrics import Metrics
from dlx.sources import ArraySource, Scaling, Splits
from dlx.training.program import Program


def made_splits(shape: tuple[int, ...] = (8,), classes: int = 3, train: int = 43, seed: int = 0) -> Splits:
    """Noisy prototypes as bytes, in a training part of an odd size, a validation and a test part."""
    rng = np.random.default_rng(seed)
    prototypes = rng.integers(40, 216, size=(classes, *shape))

    def part(count: int) -> ArraySource:
        labels = rng.integers(0, classes, size=count).astype(np.int32)
        noise = rng.integers(-40, 40, size=(count, *shape))
        return ArraySource((prototypes[labels] + noise).astype(np.uint8), labels)

    info = DatasetInfo(shape, "classification", classes, train, 11)
    scaling = Scaling(np.zeros((), np.float32), np.asarray(255.0, np.float32))
    return Splits(part(train), part(13), part(11), info, scaling)


def mlp(
    splits: Splits, *hidden: int, activation: str = "sigmoid", dropout: float = 0.0, normalize: bool = False
) -> Any:
    """A functional Keras MLP that ends in logits."""
    import keras

    inputs = keras.Input(splits.info.input_shape)
    values = keras.layers.Flatten()(inputs) if len(splits.info.input_shape) > 1 else inputs
    for number, units in enumerate(hidden, start=1):
        values = keras.layers.Dense(units, name=f"dense_{number}")(values)
        if normalize:
            values = keras.layers.BatchNormalization(name=f"norm_{number}")(values)
        values = keras.layers.Activation(activation, name=f"act_{number}")(values)
        if dropout:
            values = keras.layers.Dropout(dropout, seed=number, name=f"dropout_{number}")(values)
    return keras.Model(inputs, keras.layers.Dense(splits.info.outputs, name="output")(values))


def cnn(splits: Splits) -> Any:
    """Convolution, normalisation, ReLU, pooling, logits."""
    import keras

    inputs = keras.Input(splits.info.input_shape)
    values = keras.layers.Conv2D(4, 3, name="conv_1")(inputs)
    values = keras.layers.BatchNormalization(name="norm_1")(values)
    values = keras.layers.Activation("relu", name="act_1")(values)
    values = keras.layers.Flatten()(keras.layers.MaxPooling2D()(values))
    return keras.Model(inputs, keras.layers.Dense(splits.info.outputs, name="output")(values))


def supervised(model: Any, optimizer: Any, **options: Any) -> Any:
    """A stage with softmax and cross-entropy."""
    from dlx.stages.supervised import Supervised

    outputs = model.output.shape[-1]
    return Supervised(
        model,
        losses.get("cross_entropy"),
        "softmax",
        Metrics("classification", outputs, "softmax"),
        optimizer,
        **options,
    )


def start(program: Program) -> dict[str, np.ndarray]:
    """Values that do not depend on the names that Keras gives: small weights, by position; seeds of dropout."""
    values = {}
    for position, variable in enumerate(program.stage.model.variables):
        if "seed_generator" in variable.path:
            values[variable.path] = np.array([position, 0]).astype(variable.dtype)
        elif variable.trainable:
            drawn = np.random.default_rng(position).normal(size=variable.shape)
            values[variable.path] = (0.5 * drawn).astype(np.float32)
        else:
            values[variable.path] = np.full(variable.shape, float("var" in variable.name), np.float32)
    return values


def order(program: Program, epoch: int) -> np.ndarray:
    """A visiting order for an epoch."""
    return np.random.default_rng(100 + epoch).permutation(program.examples).astype(np.int32)


def train(program: Program, epochs: int = 1, cuts: tuple[int, ...] = ()) -> list[Any]:
    """Whole epochs, each cut at the given steps; the numbers of each."""
    numbers = []
    for epoch in range(epochs):
        program.begin_epoch(order(program, epoch), epoch * program.steps)
        bounds = [0, *cuts, program.steps]
        for lo, hi in itertools.pairwise(bounds):
            program.run(lo, hi)
        numbers.append(program.end_epoch())
    return numbers


def bits(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Arrays as bytes, for comparison to the last bit."""
    return {name: array.tobytes() for name, array in arrays.items()}
