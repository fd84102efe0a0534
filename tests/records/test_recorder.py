"""Tables survive: whatever happens while rows are appended, the finished table is the undisturbed one."""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.errors import TrialError
from dlx.records.reader import read_table
from dlx.records.recorder import Recorder
from dlx.records.tables import TIMING, Table
from tests.records.faults import KILLED, die, in_child, kill_everywhere, limit_files_to

TABLE = Table("metrics", ("stage", "epoch", "name", "loss"))
NAMES = ["dense_1", 'a "quoted", name', "two\nlines"]


def row(number: int) -> dict[str, object]:
    return {"stage": "train", "epoch": number, "name": NAMES[number % 3], "loss": 1 / (number + 1)}


def whole(rows: int) -> bytes:
    return TABLE.header + b"".join(TABLE.row(row(number)) for number in range(rows))


def refuse(sentence: str) -> None:
    pytest.fail(f"nothing should be reported here: {sentence}")


def start(directory: Path, rows: int, checkpoint_at: int) -> dict[str, dict[str, object]]:
    """Record that many rows, checkpointing in between, and leave as a killed process does."""
    recorder = Recorder(directory, [TABLE], report=refuse)
    recorder.append(TABLE, map(row, range(checkpoint_at)))
    positions = recorder.positions()
    recorder.append(TABLE, map(row, range(checkpoint_at, rows)))
    recorder.close()
    return positions


class Begun:
    """A table that was left behind, each time in a directory of its own."""

    def __init__(self, place: Path, rows: int, checkpoint_at: int) -> None:
        self.directory = place
        self._fresh = (place / str(number) for number in itertools.count())
        self._rows, self._checkpoint_at = rows, checkpoint_at

    def again(self) -> None:
        self.directory = next(self._fresh)
        self.directory.mkdir()
        self.positions = start(self.directory, self._rows, self._checkpoint_at)


def go_on(directory: Path, positions: dict[str, dict[str, object]] | None, first: int, rows: int) -> None:
    recorder = Recorder(directory, [TABLE], positions, report=refuse)
    for number in range(first, rows):
        recorder.append(TABLE, [row(number)])
    recorder.finish()


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_rows_are_with_the_system_at_once(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, [TABLE])
    assert (tmp_path / "metrics.csv").read_bytes() == TABLE.header
    recorder.append(TABLE, [row(0), row(1)])
    assert (tmp_path / "metrics.csv").read_bytes() == whole(2)
    assert in_child(lambda: (recorder.append(TABLE, [row(2)]), die())) == KILLED
    assert (tmp_path / "metrics.csv").read_bytes() == whole(3)


def test_one_write_per_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path, [TABLE])
    written: list[bytes] = []
    real = os.write
    monkeypatch.setattr(
        os, "write", lambda descriptor, content: (written.append(content), real(descriptor, content))[1]
    )
    recorder.append(TABLE, map(row, range(50)))
    assert written == [whole(50)[len(TABLE.header) :]]


