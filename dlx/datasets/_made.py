"""Draws for data that are made: uniform and normal numbers, the same on every machine for ever.

NumPy promises that the raw words of a Philox stream never change (NEP 19), and nothing of
what its generators make of them. Sines and logarithms differ in their last bit from machine
to machine, so whatever is made with them is rounded to multiples of 2⁻²⁰.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dlx.randomness import generator

Values = npt.NDArray[np.float64]


def uniform(seed: int, purpose: str, count: int) -> Values:
    """Numbers in (0, 1], float64 (count,): the upper 53 bits of each word, plus one."""
    words = generator(seed, purpose).bit_generator.random_raw(count)
    return ((words >> np.uint64(11)).astype(np.float64) + 1.0) / 2.0**53


def normal(seed: int, purpose: str, count: int) -> Values:
    """Standard normal numbers, float64 (count,), by the method of Box and Muller (1958)."""
    first, second = uniform(seed, purpose, 2 * count).reshape(2, count)
    return np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second)


def rounded(values: Values) -> npt.NDArray[np.float32]:
    """To the nearest multiple of 2⁻²⁰, as float32."""
    return (np.floor(values * 2.0**20 + 0.5) / 2.0**20).astype(np.float32)
