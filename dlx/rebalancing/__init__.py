"""Ways of making classes even: an open set. Where a class has fewer examples than the largest, more of it are made.

A member is a module with a class ``Spec``. It works on NumPy arrays as a data set stores them,
before any engine has them, and gives the same examples on all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dlx.fields import MemberFields
from dlx.registry import OpenSet

if TYPE_CHECKING:
    import numpy as np

Array = Any


class RebalancingSpec(MemberFields):
    """The contract: from the examples that a class has to as many more as it lacks."""

    @abstractmethod
    def more(
        self, examples: Array, count: int, largest: float, rng: np.random.Generator, between: Callable[[], None]
    ) -> tuple[Array, Array | None]:
        """``count`` more examples like those of a class, and which of these each repeats (None: none, they are new).

        ``examples`` (n, …), n at least 1, in their stored type, which the new ones have as well;
        ``largest`` is the largest value that a stored input can take. A pure function of these and
        of ``rng``. ``between`` is called every few seconds at most; what it raises ends the work.
        Raises :class:`~dlx.errors.UsageError` for examples that it cannot work on.
        """


registry: OpenSet[RebalancingSpec] = OpenSet("way of rebalancing", "dlx.rebalancing", RebalancingSpec)
