"""Arrays that took seconds to decode, kept as ``.npy`` in the cache folder and memory-mapped ever after.

Only a convenience: whatever goes wrong here (no home, no room, a damaged file) means
decoding again, never an error.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dlx.sources import Official

_STALE_S = 24 * 3600.0


def _folder(cache: Path, name: str, digest: str) -> Path:
    return cache / "decoded" / f"{name}-{digest[:12]}"


def load(cache: Path, name: str, digest: str, digest_of: Callable[[Official], str]) -> Official | None:
    """The kept arrays as read-only memory maps if they are there and whole, else None."""
    folder = _folder(cache, name, digest)
    parts = {}
    try:
        for file in sorted(folder.glob("*.npy")):
            parts[file.stem] = np.load(file, mmap_mode="r", allow_pickle=False)
        official = Official(**parts)
        whole = digest_of(official) == digest
    except (OSError, ValueError, TypeError, EOFError, AttributeError):
        whole = False
    if whole:
        return official
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    return None


def save(cache: Path, name: str, digest: str, official: Official) -> None:
    """Keep ``official`` for the next time: written aside, then renamed; the first of several writers wins."""
    folder = _folder(cache, name, digest)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        _sweep(folder)
        aside.mkdir(parents=True)
        for part, array in official.parts():
            np.save(aside / f"{part}.npy", array, allow_pickle=False)
        aside.rename(folder)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes left half written; a living one's is younger than a day."""
    for aside in folder.parent.glob(f".{folder.name}.*"):
        if time.time() - aside.stat().st_mtime > _STALE_S:
            shutil.rmtree(aside, ignore_errors=True)
