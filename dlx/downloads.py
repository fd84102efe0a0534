"""Files fetched from official sources: checked against a SHA-256 before they bear their name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlx.datasets._places import Progress
from dlx.errors import DataError

_ATTEMPTS = 3
_TIMEOUT_S = 30.0
_PIECE = 1 << 18
_STALE_S = 24 * 3600.0


@dataclass(frozen=True)
class Remote:
    """A published file: its place below a data folder, where to get it (best first), and what it must be."""

    path: str
    urls: tuple[str, ...]
    sha256: str
    bytes: int


class _CutError(Exception):
    """A transfer that broke off and may go through the next time."""


class _ContentError(Exception):
    """A transfer that went through and brought something else."""


def fetch_all(remotes: Sequence[Remote], folders: Sequence[Path], progress: Progress | None = None) -> Path:
    """Fetch all files into the first of ``folders`` that can be written; returns that folder.

    Files that are there and whole are left alone. Raises :class:`~dlx.errors.DataError`.
    """
    refusals = []
    for folder in folders:
        try:
            _writable(folder)
        except OSError as error:
            refusals.append(f"{folder}: {error.strerror or error}")
            continue
        for remote in remotes:
            fetch(remote, folder, progress)
        return folder
    where = "; ".join(refusals) or "no home, hence no cache folder"
    raise DataError(f"there is no folder to download into ({where})", hint="name one with --data-dir DIR")


def fetch(remote: Remote, folder: Path, progress: Progress | None = None) -> Path:
    """One file below ``folder``, whole and verified; any number of processes may ask for it at once.

    Each writes a temporary file of its own beside the final name and renames it when its
    SHA-256 is right: whoever comes first is seen, whoever comes last replaces equal bytes
    by equal bytes. Raises :class:`~dlx.errors.DataError`.
    """
    target = folder / remote.path
    if _is_whole(target, remote):
        return target
    problems = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        for url in remote.urls:
            problem = _fetch_from(url, remote, target, progress)
            if problem is None:
                return target
            problems.append(f"{url}: {problem}")
    except OSError as error:  # of the disk: those of the network are told per address
        raise DataError(f"{target} cannot be written: {error.strerror or error}") from error
    raise DataError(
        f"{remote.path} cannot be downloaded: " + "; ".join(problems),
        hint=f"try again later, or put the file into {target.parent} by hand",
    )


def _fetch_from(url: str, remote: Remote, target: Path, progress: Progress | None) -> str | None:
    """Try one address; returns what went wrong, None if ``target`` is there."""
    problem = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(0.5 * attempt)
        try:
            _transfer(url, remote, target, progress)
            return None
        except _ContentError as error:
            return str(error)
        except _CutError as error:
            problem = str(error)
    return problem


def _transfer(url: str, remote: Remote, target: Path, progress: Progress | None) -> None:
    part = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    digest = hashlib.sha256()
    done = 0
    try:
        with part.open("xb") as file:
            for piece in _pieces(url):
                done += len(piece)
                if done > remote.bytes:  # before it fills the disk
                    raise _ContentError(f"more than the {remote.bytes:,} bytes it should have")
                digest.update(piece)
                file.write(piece)
                if progress is not None:
                    progress(remote.path, done, remote.bytes)
            if done < remote.bytes:
                raise _CutError(f"cut off after {done:,} of {remote.bytes:,} bytes")
            if digest.hexdigest() != remote.sha256:
                raise _ContentError(f"its SHA-256 is {digest.hexdigest()}, not {remote.sha256}")
            file.flush()
            os.fsync(file.fileno())
        try:
            part.replace(target)
        except PermissionError:  # Windows, while another process reads the file it has just put there
            if not _is_whole(target, remote):
                raise
        _sync_folder(target.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _pieces(url: str) -> Iterator[bytes]:
    import http.client  # here and not above: they take longer to import than all of `dlx check`'s data sets
    import urllib.error
    import urllib.request

    # The addresses are constants in the code, http or https, and redirections lead to no other scheme.
    request = urllib.request.Request(url, headers={"User-Agent": "dlx"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            while piece := response.read(_PIECE):
                yield piece
    except urllib.error.HTTPError as error:
        text = f"HTTP {error.code} {error.reason}"
        raise (_CutError(text) if error.code >= 500 or error.code == 429 else _ContentError(text)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _is_whole(path: Path, remote: Remote) -> bool:
    try:
        if path.stat().st_size != remote.bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == remote.sha256
    except OSError:
        return False


def _writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{os.getpid()}-{secrets.token_hex(4)}.part"
    probe.touch()
    probe.unlink()


def _sweep(target: Path) -> None:
    """Remove what killed downloads of this file left behind; a living one is younger than a day."""
    for part in target.parent.glob(f".{target.name}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - part.stat().st_mtime > _STALE_S:
                part.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
