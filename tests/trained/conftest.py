"""Small trials, trained once per session on the engine under test (``DLX_ENGINE``)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

ENGINE = os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = ENGINE  # before anything below imports Keras

from dlx import spec
from dlx.events import ignore
from dlx.interruption import Stop
from dlx.records.trial_directory import TrialDirectory
from dlx.schedule import Options, run
from dlx.trained import Trained
from dlx.worker import Runtime

Train = Callable[..., list[TrialDirectory]]
RUNTIME = Runtime(engine=ENGINE, threads=2)


@pytest.fixture(scope="session")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """``train(text of a spec, *settings)``: the directories of its trials, in order."""
    results: Path = tmp_path_factory.mktemp("results")
    kept: dict[tuple[str, ...], list[TrialDirectory]] = {}

    def trained(text: str, *sets: str) -> list[TrialDirectory]:
        key = (text, *sets)
        if key not in kept:
            experiment = spec.load_text(text, list(sets), name=f"experiment-{len(kept)}")
            outcome = run(experiment, Options(results, RUNTIME, executor="inline"), ignore, Stop())
            assert {ending.status.state for ending in outcome.endings} == {"done"}
            kept[key] = [ending.directory for ending in outcome.endings]
        return kept[key]

    return trained


@pytest.fixture(scope="session")
def network(train: Train) -> Callable[..., Trained]:
    """The network of the only trial of a spec."""

    def of(text: str, *sets: str, **options: object) -> Trained:
        (directory,) = train(text, *sets)
        return Trained.of(directory, **options)  # type: ignore[arg-type]

    return of
