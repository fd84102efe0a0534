"""Real faults: processes that are killed, system calls that fail, files that may not grow."""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CALLS = ("open", "write", "fsync", "replace", "rename", "mkdir", "unlink", "rmdir", "truncate")
"""What reaches the disk; each is a boundary at which a process may die or be refused."""

KILLED = -signal.SIGKILL if hasattr(signal, "SIGKILL") else None


def in_child(action: Callable[[], object]) -> int | None:
    """Run in a forked process; its exit code: 0, 1 after an exception, negative for the signal that ended it."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads: the child calls nothing of theirs
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class NotReached(Exception):
    """The block ended before the boundary that was asked for."""


@contextlib.contextmanager
def at_boundary(number: int, fault: Callable[[], object], *, after: bool = False) -> Iterator[None]:
    """Call ``fault`` at the ``number``-th system call (from 0), before or after it takes place.

    Raises :class:`NotReached` when the block makes fewer: then all boundaries were seen.
    """
    real = {name: getattr(os, name) for name in CALLS}
    count = 0

    def wrapper(name: str) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal count
            here = count == number
            count += 1
            if here and not after:
                fault()
            try:
                return real[name](*arguments, **options)
            finally:
                if here and after:
                    fault()

        return call

    for name in CALLS:
        setattr(os, name, wrapper(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
    if count <= number:
        raise NotReached


def die() -> None:
    """kill -9, by oneself."""
    os.kill(os.getpid(), signal.SIGKILL)


def limit_files_to(length: int) -> None:
    """From now on no file of this process may grow beyond ``length`` bytes: the system refuses with EFBIG."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))


def kill_everywhere(prepare: Callable[[], None], action: Callable[[], None], check: Callable[[], None]) -> int:
    """Kill ``action`` before and after each of its system calls, each time on fresh ground; gives how many calls."""
    for number in range(1000):
        for after in (False, True):
            prepare()

            def run(number: int = number, after: bool = after) -> None:
                try:
                    with at_boundary(number, die, after=after):
                        action()
                except NotReached:
                    os._exit(42)

            code = in_child(run)
            check()
            if code == 42:
                return number
            assert code == KILLED, f"{code} at system call {number}"
    raise AssertionError("more than a thousand system calls")


def names(directory: Path) -> list[str]:
    """What stands in a directory."""
    return sorted(path.name for path in directory.iterdir())


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory, with its content."""
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()
    }
