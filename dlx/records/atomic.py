"""Files and directories that appear under their name only when whole.

Everything a trial leaves behind, append-only tables and its log aside, is written under
a temporary name beside its place, flushed to the disk and renamed. A crash at any point
leaves what was there before, and at most a temporary file that :func:`sweep` removes.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from dlx.errors import DlxError, TrialError

_NO_ROOM = "the disk is full: make room, then run the same command again"
_NOT_ALLOWED = "check the permissions, or choose another results directory"
_HINTS = {
    errno.ENOSPC: _NO_ROOM,
    getattr(errno, "EDQUOT", errno.ENOSPC): "the disk quota is used up: make room, then run the same command again",
    errno.EFBIG: "a limit on the size of files was reached (ulimit -f): raise it, then run the same command again",
    errno.EROFS: "the file system is read-only: choose another results directory",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
}
_TEMPORARY = ".dlx-tmp."
_numbers = itertools.count()


@contextlib.contextmanager
def explained(doing: str, path: Path, error: type[DlxError] = TrialError) -> Iterator[None]:
    """Turn the operating system's refusal into ``error``: ``cannot <doing> <path>: <why>``, with what to do."""
    try:
        yield
    except OSError as refusal:
        raise error(f"cannot {doing} {path}: {refusal.strerror or refusal}", hint=_HINTS.get(refusal.errno or 0)) from (
            refusal
        )


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power cut. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """A name beside ``path``, ending like it, that no other process uses and that :func:`sweep` recognises."""
    return path.with_name(f"{_TEMPORARY}{os.getpid()}-{next(_numbers)}@{socket.gethostname()}.{path.name}")


def sweep(directory: Path, *, every_process: bool = False) -> None:
    """Remove what processes that died while writing left in ``directory``.

    Of this host's dead processes only, unless the caller owns the directory (``every_process``).
    """
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY) and (every_process or _writer_died(entry.name)):
                _remove(Path(entry.path))


def process_lives(pid: int) -> bool:
    """Whether a process of this host with that number exists."""
    if os.name == "nt":  # os.kill(pid, 0) would end it there
        import ctypes

        kernel = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if handle:
            kernel.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _writer_died(name: str) -> bool:
    number, _, place = name.removeprefix(_TEMPORARY).partition("@")
    pid = number.partition("-")[0]
    return place.startswith(f"{socket.gethostname()}.") and pid.isdigit() and not process_lives(int(pid))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


@contextlib.contextmanager
def placing(
    path: Path,
    *,
    durable: bool = True,
    error: type[DlxError] = TrialError,
    check: Callable[[], None] | None = None,
) -> Iterator[Path]:
    """A path to write a file to, which takes the place of ``path`` when the block ends well.

    ``check`` is called just before and may raise to prevent it. Without ``durable`` the
    change is atomic for other processes but may be lost in a power cut. Raises ``error``
    with the path; ``path`` then is what it was.
    """
    temporary = temporary_name(path)
    with explained("write", path, error):
        try:
            yield temporary
            if durable:
                _sync_file(temporary)
            if check is not None:
                check()
            temporary.replace(path)
        except BaseException:
            _remove(temporary)
            raise
        if durable:
            sync_directory(path.parent)


@contextlib.contextmanager
def replacing(
    path: Path,
    *,
    durable: bool = True,
    error: type[DlxError] = TrialError,
    check: Callable[[], None] | None = None,
) -> Iterator[BinaryIO]:
    """An open file that takes the place of ``path`` when the block ends well; arguments as in :func:`placing`."""
    with placing(path, durable=durable, error=error, check=check) as temporary, temporary.open("xb") as file:
        yield file


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)  # Windows flushes only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(
    path: Path,
    content: bytes,
    *,
    durable: bool = True,
    error: type[DlxError] = TrialError,
    check: Callable[[], None] | None = None,
) -> None:
    """Write a whole file; arguments as in :func:`placing`."""
    with replacing(path, durable=durable, error=error, check=check) as file:
        file.write(content)


def write_text(path: Path, text: str, *, durable: bool = True, error: type[DlxError] = TrialError) -> None:
    r"""Write a whole UTF-8 file, line ends as they are (``\n``)."""
    write_bytes(path, text.encode(), durable=durable, error=error)


def write_json(
    path: Path,
    value: Any,
    *,
    durable: bool = True,
    error: type[DlxError] = TrialError,
    check: Callable[[], None] | None = None,
) -> None:
    """Write a whole file of indented standard JSON: NaN and infinity must have been made text."""
    content = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(path, content.encode("utf-8", "replace"), durable=durable, error=error, check=check)


@contextlib.contextmanager
def committing(
    path: Path,
    *,
    error: type[DlxError] = TrialError,
    check: Callable[[], None] | None = None,
) -> Iterator[Path]:
    """A directory to fill that appears as ``path`` when the block ends well.

    The block flushes its files to the disk itself (:func:`write_durably`). ``check`` is
    called just before the rename and may raise to prevent it. ``path`` must not exist.
    """
    temporary = temporary_name(path)
    with explained("write", path, error):
        try:
            temporary.mkdir()
            yield temporary
            sync_directory(temporary)
            if check is not None:
                check()
            temporary.rename(path)
        except BaseException:
            _remove(temporary)
            raise
        sync_directory(path.parent)


def write_durably(path: Path, content: bytes) -> None:
    """Write a new file and flush it to the disk; for directories that are committed as a whole."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def remove_directory(path: Path) -> None:
    """Remove a directory that carries a meaningful name: at no time is half of it under that name."""
    aside = temporary_name(path)
    path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def set_aside(path: Path, suffix: str = "") -> Path:
    """Rename to the first free of ``<name><suffix>``, ``….1``, ``….2``, …; without a suffix numbers start at 1."""
    names = itertools.chain([suffix] if suffix else [], (f"{suffix}.{number}" for number in itertools.count(1)))
    for candidate in (path.with_name(path.name + tail) for tail in names):
        if not os.path.lexists(candidate):
            path.rename(candidate)
            return candidate
    raise AssertionError("unreachable: the names do not end")