def test_positions(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, [TABLE, TIMING])
    recorder.append(TABLE, map(row, range(4)))
    positions = recorder.positions()
    content = (tmp_path / "metrics.csv").read_bytes()
    assert positions["metrics"] == {
        "bytes": len(content),
        "rows": 4,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    assert positions["timing"]["rows"] == 0


@pytest.mark.parametrize("checkpoint_at", [0, 3, 4])
def test_cut_at_every_byte_of_the_last_two_rows(tmp_path: Path, checkpoint_at: int) -> None:
    for cut in range(len(whole(4)), len(whole(6)) + 1):
        directory = tmp_path / str(cut)
        directory.mkdir()
        positions = start(directory, 6, checkpoint_at)
        os.truncate(directory / "metrics.csv", cut)
        go_on(directory, positions, checkpoint_at, 8)
        assert (directory / "metrics.csv").read_bytes() == whole(8)
        assert files(directory) == ["metrics.csv"]


def test_cut_at_every_byte_without_a_checkpoint(tmp_path: Path) -> None:
    """Even in the middle of the header."""
    for cut in range(len(whole(2)) + 1):
        directory = tmp_path / str(cut)
        directory.mkdir()
        start(directory, 2, 0)
        os.truncate(directory / "metrics.csv", cut)
        go_on(directory, None, 0, 3)
        assert (directory / "metrics.csv").read_bytes() == whole(3)
        assert files(directory) == ["metrics.csv"]


def test_killed_in_the_middle_of_a_write(tmp_path: Path) -> None:
    """The system may have taken any part of a batch."""
    for taken in range(len(whole(4)) - len(whole(2)) + 1):
        directory = tmp_path / str(taken)
        directory.mkdir()
        positions = start(directory, 2, 1)
        real = os.write

        def torn(descriptor: int, content: bytes, taken: int = taken, real: Callable[..., int] = real) -> int:
            real(descriptor, content[:taken])
            die()
            return 0

        def append(directory: Path = directory) -> None:
            recorder = Recorder(directory, [TABLE])
            recorder.append(TABLE, [row(0), row(1)])
            os.write = torn
            recorder.append(TABLE, [row(2), row(3)])

        assert in_child(append) == KILLED
        go_on(directory, positions, 1, 4)
        assert (directory / "metrics.csv").read_bytes() == whole(4)


def test_rows_past_the_checkpoint_are_kept_until_derived_again(tmp_path: Path) -> None:
    positions = start(tmp_path, 6, 2)
    recorder = Recorder(tmp_path, [TABLE], positions, report=refuse)
    assert (tmp_path / "metrics.csv").read_bytes() == whole(2)
    tail = tmp_path / "metrics.csv.tail"
    assert tail.read_bytes().partition(b"\n")[2] == whole(6)[len(whole(2)) :]
    recorder.append(TABLE, map(row, range(2, 5)))
    assert tail.exists()
    recorder.append(TABLE, map(row, range(5, 7)))
    assert not tail.exists()
    recorder.finish()


@pytest.mark.parametrize("derived", [3, 5, 8])
def test_interrupted_again_before_all_was_derived(tmp_path: Path, derived: int) -> None:
    positions = start(tmp_path, 6, 2)
    recorder = Recorder(tmp_path, [TABLE], positions, report=refuse)
    recorder.append(TABLE, map(row, range(2, derived)))
    recorder.close()
    recorder = Recorder(tmp_path, [TABLE], positions, report=refuse)
    recorder.close()
    kept = (tmp_path / "metrics.csv.tail").read_bytes().partition(b"\n")[2]
    assert kept == whole(max(6, derived))[len(whole(2)) :]
    go_on(tmp_path, positions, 2, 9)
    assert (tmp_path / "metrics.csv").read_bytes() == whole(9)
    assert files(tmp_path) == ["metrics.csv"]


def test_back_to_an_older_checkpoint(tmp_path: Path) -> None:
    """As where the newest checkpoint is damaged: rows before it are derived again as well."""
    older = start(tmp_path, 2, 2)
    recorder = Recorder(tmp_path, [TABLE], older, report=refuse)
    recorder.append(TABLE, map(row, range(2, 4)))
    newer = recorder.positions()
    recorder.append(TABLE, map(row, range(4, 6)))
    recorder.close()
    Recorder(tmp_path, [TABLE], newer, report=refuse).close()
    go_on(tmp_path, older, 2, 7)
    assert (tmp_path / "metrics.csv").read_bytes() == whole(7)
    assert files(tmp_path) == ["metrics.csv"]


def test_a_difference_is_reported_and_the_former_rows_stay(tmp_path: Path) -> None:
    positions = start(tmp_path, 6, 2)
    told: list[str] = []
    recorder = Recorder(tmp_path, [TABLE], positions, told.append)
    recorder.append(TABLE, [row(2), {**row(3), "loss": 99.0}, {**row(4), "loss": 99.0}])
    recorder.finish()
    assert len(told) == 1
    assert "metrics.csv, row 4" in told[0] and "99.0" in told[0] and "0.25" in told[0]
    assert (tmp_path / "metrics.csv.tail.1").read_bytes().endswith(whole(6)[len(whole(2)) :])
    assert files(tmp_path) == ["metrics.csv", "metrics.csv.tail.1"]


def test_a_difference_is_reported_though_killed_at_any_moment(tmp_path: Path) -> None:
    begun = Begun(tmp_path, 4, 2)

    def report(sentence: str) -> None:
        with (begun.directory / "told").open("a") as file:
            file.write(sentence + "\n")

    def action() -> None:
        recorder = Recorder(begun.directory, [TABLE], begun.positions, report)
        recorder.append(TABLE, [row(2), {**row(3), "loss": 99.0}])

    def check() -> None:
        action()
        assert "row 4" in (begun.directory / "told").read_text()
        assert (begun.directory / "metrics.csv.tail.1").exists()

    assert kill_everywhere(begun.again, action, check) > 5


def test_rows_that_do_not_come_again_are_reported(tmp_path: Path) -> None:
    positions = start(tmp_path, 6, 2)
    told: list[str] = []
    recorder = Recorder(tmp_path, [TABLE], positions, told.append)
    recorder.append(TABLE, [row(2)])
    recorder.finish()
    assert len(told) == 1 and "3 rows" in told[0]
    assert (tmp_path / "metrics.csv.tail.1").exists()


def test_timing_is_measured_again_without_comparison(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, [TIMING])
    positions = recorder.positions()
    recorder.append(TIMING, [{"epoch": 1, "seconds": 3.5}, {"epoch": 2, "seconds": 3.5}])
    recorder.close()
    recorder = Recorder(tmp_path, [TIMING], positions, refuse)
    recorder.append(TIMING, [{"epoch": 1, "seconds": 4.5}])
    recorder.finish()
    assert files(tmp_path) == ["timing.csv"]
    assert read_table(tmp_path / "timing.csv").floats("seconds") == [4.5]


def damaged(directory: Path, content: bytes) -> None:
    (directory / "metrics.csv").write_bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (whole(2)[:-1], "rows were lost"),
        (whole(3).replace(b"train,1", b"train,7"), "was changed"),
        (b"epoch,loss\n" + b"1,0.5\n" * 20, "other columns"),
        (None, "is gone"),
    ],
)
def test_a_table_that_is_not_what_the_checkpoint_recorded(tmp_path: Path, content: bytes | None, message: str) -> None:
    positions = start(tmp_path, 4, 2)
    path = tmp_path / "metrics.csv"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(TrialError, match=message) as raised:
        Recorder(tmp_path, [TABLE], positions)
    assert str(path) in str(raised.value) and "--restart" in str(raised.value)
    assert content is None or path.read_bytes() == content, "what is there must not be touched"
    assert files(tmp_path) in ([], ["metrics.csv"])


