"""Plain Keras on a folder of images: ``image_dataset_from_directory`` with its defaults, and ``fit``."""

from __future__ import annotations

import os

from benchmarks.contenders.channel import Channel, Reply, serve_timed, task

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    channel, asked = Channel(), task()
    import keras
    import tensorflow as tf

    from dlx.spec import load_text

    threads = asked["threads"]
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    size = asked["size"]
    images = keras.utils.image_dataset_from_directory(
        asked["folder"], image_size=(size, size), batch_size=asked["batch_size"], verbose=False
    ).prefetch(tf.data.AUTOTUNE)
    # The very network that the trial trains, behind the scaling that the trial does in its step.
    (trial,) = load_text(asked["spec"]).trials
    net = trial.setting.model.build((size, size, 3), trial.setting.outputs)
    model = keras.Sequential([keras.Input((size, size, 3)), keras.layers.Rescaling(1 / 255), net])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01), loss, metrics=["accuracy"])

    def train() -> Reply:
        history = model.fit(images, epochs=asked["epochs"], verbose=0)
        return {"accuracy": history.history["accuracy"][-1]}

    serve_timed(channel, train, asked["epochs"] * len(images))


if __name__ == "__main__":
    main()
