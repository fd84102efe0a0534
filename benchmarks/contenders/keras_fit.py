"""Plain Keras: a Sequential model, ``compile`` and ``fit`` with their defaults, nothing recorded."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.contenders.channel import Channel, Reply, serve_timed, task

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def model(network: str) -> Any:
    """``lenet5``, or an MLP such as ``30-30``: logits of ten classes."""
    import keras
    from keras import layers

    if network == "lenet5":
        return keras.Sequential([
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(),
            layers.Flatten(), layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ])  # fmt: skip
    hidden = [layers.Dense(int(units), activation="sigmoid") for units in network.split("-")]
    return keras.Sequential([keras.Input((784,)), *hidden, layers.Dense(10)])


def main() -> None:
    channel, asked = Channel(), task()
    os.environ["KERAS_BACKEND"] = asked["backend"]
    from benchmarks import data

    train = data.splits(asked["synthetic"]).train
    import keras

    assert train.arrays is not None
    images, labels = train.arrays
    inputs = images.astype("float32") / 255
    inputs = inputs if asked["network"] == "lenet5" else inputs.reshape(len(inputs), 784)
    net = model(asked["network"])
    optimizer = keras.optimizers.Adam(0.001) if asked["network"] == "lenet5" else keras.optimizers.SGD(0.1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(optimizer, loss, metrics=["accuracy"])
    steps = -(-len(inputs) // asked["batch_size"])

    def train() -> Reply:
        history = net.fit(inputs, labels, batch_size=asked["batch_size"], epochs=asked["epochs"], verbose=0)
        return {"accuracy": history.history["accuracy"][-1]}

    serve_timed(channel, train, asked["epochs"] * steps)


if __name__ == "__main__":
    main()
