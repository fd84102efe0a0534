"""``dlx`` in processes that start at once: forks of one that has imported everything and done nothing.

What makes them cheap is Python's fork server. It is sound as long as nothing it imports
starts a thread or a device, which every fork checks.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE, until

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
"""The server learns where to import from by its environment alone, must not start threads, and is not to take over what
JAX sets on being imported: a level at which TensorFlow complains of GPUs that are not there."""

_context: Any = None


class Dlx:
    """A command line under way, in a process group of its own.

    Standard output and error go to the file ``log``, errors to one of their own if it is given.
    Its environment is this process's with what ``environment`` adds. ``prepare`` is called in the process
    before anything else, ``at_training`` when a trial is about to take its first step.
    With ``held=N`` it stops (SIGSTOP) when it has written its Nth checkpoint, or with 0 before
    that first step: there it still is, however busy the machine, when a test comes to send it
    something, and goes on after :meth:`go_on`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        errors: Path | None = None,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        prepare: Callable[[], None] | None = None,
        at_training: Callable[[], None] | None = None,
        held: int | None = None,
    ) -> None:
        if held is not None:
            at_training = functools.partial(_hold, held)
        self.log = log
        self._written = log.stat().st_size if log.exists() else 0
        self.began = time.monotonic()
        self._training, theirs = _server().Pipe(duplex=False)
        surroundings = {**os.environ, **ALWAYS, **(environment or {})}
        files = str(log), str(errors or log)
        job = (tuple(map(str, arguments)), files, str(cwd), surroundings, prepare, at_training, theirs)
        self._process = _server().Process(target=_become_dlx, args=job)
        self._process.start()
        theirs.close()
        _begun.append(self)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return int(self._process.pid)

    @property
    def output(self) -> str:
        """What this command line has written so far."""
        return self.log.read_bytes()[self._written :].decode()

    def reaches_training(self) -> bool:
        """Wait until a trial is about to take its first step; False if it ended before."""
        try:
            return self._training.poll(PATIENCE) and bool(self._training.recv())
        except EOFError:
            return False

    def is_held(self) -> None:
        """Wait until it has stopped where it was to be ``held``."""
        until(lambda: self._process.exitcode is not None or self._state == "T", what=lambda: self.output)
        assert self._process.exitcode is None, f"ended before it was held:\n{self.output}"

    @property
    def _state(self) -> str:
        ended = subprocess.run(["ps", "-o", "state=", "-p", str(self.pid)], capture_output=True, text=True, check=False)
        return ended.stdout.strip()[:1]

    def go_on(self) -> None:
        """Let it go on; signals that it was sent meanwhile come to it first."""
        self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        """Send it a signal; none if it has ended."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def kill_group(self) -> None:
        """Kill it with all processes that it started."""
        os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, negative for a signal."""
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self.kill()
            raise TimeoutError(f"still running after {PATIENCE:g} s:\n{self.output}")
        return int(self._process.exitcode)


def kill_all() -> None:
    """End whatever is still under way, a stopped process too: it would be waited for in the end."""
    while _begun:
        _begun.pop().kill()


def run(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A command line to its end, as :func:`subprocess.run` would have it."""
    with tempfile.TemporaryDirectory() as place:
        output, errors = Path(place, "output"), Path(place, "errors")
        begun = Dlx(arguments, output, errors=errors, cwd=cwd, environment=environment)
        code = begun.wait()
        _begun.remove(begun)
        return subprocess.CompletedProcess(
            ["dlx", *arguments], code, output.read_text("utf-8"), errors.read_text("utf-8")
        )


_begun: list[Dlx] = []


def _server() -> Any:
    global _context
    if _context is None:
        from multiprocessing import forkserver

        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(["tests.preloaded"])
        before = dict(os.environ)
        os.environ |= ALWAYS
        try:
            forkserver.ensure_running()
        finally:
            os.environ.clear()
            os.environ.update(before)
    return _context


def _become_dlx(
    arguments: Sequence[str],
    files: tuple[str, str],
    cwd: str,
    environment: Mapping[str, str],
    prepare: Callable[[], None] | None,
    at_training: Callable[[], None] | None,
    announce: Connection,
) -> None:
    """The forked process; does not return."""
    from tests.preloaded import THREADS

    code = 70
    try:
        for standard, file in zip((1, 2), files, strict=True):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), standard)
        assert THREADS == 1, "a library started threads when it was imported, which the fork lacks"
        os.setpgid(0, 0)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the fork server ignores it
        _announce_training(announce, at_training)
        if prepare is not None:
            prepare()
        from dlx.cli.main import main

        code = main(list(arguments))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _hold(checkpoints: int) -> None:
    """In the process to be held: arrange for it."""
    from dlx.records.checkpoints import CheckpointStore

    save, left = CheckpointStore.save, checkpoints

    def save_and_hold(store: Any, *content: Any) -> int:
        nonlocal left
        saved = save(store, *content)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return saved

    CheckpointStore.save = save_and_hold  # type: ignore[method-assign, assignment]
    if checkpoints == 0:
        os.kill(os.getpid(), signal.SIGSTOP)


def _announce_training(announce: Connection, then: Callable[[], None] | None) -> None:
    from dlx.training.loop import Loop

    run = Loop.run

    def announced(loop: Loop) -> None:
        announce.send(True)
        if then is not None:
            then()
        run(loop)

    Loop.run = announced  # type: ignore[method-assign, assignment]
