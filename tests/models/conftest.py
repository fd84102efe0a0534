"""What the tests of models share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from dlx.randomness import generator


@pytest.fixture
def generator_for() -> Callable[[str], np.random.Generator]:
    """The streams of seed 0."""
    return partial(generator, 0)


@pytest.fixture
def images() -> Callable[..., Any]:
    """Random images of a shape, the same each time."""
    return lambda *shape: np.random.default_rng(0).random(shape, dtype="float32")
