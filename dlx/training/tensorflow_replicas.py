"""A batch on several devices of TensorFlow: each computes a part, the first one puts the parts together.

``tf.distribute.MirroredStrategy`` runs the parts, which is what lets BatchNormalization take its
statistics over all of them. The variables stay where they are, on the first device: it sends the
weights to the others in every step, adds up what comes back in their order, always the same, and
moves the weights once. So norms, penalties, optimisers and snapshots know nothing of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from dlx.errors import UsageError
from dlx.stages import Stage, StepResult, Tensor

Part = Callable[[int, Sequence[Tensor], Tensor, Tensor], StepResult]

_APART = 0x9E3779B9
"""An odd number far from any sum of a few small ones: keys of two devices never meet."""


def devices() -> list[str]:
    """The names of the devices that a batch can be divided among: GPUs, else what the processor is taken for."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


def apart(words: Tensor, number: int) -> Tensor:
    """The key of a device's own draws: that of the first one is as it was."""
    if number == 0:
        return words
    return words + tf.constant([number * _APART % 2**32, 0], words.dtype)


class Replicas:
    """The devices that a stage's batches are divided among.

    Raises :class:`~dlx.errors.UsageError` for a stage whose batches cannot be.
    """

    def __init__(self, stage: Stage, count: int) -> None:
        if not stage.divisible:
            raise UsageError(
                f"stage {stage.name}: its examples depend on one another from step to step, so that TensorFlow cannot "
                f"divide them among {count} devices",
                hint="--engine jax divides them, and --devices 1 need not",
            )
        self._stage = stage
        self._count = count
        # Reducing on one device adds in the same order every time, which not every other way promises.
        self._strategy = tf.distribute.MirroredStrategy(devices()[:count], tf.distribute.ReductionToOneDevice())
        weights = {id(variable) for variable in stage.model.weights}
        self._generators = {
            place
            for place, variable in enumerate(stage.state)
            if id(variable) not in weights and tuple(variable.shape) == (2,) and "int" in str(variable.dtype)
        }

    def step(self, part: Part, state: Sequence[Tensor], examples: Sequence[Tensor]) -> StepResult:
        """A step's result from its parts.

        Updates are the mean or the sum of the parts', as they are the examples'; gradients are
        means; sums are added; state is the first device's, since moments are those of the whole batch.
        """

        def one(number: int, inputs: Tensor, targets: Tensor) -> Any:
            own = [apart(v, number) if place in self._generators else v for place, v in enumerate(state)]
            updates, state_after, sums, gradients = part(number, own, inputs, targets)
            return updates, list(state_after), sums, gradients or {}

        parts = self._run(one, examples)
        updates, states, sums, gradients = zip(*parts, strict=True)
        mean = self._stage.updates_are == "mean"
        together = tf.nest.map_structure(lambda *each: _added(each, self._count if mean else 1), *updates)
        found = tf.nest.map_structure(lambda *each: _added(each, self._count), *gradients)
        return StepResult(together, states[0], _sums(sums), found or None)

    def sums(self, function: Callable[..., Mapping[str, Tensor]], examples: Sequence[Tensor]) -> dict[str, Tensor]:
        """What a function sums over its examples, from the sums over the parts."""
        return _sums(self._run(lambda number, *arrays: function(*arrays), examples))

    def _run(self, function: Callable[..., Any], arrays: Sequence[Tensor]) -> list[Any]:
        """What ``function(number, *parts)`` gives on each device, whose number it is told; in their order."""
        parts = [tf.split(array, self._count) for array in arrays]

        def here() -> Any:
            context = tf.distribute.get_replica_context()
            number = int(tf.get_static_value(context.replica_id_in_sync_group))
            return function(number, *(part[number] for part in parts))

        with _synchronised(self._stage.model):
            found = self._strategy.run(here)

        def of(number: int, value: Any) -> Any:
            results = self._strategy.experimental_local_results(value)
            return results[number] if len(results) > 1 else value  # what was handed through is the same on all

        return [tf.nest.map_structure(partial(of, number), found) for number in range(self._count)]


def _added(parts: Sequence[Tensor], count: int) -> Tensor:
    total = tf.add_n(list(parts))
    return total if count == 1 else total / count


def _sums(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: tf.add_n([part[name] for part in parts]) for name in parts[0]}


@contextmanager
def _synchronised(model: Any) -> Iterator[None]:
    """Batch normalisation over the devices, while a program is traced: a saved model does not remember it."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.synchronized for layer in layers]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.synchronized = value