def test_a_table_that_the_checkpoint_does_not_know(tmp_path: Path) -> None:
    positions = start(tmp_path, 2, 2)
    with pytest.raises(TrialError, match=r"knows no .*timing\.csv"):
        Recorder(tmp_path, [TABLE, TIMING], positions)


def test_a_damaged_tail_is_kept_and_reported(tmp_path: Path) -> None:
    positions = start(tmp_path, 4, 2)
    (tmp_path / "metrics.csv.tail").write_bytes(b"\x00\xffgarbage")
    told: list[str] = []
    Recorder(tmp_path, [TABLE], positions, told.append).close()
    assert len(told) == 1 and "damaged" in told[0]
    assert (tmp_path / "metrics.csv.tail.1").read_bytes() == b"\x00\xffgarbage"


def test_a_stale_writer_is_cut_off(tmp_path: Path) -> None:
    """One that believes it still owns the trial, after a lost lease, writes where nobody reads."""
    if os.name == "nt":
        pytest.skip("Windows refuses to replace an open file instead")
    stale = Recorder(tmp_path, [TABLE])
    stale.append(TABLE, [row(0)])
    positions = stale.positions()
    owner = Recorder(tmp_path, [TABLE], positions, refuse)
    stale.append(TABLE, [row(7)])
    owner.append(TABLE, [row(1)])
    assert (tmp_path / "metrics.csv").read_bytes() == whole(2)


