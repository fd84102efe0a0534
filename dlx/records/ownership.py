"""One writer per trial directory.

What is relied upon: ``flock`` on the file ``lock`` (``LockFileEx`` through ``msvcrt`` on
Windows), which the system releases when the process dies, however it dies. Linux carries
``flock`` over NFS to the server since 2.6.12 (not with ``nolock`` or ``local_lock``), where a
client that lost its lease may go on believing that it holds the lock. Therefore each owner
also takes the next attempt number, written to ``owner.json``, and looks before every commit
(checkpoint, status) whether the number on disk is still its own; one that was taken over
stops there. On a file system without locks the process recorded in ``owner.json`` is taken
to be alive unless it ran on this host and is gone. Times are for people: order is by number.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import time
import weakref
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dlx.errors import TrialError
from dlx.records import atomic

LOCK = "lock"
OWNER = "owner.json"
_PATIENCE = 0.3  # seconds; outlasts another process that only looks (:func:`holder`)
_WINDOWS_OFFSET = 1 << 30  # Windows locks are mandatory: lock a byte that nobody reads
_NO_LOCKS = {getattr(errno, name) for name in ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP") if hasattr(errno, name)}


@dataclass(frozen=True)
class Holder:
    """Who works, or last worked, on a trial; ``since`` is an ISO time in UTC."""

    attempt: int
    host: str
    pid: int
    since: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    @property
    def is_gone(self) -> bool:
        """True only where it is certain: it said so (pid 0), or it ran on this host and is no more."""
        return self.pid == 0 or (self.host == socket.gethostname() and not atomic.process_lives(self.pid))


class Held(TrialError):
    """Another process works on the trial; ``holder`` is None where it could not be read."""

    def __init__(self, directory: Path, holder: Holder | None, hint: str | None = None) -> None:
        super().__init__(f"{directory} is being worked on by {holder or 'another process'}", hint=hint)
        self.holder = holder


class TakenOver(TrialError):
    """The trial belongs to a later attempt: nothing may be written any more."""


def now() -> str:
    """The time in UTC, for people."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def read_owner(directory: Path) -> Holder | None:
    """The last owner recorded, alive or not; None where there is none or its file makes no sense."""
    try:
        fields = json.loads((directory / OWNER).read_bytes())
        return Holder(
            int(fields["attempt"]),
            str(fields["host"]),
            int(fields["pid"]),
            str(fields["since"]),
            str(fields["token"]),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def holder(directory: Path) -> Holder | None:
    """Who works on the trial right now, or None; only looks, nothing is created."""
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        taken = _lock(descriptor, shared=True)
    finally:
        os.close(descriptor)
    owner = read_owner(directory)
    if taken is None:
        return None if owner is None or owner.is_gone else owner
    return None if taken else owner or Holder(0, "an unknown host", 0, "an unknown time", "")


class Ownership:
    """The right to write one trial directory, from :meth:`acquire` until :meth:`release` or the process' end.

    Children do not inherit it, forked or spawned: theirs is released at birth, ours stays.
    """

    def __init__(self, directory: Path, descriptor: int, owner: Holder, *, locked: bool = True) -> None:
        self.directory = directory
        self.owner = owner
        self._descriptor: int | None = descriptor
        self._locked = locked
        _held.add(self)

    @classmethod
    def acquire(cls, directory: Path, after_attempt: int = 0) -> Ownership:
        """Become the owner, with an attempt number above ``after_attempt`` and above the last owner's.

        Raises :class:`Held` while another process is the owner.
        """
        descriptor, locked = _locked_file(directory)
        try:
            last = read_owner(directory)
            number = max(after_attempt, last.attempt if last else 0) + 1
            owner = Holder(number, socket.gethostname(), os.getpid(), now(), secrets.token_hex(8))
            atomic.write_json(directory / OWNER, asdict(owner))
        except BaseException:
            os.close(descriptor)
            raise
        return cls(directory, descriptor, owner, locked=locked)

    @property
    def attempt(self) -> int:
        """The attempt number: 1 for the first ever."""
        return self.owner.attempt

    def verify(self) -> None:
        """Raise :class:`TakenOver` unless the attempt on disk is still ours: to be called before each commit."""
        if self._descriptor is None:
            raise TakenOver(f"{self.directory} is no longer held by this process")
        current = read_owner(self.directory)
        if current != self.owner:
            by = f"was taken over by {current}" if current else "was moved, or its owner.json removed"
            raise TakenOver(f"{self.directory} {by}: nothing more is written here")

    def release(self) -> None:
        """Let others work on the trial; a second call does nothing."""
        if self._descriptor is None:
            return
        if not self._locked and read_owner(self.directory) == self.owner:
            with contextlib.suppress(TrialError):  # the next attempt then asks its user
                atomic.write_json(self.directory / OWNER, asdict(replace(self.owner, pid=0)))
        self._close()

    def _close(self) -> None:
        # Closing (unlike unlocking) a copy of the descriptor in a forked child takes nothing from the
        # parent; left open, it would keep the lock alive after the parent's death.
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


_held: weakref.WeakSet[Ownership] = weakref.WeakSet()


def _release_in_child() -> None:
    for ownership in list(_held):
        ownership._close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


def _locked_file(directory: Path) -> tuple[int, bool]:
    """A descriptor of the lock file that stands in ``directory`` now, and whether it could be locked."""
    path = directory / LOCK
    deadline = time.monotonic() + _PATIENCE
    while True:
        with atomic.explained("write", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            taken = _lock(descriptor)
            if taken is None:
                owner = read_owner(directory)
                ours = owner is not None and (owner.host, owner.pid) == (socket.gethostname(), os.getpid())
                if owner is not None and not owner.is_gone and not ours:
                    where = directory / OWNER
                    raise Held(directory, owner, hint=f"no file locks here: if that process is gone, delete {where}")
                return descriptor, False
            if taken and _same_file(descriptor, path):
                return descriptor, True
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not taken and time.monotonic() > deadline:
            raise Held(directory, read_owner(directory))
        time.sleep(0.01)


def _same_file(descriptor: int, path: Path) -> bool:
    """False where the directory was moved aside between opening and locking."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _lock(descriptor: int, *, shared: bool = False) -> bool | None:
    """Try once: True with the lock, False while another has it, None where the file system has no locks."""
    try:
        if os.name == "nt":
            _lock_windows(descriptor)
        else:
            import fcntl

            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as refusal:
        return None if refusal.errno in _NO_LOCKS else False
    return True


def _lock_windows(descriptor: int) -> None:
    import msvcrt

    windows: Any = msvcrt
    os.lseek(descriptor, _WINDOWS_OFFSET, os.SEEK_SET)
    windows.locking(descriptor, windows.LK_NBLCK, 1)
