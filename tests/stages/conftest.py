"""Trials trained in this process, on the engine under test (``DLX_ENGINE``), and what they leave."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ENGINE = os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = ENGINE  # before anything below imports Keras

from dlx.events import Event, StepsDone
from dlx.interruption import Stop
from dlx.records.reader import Rows, read_table
from dlx.records.trial_directory import TrialDirectory
from dlx.records.weights import read_weights
from dlx.spec import load_text, resolved
from dlx.trial import run_trial
from dlx.worker import Runtime, Worker


class Trained:
    """A trial's directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def table(self, name: str) -> Rows:
        return read_table(self.path / f"{name}.csv")

    def column(self, name: str, stage: str, table: str = "metrics") -> np.ndarray:
        """A column as floats, of one stage."""
        rows = self.table(table)
        own = [at == stage for at in rows.column("stage")]
        return np.array([value for value, mine in zip(rows.floats(name), own, strict=True) if mine], dtype=float)

    @property
    def weights(self) -> dict[str, np.ndarray]:
        return read_weights(self.path / "weights.npz")["final"]

    @property
    def pretrained(self) -> dict[str, np.ndarray]:
        return read_weights(self.path / "weights.npz")["pretrained"]

    def kept(self) -> dict[str, bytes]:
        """What must not depend on how often it was interrupted."""
        paths = [*self.path.glob("*.csv*"), *self.path.glob("*.npz")]
        return {path.name: path.read_bytes() for path in paths if path.name != "timing.csv"}


Train = Callable[..., Trained]


@pytest.fixture(scope="session")
def worker() -> Worker:
    return Worker(Runtime(engine=ENGINE, threads=2))


@pytest.fixture(scope="session")
def whole() -> dict[str, Trained]:
    """Trials trained without an interruption, by what they are trained by: once is enough."""
    return {}


@pytest.fixture
def train(worker: Worker, tmp_path: Path, whole: dict[str, Trained]) -> Train:
    """``train(spec, *sets, stop_in=…)``: interrupted once in the middle of each of the stages named."""
    made = iter(range(1000))

    def carry_out(text: str, *sets: str, stop_in: tuple[str, ...] = ()) -> Trained:
        (trial,) = load_text(text, sets).trials
        if not stop_in and (known := whole.get(resolved(trial))):
            return known
        directory = TrialDirectory(tmp_path / str(next(made)) / trial.id)
        directory.create(resolved(trial))
        for stage in stop_in:
            stop = Stop()

            def watch(event: Event, stage: str = stage, stop: Stop = stop) -> None:
                if isinstance(event, StepsDone) and event.stage == stage and event.epoch > 1:
                    stop.request("the test asks", 130)

            status = run_trial(directory, "test", worker, stop, watch)
            assert status.state == "interrupted", status
        status = run_trial(directory, "test", worker, Stop(), lambda event: None)
        assert status.state == "done", directory.log.read_text() if directory.log.exists() else status
        assert not status.notes
        trained = Trained(directory.path)
        if not stop_in:
            whole[resolved(trial)] = trained
        return trained

    return carry_out
