"""Euclidean norms in float32 that neither underflow nor overflow.

A square of a float32 below 1e-19 is 0 and one above 1e19 is infinite, while the numbers themselves
reach from 1e-38 to 3e38. Where a sum of squares is so small that squares may be missing from it, or
too large, the numbers are scaled before they are squared (Blue 1978, *A Portable Fortran Program to
Find the Euclidean Norm of a Vector*). Scales are powers of two, which leave all digits as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from dlx.stages import Tensor

LEAST = 2.0**-66
"""A sum of squares from here on has lost nothing: a hundred million squares that underflow add up to 1e-30."""
MOST = 2.0**90
"""Sums of squares up to here can be added up over all steps of an epoch."""
SCALES = 1.0, 2.0**64, 2.0**-88
"""For sums of squares that are ordinary, too small and too large."""


def norm(values: Tensor, axis: list[int] | None = None) -> Tensor:
    """‖values‖₂ in float32, of everything or over some axes; the range is that of float32 itself."""
    from keras import ops

    values = ops.cast(values, "float32")
    ordinary, small = _kinds(ops.sum(ops.square(values), axis=axis, keepdims=True))
    scale = ops.where(ordinary, SCALES[0], ops.where(small, SCALES[1], SCALES[2]))
    root = ops.sqrt(ops.sum(ops.square(values * scale), axis=axis, keepdims=True)) / scale
    return ops.squeeze(root, axis=axis)


def is_ordinary(squares: Tensor) -> Tensor:
    """Whether none of these sums of squares wants scaling; what is no number is not ordinary."""
    from keras import ops

    return ops.all(_kinds(squares)[0])


def by_scale(sums: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Sums of squares at each of :data:`SCALES`, each where it belongs and 0 elsewhere: (3, …)."""
    from keras import ops

    ordinary, small = _kinds(sums[0])
    belongs = ordinary, small, ops.logical_not(ops.logical_or(ordinary, small))
    return ops.stack([ops.where(here, values, 0.0) for here, values in zip(belongs, sums, strict=True)])


def joined(by_scale: np.ndarray) -> np.ndarray:
    """What float64 sums by scale, (3, …), add up to without their scales."""
    ordinary, small, large = (values / scale**2 for values, scale in zip(by_scale, SCALES, strict=True))
    found: np.ndarray = ordinary + small + large
    return found


def _kinds(squares: Tensor) -> tuple[Any, Any]:
    """Where sums of squares are ordinary, and where they are too small."""
    from keras import ops

    small = squares < LEAST
    return ops.logical_and(squares <= MOST, ops.logical_not(small)), small
