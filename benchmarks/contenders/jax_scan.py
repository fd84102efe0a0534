"""JAX by hand: one compiled ``lax.scan`` over the steps of an epoch, norms accumulated in its carry.

It starts from the weights and visits the batches of the dlx trial it is compared with, so
that both have to arrive at the same norms.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.contenders.channel import Channel, Reply, serve, task


def main() -> None:
    channel, asked = Channel(), task()
    import jax
    import numpy as np
    from jax import numpy as jnp

    from benchmarks import data
    from dlx import randomness

    train = data.splits(asked["synthetic"]).train
    assert train.arrays is not None
    images, labels = train.arrays
    # Floats are faster to gather here than bytes, and memory is not this contender's worry.
    inputs = jnp.asarray(images.reshape(-1, 784).astype("float32") / 255)
    targets = jnp.asarray(labels)
    batch_size, seed = asked["batch_size"], asked["seed"]
    steps = len(labels) // batch_size  # 50,000 / 128 leaves 80 examples, which this loop skips

    sizes = [784, *map(int, asked["network"].split("-")), 10]
    names = [f"dense_{number}" for number in range(1, len(sizes) - 1)] + ["output"]
    weights: Any = []
    for name, fan_in, fan_out in zip(names, sizes, sizes[1:], strict=False):
        drawn = randomness.generator(seed, f"init/{name}/kernel").standard_normal((fan_in, fan_out))
        weights.append((jnp.asarray((drawn / np.sqrt(fan_in)).astype("float32")), jnp.zeros(fan_out)))

    def loss(weights: Any, x: Any, y: Any) -> Any:
        for kernel, bias in weights[:-1]:
            x = jax.nn.sigmoid(x @ kernel + bias)
        logits = x @ weights[-1][0] + weights[-1][1]
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)
        return losses.mean(), (losses.sum(), (logits.argmax(1) == y).sum())

    @partial(jax.jit, donate_argnums=0)
    def epoch(weights: Any, order: Any, inputs: Any, targets: Any) -> Any:
        def step(carry: Any, chosen: Any) -> Any:
            weights, squares, sums = carry
            (_, counted), gradients = jax.value_and_grad(loss, has_aux=True)(weights, inputs[chosen], targets[chosen])
            squares = jax.tree.map(lambda total, gradient: total + jnp.sum(gradient * gradient), squares, gradients)
            weights = jax.tree.map(lambda value, gradient: value - 0.1 * gradient, weights, gradients)
            return (weights, squares, (sums[0] + counted[0], sums[1] + counted[1])), None

        squares = jax.tree.map(lambda _: jnp.zeros(()), weights)
        carry, _ = jax.lax.scan(step, (weights, squares, (jnp.zeros(()), jnp.zeros((), jnp.int32))), order)
        return carry

    done = 0

    def play() -> Reply:
        nonlocal weights, done
        began = time.perf_counter()
        for _ in range(asked["epochs"]):
            done += 1
            order = randomness.epoch_order(seed, "train", done, len(labels))
            order = jnp.asarray(order[: steps * batch_size].reshape(steps, batch_size))
            weights, squares, (_, correct) = jax.block_until_ready(epoch(weights, order, inputs, targets))
        seconds = time.perf_counter() - began
        norms = [float(jnp.sqrt(square / steps)) for pair in squares for square in pair]
        accuracy = int(correct) / (steps * batch_size)
        return {"seconds": seconds / asked["epochs"] / steps, "round": seconds, "accuracy": accuracy, "norms": norms}

    serve(channel, {}, play)


if __name__ == "__main__":
    main()
