"""Keras' ``fit`` of a net for CIFAR-10 that dlx has: the same layers on the same backend, nothing recorded."""

from __future__ import annotations

import os

from benchmarks.contenders.channel import Channel, serve_timed, task

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    channel, asked = Channel(), task()
    os.environ["KERAS_BACKEND"] = asked["backend"]
    import keras

    from benchmarks import data
    from dlx.models.cifar_resnet import Spec as ResNet

    images, labels = data.first(asked["images"], asked["synthetic"])
    inputs = images.astype("float32") / 255
    net = ResNet(depth=asked["depth"]).build((32, 32, 3), 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, metrics=["accuracy"])
    steps = -(-len(inputs) // asked["batch_size"])

    def train() -> None:
        net.fit(inputs, labels, batch_size=asked["batch_size"], epochs=1, verbose=0)

    serve_timed(channel, train, steps)


if __name__ == "__main__":
    main()
