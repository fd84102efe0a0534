"""One layer without labels, by others: a Keras model with a ``train_step`` of its own, and scikit-learn's machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.channel import Channel, serve_timed, task

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def autoencoder(inputs: Any, units: int, batch_size: int) -> Callable[[], object]:
    """Tied weights, sigmoids, cross-entropy summed over pixels, SGD 0.01: as a notebook would write it."""
    import keras
    import tensorflow as tf

    class Autoencoder(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = self.add_weight(shape=(784, units), initializer="glorot_uniform")
            self.bias = self.add_weight(shape=(units,), initializer="zeros")
            self.decoder_bias = self.add_weight(shape=(784,), initializer="zeros")

        def call(self, images: Any) -> Any:
            code = tf.sigmoid(images @ self.kernel + self.bias)
            return tf.matmul(code, self.kernel, transpose_b=True) + self.decoder_bias

        def train_step(self, images: Any) -> dict[str, Any]:
            with tf.GradientTape() as tape:
                losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=self(images))
                loss = tf.reduce_mean(tf.reduce_sum(losses, axis=1))
            variables = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return {"loss": loss}

    model = Autoencoder()
    model.compile(keras.optimizers.SGD(0.01))
    return lambda: model.fit(inputs, batch_size=batch_size, epochs=1, verbose=0)


def rbm(inputs: Any, units: int, batch_size: int) -> Callable[[], object]:
    """CD-1, SGD 0.01."""
    import keras
    import tensorflow as tf

    class Machine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = self.add_weight(shape=(784, units), initializer=keras.initializers.RandomNormal(stddev=0.01))
            self.bias = self.add_weight(shape=(units,), initializer="zeros")
            self.visible_bias = self.add_weight(shape=(784,), initializer="zeros")

        def call(self, images: Any) -> Any:
            return tf.sigmoid(images @ self.kernel + self.bias)

        def train_step(self, images: Any) -> dict[str, Any]:
            def drawn(means: Any) -> Any:
                return tf.cast(tf.random.uniform(tf.shape(means)) < means, tf.float32)

            hidden = self(images)
            means = tf.sigmoid(tf.matmul(drawn(hidden), self.kernel, transpose_b=True) + self.visible_bias)
            visible = drawn(means)
            answer = self(visible)
            count = tf.cast(tf.shape(images)[0], tf.float32)
            negative = tf.matmul(visible, answer, transpose_a=True)
            kernel = (negative - tf.matmul(images, hidden, transpose_a=True)) / count
            gradients = [kernel, tf.reduce_mean(answer - hidden, axis=0), tf.reduce_mean(visible - images, axis=0)]
            self.optimizer.apply_gradients(zip(gradients, [self.kernel, self.bias, self.visible_bias], strict=True))
            return {"loss": tf.reduce_mean(tf.square(images - means))}

    model = Machine()
    model.compile(keras.optimizers.SGD(0.01))
    return lambda: model.fit(inputs, batch_size=batch_size, epochs=1, verbose=0)


def sklearn(inputs: Any, units: int, batch_size: int) -> Callable[[], object]:
    """scikit-learn's BernoulliRBM, which is persistent contrastive divergence."""
    from sklearn.neural_network import BernoulliRBM

    return lambda: BernoulliRBM(units, learning_rate=0.01, batch_size=batch_size, n_iter=1, random_state=0).fit(inputs)


def main() -> None:
    channel, asked = Channel(), task()
    from benchmarks import data

    train = data.splits(asked["synthetic"]).train
    assert train.arrays is not None
    inputs = train.arrays[0].reshape(len(train), 784).astype("float32") / 255
    kinds = {"autoencoder": autoencoder, "rbm": rbm, "sklearn": sklearn}
    epoch = kinds[asked["kind"]](inputs, asked["units"], asked["batch_size"])
    steps = -(-len(inputs) // asked["batch_size"])

    def train() -> None:
        epoch()

    serve_timed(channel, train, steps)


if __name__ == "__main__":
    main()
