"""A disk that is full or may not be written: the trial waits as it is, and goes on once there is room."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.conftest import Ground, needs_root, until
from tests.durability.proof import differences
from tests.records.faults import limit_files_to

CHECKPOINT = 15_000
"""Bytes: less than a checkpoint of the spec has, more than each of its tables."""


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


def test_no_room_for_a_row(tmp_path: Path) -> None:
    more_rows = ("--set", "probes.activations.every=1 steps", "--set", "training.checkpoint=null")
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
    ground = Ground(small_disk)
    run = ground.dlx()
    until(lambda: ground.has_checkpoints(2))
    run.send(signal.SIGSTOP)
    with (small_disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError) as full:
        while True:
            filler.write(bytes(512))
    assert full.value.errno == errno.ENOSPC
    run.send(signal.SIGCONT)
    assert run.wait() == 1
    (small_disk / "filler").unlink()
    from dlx.records.trial_directory import TrialDirectory

    assert TrialDirectory(ground.trial).status().state == "interrupted"
    assert ground.run()[0] == 0
    same(ground)


def test_no_room_says_so(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes((2 << 20) - (40 << 10)))
    code, output = Ground(small_disk).run()
    assert code in (1, 2)
    assert "the disk is full: make room" in output or "No space left" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("place", ["a file", "below a file"])
def test_results_that_are_no_directory(place: str, ground: Ground) -> None:
    ground.path.joinpath("results").write_text("a file stands here")
    ground = Ground(ground.path)
    code, output = ground.run("--results", str(ground.results / "below")) if place == "below a file" else ground.run()
    assert code == 2
    assert "is not a directory" in output
    assert "Traceback" not in output


@needs_root
def test_results_that_may_not_be_written(ground: Ground) -> None:
    """Root may write everywhere, so this is somebody else's process."""
    ground.results.mkdir(mode=0o755)
    ground.path.chmod(0o755)
    code, output = ground.run(prepare=_become_nobody)
    assert code == 2
    assert "Permission denied" in output
    assert "choose another results directory" in output
    assert list(ground.results.iterdir()) == []


def _become_nobody() -> None:
    os.setgid(65534)
    os.setuid(65534)
