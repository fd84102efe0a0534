"""Values put into a document from elsewhere: ``--set path=value``, and the values of axes.

A value that names a member (``training.optimizer=adam``, ``training.optimizer.name=adam``)
replaces the whole member, so that Adam does not inherit SGD's learning rate. Shorter paths
go in first: ``model.depth=3 model.name=mlp`` means the same in either order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dlx.errors import PathKey, Problem, SpecError, dotted
from dlx.spec.document import MAX_DEPTH, Node, Place, parse_value
from dlx.spec.problems import show

_PATH = re.compile(r"[^.\[\]=\s]+(?:\.[^.\[\]=\s]+|\[\d{1,9}\])*")
_STEP = re.compile(r"[^.\[\]]+")

NAMING = ("name", "method")
"""Keys that name a member, so that the rest of it belongs to that member."""

Path = tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """A value for a path, whose last key stands at ``place``. A final ``name`` is taken off: see :func:`assign`."""

    path: Path
    node: Node
    place: Place


def parse_path(text: str, place: Place) -> Path:
    """``model.blocks[0].filters`` or ``model.blocks.0.filters`` as keys; raises SpecError."""
    keys = tuple(_STEP.findall(text)) if _PATH.fullmatch(text) else ()
    if not keys or len(keys) > MAX_DEPTH:
        raise SpecError([place.problem(f"{show(text)} is not a path such as model.depth or model.blocks[0].filters")])
    return keys


def parse_set(text: str) -> Assignment:
    """An assignment from ``path=value`` as given on the command line; raises SpecError."""
    place = Place(f"--set {text if len(text) <= 80 else text[:79] + '…'}")
    path, equals, value = text.partition("=")
    if not equals:
        raise SpecError([place.problem("must be path=value, for instance model.depth=3")])
    return assign(parse_path(path.strip(), place), parse_value(value, place), place)


def assign(path: Path, node: Node, place: Place) -> Assignment:
    """An assignment; one to a member's name is one of a member with nothing but that name."""
    if len(path) > 1 and path[-1] in NAMING:
        return Assignment(path[:-1], Node({path[-1]: node}, node.place, {path[-1]: place}), place)
    return Assignment(path, node, place)


def in_order(assignments: Iterable[Assignment]) -> list[Assignment]:
    """Names before what they hold; of several values for one path the last."""
    last = {assignment.path: assignment for assignment in assignments}
    return sorted(last.values(), key=lambda assignment: len(assignment.path))


def apply(
    node: Node | None, assignments: Sequence[Assignment], above: tuple[PathKey, ...] = ()
) -> tuple[Node | None, list[str]]:
    """A document with assignments made, in order, and notes on what they drop.

    ``above`` is the path of ``node`` itself, which the assignments' paths begin with.
    Raises SpecError for a path that leads nowhere.
    """
    notes: list[str] = []
    problems: list[Problem] = []
    for assignment in assignments:
        try:
            node = _put(node, assignment, above, assignment.path[len(above) :], notes)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return node, notes


def _put(node: Node | None, assignment: Assignment, above: tuple[PathKey, ...], path: Path, notes: list[str]) -> Node:
    if not path:
        dropped = _dropped(node, assignment.node)
        if dropped:
            are = "is" if len(dropped) == 1 else "are"
            notes.append(
                f"{dotted(above)} is set to {_named(assignment.node)}: the spec's {', '.join(dropped)} {are} dropped"
            )
        return assignment.node
    key, rest = path[0], path[1:]
    if node is not None and isinstance(node.content, tuple):
        return _put_in_list(node, assignment, above, path, notes)
    if node is None or node.content is None:
        node = Node({}, assignment.place)
    elif isinstance(node.content, str):
        node = Node({"name": node}, node.place, {"name": node.place})  # a member by its bare name
    elif not isinstance(node.content, Mapping):
        raise _nowhere(assignment, above, f"is {show(node.value)}, which has no {key}")
    inner = _put(node.child(key), assignment, (*above, key), rest, notes)
    known = node.keys.get(key, assignment.place)
    return Node({**dict(node.items()), key: inner}, node.place, {**node.keys, key: known if rest else assignment.place})


def _put_in_list(node: Node, assignment: Assignment, above: tuple[PathKey, ...], path: Path, notes: list[str]) -> Node:
    assert isinstance(node.content, tuple)
    index = int(path[0]) if path[0].isascii() and path[0].isdigit() else -1
    if not 0 <= index < len(node.content):
        raise _nowhere(assignment, above, f"has no item {path[0]}: it is a list of {len(node.content)}, counted from 0")
    inner = _put(node.content[index], assignment, (*above, index), path[1:], notes)
    return Node((*node.content[:index], inner, *node.content[index + 1 :]), node.place)


def naming(node: Node) -> Node | None:
    """What names the member that a node stands for, where it does."""
    return next((found for key in NAMING if (found := node.child(key)) is not None), None)


def _nowhere(assignment: Assignment, above: tuple[PathKey, ...], message: str) -> SpecError:
    return SpecError([assignment.place.problem(message, above)])


def _dropped(old: Node | None, new: Node) -> list[str]:
    """The settings of a member that go when a member is put in its place."""
    if old is None or not isinstance(old.content, Mapping):
        return []
    if not isinstance(new.content, str) and naming(new) is None:
        return []
    kept = {key for key, _ in new.items()}
    return [key for key in old.content if key not in NAMING and key not in kept]


def _named(node: Node) -> str:
    return show((naming(node) or node).value)
