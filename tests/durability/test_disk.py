"""A disk that is full or may not be written: the trial waits as it is, and goes on once there is room."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.conftest import Ground
from tests.durability.proof import differences
from tests.records.faults import limit_files_to

CHECKPOINT = 15_000
"""Bytes: less than a checkpoint of the spec has, more than each of its tables."""


@pytest.mark.slow
def test_no_room_for_a_checkpoint(ground: Ground, same: Callable[..., None]) -> None:
    code, output = ground.run(prepare=functools.partial(limit_files_to, CHECKPOINT))
    assert code == 1
    status = ground.status()
    assert status["state"] == "interrupted"
    assert "checkpoints" in status["reason"]
    assert "run the same command again" in status["reason"]
    assert status["reason"] in output
    assert "Traceback" not in output
    assert ground.run()[0] == 0
    same(ground)


@pytest.mark.slow
def test_no_room_for_a_row(tmp_path: Path) -> None:
    more_rows = (
        "--set",
        "probes.activations.every=1 steps",
        "--set",
        "training.checkpoint.every=100 epochs",  # never, and not by the clock either
        "--set",
        "training.epochs=3",
    )
    expected, ground = Ground(tmp_path / "expected"), Ground(tmp_path / "found")
    for each in (expected, ground):
        each.path.mkdir()
    assert expected.run(*more_rows)[0] == 0
    code, output = ground.run(*more_rows, prepare=functools.partial(limit_files_to, CHECKPOINT))
    assert code == 1
    assert ground.status()["state"] == "interrupted"
    assert "cannot append to" in ground.status()["reason"]
    assert "activations.csv" in output
    assert (ground.trial / "activations.csv").read_bytes().endswith(b"\n"), "no torn row"
    assert ground.run(*more_rows)[0] == 0
    assert differences(expected.results, ground.results) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    with contextlib.suppress(OSError):
        if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
            try:
                yield place
            finally:
                subprocess.run(["umount", str(place)], check=True)
            return
    pytest.skip("needs the right to mount a tmpfs")


def test_no_room_for_anything_not_even_the_status(small_disk: Path, tmp_path: Path, same: Callable[..., None]) -> None:
    ground = Ground(small_disk, log=tmp_path / "log.txt")
    run = ground.dlx(held=2)
    run.is_held()
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError) as full:
        while True:
            filler.write(bytes(512))
    assert full.value.errno == errno.ENOSPC
    run.go_on()
    assert run.wait() == 1
    (small_disk / "filler").unlink()
    from dlx.records.trial_directory import TrialDirectory

    assert TrialDirectory(ground.trial).status().state == "interrupted"
    assert ground.run()[0] == 0
    same(ground)


def test_no_room_from_the_beginning(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "filler").write_bytes(bytes((2 << 20) - (40 << 10)))
    code, output = Ground(small_disk, log=tmp_path / "log.txt").run()
    assert code == 1
    assert "No space left on device (the disk is full: make room" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_results_that_are_no_directory(place: str, ground: Ground) -> None:
    ground.path.joinpath("results").write_text("a file stands here")
    ground = Ground(ground.path)
    code, output = ground.run("--results", str(ground.results / "below")) if place == "below a file" else ground.run()
    assert code == 2
    assert "is not a directory" in output
    assert "Traceback" not in output


def test_results_that_may_not_be_written(ground: Ground) -> None:
    ground.results.mkdir(mode=0o555)
    code, output = ground.run(prepare=obey_permissions)
    assert code == 2
    assert "Permission denied (check the permissions, or choose another results directory)" in output
    assert list(ground.results.iterdir()) == []


@pytest.mark.slow
def test_results_that_may_no_longer_be_written(interrupted: Ground, same: Callable[..., None]) -> None:
    interrupted.trial.chmod(0o555)
    code, output = interrupted.run(prepare=obey_permissions)
    assert code == 1
    assert "Permission denied" in output
    interrupted.trial.chmod(0o755)
    assert interrupted.run()[0] == 0
    same(interrupted)


def obey_permissions() -> None:
    """From now on this process may do what modes allow, also where it is root's."""
    if os.geteuid() == 0:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # capset(2), version 3, this process
        nothing = (ctypes.c_uint32 * 6)()
        assert ctypes.CDLL(None).capset(header, nothing) == 0
