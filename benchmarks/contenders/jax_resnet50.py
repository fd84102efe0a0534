"""ResNet-50 in JAX by hand: one compiled training step in bfloat16, its images on the device.

The net of ``keras.applications`` (biases in the convolutions, the stride in the first one of a
block); weights, batch normalisation and the loss are float32, products and convolutions bfloat16.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.contenders.channel import Channel, Reply, serve, task

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
MOMENTUM, EPSILON = 0.99, 1.001e-5


def main() -> None:
    channel, asked = Channel(), task()
    import jax
    import numpy as np
    from jax import lax
    from jax import numpy as jnp

    rng = np.random.default_rng(0)

    def convolution(size: int, channels: int, filters: int) -> Any:
        scale = np.sqrt(2.0 / (size * size * channels))
        kernel = rng.standard_normal((size, size, channels, filters)).astype("float32") * scale
        moving = {"mean": jnp.zeros(filters), "variance": jnp.ones(filters)}
        learned = {"kernel": jnp.asarray(kernel), "bias": jnp.zeros(filters)}
        return learned | {"gamma": jnp.ones(filters), "beta": jnp.zeros(filters)}, moving

    shapes: list[tuple[int, int, int]] = [(7, 3, 64)]
    channels = 64
    for filters, blocks, _ in STAGES:
        for block in range(blocks):
            shapes += [] if block else [(1, channels, 4 * filters)]
            shapes += [(1, channels, filters), (3, filters, filters), (1, filters, 4 * filters)]
            channels = 4 * filters
    layers = [convolution(*shape) for shape in shapes]
    classes = asked["classes"]
    dense = rng.standard_normal((channels, classes)).astype("float32") * np.sqrt(1.0 / channels)
    weights = [learned for learned, _ in layers] + [{"kernel": jnp.asarray(dense), "bias": jnp.zeros(classes)}]
    moving = [kept for _, kept in layers]

    def forwards(weights: Any, moving: Any, images: Any) -> Any:
        kept: list[Any] = []

        def layer(values: Any, stride: int = 1, padding: Any = "VALID") -> Any:
            own, before = weights[len(kept)], moving[len(kept)]
            values = lax.conv_general_dilated(
                values, own["kernel"].astype("bfloat16"), (stride, stride), padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            ) + own["bias"].astype("bfloat16")  # fmt: skip
            wide = values.astype("float32")
            mean, variance = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
            now = {"mean": mean, "variance": variance}
            kept.append({name: MOMENTUM * before[name] + (1 - MOMENTUM) * now[name] for name in before})
            scale = own["gamma"] * lax.rsqrt(variance + EPSILON)
            return (wide * scale + (own["beta"] - mean * scale)).astype("bfloat16")

        values = jax.nn.relu(layer(images.astype("bfloat16"), 2, [(3, 3), (3, 3)]))
        values = jnp.pad(values, [(0, 0), (1, 1), (1, 1), (0, 0)])
        values = lax.reduce_window(values, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")
        for _, blocks, first in STAGES:
            for block in range(blocks):
                stride = 1 if block else first
                shortcut = values if block else layer(values, stride)
                inner = jax.nn.relu(layer(values, stride))
                inner = jax.nn.relu(layer(inner, 1, "SAME"))
                values = jax.nn.relu(shortcut + layer(inner))
        features = values.astype("float32").mean((1, 2)).astype("bfloat16")
        last = weights[-1]
        return (features @ last["kernel"].astype("bfloat16")).astype("float32") + last["bias"], kept

    def objective(weights: Any, moving: Any, images: Any, labels: Any) -> Any:
        logits, kept = forwards(weights, moving, images.astype("float32") / 255)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean(), kept

    @partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(weights: Any, velocities: Any, moving: Any, images: Any, labels: Any) -> Any:
        (loss, moving), gradients = jax.value_and_grad(objective, has_aux=True)(weights, moving, images, labels)
        velocities = jax.tree.map(lambda v, g: 0.9 * v - 0.01 * g, velocities, gradients)
        return jax.tree.map(jnp.add, weights, velocities), velocities, moving, loss

    count, size, batch_size = asked["images"], asked["size"], asked["batch_size"]
    images = jnp.asarray(rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8))
    labels = jnp.asarray(rng.integers(0, classes, count).astype("int32"))
    velocities = jax.tree.map(jnp.zeros_like, weights)
    parameters = sum(leaf.size for leaf in jax.tree.leaves([weights, moving]))
    steps = count // batch_size

    def play() -> Reply:
        nonlocal weights, velocities, moving
        began = time.perf_counter()
        for number in range(steps):
            chosen = slice(number * batch_size, (number + 1) * batch_size)
            weights, velocities, moving, loss = step(weights, velocities, moving, images[chosen], labels[chosen])
        assert bool(jnp.isfinite(loss))
        seconds = time.perf_counter() - began
        return {"seconds": seconds / steps, "round": seconds, "parameters": parameters}

    serve(channel, {}, play)


if __name__ == "__main__":
    main()
