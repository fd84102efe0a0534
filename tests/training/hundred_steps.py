"""A hundred steps on one engine, step by step: ``python -m tests.training.hundred_steps ENGINE OUT.npz``."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np


def main(engine_name: str, out: str) -> None:
    """Losses (steps,) and gradient norms (steps, variables) of each net, from the same weights and order."""
    os.environ["KERAS_BACKEND"] = engine_name
    from dlx.training.engine import load_engine

    engine = load_engine(engine_name, 2)
    import keras

    from tests.training.made import cnn, made_splits, mlp, start, supervised

    flat, images = made_splits(train=640), made_splits(shape=(8, 8, 1), train=640)
    nets: dict[str, tuple[Any, Any]] = {
        "mlp": (flat, lambda: supervised(mlp(flat, 20, 20), keras.optimizers.SGD(0.3))),
        "batchnorm": (
            flat,
            lambda: supervised(mlp(flat, 20, activation="relu", normalize=True), keras.optimizers.Adam()),
        ),
        "cnn": (images, lambda: supervised(cnn(images), keras.optimizers.SGD(0.05, momentum=0.9), l2=1e-3)),
    }
    found = {}
    for name, (splits, build) in nets.items():
        program = engine.program(name, build, splits, 16, watch=True)
        program.load(start(program), 0)
        losses, norms = [], []
        order = np.random.default_rng(5).permutation(640).astype(np.int32)
        for epoch in range(3):
            program.begin_epoch(order, epoch * program.steps)
            for step in range(program.steps):
                program.run(step, step + 1)
                numbers = program.end_epoch()
                losses.append(numbers.sums["loss"])
                norms.append(numbers.gradient_norms["model"])
        found[f"{name}/loss"], found[f"{name}/norms"] = np.array(losses[:100]), np.array(norms[:100])
        found[f"{name}/probe"] = np.array([float(value) for value in program.evaluate("test").values()])
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
