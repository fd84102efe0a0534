"""YAML with positions, of which no bytes can do harm.

PyYAML's parser gives events; everything that makes YAML dangerous or surprising is
decided here, while they arrive: scalars are those of the YAML 1.2 core schema, there are
no tags, no merge keys, no duplicate keys, and what is too large is refused before it is
built (an alias counts as often as it is used).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import yaml
from yaml import events

from dlx.errors import PathKey, Problem, SpecError
from dlx.scalars import Scalar, scalar

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 10_000
MAX_TRIAL = 4
"""How many times larger a trial.yaml may be, which has every default of a spec written out."""


@dataclass(frozen=True)
class Place:
    """Where something stands: a file with line and column (from 1), or a command-line option."""

    file: str
    line: int | None = None
    column: int | None = None

    def problem(self, message: str, path: Sequence[PathKey] = ()) -> Problem:
        """Something wrong that stands here."""
        return Problem(message, tuple(path), self.file, self.line, self.column)


@dataclass(frozen=True)
class Node:
    """A value of a document and where it stands. Never changed: ``replaced`` shares what stays.

    ``content`` is a scalar, a tuple of nodes or a mapping from key to node; ``keys`` says
    where each key of a mapping stands.
    """

    content: Scalar | tuple[Node, ...] | Mapping[str, Node]
    place: Place
    keys: Mapping[str, Place] = field(default_factory=dict)

    @cached_property
    def value(self) -> Any:
        """The plain value: dicts, lists and scalars, not to be changed."""
        if isinstance(self.content, Mapping):
            return {key: node.value for key, node in self.content.items()}
        if isinstance(self.content, tuple):
            return [node.value for node in self.content]
        return self.content

    def child(self, key: PathKey) -> Node | None:
        """The node under a key or an index, None where there is none."""
        if isinstance(self.content, Mapping):
            return self.content.get(str(key))
        if isinstance(self.content, tuple) and isinstance(key, int) and 0 <= key < len(self.content):
            return self.content[key]
        return None

    def items(self) -> Iterator[tuple[str, Node]]:
        """Keys and nodes of a mapping; nothing for anything else."""
        return iter(self.content.items() if isinstance(self.content, Mapping) else ())

    def find(self, path: Sequence[PathKey], *, key: bool = False) -> Place:
        """Where a path stands, or the innermost part of it that is there; with ``key``, its last key."""
        node = self
        for position, step in enumerate(path):
            if key and position == len(path) - 1 and str(step) in node.keys:
                return node.keys[str(step)]
            inner = node.child(step)
            if inner is None:
                break
            node = inner
        return node.place

    def without_item(self, key: str) -> Node:
        """This mapping with one key less."""
        assert isinstance(self.content, Mapping)
        content = {name: node for name, node in self.content.items() if name != key}
        return Node(content, self.place, {name: place for name, place in self.keys.items() if name != key})

    def with_item(self, key: str, node: Node) -> Node:
        """This mapping with one key set."""
        assert isinstance(self.content, Mapping)
        return Node({**self.content, key: node}, self.place, {**self.keys, key: node.place})


def read(path: str | PathLike[str], *, times: int = 1) -> tuple[str, Node]:
    """The text of a file and its root node, of ``times`` the usual limits; raises :class:`~dlx.errors.SpecError`."""
    file = str(path)
    place = Place(file)
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(times * MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecError([place.problem(f"cannot be read: {reason}")]) from None
    text = decode(data, file, times=times)
    return text, parse(text, file, times=times)


def decode(data: bytes, file: str, *, times: int = 1) -> str:
    """The text in bytes; raises :class:`~dlx.errors.SpecError` if it is too long or not UTF-8."""
    if len(data) > times * MAX_BYTES:
        raise SpecError([Place(file).problem(f"larger than {times * MAX_BYTES >> 20} MiB: not a spec")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise SpecError([_place_at(before, file).problem("not UTF-8 text")]) from None


def parse(text: str, file: str, *, times: int = 1) -> Node:
    """The root node of a document; raises :class:`~dlx.errors.SpecError`."""
    if len(text) > times * MAX_BYTES:
        raise SpecError([Place(file).problem(f"larger than {times * MAX_BYTES >> 20} MiB: not a spec")])
    return _Builder(lambda mark: Place(file, mark.line + 1, mark.column + 1), times * MAX_NODES).build(text, file)


def parse_value(text: str, place: Place) -> Node:
    """The value in a piece of YAML given on the command line, all of it at one place."""
    return _Builder(lambda mark: place, MAX_NODES).build(text, place.file)


def node_of(value: Any, place: Place) -> Node:
    """A node for a plain value, all of it at one place."""
    if isinstance(value, Mapping):
        return Node({key: node_of(item, place) for key, item in value.items()}, place, dict.fromkeys(value, place))
    if isinstance(value, list | tuple | range):
        return Node(tuple(node_of(item, place) for item in value), place)
    return Node(value, place)


def _place_at(before: str, file: str) -> Place:
    line = before.rpartition("\n")[2]
    return Place(file, before.count("\n") + 1, len(line) + 1)


@dataclass
class _Open:
    """A collection whose end has not come yet."""

    place: Place
    anchor: str | None
    key: str | None = None
    key_place: Place | None = None
    mapping: dict[str, Node] | None = None
    keys: dict[str, Place] = field(default_factory=dict)
    sequence: list[Node] = field(default_factory=list)


class _Builder:
    """Builds the node tree from parser events, without recursion."""

    def __init__(self, place: Callable[[Any], Place], limit: int) -> None:
        self._place = place
        self._limit = limit
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._nodes = 0
        self._root: Node | None = None

    def build(self, text: str, file: str) -> Node:
        documents = 0
        try:
            for event in yaml.parse(text, Loader=yaml.SafeLoader):
                if isinstance(event, events.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise _refusal(self._place(event.start_mark), "a second document: a spec is one")
                else:
                    self._event(event)
        except yaml.reader.ReaderError as error:
            # The only YAMLError with an offset instead of a mark.
            place = _place_at(text[: error.position], file)
            raise _refusal(place, f"the character U+{error.character:04X} may not stand in YAML") from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = self._place(mark) if mark else Place(file)
            raise _refusal(place, f"not valid YAML: {error.problem or error.context}") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            if isinstance(error, SpecError):
                raise
            # PyYAML lets chr() and int() complain about impossible escapes and versions.
            raise _refusal(Place(file), f"not valid YAML: {error}") from None
        return self._root or Node(None, Place(file, 1, 1))

    def _event(self, event: Any) -> None:
        if isinstance(event, events.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, events.MappingStartEvent | events.SequenceStartEvent):
            self._start(event)
        elif isinstance(event, events.CollectionEndEvent):
            self._end()
        elif isinstance(event, events.AliasEvent):
            self._alias(event)

    def _start(self, event: Any) -> None:
        place = self._place(event.start_mark)
        _no_tag(event, place)
        if self._expects_key():
            raise _refusal(place, "a key must be plain text, not a list or a mapping")
        if len(self._open) >= MAX_DEPTH:
            raise _refusal(place, f"nested more than {MAX_DEPTH} levels deep")
        self._count(1, place)
        self._open.append(
            _Open(place, event.anchor, mapping={} if isinstance(event, events.MappingStartEvent) else None)
        )

    def _end(self) -> None:
        done = self._open.pop()
        content = done.mapping if done.mapping is not None else tuple(done.sequence)
        self._add(Node(content, done.place, done.keys), done.anchor)

    def _scalar(self, event: Any) -> None:
        place = self._place(event.start_mark)
        _no_tag(event, place)
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            raise _refusal(place, "half of a surrogate pair is not text")
        plain = event.implicit[0]
        if self._expects_key():
            top = self._open[-1]
            top.key, top.key_place = _key(event.value, plain, place), place
            if top.key in top.keys:
                cut = "; within {} a comma ends a value: log(1, 4) stands in quotes" if top.key.endswith(")") else ""
                message = f"the key {top.key!r} stands here twice: first in {_where(top.keys[top.key])}{cut}"
                raise _refusal(place, message)
            return
        self._count(1, place)
        try:
            value = scalar(event.value) if plain else event.value
        except ValueError as error:
            raise _refusal(place, str(error)) from None
        self._add(Node(value, place), event.anchor)

    def _alias(self, event: Any) -> None:
        place = self._place(event.start_mark)
        if self._expects_key():
            raise _refusal(place, "a key must be plain text, not an alias")
        if event.anchor not in self._anchors:
            inside = any(collection.anchor == event.anchor for collection in self._open)
            what = "stands inside what it names" if inside else "names nothing before it"
            raise _refusal(place, f"the alias *{event.anchor} {what}")
        node, size, depth = self._anchors[event.anchor]
        if len(self._open) + depth > MAX_DEPTH:
            raise _refusal(place, f"nested more than {MAX_DEPTH} levels deep")
        self._count(size, place)
        self._add(node, None)

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, *self._measure(node))
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if top.mapping is None:
            top.sequence.append(node)
            return
        assert top.key is not None and top.key_place is not None
        top.mapping[top.key] = node
        top.keys[top.key] = top.key_place
        top.key = None

    def _measure(self, node: Node) -> tuple[int, int]:
        """Nodes in a subtree and its levels of collections; each shared part is measured once."""
        if not isinstance(node.content, Mapping | tuple):
            return 1, 0
        if id(node) not in self._sizes:
            inner = node.content.values() if isinstance(node.content, Mapping) else node.content
            parts = [self._measure(part) for part in inner]
            size = 1 + sum(size for size, _ in parts)
            self._sizes[id(node)] = size, 1 + max((depth for _, depth in parts), default=0)
        return self._sizes[id(node)]

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > self._limit:
            raise _refusal(place, f"more than {self._limit} values, aliases counted as often as they are used")

    def _expects_key(self) -> bool:
        return bool(self._open) and self._open[-1].mapping is not None and self._open[-1].key is None


def _key(text: str, plain: bool, place: Place) -> str:
    if not plain:
        return text
    if text == "<<":
        raise _refusal(place, "merge keys (<<) are not supported: write the keys out")
    try:
        value = scalar(text)
    except ValueError:
        value = None
    # A class label (`class_weights: {3: 2.0}`) is the only number that makes sense as a key.
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return text
    raise _refusal(place, f"a key must be text, not {text[:40] or 'empty'}: put it in quotes")


def _no_tag(event: Any, place: Place) -> None:
    if event.tag is not None:
        raise _refusal(place, f"tags ({event.tag[:40]}) are not allowed: a spec is plain data")


def _where(place: Place) -> str:
    return f"line {place.line}" if place.line else place.file


def _refusal(place: Place, message: str) -> SpecError:
    return SpecError([place.problem(message)])
