"""Blocks and stages of deep nets: which layers belong together, read from what layers are called.

A layer ``stage_2_block_3_conv_1`` stands in block ``stage_2/block_3`` of stage ``stage_2``; nets
of the literature keep their own words (``conv4_block2_1_conv``, ``fire_5_squeeze``,
``inception_4c_3x3``, ``block2_conv1``). Two of them number their convolutions alone
(``conv2d_57``), and NASNet its cells throughout (``normal_conv_1_5``): there all the names together
tell. Layers that are called otherwise stand in no block.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

_NAMED = (
    r"(?P<stage>stage_?\d+)_(?P<block>block_?\d+)(?=_|$)",
    r"(?:.*_)?(?P<stage>stage_\d+)_(?P<block>block_\d+)(?=_|$)",
    r"(?P<stage>conv\d+)_(?P<block>block\d+)(?=_|$)",
    r"(?P<stage>block\d+)(?P<block>[a-z])(?=_)",
    r"(?P<stage>block(?:35|17|8))_(?P<block>\d+)(?=_|$)",
    r"(?P<stage>stage_?\d+|block_?\d+|fire_?\d+)(?=_)",
    r"(?P<stage>inception_\d+)(?P<block>[a-z])(?=_)",
    r"(?P<stage>conv)_(?:dw|pw)_(?P<block>\d+)(?=_|$)",
    r"(?P<stage>expanded_conv(?:_\d+)?)(?=_)",
)
_PATTERNS = tuple(map(re.compile, _NAMED))

_INCEPTION_V3 = (
    ("", 5), ("mixed0", 7), ("mixed1", 7), ("mixed2", 7), ("mixed3", 4), ("mixed4", 10), ("mixed5", 10),
    ("mixed6", 10), ("mixed7", 10), ("mixed8", 6), ("mixed9", 9), ("mixed10", 9),
)  # fmt: skip
_INCEPTION_RESNET_V2 = (
    ("", 5), ("mixed_5b", 7), *((f"block35/{number}", 6) for number in range(1, 11)),
    ("mixed_6a", 4), *((f"block17/{number}", 4) for number in range(1, 21)),
    ("mixed_7a", 7), *((f"block8/{number}", 4) for number in range(1, 11)),
)  # fmt: skip
"""Blocks of ``keras.applications``, the stem having none, and how many of the numbered convolutions each has."""

_WITHOUT_NUMBER = {
    "max_pooling2d_2": "mixed3",
    "max_pooling2d_3": "mixed8",
    "mixed9_0": "mixed9",
    "concatenate": "mixed9",
    "mixed9_1": "mixed10",
    "concatenate_1": "mixed10",
    **{f"mixed{number}": f"mixed{number}" for number in range(11)},
    **{
        f"average_pooling2d{number}": f"mixed{block}"
        for number, block in zip(("", *(f"_{n}" for n in range(1, 9))), (0, 1, 2, 4, 5, 6, 7, 9, 10), strict=True)
    },
}
"""Layers of Inception v3 whose numbers, if they have one, are not those of a convolution."""


@dataclass(frozen=True)
class _ByNumber:
    """A net whose convolutions have numbers for names: the block of each, and of layers that are called otherwise."""

    convolutions: tuple[str, ...]
    others: Mapping[str, str]

    def is_of(self, names: Container[str]) -> bool:
        """Whether they are its layers; the first ones may be left out, as those are that are frozen."""
        count = len(self.convolutions)
        return "predictions" in names and f"conv2d_{count - 1}" in names and f"conv2d_{count}" not in names

    def block_of(self, name: str) -> str | None:
        if name in self.others:
            return self.others[name]
        found = _NUMBERED.fullmatch(name)
        return self.convolutions[int(found[1] or 0)] if found else None


_NUMBERED = re.compile(r"(?:conv2d|batch_normalization|activation)(?:_(\d+))?")


class _ByCell:
    """NASNet: layers end with the cell that they stand in, but for some that Keras numbers.

    Two reduction cells, then three stages of ``repeats`` normal cells, the second and the third
    behind a reduction cell (Zoph et al. 2018, figure 2).
    """

    def __init__(self, repeats: int) -> None:
        self._last = f"normal_conv_1_{3 * repeats}"
        self._beyond = f"normal_conv_1_{3 * repeats + 1}"
        self._blocks = {"stem_1": "stem/1", "stem_2": "stem/2"}
        for stage in range(3):
            first = stage * repeats
            if stage:
                self._blocks[f"reduce_{first}"] = f"stage_{stage + 1}/reduce_{first}"
            for cell in range(first + (stage > 0), first + repeats + (stage > 0)):
                self._blocks[str(cell)] = f"stage_{stage + 1}/cell_{cell}"
        cells = [*self._blocks]
        halving = [cell for cell in cells if not cell.isdigit()]
        # What comes from before a reduction is halved as well: by a path of its own, in the cell behind it.
        behind = [cells[cells.index(cell) + 1] for cell in halving]
        activations = [cell for cell in cells for _ in range(11 if cell == cells[0] or cell in behind else 12)]
        numbered = {"activation": activations, "add": halving}
        numbered |= dict.fromkeys(("zero_padding2d", "cropping2d", "concatenate"), behind)
        self._numbered = {
            f"{kind}_{number}" if number else kind: self._blocks[cell]
            for kind, mine in numbered.items()
            for number, cell in enumerate(mine)
        }

    def is_of(self, names: Container[str]) -> bool:
        """Whether they are its layers; the first ones may be left out, as those are that are frozen."""
        return "predictions" in names and self._last in names and self._beyond not in names

    def block_of(self, name: str) -> str | None:
        if name in self._numbered:
            return self._numbered[name]
        found = _CELL.fullmatch(name)
        return self._blocks.get(found[1]) if found else None


_CELL = re.compile(r"(?:separable_conv_\d|normal|reduction|adjust)(?:_\w+?)?_(stem_\d|reduce_\d+|\d+)")
_BY_NUMBER: tuple[_ByNumber | _ByCell, ...] = (
    *(
        _ByNumber(tuple(block for block, count in blocks for _ in range(count)), others)
        for blocks, others in (
            (_INCEPTION_V3, _WITHOUT_NUMBER),
            (_INCEPTION_RESNET_V2, {"average_pooling2d": "mixed_5b"}),
        )
    ),
    _ByCell(4),
    _ByCell(6),
)
"""Inception v3, Inception-ResNet v2, NASNet mobile and large."""


def block_of(name: str) -> str:
    """The block of a layer: ``stage_2/block_3``, or ``fire_5`` where stages have no blocks; empty for none."""
    for pattern in _PATTERNS:
        if found := pattern.match(name):
            parts = found.groupdict()
            return "/".join(part for part in (parts["stage"], parts.get("block")) if part)
    return ""


def blocks_of(names: Iterable[str]) -> dict[str, str]:
    """The block of each layer of a net, by name, empty for none: of some nets it takes all the names to tell."""
    blocks = {name: block_of(name) for name in names}
    net = next((one for one in _BY_NUMBER if one.is_of(blocks)), None)
    return {name: (net.block_of(name) if net else None) or block for name, block in blocks.items()}


def within(block: str, place: str) -> bool:
    """Whether a block is the one meant, or one of the blocks of the stage that is meant."""
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
    blocks = blocks_of(names)
    keys = [blocks[name] for name in names]
    if stages:
        keys = [block.partition("/")[0] for block in keys]
    groups = itertools.groupby(range(len(names)), key=lambda at: (keys[at], 0 if keys[at] else at))
    return [
        Together(key or names[positions[0]], tuple(positions))
        for (key, _), members in groups
        if (positions := list(members))
    ]
