"""The experiments that come with dlx: specs by the name ``topic/name``."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from dlx.errors import UsageError, nearest

_HERE = Path(__file__).resolve().parent
FOLDER = "experiments"
FINISHED = "finished"
ENDING = ".yaml"


@cache
def folder() -> Path:
    """Where they are: inside the installed package, or beside it in a checkout."""
    inside = _HERE / FOLDER
    return inside if inside.is_dir() else _HERE.parent / FOLDER


@cache
def experiments() -> dict[str, Path]:
    """The specs by name, in the order of the names: ``quickstart``, ``vanishing-gradient/depth``."""
    root = folder()
    found = {path.relative_to(root).with_suffix("").as_posix(): path for path in root.rglob(f"*{ENDING}")}
    return dict(sorted(found.items(), key=lambda item: item[0].split("/")))


@cache
def finished_folder() -> Path:
    """Where the tables of finished ones are: inside the installed package, or beside it in a checkout."""
    inside = _HERE / FINISHED
    return inside if inside.is_dir() else _HERE.parent / FINISHED


def finished() -> list[str]:
    """The experiments that come with their tables, those that take minutes."""
    return [name for name in experiments() if (finished_folder() / name / "trials").is_dir()]


def tables(name: str) -> Path:
    """The results directory that comes with an experiment; raises :class:`~dlx.errors.UsageError` without one."""
    known = finished()
    if name in known:
        return finished_folder() / name
    if name in experiments():
        message = f"the experiment {name!r} comes without finished tables"
        raise UsageError(message, hint=f"dlx run {name}; with tables: {', '.join(known)}")
    raise UsageError(f"no experiment {name!r} comes with dlx", hint=nearest(name, known))


def get(name: str) -> Path:
    """The spec of that name; raises :class:`~dlx.errors.UsageError` for one that there is not."""
    found = named(name)
    if found is None:
        raise UsageError(f"no experiment {name!r} comes with dlx", hint=nearest(name, experiments()))
    return found


def named(text: str | Path) -> Path | None:
    """The spec that comes with dlx under this name, also as ``experiments/NAME.yaml`` as in a checkout."""
    name = str(text).replace(os.sep, "/").removeprefix(f"{FOLDER}/").removesuffix(ENDING)
    return experiments().get(name)


def place(text: str | Path) -> Path:
    """The file that a command line means by a spec: its own, where there is one, else one that comes with dlx.

    Raises :class:`~dlx.errors.UsageError` for a name that is neither.
    """
    path = Path(text)
    if path.is_file():
        return path
    found = named(text)
    if found is None and path.suffix not in (ENDING, ".yml") and not path.exists():
        raise UsageError(
            f"{text}: no such file, and no experiment of that name comes with dlx",
            hint=nearest(str(text), experiments()),
        )
    return found or path
