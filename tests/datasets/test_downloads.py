"""Downloads from a real web server on this machine: cut, altered, raced, refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlx import downloads
from dlx.datasets import Places
from dlx.downloads import Remote, fetch, fetch_all
from dlx.errors import DataError
from tests.waiting import PATIENCE

CONTENT = bytes(range(256)) * 4000


def remote(server: Any, *, path: str = "set/file.bin", urls: tuple[str, ...] = ()) -> Remote:
    server.files["/file.bin"] = CONTENT
    return Remote(path, urls or (f"{server.url}/file.bin",), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)


def test_whole_and_told(server: Any, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    path = fetch(remote(server), tmp_path, lambda *step: told.append(step))
    assert path.read_bytes() == CONTENT
    assert told[-1] == ("set/file.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert left_in(tmp_path) == ["set/file.bin"]
    fetch(remote(server), tmp_path)
    assert len(server.requests) == 1  # what is there and whole is not fetched again


def test_cut_in_the_middle_is_tried_again(server: Any, tmp_path: Path) -> None:
    server.cuts = [1000, 500_000]
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_cut_every_time(server: Any, tmp_path: Path) -> None:
    server.cuts = [1000] * 10
    with pytest.raises(DataError, match=r"cut off after 1,000 of 1,024,000|IncompleteRead") as caught:
        fetch(remote(server), tmp_path)
    assert "file.bin" in str(caught.value)
    assert left_in(tmp_path) == []


def test_a_flipped_byte(server: Any, tmp_path: Path) -> None:
    wanted = remote(server)
    server.files["/file.bin"] = CONTENT[:70_000] + b"\xff" + CONTENT[70_001:]
    with pytest.raises(DataError, match="SHA-256"):
        fetch(wanted, tmp_path)
    assert left_in(tmp_path) == []
    assert len(server.requests) == 1  # the same bytes would come again


def test_more_than_promised_does_not_fill_the_disk(server: Any, tmp_path: Path) -> None:
    wanted = remote(server)
    server.files["/file.bin"] = CONTENT * 20
    with pytest.raises(DataError, match="more than the 1,024,000 bytes"):
        fetch(wanted, tmp_path)
    assert left_in(tmp_path) == []


def test_the_second_address_when_the_first_fails(server: Any, tmp_path: Path) -> None:
    wanted = remote(server, urls=(f"{server.url}/gone", f"{server.url}/file.bin"))
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert server.requests == ["/gone", "/file.bin"]


def test_no_network(tmp_path: Path) -> None:
    nobody = Remote("file.bin", ("http://127.0.0.1:9/file.bin",), "0" * 64, 10)
    with pytest.raises(DataError, match=r"cannot be downloaded: http://127\.0\.0\.1:9/file\.bin: .*refused"):
        fetch(nobody, tmp_path)
    assert left_in(tmp_path) == []


def test_a_damaged_file_is_replaced(server: Any, tmp_path: Path) -> None:
    wanted = remote(server, path="file.bin")
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1] + b"\x00")
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_what_a_killed_download_left_is_swept_and_a_living_one_is_not(server: Any, tmp_path: Path) -> None:
    dead, alive = tmp_path / ".file.bin.1-a.part", tmp_path / ".file.bin.2-b.part"
    for part in (dead, alive):
        part.write_bytes(b"half")
    os.utime(dead, (time.time() - 90_000,) * 2)
    fetch(remote(server, path="file.bin"), tmp_path)
    assert left_in(tmp_path) == [alive.name, "file.bin"]


def test_raced_by_processes(server: Any, tmp_path: Path) -> None:
    wanted = remote(server)
    code = (
        "import sys; from pathlib import Path; from dlx.downloads import Remote, fetch\n"
        f"fetch({wanted!r}, Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    racers = [subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE) for _ in range(4)]
    for racer in racers:
        _, errors = racer.communicate(timeout=PATIENCE)
        assert racer.returncode == 0, errors.decode()
    assert (tmp_path / "set" / "file.bin").read_bytes() == CONTENT
    assert left_in(tmp_path) == ["set/file.bin"]


def test_the_first_folder_that_can_be_written(server: Any, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    assert fetch_all([remote(server)], [blocked / "data", tmp_path / "cache"]) == tmp_path / "cache"
    with pytest.raises(DataError, match=r"blocked.*--data-dir"):
        fetch_all([remote(server)], [blocked / "data"])
    with pytest.raises(DataError, match=r"--data-dir"):
        fetch_all([remote(server)], [])


def test_a_set_that_is_absent_is_fetched_when_loaded(server: Any, tiny: Any, only: Callable[..., Places]) -> None:
    server.files["/tiny.npz"] = tiny.npz
    spec = tiny.spec(server.url)
    places = only(download=True)
    assert len(spec.load(places).train) == 6
    assert spec.find(places) == places.data_dir / "tiny.npz"
    spec.load(places)
    assert server.requests == ["/tiny.npz"]


def test_what_is_there_is_read_without_the_network(tiny: Any, only: Callable[..., Places]) -> None:
    places = only(download=True)
    (places.data_dir / "tiny.npz").write_bytes(tiny.npz)
    assert len(tiny.spec().load(places).train) == 6  # its address answers nobody


def test_absent_and_no_network(tiny: Any, only: Callable[..., Places]) -> None:
    with pytest.raises(DataError, match=r"tiny\.npz cannot be downloaded"):
        tiny.spec().load(only(download=True))


def test_impossible_settings_are_told_before_a_download(server: Any, tiny: Any, only: Callable[..., Places]) -> None:
    with pytest.raises(ValueError, match="leave none"):
        tiny.spec(server.url, validation=6).load(only(download=True))
    assert server.requests == []
