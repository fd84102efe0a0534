"""The CIFAR "python version" read without unpickling: an interpreter that builds plain values and calls nothing.

A pickle is a program, and ``pickle.load`` runs it. The published files need two dozen
opcodes that build dicts, lists, text and numbers, and three names of NumPy that stand for
"an array of these bytes". Those are understood here; anything else is refused unread.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any

_NUMPY = {"numpy.core.multiarray _reconstruct", "numpy ndarray", "numpy dtype"}
_PUSH = {
    *("BININT", "BININT1", "BININT2", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE", "SHORT_BINUNICODE"),
    *("BINBYTES", "SHORT_BINBYTES"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


@dataclass(frozen=True)
class _Name:
    """A global that the pickle names; never looked up."""

    text: str


@dataclass
class _Call:
    """A call that the pickle asks for; never made."""

    function: _Name
    arguments: tuple[Any, ...]
    state: Any = None


class _Mark:
    pass


def read_dict(data: bytes) -> dict[str, Any]:
    """The dict that a pickle describes, with NumPy arrays left as descriptions for :func:`array_bytes`.

    Python 2's byte strings come as text in Latin-1, one character a byte. Raises ValueError
    for any opcode or name that the published files do not have.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        items = []
        while not isinstance(stack[-1], _Mark):
            items.append(stack.pop())
        stack.pop()
        return items[::-1]

    try:
        for opcode, argument, _ in pickletools.genops(data):
            name = opcode.name
            if name in _PUSH:
                stack.append(argument)
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                stack.append(memo[argument])
            elif name == "MARK":
                stack.append(_Mark())
            elif name == "EMPTY_DICT":
                stack.append({})
            elif name == "EMPTY_LIST":
                stack.append([])
            elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
                size = int(name[-1])
                stack[-size:] = [tuple(stack[-size:])]
            elif name == "TUPLE":
                stack.append(tuple(since_mark()))
            elif name == "APPENDS":
                items = since_mark()
                _of(list, stack[-1]).extend(items)
            elif name == "SETITEMS":
                items = since_mark()
                for key, value in zip(items[::2], items[1::2], strict=True):
                    _of(dict, stack[-1])[_of(str, key)] = value
            elif name == "GLOBAL":
                if argument not in _NUMPY:
                    raise ValueError(f"it names {argument!r}, which no CIFAR file does")
                stack.append(_Name(argument))
            elif name == "REDUCE":
                arguments, function = _of(tuple, stack.pop()), _of(_Name, stack.pop())
                stack.append(_Call(function, arguments))
            elif name == "BUILD":
                state = stack.pop()
                _of(_Call, stack[-1]).state = state
            elif name == "STOP":
                return dict(_of(dict, stack.pop()))
            elif name != "PROTO":
                raise ValueError(f"it has the opcode {name}, which no CIFAR file does")
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"it is no well-formed pickle ({type(error).__name__})") from error
    raise ValueError("it ends before its end")


def array_bytes(description: Any, shape: tuple[int, ...]) -> bytes:
    """The bytes of a uint8 array in C order that must have ``shape``; ValueError for anything else."""
    call = _of(_Call, description)
    state = call.state
    if call.function.text != "numpy.core.multiarray _reconstruct" or not (isinstance(state, tuple) and len(state) == 5):
        raise ValueError("its data are no NumPy array")
    _, found, dtype, fortran, content = state
    code = dtype.arguments[:1] if isinstance(dtype, _Call) and dtype.function.text == "numpy dtype" else None
    if found != shape or code != ("u1",) or fortran is not False:
        raise ValueError(f"its data are not {' × '.join(map(str, shape))} bytes in C order")
    return str(_of(str, content)).encode("latin-1")


def _of(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"it has {type(value).__name__} where {kind.__name__} belongs")
    return value
