"""``--plugins DIR``: a folder of modules whose members join the open sets while they are worked on.

A module of the folder is a member as in dlx's own folders: a class ``Spec``, of a model, a
data set, a stage, a probe, an augmentation or a diagnosis, named like the file. Modules that are
none begin with ``_``; tests (``test_*.py``) may lie beside them. The SHA-256 of the folder's
modules enters the id of every trial whose settings come from it.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dlx.errors import DlxError, UsageError

PACKAGE = "dlx_plugins"
"""The import name of the folder: ``from dlx_plugins.mine import Spec``, ``from . import _shared``."""

_SETS = ("dlx.models", "dlx.datasets", "dlx.stages", "dlx.probes", "dlx.augmentations", "dlx.diagnoses")


@dataclass(frozen=True)
class Plugins:
    """A folder that was loaded: its digest, and its members as (noun, name)."""

    place: Path
    digest: str
    members: tuple[tuple[str, str], ...]


_loaded: list[Plugins] = []


def loaded() -> Plugins | None:
    """What ``--plugins`` has brought into this process."""
    return _loaded[0] if _loaded else None


def load(place: Path) -> Plugins:
    """Import every module of a folder and register its members; once per process.

    Raises :class:`~dlx.errors.UsageError` for a folder that is not there, has changed since it
    was loaded or is a second one, and for a module that does not load or is no member.
    """
    if not place.is_dir():
        raise UsageError(f"--plugins {place}: there is no such folder")
    folder, digest = place.resolve(), digest_of(place)
    if _loaded:
        if _loaded[0].place != folder:
            raise UsageError(f"--plugins {place}: this process already works with {_loaded[0].place}")
        if _loaded[0].digest != digest:
            raise UsageError(f"--plugins {place}: its modules have changed since this process loaded them")
        return _loaded[0]
    names = _modules(folder)
    if not names:
        raise UsageError(f"--plugins {place}: holds no modules (a member is a file NAME.py with a class Spec)")
    package = ModuleType(PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package
    sets = [
        importlib.import_module(name).registry for name in _SETS if hasattr(importlib.import_module(name), "registry")
    ]
    found = [_register(folder, name, sets, digest) for name in names]
    _loaded.append(Plugins(folder, digest, tuple(found)))
    return _loaded[0]


def digest_of(place: Path) -> str:
    """SHA-256 over the sorted relative paths and contents of the folder's modules, tests left out."""
    digest = hashlib.sha256()
    for path in sorted(place.rglob("*.py"), key=lambda path: path.relative_to(place).as_posix()):
        if not _is_test(path):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(place).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _modules(folder: Path) -> list[str]:
    files = [path for path in folder.glob("*.py") if not _is_test(path)]
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return sorted(path.stem for path in (*files, *packages) if not path.stem.startswith("_"))


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name == "conftest.py"


def _register(folder: Path, name: str, sets: list[Any], digest: str) -> tuple[str, str]:
    try:
        module = importlib.import_module(f"{PACKAGE}.{name}")
    except DlxError:
        raise
    except Exception as error:  # somebody's code in the making: whatever it raises
        raise UsageError(f"--plugins: {name} does not load: {_where(error, folder)}") from error
    spec = getattr(module, "Spec", None)
    kinds = ", ".join(members.kind for members in sets)
    members = next((one for one in sets if isinstance(spec, type) and issubclass(spec, one.contract)), None)
    if spec is None or members is None:
        what = "has no class Spec" if spec is None else f"has a Spec that is none of {kinds}"
        raise UsageError(
            f"--plugins: {folder / name}.py {what}", hint="the name of a module that is no member begins with _"
        )
    if missing := sorted(spec.__abstractmethods__):
        raise UsageError(f"--plugins: the {members.kind} {name} lacks {', '.join(missing)}", hint=inspect.getfile(spec))
    called = spec.model_fields["name"].default
    if called != name:
        raise UsageError(
            f"--plugins: the {members.kind} in {name}.py calls itself {called!r}",
            hint=f'name: Literal["{name}"] = "{name}"',
        )
    spec.plugins = digest
    members.add(name, spec)
    return members.kind, name


def _where(error: Exception, folder: Path) -> str:
    """What went wrong, and the last line of the folder's code that it came through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {error.msg}"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(folder)
    ]
    at = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
    return f"{at}{type(error).__name__}: {error}"
