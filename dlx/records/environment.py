"""``environment.json``: what a trial ran with, and whether that is still so.

Nothing heavy is imported: versions come from the packages' metadata, the device from the
caller.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dlx.records import atomic
from dlx.records.ownership import now

FILE = "environment.json"
ORIGIN = "continued_from"
"""The trial whose recorded beginning a directory was made of, until an attempt of its own takes that up."""
_SCHEMA = "dlx.environment/1"
_PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
}
_GIT_SECONDS = 2.0


def gather(
    *,
    spec: str,
    engine: str,
    device: Mapping[str, Any],
    threads: int,
    pack: Any = None,
) -> dict[str, Any]:
    """The content of ``environment.json``.

    ``spec`` is the text of ``trial.yaml``; ``device`` has at least ``kind`` (``cpu``, or
    the GPU's model name) and, of several that divide its batches, ``count``, which alone decide
    whether a trial may be continued on it.
    """
    return {
        "schema": _SCHEMA,
        "written": now(),
        "engine": engine,
        "device": dict(device),
        "threads": threads,
        "pack": pack,
        "spec": digest(spec),
        "versions": versions(engine),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "command": list(sys.argv),
        "directory": str(Path.cwd()),
        "git": git(str(Path.cwd())),
    }


def digest(spec: str) -> str:
    """Of the text of a ``trial.yaml``."""
    return hashlib.sha256(portable(spec).encode()).hexdigest()


def portable(trial_yaml: str) -> str:
    """What a ``trial.yaml`` says of the training: all but where files of data were, which comes last."""
    head, line, _ = trial_yaml.partition("\nfiles:\n")
    return head + "\n" if line else trial_yaml


def write(path: Path, environment: Mapping[str, Any]) -> None:
    """Replace ``environment.json``. Raises :class:`~dlx.errors.TrialError`."""
    atomic.write_json(path, environment)


def read(path: Path) -> dict[str, Any] | None:
    """What a trial ran with; None where that is not on record, or no longer readable."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def differences(before: Mapping[str, Any], today: Mapping[str, Any]) -> list[str]:
    """Sentences on what changed of spec, versions, device and threads, on which a trial's bytes depend.

    Empty: the trial may be continued.
    """
    sentences = []
    if before.get("spec") != today.get("spec"):
        sentences.append("its spec has changed")
    for name, what in (("engine", "engine"), ("threads", "number of threads"), ("pack", "pack")):
        if before.get(name) != today.get(name):
            sentences.append(f"the {what} was {before.get(name)}, now {today.get(name)}")
    kinds = [_mapping(environment.get("device")).get("kind") for environment in (before, today)]
    if kinds[0] != kinds[1]:
        sentences.append(f"the device was {kinds[0]}, now {kinds[1]}")
    counts = [_mapping(environment.get("device")).get("count", 1) for environment in (before, today)]
    if counts[0] != counts[1]:
        sentences.append(f"the number of devices was {counts[0]}, now {counts[1]}")
    old, new = _mapping(before.get("versions")), _mapping(today.get("versions"))
    changed = [package for package in sorted(old.keys() | new.keys()) if old.get(package) != new.get(package)]
    return sentences + [f"{name} was {old.get(name, 'absent')}, now {new.get(name, 'absent')}" for name in changed]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@functools.cache
def versions(engine: str) -> Mapping[str, str]:
    """Installed versions of what decides a trial's numbers, by package; those absent are left out."""
    return _versions(("dlx", "keras", "numpy", *_PACKAGES.get(engine, (engine,))))


def _versions(packages: Iterable[str]) -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@functools.cache
def git(directory: str) -> Mapping[str, Any] | None:
    """Commit and dirtiness (tracked files only) of a working directory; None without git or a repository.

    Asked once per process.
    """
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(directory, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git(directory: str, *arguments: str) -> str | None:
    # core.fsmonitor may name a program: a stranger's repository must not get it run
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", directory, *arguments]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_SECONDS, check=False, text=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
