"""Experiments of tiny nets, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlx.events import ignore
from dlx.interruption import Stop
from dlx.schedule import Decision, Options, Outcome, decide, run
from dlx.spec import load_text
from dlx.worker import Runtime

SPEC = """\
name: cells
dataset: {name: digits, train_limit: 100}
model: {name: mlp, depth: 1, width: 4}
training: {epochs: 1, batch_size: 25, optimizer: {name: sgd, learning_rate: 0.1}}
probes: {gradients: {sample: 50}}
"""


class Ground:
    """A results directory, and what a spec would do and does in it."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def options(self, **changes: Any) -> Options:
        return Options(self.place, Runtime(threads=2), executor="inline", **changes)

    def decide(
        self, *sets: str, text: str = SPEC, axes: dict[str, str] | None = None, **changes: Any
    ) -> list[Decision]:
        return decide(load_text(text, sets, axes), self.options(**changes))

    def run(
        self,
        *sets: str,
        text: str = SPEC,
        axes: dict[str, str] | None = None,
        stop: Stop | None = None,
        **changes: Any,
    ) -> Outcome:
        return run(load_text(text, sets, axes), self.options(**changes), ignore, stop or Stop())

    def files(self) -> dict[str, bytes]:
        """Every file of every trial that is there."""
        trials = self.place / "cells" / "trials"
        return {str(path.relative_to(trials)): path.read_bytes() for path in trials.rglob("*") if path.is_file()}


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path / "results")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[[], Ground]:
    """Other results directories, in which nothing has been done."""
    numbers = iter(range(100))
    return lambda: Ground(tmp_path / f"elsewhere-{next(numbers)}")
