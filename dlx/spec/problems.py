"""What pydantic finds wrong, as sentences for the person who wrote the spec.

The sentence comes from the annotation of the field ("must be a whole number ≥ 1 or full,
not 'three'"), so that every alternative of a union is in it once.
"""

from __future__ import annotations

import types
from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dlx.errors import FieldError, PathKey, Problem, SpecError, nearest
from dlx.every import Every
from dlx.members import OneOf
from dlx.spec.document import Node

Path = tuple[PathKey, ...]
Alternative = tuple[Any, tuple[Any, ...]]
"""A type without unions around it, and the metadata that restricts it."""

MOST = 100
"""Problems that are told at once."""

_BOUNDS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))
_BY_THE_VALIDATOR = ("value_error", "spec")


class Findings:
    """Problems of several parts, each looked at whatever is wrong with the others."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keeps the problems that a part raises."""
        try:
            yield
        except SpecError as error:
            self.problems += error.problems

    def raise_any(self) -> None:
        """Raises SpecError if there are problems: each once, in the order of the document, the first hundred."""
        found = list(dict.fromkeys(self.problems))
        if found:
            found.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
            more = [Problem(f"and {len(found) - MOST} more problems")] if len(found) > MOST else []
            raise SpecError(found[:MOST] + more)


def alternatives(annotation: Any, metadata: Sequence[Any] = ()) -> list[Alternative]:
    """What may stand in a field: its annotation with unions and ``Annotated`` taken apart."""
    extra = [item for data in metadata for item in (data.metadata if isinstance(data, FieldInfo) else [data])]
    if hasattr(annotation, "__value__"):  # a `type` alias, of typing (3.12) or typing_extensions
        return alternatives(annotation.__value__, extra)
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return alternatives(inner, [*more, *extra])
    if get_origin(annotation) in (Union, types.UnionType):
        return [found for part in get_args(annotation) for found in alternatives(part, extra)]
    return [(annotation, tuple(extra))]


def inside(outer: Sequence[Alternative], value: Any, key: PathKey) -> list[Alternative]:
    """What may stand under a key or an index, given the plain value that is there now."""
    found: list[Alternative] = []
    for annotation, metadata in outer:
        model = _model(annotation, metadata, value)
        origin: Any = get_origin(annotation)
        arguments = get_args(annotation)
        if model is not None:
            if key in model.model_fields:
                field = model.model_fields[str(key)]
                found += alternatives(field.annotation, field.metadata)
        elif origin in (tuple, list) and isinstance(key, int):
            fixed = origin is tuple and arguments[-1:] != (Ellipsis,)
            if not fixed or key < len(arguments):
                found += alternatives(arguments[key if fixed else 0])
        elif origin in (dict, abc.Mapping) and isinstance(key, str):
            found += alternatives(arguments[1])
    return found


def known_keys(outer: Sequence[Alternative], value: Any) -> set[str]:
    """The keys that a mapping may have here."""
    models = [_model(annotation, metadata, value) for annotation, metadata in outer]
    return {name for model in models if model is not None for name in model.model_fields}


def _model(annotation: Any, metadata: tuple[Any, ...], value: Any) -> type[BaseModel] | None:
    for data in metadata:
        if isinstance(data, OneOf):
            return data.member(value)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def describe(options: Sequence[Alternative]) -> str:
    """What may stand in a field, in words: ``a whole number ≥ 1 or full``."""
    words: list[str] = []
    for annotation, metadata in options:
        for word in _words(annotation, metadata):
            if word not in words:
                words.append(word)
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)


def _words(annotation: Any, metadata: tuple[Any, ...]) -> list[str]:
    for data in metadata:
        if isinstance(data, OneOf):
            return [f"the name of a {data.members.kind}", "a mapping with its name"]
    if _is_literal(annotation):
        return [str(choice) for choice in get_args(annotation)]
    if annotation in (int, float):
        bounds = [
            f"{sign} {getattr(data, at):g}" for data in metadata for kind, at, sign in _BOUNDS if type(data) is kind
        ]
        noun = "a whole number" if annotation is int else "a number"
        return [f"{noun} {' and '.join(bounds)}".strip()]
    plain = {bool: "true or false", str: "text", None: "null", types.NoneType: "null"}
    if annotation in plain:
        return [plain[annotation]]
    if annotation is Every:
        return ["an interval such as '1 epoch' or '500 steps'"]
    origin = get_origin(annotation) or annotation
    if origin in (tuple, list):
        return ["a list"]
    return ["a mapping"] if isinstance(origin, type) and issubclass(origin, BaseModel | Mapping) else []