def test_disk_full_at_every_byte(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for the full disk: the system takes a part of the write, then refuses."""
    pytest.importorskip("resource")
    for limit in range(len(whole(2)), len(whole(4))):
        directory = tmp_path / str(limit)
        directory.mkdir()

        def append(directory: Path = directory, limit: int = limit) -> None:
            recorder = Recorder(directory, [TABLE])
            recorder.append(TABLE, [row(0)])
            recorder.positions()
            recorder.append(TABLE, [row(1)])
            limit_files_to(limit)
            with pytest.raises(TrialError, match=r"cannot append to .*metrics\.csv: File too large.*ulimit"):
                recorder.append(TABLE, [row(2), row(3)])

        assert in_child(append) == 0
        assert (directory / "metrics.csv").read_bytes() == whole(2), "ends with a whole row"


def test_disk_full_for_the_tail_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    positions = start(tmp_path, 40, 2)

    def resume() -> None:
        limit_files_to(100)
        with pytest.raises(TrialError, match="File too large"):
            Recorder(tmp_path, [TABLE], positions)

    assert in_child(resume) == 0
    assert (tmp_path / "metrics.csv").read_bytes() == whole(40)
    go_on(tmp_path, positions, 2, 41)
    assert (tmp_path / "metrics.csv").read_bytes() == whole(41)


def test_killed_at_every_moment_of_a_resumption(tmp_path: Path) -> None:
    begun = Begun(tmp_path, 6, 2)

    def check() -> None:
        directory = begun.directory
        content = (directory / "metrics.csv").read_bytes()
        tail = directory / "metrics.csv.tail"
        kept = tail.read_bytes().partition(b"\n")[2] if tail.exists() else b""
        rest = whole(6)[len(whole(2)) :]
        assert content.startswith(whole(6)) or rest in kept, "every row once written is somewhere"
        recorder = Recorder(directory, [TABLE], begun.positions, refuse)
        recorder.append(TABLE, map(row, range(2, 8)))
        recorder.finish()
        assert (directory / "metrics.csv").read_bytes() == whole(8)

    assert kill_everywhere(begun.again, lambda: go_on(begun.directory, begun.positions, 2, 8), check) > 10


steps = st.lists(
    st.tuples(
        st.integers(0, 4),  # rows appended
        st.booleans(),  # then a checkpoint
        st.integers(0, 4),  # rows appended
        st.integers(0, 60),  # bytes lost of them, as by a write that the kill cut short
        st.booleans(),  # whether the newest checkpoint is lost and an older one used
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=150)
@given(steps)
def test_any_history_ends_the_same(history: list[tuple[int, bool, int, int, bool]]) -> None:
    """However often it is interrupted, and wherever it continues from, the finished table is the undisturbed one."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        saved: list[dict[str, dict[str, object]] | None] = [None]
        most = 0
        for before, checkpoint, after, lost, older in history:
            if older and len(saved) > 1:
                saved.pop()
            recorder = Recorder(directory, [TABLE], saved[-1], refuse)
            done = saved[-1]["metrics"]["rows"] if saved[-1] else 0
            assert isinstance(done, int)
            recorder.append(TABLE, map(row, range(done, done + before)))
            if checkpoint:
                saved.append(recorder.positions())
            safe = len(whole(done + before))
            recorder.append(TABLE, map(row, range(done + before, done + before + after)))
            recorder.close()
            path = directory / "metrics.csv"
            os.truncate(path, max(safe, path.stat().st_size - lost))
            most = max(most, done + before + after)
        first = saved[-1]["metrics"]["rows"] if saved[-1] else 0
        assert isinstance(first, int)
        go_on(directory, saved[-1], first, most + 1)
        assert (directory / "metrics.csv").read_bytes() == whole(most + 1)
        assert files(directory) == ["metrics.csv"]
