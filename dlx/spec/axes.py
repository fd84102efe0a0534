"""What a spec varies: ``sweep:``.

A sweep is a mapping from dotted paths (or short names, ``depth``) to the values that each
takes, every combination of which is trained, the first axis varying slowest::

    sweep:
      model.depth: 1..8                              # whole numbers, both ends included; 1..9..2 in twos
      model.activation: [relu, sigmoid]              # any values; members by name or as mappings
      training.optimizer.learning_rate: log(1e-4, 1e-1, 4)   # evenly spaced in the logarithm; lin(…) evenly
      zip:                                           # these vary together; a list of such mappings for several
        dataset.train_limit: [100, 1000]
        training.epochs: [100, 10]
      random:                                        # n settings drawn at random, combined with the rest
        n: 20
        seed: 0
        axes: {model.width: "log(8, 512)", model.dropout: "lin(0, 0.5)", model.depth: 1..4}

Between whole ends ``log`` gives whole numbers, ``lin`` where a point is one. Without a number of points, ``log(a, b)``
and ``lin(a, b)`` are ranges to draw from, in ``random`` only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from dlx.errors import PathKey, SpecError, dotted, nearest
from dlx.scalars import MAX_INTEGER
from dlx.spec.document import Node, Place, node_of, parse_value
from dlx.spec.overrides import NAMING, Assignment, Path, assign, parse_path
from dlx.spec.problems import Findings, show
from dlx.spec.ranges import Spread, instead, is_begun, is_range, parse_range, parse_spread

SHORT = {
    "depth": "model.depth",
    "width": "model.width",
    "activation": "model.activation",
    "initializer": "model.initializer",
    "dropout": "model.dropout",
    "normalization": "model.normalization",
    "optimizer": "training.optimizer",
    "learning-rate": "training.optimizer.learning_rate",
    "batch-size": "training.batch_size",
    "pretraining": "pretraining",
}
"""Axes that have a name of their own."""

USUAL = {
    "depth": "1..5",
    "width": "10,30,100,300",
    "activation": "sigmoid,tanh,relu,elu,gelu",
    "initializer": "zeros,normal,scaled_normal,glorot_uniform,he_normal",
    "dropout": "0.0,0.1,0.3,0.5",
    "normalization": "none,batch,layer",
    "optimizer": "sgd,rmsprop,adam",
    "learning-rate": "log(1e-4, 1e-1, 4)",
    "batch-size": "1,10,100,1000",
    "pretraining": ", ".join(
        [
            "{method: none, match: epochs, epochs: 20}",
            *(f"{{method: {method}, epochs: 20}}" for method in ("autoencoder", "denoising_autoencoder", "rbm")),
        ]
    ),
}
"""The values of those axes where nobody says which: enough to see what the axis does, few enough for a lecture."""

SWEPT = ("dataset", "model", "pretraining", "training", "stages")


@dataclass(frozen=True)
class Axis:
    """A path and the values it takes. ``place`` is where the axis is named."""

    path: Path
    place: Place
    values: Sequence[Node] | range | Spread
    at: Place
    """Where the values stand that are not written one by one."""

    def __len__(self) -> int:
        return len(self.values)

    @property
    def continuous(self) -> bool:
        """Whether there are values to draw, and none to list."""
        return isinstance(self.values, Spread) and self.values.points is None

    def assignments(self) -> list[Assignment]:
        """One assignment for each value."""
        if isinstance(self.values, Spread):
            nodes: Sequence[Node] = [node_of(value, self.at) for value in self.values.values()]
        elif isinstance(self.values, range):
            nodes = [node_of(value, self.at) for value in self.values]
        else:
            nodes = self.values
        return [assign(self.path, node, self.place) for node in nodes]

    def draw(self, random: Random) -> Assignment:
        """One value, uniformly; between the ends of a ``log`` uniformly in the logarithm."""
        if self.continuous:
            assert isinstance(self.values, Spread)
            drawn = self.values.at(random.random())
            # Six digits: a learning rate that a person can read and type.
            node = node_of(drawn if isinstance(drawn, int) else float(f"{drawn:.6g}"), self.at)
            return assign(self.path, node, self.place)
        index = int(random.random() * len(self))
        if isinstance(self.values, range):
            return assign(self.path, node_of(self.values[index], self.at), self.place)
        return self.assignments()[index]


@dataclass(frozen=True)
class Group:
    """Axes that vary together; ``draws``: that many combinations at random, from ``seed``."""

    axes: tuple[Axis, ...]
    draws: int | None = None
    seed: int = 0

    def __len__(self) -> int:
        if self.draws is None:
            return len(self.axes[0])
        possible = 0 if any(axis.continuous for axis in self.axes) else math.prod(len(axis) for axis in self.axes)
        return min(self.draws, possible or self.draws)

    def rows(self) -> list[tuple[Assignment, ...]]:
        """The combinations of values, one assignment for each axis."""
        if self.draws is None:
            return list(zip(*(axis.assignments() for axis in self.axes), strict=True))
        if len(self) < self.draws:  # fewer combinations than draws: all of them
            return list(itertools.product(*(axis.assignments() for axis in self.axes)))
        random = Random(self.seed)  # noqa: S311 - settings, not secrets
        drawn: dict[tuple[str, ...], tuple[Assignment, ...]] = {}
        # Duplicates are drawn again; where rounding leaves fewer values than draws, that ends.
        for _ in range(100 * len(self) + 1000):
            if len(drawn) == len(self):
                break
            row = tuple(axis.draw(random) for axis in self.axes)
            drawn.setdefault(tuple(repr(assignment.node.value) for assignment in row), row)
        return list(drawn.values())


def axis_path(name: str, place: Place) -> Path:
    """The path that an axis is about; raises SpecError for one that is not in what is trained."""
    text = SHORT.get(name.replace("_", "-"), name)
    path = parse_path(text, place)
    if path[0] not in SWEPT:
        hint = nearest(name, SHORT) if len(path) == 1 else nearest(path[0], SWEPT)
        begin = f"{', '.join(SWEPT[:-1])} or {SWEPT[-1]}"
        raise SpecError([place.problem(f"unknown axis {show(name)}: paths begin with {begin} ({hint})")])
    return path[:-1] if len(path) > 1 and path[-1] in NAMING else path


def groups_of(sweep: Node | None) -> list[Group]:
    """The groups of a ``sweep:`` section, in order; raises SpecError with all that is wrong."""
    if sweep is None or sweep.content is None:
        return []
    if not isinstance(sweep.content, Mapping):
        raise SpecError([sweep.place.problem("must be a mapping from paths to values", ("sweep",))])
    groups: list[Group] = []
    readers: dict[str, Callable[[Node], list[Group]]] = {"zip": _zips, "random": lambda node: [_random(node)]}
    findings = Findings()
    for key, node in _uncut(sweep, ("sweep",), findings):
        with findings.collect():
            reader = readers.get(key)
            groups += reader(node) if reader else [Group((named_axis(key, node, sweep.keys[key], ("sweep",)),))]
    with findings.collect():
        _each_path_once(groups)
    findings.raise_any()
    return groups


def searched(search: Node | None) -> list[Axis]:
    """The axes of a ``search:`` section, continuous ones too; raises SpecError with all that is wrong."""
    if search is None or search.content is None:
        return []
    if not isinstance(search.content, Mapping):
        raise SpecError([search.place.problem("must be a mapping from paths to values", ("search",))])
    found: list[Axis] = []
    findings = Findings()
    for key, node in _uncut(search, ("search",), findings):
        with findings.collect():
            place = search.keys[key]
            axis = _axis_of(axis_path(key, place), node, place, ("search", key))
            if any(axis.path == other.path for other in found):
                raise SpecError([place.problem(f"{dotted(axis.path)} is searched twice", ("search",))])
            found.append(axis)
    findings.raise_any()
    return found


def axis_from_text(name: str, text: str) -> Axis:
    """An axis from the command line: ``depth`` and ``1..8``, ``relu,sigmoid``, ``log(1e-4,1e-1,4)`` or a YAML list."""
    place = Place(f"{name}={text if len(text) <= 80 else text[:79] + '…'}")
    path = axis_path(name, place)
    if is_range(text) or is_begun(text):
        return _axis_of(path, node_of(text, place), place, path)
    node = parse_value(f"[{text}]", place)
    if isinstance(node.content, tuple) and len(node.content) == 1 and isinstance(node.content[0].content, tuple):
        node = node.content[0]
    return _axis_of(path, node, place, path)


def replace_axes(groups: Sequence[Group], axes: Sequence[Axis], *, drawn: bool = False) -> list[Group]:
    """Groups with the axes of the command line: in place of those with the same path, else after the others.

    ``drawn``: combinations will be drawn at random, so that continuous axes will do.
    """
    given = {axis.path: axis for axis in axes}
    replaced = [replace(group, axes=tuple(given.pop(axis.path, axis) for axis in group.axes)) for group in groups]
    replaced += [Group((axis,)) for axis in given.values()]
    findings = Findings()
    for group in replaced if not drawn else ():
        with findings.collect():
            _check_group(group)
    findings.raise_any()
    return replaced


def without(groups: Sequence[Group], path: Path) -> list[Group]:
    """Groups without the axis of one path."""
    kept = [replace(group, axes=tuple(axis for axis in group.axes if axis.path != path)) for group in groups]
    return [group for group in kept if group.axes]


def at_random(groups: Sequence[Group], draws: int) -> list[Group]:
    """All axes as one group of so many random combinations."""
    axes = tuple(itertools.chain.from_iterable(group.axes for group in groups))
    seed = next((group.seed for group in groups if group.draws is not None), 0)
    return [Group(axes, draws, seed)] if axes else []


def _zips(node: Node) -> list[Group]:
    several = node.content if isinstance(node.content, tuple) else (node,)
    groups = []
    for part in several:
        if not isinstance(part.content, Mapping) or not part.content:
            raise SpecError(
                [part.place.problem("must be a mapping from paths to lists of equal length", ("sweep", "zip"))]
            )
        findings = Findings()
        entries = _uncut(part, ("sweep", "zip"), findings)
        findings.raise_any()
        groups.append(Group(tuple(named_axis(key, inner, part.keys[key], ("sweep", "zip")) for key, inner in entries)))
        _check_group(groups[-1])
    return groups


def _random(node: Node) -> Group:
    above = ("sweep", "random")
    known = ("n", "seed", "axes")
    if not isinstance(node.content, Mapping):
        raise SpecError([node.place.problem("must be a mapping with n, axes and, if wanted, seed", above)])
    findings = Findings()
    findings.problems += [
        node.keys[key].problem(f"unknown key ({nearest(key, known)})", (*above, key))
        for key in node.content
        if key not in known
    ]
    numbers = {"n": 0, "seed": 0}
    for key, least in (("n", 1), ("seed", 0)):
        inner = node.child(key)
        value = inner.value if inner is not None else least - 1 + (key == "seed")
        if type(value) is not int or not least <= value <= MAX_INTEGER:
            place = inner.place if inner is not None else node.place
            what = f"must be a whole number ≥ {least}, not {show(value)}" if inner is not None else "is missing"
            findings.problems.append(place.problem(what, (*above, key)))
        else:
            numbers[key] = value
    axes_node = node.child("axes")
    axes: list[Axis] = []
    if axes_node is None or not isinstance(axes_node.content, Mapping) or not axes_node.content:
        findings.problems.append(node.place.problem("must be a mapping from paths to values", (*above, "axes")))
    else:
        for key, inner in _uncut(axes_node, (*above, "axes"), findings):
            with findings.collect():
                axes.append(named_axis(key, inner, axes_node.keys[key], (*above, "axes")))
    findings.raise_any()
    return Group(tuple(axes), numbers["n"], numbers["seed"])


def named_axis(name: str, node: Node, place: Place, above: tuple[PathKey, ...]) -> Axis:
    """The axis under a key of a mapping at ``above``; raises SpecError."""
    axis = _axis_of(axis_path(name, place), node, place, (*above, name))
    if axis.continuous and "random" not in above:
        raise SpecError([node.place.problem(_POINTS, (*above, name))])
    return axis


def _uncut(axes: Node, above: tuple[PathKey, ...], findings: Findings) -> list[tuple[str, Node]]:
    """Keys and values of a mapping of axes, without those that a comma has cut in two, which ``findings`` gets.

    Of ``{model.width: log(1, 4)}`` YAML makes a value ``log(1`` and a key ``4)``: within braces a
    comma ends a value.
    """
    entries = list(axes.items())
    whole: list[tuple[str, Node]] = []
    while entries:
        key, node = entries.pop(0)
        said = str(node.content)
        while is_begun(node.content) and ")" not in said and entries and entries[0][1].content is None:
            said += f", {entries.pop(0)[0]}"
        if said == str(node.content):
            whole.append((key, node))
            continue
        with findings.collect():
            parse_spread(said, node, (*above, key))
        with findings.collect():
            if ")" not in said:
                continue
            message = f'within {{}} a comma ends a value: write {key}: "{said}", in quotes'
            raise SpecError([node.place.problem(message, (*above, key))])
    return whole


_POINTS = "needs a number of points, as in log(1e-4, 1e-1, 4), where it is not drawn at random"


def _axis_of(path: Path, node: Node, place: Place, where: tuple[PathKey, ...]) -> Axis:
    content = node.content
    if isinstance(content, str):
        found = parse_range(content, node, where)
        if found is not None:
            return Axis(path, place, found, node.place)
        spread = parse_spread(content, node, where)
        if spread is not None:
            return Axis(path, place, spread, node.place)
    if isinstance(content, tuple) and content:
        _check_values(path, content, where)
        return Axis(path, place, content, node.place)
    message = "must be a list of values, a range such as 1..8, or log(1e-4, 1e-1, 4)"
    message += f", not {show(node.value)}"
    if meant := instead(content):
        message += f": {meant} is one"
    if isinstance(content, Mapping):
        message += f"; write the whole path as one key, for instance {dotted(path)}.{next(iter(content), 'name')}"
    raise SpecError([node.place.problem(message, where)])


def _check_values(path: Path, values: Sequence[Node], where: tuple[PathKey, ...]) -> None:
    """Raises SpecError where what stands for many values is one of a list, as it is or cut at its commas."""
    for number, node in enumerate(values):
        content = node.content
        if meant := instead(content):
            message = f"{content} is no range, which is of whole numbers as 1..8: write {dotted(path)}: {meant}"
            raise SpecError([node.place.problem(message, where)])
        if isinstance(content, str) and (is_range(content) or is_begun(content)):
            parts = [node] if ")" in content or is_range(content) else values[number:]
            said = ", ".join(str(part.content) for part in parts)
            message = f"stands for several values by itself: write {dotted(path)}: {said}, without a list around it"
            raise SpecError([node.place.problem(message, where)])


def _check_group(group: Group) -> None:
    if group.draws is not None:
        return
    for axis in group.axes:
        if axis.continuous:
            raise SpecError([axis.at.problem(_POINTS, axis.path)])
    if len({len(axis) for axis in group.axes}) > 1:
        lengths = ", ".join(f"{dotted(axis.path)} has {len(axis)}" for axis in group.axes)
        raise SpecError(
            [group.axes[-1].place.problem(f"zipped axes must have as many values: {lengths}", ("sweep", "zip"))]
        )


def _each_path_once(groups: Sequence[Group]) -> None:
    seen: set[Path] = set()
    for axis in itertools.chain.from_iterable(group.axes for group in groups):
        if axis.path in seen:
            raise SpecError([axis.place.problem(f"{dotted(axis.path)} is swept twice", ("sweep",))])
        seen.add(axis.path)
