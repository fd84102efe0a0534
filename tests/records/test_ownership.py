"""One writer: the second process is told who the first is; death releases; a lost lock is noticed."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlx.records import ownership
from dlx.records.ownership import Held, Holder, Ownership, TakenOver, holder, read_owner
from tests.records.faults import in_child

ROOT = Path(__file__).resolve().parents[2]

HOLD = """
import sys, time
from pathlib import Path
from dlx.records.ownership import Ownership
owned = Ownership.acquire(Path(sys.argv[1]))
print(owned.attempt, flush=True)
time.sleep(3600)
"""


def another_process(directory: Path) -> subprocess.Popen[str]:
    """A process that owns the directory; returns once it does."""
    command = [sys.executable, "-c", HOLD, str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stdout is not None and process.stdout.readline().strip().isdigit()
    return process


def test_the_second_process_is_told_who(tmp_path: Path) -> None:
    process = another_process(tmp_path)
    try:
        with pytest.raises(Held) as raised:
            Ownership.acquire(tmp_path)
        assert raised.value.holder is not None
        assert (raised.value.holder.pid, raised.value.holder.host) == (process.pid, socket.gethostname())
        for part in (str(tmp_path), str(process.pid), socket.gethostname(), raised.value.holder.since):
            assert part in str(raised.value)
        assert holder(tmp_path) == raised.value.holder
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert holder(tmp_path) is None, "death releases, however it comes"
    owned = Ownership.acquire(tmp_path)
    assert owned.attempt == 2
    owned.release()


def test_looking_changes_nothing(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    assert not list(tmp_path.iterdir())
    owned = Ownership.acquire(tmp_path)
    assert holder(tmp_path) == owned.owner
    owned.release()
    assert holder(tmp_path) is None


def test_attempts_count_up(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        owned = Ownership.acquire(tmp_path)
        assert owned.attempt == expected
        owned.release()
        owned.release()
    (tmp_path / "owner.json").write_bytes(b"\xff torn")
    owned = Ownership.acquire(tmp_path, after_attempt=3)
    assert owned.attempt == 4, "a torn owner.json does not turn back the count"
    owned.release()


def test_taken_over(tmp_path: Path) -> None:
    """What remains of a lock that a file server lost: the number on the disk is another's."""
    owned = Ownership.acquire(tmp_path)
    owned.verify()
    later = {"attempt": 2, "host": "node7", "pid": 99, "since": "2030-01-01T00:00:00Z", "token": "x"}
    (tmp_path / "owner.json").write_text(json.dumps(later))
    with pytest.raises(TakenOver, match=r"taken over by process 99 on node7, since 2030"):
        owned.verify()
    (tmp_path / "owner.json").unlink()
    with pytest.raises(TakenOver, match="moved"):
        owned.verify()
    owned.release()
    with pytest.raises(TakenOver, match="no longer held"):
        owned.verify()


def test_the_same_attempt_of_another_process_is_another(tmp_path: Path) -> None:
    owned = Ownership.acquire(tmp_path)
    fields = json.loads((tmp_path / "owner.json").read_text()) | {"token": "other"}
    (tmp_path / "owner.json").write_text(json.dumps(fields))
    with pytest.raises(TakenOver):
        owned.verify()
    owned.release()


def test_a_forked_child_neither_owns_nor_keeps(tmp_path: Path) -> None:
    """A worker's orphan must not hold the trial of its dead parent."""
    script = f"""
import os, sys, time
from pathlib import Path
from dlx.records.ownership import Ownership, TakenOver
owned = Ownership.acquire(Path({str(tmp_path)!r}))
if os.fork() == 0:
    try:
        owned.verify()
    except TakenOver:
        os.write(1, b"child may not write\\n")  # whole lines, or they mix
    time.sleep(3600)
    os._exit(0)
owned.verify()
os.write(1, b"parent still owns\\n")
time.sleep(3600)
"""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        assert process.stdout is not None
        said = {process.stdout.readline(), process.stdout.readline()}
        assert said == {"child may not write\n", "parent still owns\n"}
        with pytest.raises(Held):
            Ownership.acquire(tmp_path)
        process.kill()
        process.wait()
        Ownership.acquire(tmp_path).release()  # the child still sleeps
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def _try_to_own(directory: Path) -> str:
    try:
        Ownership.acquire(directory)
    except Held as held:
        return str(held)
    return "owned"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_of_multiprocessing(tmp_path: Path, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    owned = Ownership.acquire(tmp_path)
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert str(os.getpid()) in pool.apply(_try_to_own, (tmp_path,))
    owned.release()
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(_try_to_own, (tmp_path,)) == "owned"


def test_one_of_many_wins(tmp_path: Path) -> None:
    """Processes that start at the same instant."""
    context = multiprocessing.get_context("spawn" if os.name == "nt" else "fork")
    with context.Pool(6) as pool:
        answers = pool.map(_try_to_own, [tmp_path] * 6, chunksize=1)
    assert answers.count("owned") == 1
    assert all("worked on by" in answer for answer in answers if answer != "owned")


def test_somebody_who_only_looks_is_no_holder(tmp_path: Path) -> None:
    Ownership.acquire(tmp_path).release()
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    pid = os.fork()
    if pid == 0:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            holder(tmp_path)
        os._exit(0)
    for _ in range(50):
        Ownership.acquire(tmp_path).release()
    os.waitpid(pid, 0)


def test_a_directory_moved_while_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock on the file of a directory that was moved aside is worth nothing."""
    place = tmp_path / "trial"
    place.mkdir()
    real = ownership._lock
    moved = []

    def lock(descriptor: int, *, shared: bool = False) -> bool | None:
        if not moved:
            moved.append(place.rename(tmp_path / "trial.1"))
            place.mkdir()
        return real(descriptor, shared=shared)

    monkeypatch.setattr(ownership, "_lock", lock)
    owned = Ownership.acquire(place)
    owned.verify()
    assert (place / "owner.json").exists() and not (tmp_path / "trial.1" / "owner.json").exists()
    owned.release()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses ``flock``, as some network ones do."""
    fcntl = pytest.importorskip("fcntl")

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def record(directory: Path, host: str, pid: int) -> Holder:
    owner = Holder(4, host, pid, "2030-01-01T00:00:00Z", "token")
    (directory / "owner.json").write_text(json.dumps(vars(owner)))
    return owner


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_dead_of_this_host_are_succeeded(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    record(tmp_path, socket.gethostname(), pid)
    assert holder(tmp_path) is None
    owned = Ownership.acquire(tmp_path)
    assert owned.attempt == 5
    owned.release()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_others_are_believed(tmp_path: Path) -> None:
    for host, pid in (("node7", os.getpid()), (socket.gethostname(), os.getppid())):
        owner = record(tmp_path, host, pid)
        with pytest.raises(Held, match=r"node7|no file locks here.*delete .*owner\.json") as raised:
            Ownership.acquire(tmp_path)
        assert raised.value.holder == owner


@pytest.mark.usefixtures("no_locks")
def test_without_locks_releasing_is_put_on_record(tmp_path: Path) -> None:
    owned = Ownership.acquire(tmp_path)

    def other() -> None:
        with pytest.raises(Held):
            Ownership.acquire(tmp_path)

    assert in_child(other) == 0
    owned.release()
    assert read_owner(tmp_path) is not None and read_owner(tmp_path).is_gone  # type: ignore[union-attr]
    assert in_child(lambda: Ownership.acquire(tmp_path)) == 0
