"""The script that one would write instead of a trial: load MNIST, fit with validation, evaluate."""

from __future__ import annotations

import os
import sys

import numpy as np

from benchmarks.data import TRAINING_IMAGES

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    network, batch_size = sys.argv[1], int(sys.argv[2])
    import keras

    from dlx.datasets import Places
    from dlx.datasets.mnist import Spec

    # dlx only says where the file is; what is done with it is what keras.datasets does.
    with np.load(str(Spec.find(Places.here(download=False)))) as file:
        x_train, y_train = file["x_train"], file["y_train"]
        x_test, y_test = file["x_test"], file["y_test"]
    x_train, x_test = x_train.astype("float32") / 255, x_test.astype("float32") / 255
    x_val, y_val = x_train[TRAINING_IMAGES:], y_train[TRAINING_IMAGES:]
    x_train, y_train = x_train[:TRAINING_IMAGES], y_train[:TRAINING_IMAGES]

    layers = keras.layers
    if network == "lenet5":
        x_train, x_val, x_test = x_train[..., None], x_val[..., None], x_test[..., None]
        body = [
            layers.Conv2D(6, 5, padding="same", activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
            layers.Dense(120, activation="relu"), layers.Dense(84, activation="relu"),
        ]  # fmt: skip
        model = keras.Sequential([keras.Input((28, 28, 1)), *body, layers.Dense(10)])
    else:
        hidden = layers.Dense(30, activation="sigmoid")
        model = keras.Sequential([keras.Input((28, 28)), layers.Flatten(), hidden, layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=batch_size, epochs=2, validation_data=(x_val, y_val), verbose=0)
    print(model.evaluate(x_test, y_test, verbose=0))


if __name__ == "__main__":
    main()
