"""The life of a trial's directory: fresh, killed, resumed, taken over, done, moved aside."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from dlx.errors import DlxError, ResultsError, TrialError
from dlx.records import environment
from dlx.records.checkpoints import Checkpoint
from dlx.records.ownership import Held, TakenOver
from dlx.records.status import Listing
from dlx.records.tables import GRADIENTS, METRICS, TIMING
from dlx.records.trial_directory import Attempt, TrialDirectory
from tests.records.faults import KILLED, die, in_child, limit_files_to, names, tree

LISTING = Listing("0123456789ab", seed=0, repeat=0, parameters={"model.depth": 2})
TABLES = [METRICS, GRADIENTS, TIMING]
EPOCHS = 6


@pytest.fixture
def directory(tmp_path: Path) -> TrialDirectory:
    made = TrialDirectory(tmp_path / "trials" / LISTING.trial)
    assert made.create("model: mlp\n", LISTING)
    return made


def train(directory: TrialDirectory, *, die_in: int | None = None) -> None:
    """As a trial does: from the last checkpoint to the end, a row and a checkpoint per epoch."""
    with directory.claim() as attempt:
        checkpoint = attempt.checkpoints.load_latest(attempt.note)
        recorder = attempt.record(TABLES, checkpoint)
        weights = checkpoint.arrays["w"] if checkpoint else np.zeros(3, "float32")
        for epoch in range(Attempt.state_of(checkpoint)["epoch"] if checkpoint else 0, EPOCHS):
            weights = weights + np.float32(0.1)
            recorder.append(METRICS, [{"stage": "train", "epoch": epoch, "step": epoch, "train_loss": weights[0]}])
            recorder.append(GRADIENTS, gradients(epoch, float(weights[0])))
            recorder.append(TIMING, [{"stage": "train", "epoch": epoch, "seconds": 1.0}])
            if epoch == die_in:
                die()
            if epoch % 2:
                attempt.save_checkpoint({"w": weights}, {"epoch": epoch + 1})
        attempt.write_weights({"w": weights})
        attempt.end("done", summary={"parameters": 3, "multiply_adds": 3, "engine": "tensorflow"})
        attempt.checkpoints.clear()


def gradients(epoch: int, norm: float) -> list[dict[str, object]]:
    return [
        {"stage": "train", "epoch": epoch, "step": epoch, "layer": layer, "name": f"dense_{layer}"}
        | {"parameter": parameter, "source": source, "grad_norm": norm * layer + (source == "train")}
        for layer in (1, 2)
        for parameter in ("kernel", "bias", "all")
        for source in ("probe", "train")
    ]


def tables(directory: TrialDirectory) -> dict[str, bytes]:
    return {name: content for name, content in tree(directory.path).items() if name.endswith((".csv", ".npz", ".tail"))}


def test_fresh(directory: TrialDirectory) -> None:
    assert directory.status().state == "pending"
    assert directory.missing_tables(TABLES) == TABLES
    train(directory)
    status = directory.status()
    assert status.state == "done" and status.reason is None and status.listing == LISTING
    assert [attempt.exit for attempt in status.attempts] == ["done"]
    assert directory.missing_tables(TABLES) == []
    summary = status.summary
    assert summary["parameters"] == 3 and summary["epochs"] == EPOCHS - 1
    assert summary["train_loss"] == pytest.approx(0.6)
    assert summary["grad_bias_first_1"] == pytest.approx(0.1)
    assert summary["grad_kernel_last_2"] == pytest.approx(1.2)
    assert not any(name.startswith(("grad_all", "grad_bias_first_3")) for name in summary)
    assert sorted(path.name for path in directory.path.iterdir()) == [
        "gradients.csv",
        "lock",
        "metrics.csv",
        "owner.json",
        "status.json",
        "timing.csv",
        "trial.yaml",
        "weights.npz",
    ]


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_killed_and_resumed(directory: TrialDirectory, tmp_path: Path, epoch: int) -> None:
    undisturbed = TrialDirectory(tmp_path / "undisturbed" / LISTING.trial)
    undisturbed.create("model: mlp\n", LISTING)
    train(undisturbed)
    assert in_child(lambda: train(directory, die_in=epoch)) == KILLED
    status = directory.status()
    assert status.state == "interrupted" and status.reason
    train(directory)
    assert tables(directory) == tables(undisturbed)
    assert directory.status().summary == undisturbed.status().summary
    assert [attempt.exit for attempt in directory.status().attempts] == ["its process ended without a word", "done"]


def test_running_while_held(directory: TrialDirectory) -> None:
    with directory.claim() as attempt:
        assert directory.status().state == "running"
        holder = directory.holder()
        assert holder is not None and holder.pid == os.getpid()
        with pytest.raises(Held, match=str(os.getpid())):
            directory.claim()
        with pytest.raises(Held):
            directory.move_aside()
        with pytest.raises(Held):
            directory.discard()
        assert attempt.number == 1
    assert directory.status().state == "interrupted"


def test_a_failure_releases(directory: TrialDirectory) -> None:
    with pytest.raises(ZeroDivisionError), directory.claim():
        raise ZeroDivisionError
    with directory.claim() as attempt:
        assert attempt.number == 2


def test_failed_with_its_log(directory: TrialDirectory) -> None:
    with directory.claim() as attempt:
        attempt.log("Traceback\n  line")
        attempt.end("failed", "out of memory")
    status = directory.status()
    assert (status.state, status.reason, status.log) == ("failed", "out of memory", "log.txt")
    assert [line.split(" ", 1)[1] for line in directory.log.read_text().splitlines()] == ["Traceback", "  line"]


def test_notes_are_told_logged_and_recorded(directory: TrialDirectory) -> None:
    told: list[str] = []
    with directory.claim() as attempt:
        attempt.notify = told.append
        attempt.note("something odd")
        attempt.end("interrupted", "SIGTERM", exit="SIGTERM")
    assert told == ["something odd"]
    assert "something odd" in directory.log.read_text()
    assert directory.status().notes == ("something odd",)
    assert directory.status().attempts[-1].exit == "SIGTERM"


def test_a_torn_status(directory: TrialDirectory) -> None:
    assert in_child(lambda: train(directory, die_in=4)) == KILLED
    directory.status_file.write_bytes(directory.status_file.read_bytes()[:50])
    assert directory.status().state == "interrupted"
    train(directory)
    status = directory.status()
    assert status.state == "done"
    assert [attempt.number for attempt in status.attempts] == [2], (
        "the first is forgotten, its number is not given twice"
    )
    assert "status.json is damaged" in status.notes[0]


def test_the_clock_jumps_back(directory: TrialDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_child(lambda: train(directory, die_in=4)) == KILLED
    for module in ("ownership", "trial_directory"):
        monkeypatch.setattr(f"dlx.records.{module}.now", lambda: "1970-01-01T00:00:00Z")
    for path in [directory.status_file, *directory.checkpoints.iterdir()]:
        os.utime(path, (2e9, 2e9))
    train(directory)
    status = directory.status()
    assert status.state == "done" and [attempt.number for attempt in status.attempts] == [1, 2]
    assert status.attempts[0].started > status.attempts[1].started


def test_taken_over_writes_nothing_more(directory: TrialDirectory) -> None:
    with directory.claim() as attempt:
        attempt.record(TABLES)
        attempt.save_checkpoint({}, None)
        owner = directory.path / "owner.json"
        owner.write_text(owner.read_text().replace('"attempt": 1', '"attempt": 2'))
        before = tree(directory.path)
        for commit in (
            lambda: attempt.save_checkpoint({}, None),
            lambda: attempt.write_weights({}),
            lambda: attempt.write_environment({}),
            lambda: attempt.end("done"),
        ):
            with pytest.raises(TakenOver):
                commit()
        assert tree(directory.path) == before


def test_rows_that_differ_are_in_the_status(directory: TrialDirectory) -> None:
    with directory.claim() as attempt:
        attempt.record(TABLES).append(METRICS, [{"epoch": 0, "train_loss": 1.0}])
    with directory.claim() as attempt:
        attempt.record(TABLES).append(METRICS, [{"epoch": 0, "train_loss": 2.0}])
        attempt.end("done")
    assert "row 1" in directory.status().notes[0]


def test_a_begun_trial_keeps_its_spec(directory: TrialDirectory) -> None:
    assert directory.create("model: cnn\n", LISTING), "one that has not begun takes the new one"
    assert directory.spec.read_text() == "model: cnn\n"
    with directory.claim() as attempt:
        attempt.end("interrupted", "SIGTERM")
    assert not directory.create("model: mlp\n", LISTING)
    assert directory.spec.read_text() == "model: cnn\n"
    assert directory.status().state == "interrupted"


def test_a_pending_trial_whose_files_a_power_cut_emptied(directory: TrialDirectory) -> None:
    directory.spec.write_bytes(b"")
    directory.status_file.write_bytes(b"")
    assert directory.status().state == "pending"
    assert directory.create("model: mlp\n", LISTING)
    assert directory.spec.read_text() == "model: mlp\n"
    assert directory.status().listing == LISTING


def test_fingerprint(directory: TrialDirectory) -> None:
    today = environment.gather(spec="model: mlp\n", engine="tensorflow", device={"kind": "cpu"}, threads=2)
    assert directory.differences(today) == []
    with directory.claim() as attempt:
        attempt.write_environment(today)
    assert directory.differences(today) == []
    assert directory.differences({**today, "threads": 3}) == ["the number of threads was 2, now 3"]


def test_moved_aside_and_discarded(directory: TrialDirectory) -> None:
    train(directory)
    before = tables(directory)
    assert directory.move_aside().name == f"{LISTING.trial}.1"
    assert not directory.path.exists()
    directory.create("model: mlp\n", LISTING)
    train(directory)
    assert directory.move_aside().name == f"{LISTING.trial}.2"
    assert tables(TrialDirectory(directory.path.with_name(f"{LISTING.trial}.1"))) == before
    directory.create("model: mlp\n", LISTING)
    directory.discard()
    directory.discard()
    assert names(directory.path.parent) == [f"{LISTING.trial}.1", f"{LISTING.trial}.2"]


def test_disk_full_when_the_status_is_written(directory: TrialDirectory) -> None:
    pytest.importorskip("resource")

    def run() -> None:
        with directory.claim() as attempt:
            attempt.record(TABLES).append(METRICS, [{"epoch": 0}])
            attempt.save_checkpoint({"w": np.zeros(3)}, {"epoch": 1})
            limit_files_to(16)
            with pytest.raises(TrialError, match=r"cannot write .*status\.json: File too large"):
                attempt.end("done")

    assert in_child(run) == 0
    assert directory.status().state == "interrupted", "not done, and whole"
    train(directory)
    assert directory.status().state == "done"


def test_full_disk_at_any_moment(small_disk: Path, tmp_path: Path) -> None:
    """Each time with a little more room: it ends with a message, and then goes on when there is room."""
    undisturbed = TrialDirectory(tmp_path / LISTING.trial)
    undisturbed.create("model: mlp\n", LISTING)
    train(undisturbed)
    failures = 0
    ballast = small_disk / "ballast"
    for free in range(0, 84, 4):
        place = small_disk / f"{free:012x}"
        directory = TrialDirectory(place)
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
            file.truncate(max(0, file.tell() - free * 1024))
        try:
            directory.create("model: mlp\n", LISTING)
            train(directory)
        except DlxError as error:
            failures += 1
            assert "No space left on device" in str(error) and str(small_disk) in str(error)
        ballast.unlink()
        directory.create("model: mlp\n", LISTING)
        if directory.status().state != "done":
            train(directory)
        assert tables(directory) == tables(undisturbed)
        directory.discard()
    assert failures > 5


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("a file")
    with pytest.raises(ResultsError, match=r"cannot create .*trials"):
        TrialDirectory(tmp_path / "trials" / LISTING.trial).create("")


def test_state_of(directory: TrialDirectory) -> None:
    with directory.claim() as attempt:
        attempt.record([METRICS])
        attempt.save_checkpoint({}, {"a": [1]})
        found = attempt.checkpoints.load_latest()
        assert isinstance(found, Checkpoint) and Attempt.state_of(found) == {"a": [1]}
