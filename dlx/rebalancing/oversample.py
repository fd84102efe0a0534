"""More examples of a class by showing those that there are again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlx.rebalancing import RebalancingSpec

if TYPE_CHECKING:
    import numpy as np


class Spec(RebalancingSpec):
    """Every example of the class as often as any other, the last round being a draw without replacement."""

    summary: ClassVar[str] = "examples of smaller classes repeated until all classes have as many"
    source: ClassVar[str] = "Japkowicz and Stephen 2002, The class imbalance problem: A systematic study"

    name: Literal["oversample"] = "oversample"

    def more(
        self, examples: Any, count: int, largest: float, rng: np.random.Generator, between: Callable[[], None]
    ) -> tuple[Any, Any]:
        import numpy as np

        rounds = -(-count // len(examples))
        chosen = np.concatenate([rng.permutation(len(examples)) for _ in range(rounds)])[:count]
        return examples[chosen], chosen
