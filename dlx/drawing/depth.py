"""Layers of deep nets in a picture: as many as can be told apart, those of a block or of a stage together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlx.blocks import Together, together
from dlx.language import _

Layer = int | str
"""A layer by its number, or several together by the name of their block or stage."""

MOST = 16
"""Layers that can be told apart in one picture."""

EVERY_LAYER = f"each layer by itself; false: those of nets with more than {MOST} by block, or by stage if need be"
"""What the option of charts says that draws them all."""


@dataclass(frozen=True)
class Depth:
    """Which layers of each setting stand together.

    ``places``: of each setting, the numbers of the layers under each name; ``layers``: the names
    from the input to the output; ``count``: layers of the deepest net.
    """

    places: tuple[Mapping[str, tuple[int, ...]], ...]
    layers: tuple[str, ...]
    count: int

    @property
    def orders(self) -> Mapping[str, Sequence[str]]:
        """The order of the values of the column ``layer``."""
        return {"layer": self.layers}

    def note(self, mean: str) -> str:
        """What is said on stderr of how they were pooled."""
        return f"of {self.count} layers those of a block are drawn as their {mean} (--every-layer draws each)"


def depth(names: Sequence[Mapping[int, str]]) -> Depth | None:
    """How the layers of settings stand together, given what they are called by number.

    As coarse for all settings as the deepest of them needs; None where none has more than
    :data:`MOST` layers, or no blocks.
    """
    count = max(map(len, names))
    if count <= MOST:
        return None
    listed = [list(each.values()) for each in names]
    stages = any(len(together(each)) > MOST for each in listed)
    groups = [together(each, stages=stages) for each in listed]
    if all(len(found) == len(each) for found, each in zip(groups, listed, strict=True)):
        return None
    places = []
    for found, each in zip(groups, names, strict=True):
        numbers = list(each)
        places.append({group.name: tuple(numbers[position] for position in group.positions) for group in found})
    return Depth(tuple(places), _in_order(groups), count)


def _in_order(groups: Sequence[Sequence[Together]]) -> tuple[str, ...]:
    """Names of the groups of nets of several depths, from the input to the output."""
    places: dict[str, list[float]] = defaultdict(list)
    for found in groups:
        for position, group in enumerate(found):
            places[group.name].append(position / max(1, len(found) - 1))
    return tuple(sorted(places, key=lambda name: sum(places[name]) / len(places[name])))


def pooled_geometrically() -> str:
    """For the caption of norms."""
    return _("; of the layers of a block the geometric mean")


def pooled() -> str:
    """For the caption of shares."""
    return _("of the layers of a block the mean")
