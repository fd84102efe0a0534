"""What a compiled epoch adds up on the device, and what becomes of it on the host.

Each quantity has two float32 tensors, its sum and what rounding has kept from it (Kahan 1965):
a million small terms lose no digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops

from dlx.stages import Tensor


@dataclass(frozen=True)
class EpochNumbers:
    """What a compiled epoch has accumulated, on the host.

    ``sums`` over the epoch's examples. Where steps were watched, per group and variable:
    ``gradient_norms``, the root mean square over the epoch's steps of ‖∂L/∂θ‖₂, and
    ``moves``, (‖Δθ‖, ‖θ‖) of the last step, θ before it.
    """

    sums: dict[str, Any]
    gradient_norms: dict[str, tuple[float, ...]] = field(default_factory=dict)
    moves: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)


def zeros(shapes: Iterable[tuple[int, ...]]) -> list[Tensor]:
    """Accumulators of quantities of these shapes, two tensors each."""
    return [ops.zeros(shape, "float32") for shape in shapes for _ in range(2)]


def accumulate(accumulated: Sequence[Tensor], added: Sequence[Tensor]) -> list[Tensor]:
    """The accumulators with one more term of each quantity."""
    result: list[Tensor] = []
    for (total, carry), value in zip(pairs(accumulated), added, strict=True):
        corrected = ops.cast(value, "float32") - carry
        grown = total + corrected
        result += [grown, (grown - total) - corrected]
    return result


def pairs(accumulated: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """(sum, what rounding has kept from it, to be subtracted) of each quantity."""
    return list(zip(accumulated[::2], accumulated[1::2], strict=True))


def totals(accumulated: Sequence[Tensor]) -> list[Any]:
    """Each quantity's sum in float64."""
    return [float64(total) - float64(carry) for total, carry in pairs(accumulated)]


def float64(value: Tensor) -> Any:
    """A tensor on the host, in float64."""
    return np.asarray(to_host(value), dtype=np.float64)


def to_host(value: Tensor) -> np.ndarray:
    """A tensor or variable as a NumPy array of its own, which later steps do not change."""
    return np.array(value.numpy() if hasattr(value, "numpy") else value)
