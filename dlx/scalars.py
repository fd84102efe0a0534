"""Scalars as YAML 1.2 has them (core schema), and YAML text that reads back as the same values."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MAX_DIGITS = 400
MAX_INTEGER = 2**63 - 1

Scalar = None | bool | int | float | str

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


def scalar(text: str) -> Scalar:
    """A plain scalar of the YAML 1.2 core schema; ValueError for an absurd number."""
    if _NULL.fullmatch(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INFINITE.fullmatch(text):
        return float("-inf") if text[0] == "-" else float("inf")
    if _NAN.fullmatch(text):
        return float("nan")
    for pattern, number in _NUMBERS:
        if pattern.fullmatch(text):
            if len(text) > MAX_DIGITS:
                raise ValueError(f"a number of {len(text)} characters")
            found = number(text)
            if isinstance(found, int) and abs(found) > MAX_INTEGER:
                raise ValueError(f"a whole number of more than 64 bits: {text[:40]}")
            return found
    return text


_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (_DECIMAL, int),
    (_OCTAL, lambda text: int(text[2:], 8)),
    (_HEXADECIMAL, lambda text: int(text[2:], 16)),
    (_FLOAT, float),
)


_PLAIN = re.compile(r"[A-Za-z_/](?:[A-Za-z0-9_./+*()-]| (?=[A-Za-z0-9_.(]))*", re.ASCII)


def write(value: Any) -> str:
    """YAML text that reads back as ``value``: mappings in blocks, everything else on one line."""
    return "".join(f"{line}\n" for line in _lines(value, ""))


def _lines(value: Any, indent: str) -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield f"{indent}{inline(key)}:"
            yield from _lines(item, indent + "  ")
        else:
            yield f"{indent}{inline(key)}: {inline(item)}"


_LINE = re.compile(r'( *)("(?:[^"\\]|\\.)*"|[^\s":][^":]*):(?: (.*))?')
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^\s\[\]{},:"][^\[\]{},:"]*|[\[\]{},:])')
_ESCAPE = re.compile(r'\\(?:U([0-9A-F]{8})|(["\\]))')


def read(text: str) -> dict[str, Any]:
    """The mapping that :func:`write` was given, in a tenth of the time that YAML in general takes.

    Raises :class:`ValueError` for text that is not of that form.
    """
    levels: list[dict[str, Any]] = [{}]
    for line in text.removesuffix("\n").split("\n"):
        found = _LINE.fullmatch(line)
        if found is None or len(found[1]) % 2 or len(found[1]) // 2 >= len(levels):
            raise ValueError(f"not as dlx writes it: {line[:80]!r}")
        del levels[len(found[1]) // 2 + 1 :]
        name = str(_one(found[2]))
        if name in levels[-1]:
            raise ValueError(f"{name!r} is there twice")
        if found[3] is None:
            opened: dict[str, Any] = {}
            levels[-1][name] = opened
            levels.append(opened)
        else:
            levels[-1][name] = read_inline(found[3])
    return levels[0]


def read_inline(text: str) -> Any:
    """The value that :func:`inline` was given. Raises :class:`ValueError` for text that is not of that form."""
    if text[:1] not in ("[", "{", '"'):
        return _plain(text)
    tokens: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"not as dlx writes it: {text[:80]!r}")
        tokens.append(token[1])
        at = token.end()
    value, rest = _flow(tokens, 0)
    if rest != len(tokens):
        raise ValueError(f"not as dlx writes it: {text[:80]!r}")
    return value


def _flow(tokens: Sequence[str], at: int) -> tuple[Any, int]:
    """The value that begins at a token, and where it ends."""
    opening = tokens[at] if at < len(tokens) else ""
    if opening not in ("[", "{"):
        return _one(opening), at + 1
    closing = "]" if opening == "[" else "}"
    items: list[Any] = []
    at += 1
    while at < len(tokens) and tokens[at] != closing:
        item, at = _flow(tokens, at)
        if opening == "{":
            if tokens[at : at + 1] != [":"]:
                raise ValueError("a key without a value")
            value, at = _flow(tokens, at + 1)
            item = (str(item), value)
        items.append(item)
        if tokens[at : at + 1] == [","]:
            at += 1
    if at >= len(tokens):
        raise ValueError("a list or a mapping without an end")
    return (items if opening == "[" else dict(items)), at + 1


def _one(text: str) -> Scalar:
    if text.startswith('"'):
        if len(text) < 2 or not text.endswith('"'):
            raise ValueError(f"a text without an end: {text[:80]!r}")
        return _ESCAPE.sub(lambda found: found[2] or chr(int(found[1], 16)), text[1:-1])
    return _plain(text.strip())


@functools.lru_cache(maxsize=4096)
def _plain(text: str) -> Scalar:
    value = scalar(text)
    if not text or (isinstance(value, str) and not _PLAIN.fullmatch(value)):
        raise ValueError(f"not as dlx writes it: {text[:80]!r}")
    return value


def inline(value: Any) -> str:
    """YAML for a value, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{inline(key)}: {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and scalar(value) == value else _quoted(value)
    if isinstance(value, float) and value != value:
        return ".nan"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    return json.dumps(value)


def _quoted(text: str) -> str:
    escaped = "".join(c if c.isprintable() and c not in '"\\' else _escape(c) for c in text)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\U{ord(character):08X}"
