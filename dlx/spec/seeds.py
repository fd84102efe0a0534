"""Seeds: what is random in a trial, and how a spec says which.

``5`` is 0 to 4, ``3..7`` a range, ``[0, 2]`` a list, ``{init: 0..9, order: 0}`` every pair of
a seed for initial weights and one for everything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dlx.errors import PathKey, SpecError, nearest
from dlx.scalars import MAX_INTEGER
from dlx.spec.document import Node
from dlx.spec.ranges import parse_range


@dataclass(frozen=True, order=True)
class Seed:
    """What is random in a trial: ``init`` for initial weights, ``order`` for data order, dropout and noise."""

    init: int
    order: int

    def plain(self) -> int | dict[str, int]:
        """As it stands in a spec and in the id: one number where both are equal."""
        return self.init if self.init == self.order else {"init": self.init, "order": self.order}


@dataclass(frozen=True)
class Seeds:
    """Every pair of an ``init`` and an ``order``, or, without ``order``, the same seed for both."""

    init: Sequence[int]
    order: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.init) * (1 if self.order is None else len(self.order))

    def __iter__(self) -> Iterator[Seed]:
        if self.order is None:
            return (Seed(seed, seed) for seed in self.init)
        return (Seed(init, order) for init in self.init for order in self.order or ())


def seeds_of(node: Node | None, default: int = 1) -> Seeds:
    """The seeds of a ``seeds:`` section; ``default`` many where there is none. Raises SpecError."""
    if node is None or node.content is None:
        return Seeds(range(default))
    if not isinstance(node.content, Mapping):
        return Seeds(_seed_numbers(node, ("seeds",), count=True))
    problems = [
        node.keys[key].problem(f"unknown key ({nearest(key, ('init', 'order'))})", ("seeds", key))
        for key in node.content
        if key not in ("init", "order")
    ]
    if problems or not node.content:
        raise SpecError(problems or [node.place.problem("must give init, order or both", ("seeds",))])
    # The one that is not given stays at the first seed.
    init, order = (
        _seed_numbers(inner, ("seeds", key), count=False) if (inner := node.child(key)) is not None else range(1)
        for key in ("init", "order")
    )
    return Seeds(init, order)


def _seed_numbers(node: Node, where: tuple[PathKey, ...], *, count: bool) -> Sequence[int]:
    content = node.content
    if isinstance(content, str) and (found := parse_range(content, node, where)) is not None and found[0] >= 0:
        return found
    if isinstance(content, tuple) and content:
        numbers = [item.value for item in content]
    else:
        numbers = [content]
        if count and type(content) is int and 1 <= content <= MAX_INTEGER:
            return range(content)
    if count and numbers == [0] and not isinstance(content, tuple):
        numbers = [None]
    if not all(type(number) is int and 0 <= number <= MAX_INTEGER for number in numbers):
        one = "a number of seeds ≥ 1" if count else "a seed"
        raise SpecError(
            [node.place.problem(f"must be {one}, a range such as 0..9, or a list of whole numbers ≥ 0", where)]
        )
    return list(dict.fromkeys(numbers))
