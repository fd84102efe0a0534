"""Examples drawn from a stack of restricted Boltzmann machines: a deep belief net, in NumPy.

The topmost machine is sampled by Gibbs steps; its visible units are the hidden ones of the
machine below, through which one pass leads down to the data. Hinton, Osindero, Teh 2006, A
Fast Learning Algorithm for Deep Belief Nets, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dlx import randomness
from dlx.errors import UsageError
from dlx.machine import Machine, drawn
from dlx.records.weights import PRETRAINED, read_weights
from dlx.spec import Trial, load_trial

if TYPE_CHECKING:
    from dlx.records.trial_directory import TrialDirectory

Array = np.ndarray


@dataclass(frozen=True)
class BeliefNet:
    """The machines of a trial, from the data up, as their pretraining left them."""

    trial: Trial
    layers: tuple[Machine, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of an example."""
        return self.trial.setting.dataset.info().input_shape

    def draw(self, count: int, steps: int, seed: int, start: Array | None = None) -> Array:
        """Means of the visible units (count, …) after so many Gibbs steps of the topmost machine.

        ``start``: scaled examples (count, inputs) from which the chains begin; None: random states.
        """
        rng = randomness.generator(seed, "sample")
        *below, top = self.layers
        if start is None:
            shape = (count, len(top.visible_bias))
            states = rng.integers(0, 2, shape).astype(np.float64) if top.visible == "binary" else rng.normal(size=shape)
        else:
            states = start
            for layer in below:
                states = layer.up(states)
        means, _ = top.gibbs(states, steps, rng)
        for layer in reversed(below):
            means = layer.down(drawn(means, layer.hidden, rng))
        return means.reshape(count, *self.input_shape)


def belief_net(directory: TrialDirectory) -> BeliefNet:
    """The net of a finished trial; raises :class:`~dlx.errors.UsageError` where no layer of it was a machine."""
    trial = load_trial(directory.spec)
    weights = read_weights(directory.weights).get(PRETRAINED, {})
    layers = []
    for planned in trial.setting.pipeline:
        spec = planned.spec
        if spec.name != "rbm":
            continue
        block = spec.block(trial.setting)  # type: ignore[attr-defined]  # what every rbm stage has
        visible, hidden = spec.units(trial.setting, block)  # type: ignore[attr-defined]
        kernel, bias, visible_bias = (
            weights[f"{block.name}/{name}"].astype(np.float64) for name in ("kernel", "bias", "visible_bias")
        )
        layers.append(Machine(kernel, bias, visible_bias, visible, hidden))
    if not layers:
        raise UsageError(
            f"{directory.path} has no restricted Boltzmann machine to draw from", hint="pretraining: rbm trains them"
        )
    return BeliefNet(trial, tuple(layers))


def sheet(examples: Array, columns: int, low: float, high: float) -> Array:
    """Images (n, height, width, channels) side by side as bytes, with a grey line between them; ``low`` is black."""
    count, height, width, channels = examples.shape
    rows = -(-count // columns)
    page = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), 128, np.uint8)
    shades = np.clip(np.rint(255 * (examples - low) / (high - low)), 0, 255).astype(np.uint8)
    for number, image in enumerate(shades):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        page[top : top + height, left : left + width] = image
    return page
