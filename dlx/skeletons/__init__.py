"""Members to start from: ``dlx new model NAME`` and its like write a module and the test of its contract."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path

from dlx.errors import UsageError

KINDS = ("model", "dataset", "probe")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


def skeleton(kind: str, name: str, folder: Path) -> dict[Path, str]:
    """The files of a member of that kind and their contents; nothing is written.

    Raises :class:`~dlx.errors.UsageError` for a name that cannot be a module's or is taken.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot name a {kind}", hint="small letters, digits and _, beginning with a letter")
    if name.startswith("test_") or name == "conftest":
        raise UsageError(f"{name!r} would be taken for a test")
    if name in _taken(kind):
        raise UsageError(f"there is a {kind} {name!r} already")
    here = files(__package__)
    return {
        folder / f"{target}.py": (here / f"{source}.txt").read_text("utf-8").replace("NAME", name)
        for source, target in ((kind, name), (f"{kind}_test", f"test_{name}"))
    }


def _taken(kind: str) -> list[str]:
    import importlib

    return list(importlib.import_module(f"dlx.{kind}s").registry.names())
