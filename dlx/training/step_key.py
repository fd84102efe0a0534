"""What is drawn in a step: a pure function of the trial's seed, the stage and the step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from dlx.stages import Tensor


class StepKey(keras.random.SeedGenerator):  # type: ignore[misc]
    """Seeds for one step: the same (words, step) gives the same seeds, each call another one."""

    def __init__(self, words: Tensor, step: Tensor) -> None:
        # Not the parent's: its state is a variable, and this one must have none.
        object.__setattr__(self, "_seed", (words, step))
        object.__setattr__(self, "_calls", 0)

    def next(self, ordered: bool = True) -> Tensor:
        """The next seed of the step: two words."""
        words, step = self._seed
        object.__setattr__(self, "_calls", self._calls + 1)
        call = ops.cast(self._calls, words.dtype)
        return ops.stack([words[0] + call, ops.bitwise_xor(words[1], ops.cast(step, words.dtype))])

    def uniform(self, shape: Any) -> Tensor:
        """Numbers in [0, 1), by the fastest generator that the backend has for a step."""
        return keras.random.uniform(shape, seed=self)
