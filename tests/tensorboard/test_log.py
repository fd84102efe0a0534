"""The log is what the tables hold, row for row, whatever events came and were lost."""

from __future__ import annotations

import builtins
import struct
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dlx.cli.main import main
from dlx.errors import UsageError
from dlx.events import EpochEnded, TrialEnded, TrialStarted
from dlx.tensorboard import TensorBoard

sys.path.insert(0, str(Path(__file__).parent.parent / "analysis"))

from made import make

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2", reason="needs tensorboardX (extra `tensorboard`)")


def scalars(place: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of the event files in a directory, record by record (length, checksum, protobuf, checksum)."""
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in sorted(place.glob("events.out.tfevents.*")):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack("<Q", content[at : at + 8])
            event = event_pb2.Event.FromString(content[at + 12 : at + 12 + length])
            for value in event.summary.value:
                found[value.tag].append((event.step, value.simple_value))
            at += length + 16
    return found


def numbers(trial: Any, epoch: int) -> dict[str, float]:
    return {
        "train_loss": 1 / (epoch + 1),
        "train_accuracy": epoch / 10,
        "val_accuracy": epoch / 20,
        "learning_rate": 0.1,
    }


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    make(tmp_path / "results", "model: {name: mlp, depth: 2, width: 4}\n", numbers, epochs=5, name="made",
         gradient=lambda trial, epoch, layer, parameter: layer / (epoch + 1))  # fmt: skip
    (found,) = (tmp_path / "results" / "made" / "trials").iterdir()
    return found


def started(trial: Path) -> TrialStarted:
    return TrialStarted(trial.name, "depth 2, seed 0", {"train": 5}, (), str(trial))


def test_every_row_is_in_the_log_once(trial: Path, tmp_path: Path) -> None:
    """One event in the middle and one at the end: as of a trial so quick that most were lost."""
    now = [0.0]
    board = TensorBoard(tmp_path / "board", clock=lambda: now[0])
    board(started(trial))
    whole = (trial / "metrics.csv").read_text()
    (trial / "metrics.csv").write_text("".join(whole.splitlines(keepends=True)[:3]))
    now[0] = 10.0
    board(EpochEnded(trial.name, "train", 2, 5, {}))
    (trial / "metrics.csv").write_text(whole)
    board(TrialEnded(trial.name, "", "done"))
    found = scalars(tmp_path / "board" / "made" / f"depth_2_seed_0-{trial.name}")
    metrics = pd.read_csv(trial / "metrics.csv")
    for tag, column in (("loss/train", "train_loss"), ("accuracy/val", "val_accuracy"), ("learning_rate",) * 2):
        assert [step for step, _ in found[tag]] == list(metrics["step"])
        assert [value for _, value in found[tag]] == pytest.approx(list(metrics[column]))
    gradients = pd.read_csv(trial / "gradients.csv")
    for (source, parameter, layer, name), rows in gradients.groupby(["source", "parameter", "layer", "name"]):
        group = "gradient_norm" if source == "probe" else "gradient_norm_train"
        assert [v for _, v in found[f"{group}/{parameter}/{layer}_{name}"]] == pytest.approx(list(rows["grad_norm"]))
    assert "accuracy/test" not in found


def test_a_trial_that_goes_on_is_told_once(trial: Path, tmp_path: Path) -> None:
    for _ in range(2):
        board = TensorBoard(tmp_path / "board")
        board(started(trial))
        board.close()
    found = scalars(tmp_path / "board" / "made" / f"depth_2_seed_0-{trial.name}")
    assert len(found["loss/train"]) == 6


def test_a_log_that_cannot_be_written_stops_nothing(trial: Path, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "board")
    (tmp_path / "board" / "made").write_text("in the way")
    board(started(trial))
    assert "nothing more is written there" in board.problem
    board(TrialEnded(trial.name, "", "done"))
    board.close()


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *arguments: Any) -> Any:
        if name.startswith("tensorboardX"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r"needs tensorboardX \(pip install 'dlx\[tensorboard\]'\)"):
        TensorBoard(tmp_path)


def test_a_file_in_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "board").write_text("")
    (tmp_path / "small.yaml").write_text("model: mlp\n")
    assert main(["run", "small.yaml", "--tensorboard", "board"]) == 2
    assert "--tensorboard board: " in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_run_writes_its_log(tmp_path: Path, dlx: Any) -> None:
    (tmp_path / "small.yaml").write_text("model: {name: mlp, width: 4}\ntraining: {epochs: 3}\nseeds: 2\n")
    ended = dlx("run", "small.yaml", "--quiet", "--tensorboard", "board", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    runs = sorted((tmp_path / "board" / "small").iterdir())
    assert len(runs) == 2
    for run in runs:
        found = scalars(run)
        assert len(found["accuracy/val"]) == 4
        assert len([tag for tag in found if tag.startswith("gradient_norm/bias/")]) == 2
