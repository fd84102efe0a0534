"""Whole or not at all: files and directories, under kills and refusals at every system call."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

from dlx.errors import ResultsError, TrialError
from dlx.records import atomic
from tests.records.faults import NotReached, at_boundary, in_child, kill_everywhere, limit_files_to, names, tree


def test_killed_at_every_moment(tmp_path: Path) -> None:
    path = tmp_path / "status.json"

    def check() -> None:
        assert path.read_bytes() in (b"before", b"after" * 1000)
        atomic.sweep(tmp_path)
        assert list(tmp_path.iterdir()) == [path], "what the dead left is removed"

    calls = kill_everywhere(
        lambda: path.write_bytes(b"before") and None,
        lambda: atomic.write_bytes(path, b"after" * 1000),
        check,
    )
    assert calls >= 4  # fsync, replace, open and fsync of the directory


def test_refused_at_every_moment(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    for number in range(100):
        path.write_bytes(b"before")

        def refuse() -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        try:
            with at_boundary(number, refuse), pytest.raises(TrialError, match=r"status\.json: No space.*make room"):
                atomic.write_bytes(path, b"after")
        except NotReached:
            pass
        except BaseException as failure:
            if "DID NOT RAISE" not in str(failure):
                raise
            break
        assert path.read_bytes() in (b"before", b"after")
        assert list(tmp_path.iterdir()) == [path]
    assert number >= 4


def test_a_real_limit(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    path = tmp_path / "trials.csv"
    path.write_bytes(b"before")

    def write() -> None:
        limit_files_to(1000)
        with pytest.raises(TrialError, match=r"cannot write .*trials\.csv: File too large"):
            atomic.write_bytes(path, bytes(2000))

    assert in_child(write) == 0
    assert tree(tmp_path) == {"trials.csv": b"before"}


def test_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    path = small_disk / "status.json"
    path.write_bytes(b"before")
    with pytest.raises(TrialError, match=r"status\.json: No space left on device.*make room"):
        atomic.write_bytes(path, bytes(1 << 20))
    assert tree(small_disk) == {"status.json": b"before"}


def test_the_error_is_the_callers(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match="Not a directory"):
        atomic.write_text(tmp_path / "file" / "x", "", error=ResultsError)


def test_a_check_may_prevent(tmp_path: Path) -> None:
    def check() -> None:
        raise TrialError("not yours")

    with pytest.raises(TrialError, match="not yours"):
        atomic.write_json(tmp_path / "a.json", {}, check=check)
    with pytest.raises(TrialError, match="not yours"), atomic.committing(tmp_path / "d", check=check) as place:
        atomic.write_durably(place / "x", b"")
    assert not list(tmp_path.iterdir())


def test_json_is_standard(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "a.json", {"loss": float("nan")})
    atomic.write_json(tmp_path / "a.json", {"é": [1, None]})
    assert (tmp_path / "a.json").read_text("utf-8") == '{\n  "é": [\n    1,\n    null\n  ]\n}\n'


def test_sweeping_spares_the_living(tmp_path: Path) -> None:
    ours = atomic.temporary_name(tmp_path / "a.csv")
    elsewhere = tmp_path / f".dlx-tmp.1-0@other{socket.gethostname()}.a.csv"
    dead = in_child(lambda: atomic.temporary_name(tmp_path / "a.csv").touch())
    assert dead == 0
    for path in (ours, elsewhere, tmp_path / "a.csv"):
        path.touch()
    assert len(list(tmp_path.iterdir())) == 4
    atomic.sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([ours, elsewhere, tmp_path / "a.csv"])
    atomic.sweep(tmp_path, every_process=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.csv"]


def test_set_aside_takes_the_first_free_number(tmp_path: Path) -> None:
    for _ in range(3):
        (tmp_path / "x").touch()
        atomic.set_aside(tmp_path / "x")
    (tmp_path / "x").touch()
    assert atomic.set_aside(tmp_path / "x", ".damaged").name == "x.damaged"
    (tmp_path / "x").touch()
    assert atomic.set_aside(tmp_path / "x", ".damaged").name == "x.damaged.1"
    assert names(tmp_path) == ["x.1", "x.2", "x.3", "x.damaged", "x.damaged.1"]
