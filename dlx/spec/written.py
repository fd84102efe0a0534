"""The spec that a document, values to set, axes and seeds amount to, as text.

What ``dlx sweep --save`` writes, and what an experiment's directory keeps of a command line
that says more than its spec: it loads to the same trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dlx.scalars import inline, write
from dlx.spec.axes import Axis, Group
from dlx.spec.document import Node
from dlx.spec.overrides import Assignment, Path, apply
from dlx.spec.ranges import Spread
from dlx.spec.schema import Spec
from dlx.spec.seeds import Seeds


def written(root: Node, name: str, sets: Sequence[Assignment], groups: Sequence[Group], seeds: Seeds) -> str:
    """YAML of ``root`` with everything else put into it; comments and unresolved aliases are not kept."""
    swept = {axis.path for group in groups for axis in group.axes}
    # An axis of a member would take with it what is set below it: such a value becomes an axis of its own.
    below = [one for one in sets if any(one.path[:length] in swept for length in range(1, len(one.path)))]
    changed, _ = apply(root, [one for one in sets if one not in below])
    content: dict[str, Any] = {**(changed or root).value, "name": name, "seeds": _seeds(seeds)}
    sweep = _sweep(groups, below)
    if sweep:
        content["sweep"] = sweep
    else:
        content.pop("sweep", None)
    return write({key: content[key] for key in Spec.model_fields if key in content})


def _sweep(groups: Iterable[Group], below: Iterable[Assignment]) -> dict[str, Any]:
    sweep: dict[str, Any] = {}
    for group in groups:
        values = {_key(axis.path): _values(axis) for axis in group.axes}
        if group.draws is not None:
            sweep["random"] = {"n": group.draws, "seed": group.seed, "axes": values}
        elif len(values) > 1:
            # A list also of one: the key stands where its first group does.
            sweep.setdefault("zip", []).append(values)
        else:
            sweep |= values
    return sweep | {_key(one.path): [one.node.value] for one in below}


def _key(path: Path) -> str:
    return ".".join(path)


def _values(axis: Axis) -> Any:
    if isinstance(axis.values, Spread):
        ends = [axis.values.low, axis.values.high, *([axis.values.points] if axis.values.points else [])]
        return f"{axis.values.scale}({', '.join(inline(end) for end in ends)})"
    if isinstance(axis.values, range):
        step = f"..{axis.values.step}" if axis.values.step > 1 else ""
        return f"{axis.values[0]}..{axis.values[-1]}{step}"
    return [node.value for node in axis.values]


def _seeds(seeds: Seeds) -> Any:
    if seeds.order is None:
        return _numbers(seeds.init, count=True)
    return {"init": _numbers(seeds.init), "order": _numbers(seeds.order)}


def _numbers(numbers: Sequence[int], *, count: bool = False) -> Any:
    """Seeds as a person would write them: ``5``, ``3..7`` or a list."""
    first, last = numbers[0], numbers[-1]
    if list(numbers) != list(range(first, last + 1)) or (len(numbers) == 1 and first):
        return list(numbers)
    if count and not first:
        return len(numbers)
    return f"{first}..{last}"
