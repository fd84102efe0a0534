"""Every random number is a pure function of (seed, purpose).

Drawn in NumPy with counter-based Philox streams, so that a trial starts from the same
weights and sees the same batches on every engine and device, at any step it is resumed at.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def digest(seed: int, purpose: str) -> bytes:
    """32 bytes that stand for a seed and a purpose such as ``init/dense_1/kernel``."""
    return hashlib.sha256(f"{seed}/{purpose}".encode()).digest()


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A stream of its own for a seed and a purpose."""
    import numpy as np

    key = np.frombuffer(digest(seed, purpose)[:16], dtype="<u8")
    return np.random.Generator(np.random.Philox(key=key))


def key(seed: int, purpose: str) -> tuple[int, int]:
    """Two 32-bit words for a backend's own counter-based random numbers (dropout)."""
    words = digest(seed, purpose)
    return int.from_bytes(words[:4], "little"), int.from_bytes(words[4:8], "little")


def epoch_order(seed: int, stage: str, epoch: int, examples: int) -> np.ndarray:
    """The order in which an epoch (from 1) visits the training examples: int32 (examples,)."""
    import numpy as np

    return generator(seed, f"order/{stage}/{epoch}").permutation(examples).astype(np.int32)