def _is_literal(annotation: Any) -> bool:
    origin: Any = get_origin(annotation)
    return origin is Literal


def show(value: Any) -> str:
    """A value as the writer of the spec would recognise it."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = {None: "null", True: "true", False: "false"}.get(value) if isinstance(value, bool | None) else repr(value)
    assert text is not None
    return text if len(text) <= 60 else f"{text[:57]}…"


def translate(
    error: ValidationError, root: Sequence[Alternative], node: Node | None, at: Node, prefix: Path
) -> list[Problem]:
    """Problems with path and place, in the order of the document.

    ``node`` is what was validated against ``root`` (None: nothing stands there), ``at`` the node
    to name as its place, ``prefix`` its path in the document.
    """
    groups: dict[Path, list[Any]] = {}
    for item in error.errors(include_url=False):
        groups.setdefault(_path(item, node), []).append(item)
    problems = []
    for path, items in groups.items():
        mismatch = all(item["type"] not in (*_BY_THE_VALIDATOR, "missing", "extra_forbidden") for item in items)
        deeper = any(other[: len(path)] == path and len(other) > len(path) for other in groups)
        if mismatch and deeper and isinstance(_value(node, path), Mapping | list):
            continue  # the alternative that fits the value's form has said what is wrong within it
        unknown = any(item["type"] == "extra_forbidden" for item in items)
        place = at.find(path, key=unknown)
        problems += [place.problem(message, prefix + path) for message in _messages(items, root, node, path)]
    return problems


def _path(item: Mapping[str, Any], node: Node | None) -> Path:
    """pydantic's location without the names of union branches, plus the path of a FieldError."""
    location = list(item["loc"])
    cause = item.get("ctx", {}).get("error")
    if isinstance(cause, FieldError):
        location += cause.path
    path: list[PathKey] = []
    for position, key in enumerate(location):
        inner = node.child(key) if node is not None else None
        if inner is not None:
            path, node = [*path, key], inner
        elif item["type"] == "missing" and position == len(location) - 1:
            path.append(key)
    return tuple(path)


def _messages(items: Sequence[Any], root: Sequence[Alternative], node: Node | None, path: Path) -> list[str]:
    kinds = {item["type"] for item in items}
    if "extra_forbidden" in kinds:
        known = known_keys(_descend(root, node, path[:-1]), _value(node, path[:-1]))
        return [f"unknown key ({nearest(str(path[-1]), known)})"]
    options = _descend(root, node, path)
    wanted = describe(options)
    if "missing" in kinds:
        return [f"is missing: {wanted}" if wanted else "is missing"]
    by_validator = [item for item in items if item["type"] in _BY_THE_VALIDATOR]
    if by_validator and kinds <= {*_BY_THE_VALIDATOR, "none_required"}:
        return list(dict.fromkeys(_own_words(item) for item in by_validator))
    if not wanted:
        return list(dict.fromkeys(_own_words(item) for item in items))
    for item in items:
        if item["type"] in ("too_short", "too_long"):  # of the right kind, then
            least, context = item["type"] == "too_short", item["ctx"]
            bound = f"at least {context['min_length']}" if least else f"at most {context['max_length']}"
            return [f"must hold {bound}, not {context['actual_length']}"]
    value = _value(node, path)
    return [f"must be {wanted}, not {show(value)}{_did_you_mean(options, value)}"]


def _own_words(item: Mapping[str, Any]) -> str:
    context = item.get("ctx", {})
    if item["type"] == "spec":
        return str(context["message"])
    if item["type"] == "value_error":
        return str(context["error"])
    message = str(item["msg"])
    return message[:1].lower() + message[1:]


def _did_you_mean(options: Sequence[Alternative], value: Any) -> str:
    choices = [str(choice) for annotation, _ in options if _is_literal(annotation) for choice in get_args(annotation)]
    hint = nearest(value, choices) if isinstance(value, str) and choices else ""
    return f" ({hint})" if hint.startswith("did you mean") else ""


def _descend(root: Sequence[Alternative], node: Node | None, path: Path) -> Sequence[Alternative]:
    for key in path:
        root = inside(root, node.value if node is not None else None, key)
        node = node.child(key) if node is not None else None
    return root


def _value(node: Node | None, path: Path) -> Any:
    for key in path:
        node = node.child(key) if node is not None else None
    return node.value if node is not None else None
