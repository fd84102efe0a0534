"""The user's configuration file: what a person would otherwise say with every command.

``config.yaml`` in the folder that the system has for it (``~/.config/dlx`` on Linux); flags
and environment variables go before it. Keys: ``engine``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

FILE = "config.yaml"
Engine = Literal["tensorflow", "jax"]
ENGINES: tuple[Engine, ...] = get_args(Engine)


def path() -> Path:
    """Where the file is looked for: the folder ``DLX_CONFIG``, else the system's for this user."""
    import platformdirs

    return Path(os.environ.get("DLX_CONFIG") or platformdirs.user_config_dir("dlx", appauthor=False)) / FILE


def engine() -> Engine:
    """The engine that the file names, TensorFlow without one.

    Raises :class:`~dlx.errors.SpecError` with file, line and column for whatever makes no sense there.
    """
    file = path()
    if not file.is_file():
        return ENGINES[0]
    from dlx.errors import SpecError, nearest
    from dlx.spec.document import read

    _, root = read(file)
    if not isinstance(root.value, dict):
        raise SpecError([root.place.problem("must be a mapping; its only key is engine")])
    unknown = [key for key, _ in root.items() if key != "engine"]
    if unknown:
        raise SpecError([root.keys[key].problem("unknown key (the only one is engine)", (key,)) for key in unknown])
    value = root.value.get("engine", ENGINES[0])
    if value not in ENGINES:
        place = root.find(("engine",))
        raise SpecError([place.problem(f"unknown engine {value!r} ({nearest(str(value), ENGINES)})", ("engine",))])
    chosen: Engine = value
    return chosen
