"""Blocks and stages of deep nets: which layers belong together, read from what layers are called.

A layer ``stage_2_block_3_conv_1`` stands in block ``stage_2/block_3`` of stage ``stage_2``; nets
of the literature keep their own words (``conv4_block2_1_conv``, ``fire_5_squeeze``,
``inception_4c_3x3``, ``block2_conv1``). Layers that are called otherwise stand in no block.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = (
    r"(?P<stage>stage_?\d+)_(?P<block>block_?\d+)(?=_|$)",
    r"(?:.*_)?(?P<stage>stage_\d+)_(?P<block>block_\d+)(?=_|$)",
    r"(?P<stage>conv\d+)_(?P<block>block\d+)(?=_|$)",
    r"(?P<stage>block\d+)(?P<block>[a-z])(?=_)",
    r"(?P<stage>stage_?\d+|block_?\d+|fire_?\d+)(?=_)",
    r"(?P<stage>inception_\d+)(?P<block>[a-z])(?=_)",
    r"(?P<stage>conv)_(?:dw|pw)_(?P<block>\d+)(?=_|$)",
)
_PATTERNS = tuple(map(re.compile, _NAMED))


def block_of(name: str) -> str:
    """The block of a layer: ``stage_2/block_3``, or ``fire_5`` where stages have no blocks; empty for none."""
    for pattern in _PATTERNS:
        if found := pattern.match(name):
            parts = found.groupdict()
            return "/".join(part for part in (parts["stage"], parts.get("block")) if part)
    return ""


def within(name: str, place: str) -> bool:
    """Whether a layer stands in a block, or in one of the blocks of a stage."""
    block = block_of(name)
    return bool(block) and (block == place or block.startswith(f"{place}/"))


@dataclass(frozen=True)
class Together:
    """Layers one after the other that are shown as one: their positions, and what they are called together."""

    name: str
    positions: tuple[int, ...]

    def mean(self, values: Sequence[float]) -> float:
        """The geometric mean of their values; one that is not finite, or 0, is the group's."""
        mine = [values[position] for position in self.positions]
        if odd := [value for value in mine if not math.isfinite(value) or value <= 0]:
            return next((value for value in odd if not math.isfinite(value)), min(odd))
        return math.exp(math.fsum(map(math.log, mine)) / len(mine))


def grouped(names: Sequence[str], most: int) -> list[Together]:
    """Layers in as many groups as fit into ``most`` places: each by itself, else by block, else by stage.

    Where nets have no blocks, or too many stages, there are more groups than places.
    """
    if len(names) <= most:
        return [Together(name, (position,)) for position, name in enumerate(names)]
    blocks = together(names)
    return blocks if len(blocks) <= most else together(names, stages=True)


def together(names: Sequence[str], *, stages: bool = False) -> list[Together]:
    """Neighbours of the same block, or stage; every layer that stands in none by itself."""
    keys = [block_of(name) for name in names]
    if stages:
        keys = [block.partition("/")[0] for block in keys]
    groups = itertools.groupby(range(len(names)), key=lambda at: (keys[at], 0 if keys[at] else at))
    return [
        Together(key or names[positions[0]], tuple(positions))
        for (key, _), members in groups
        if (positions := list(members))
    ]
