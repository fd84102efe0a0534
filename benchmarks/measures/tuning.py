"""What ``dlx tune`` adds to a try: choosing, the journal, ``trial.yaml``, reports of epochs, the table of all tries."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "tuning"
TRIES = 100
EPOCHS = 20
TARGET = 0.2
SPEC = f"""
model: {{name: mlp}}
training: {{epochs: {EPOCHS}}}
search:
  model.depth: 1..4
  model.width: log(16, 256)
  model.activation: [relu, tanh]
  model.dropout: lin(0.0, 0.5)
  training.optimizer.learning_rate: log(1e-4, 1e-1)
"""


def measure(setup: Setup) -> list[Figure]:
    """Seconds per try around trials that report every epoch and take no time, by each sampler."""
    return [_of(sampler, setup) for sampler in ("tpe", "random")]


def _of(sampler: str, setup: Setup) -> Figure:
    from dlx import tuning
    from dlx.events import ignore
    from dlx.interruption import Stop
    from dlx.spec.search import load_search
    from dlx.worker import Runtime

    setup.tell(f"tuning: {TRIES} tries by {sampler}")
    place = setup.scratch / f"tuning-{sampler}"
    place.mkdir()
    (place / "spec.yaml").write_text(SPEC, "utf-8")
    trained, tested = tuning.run_trial, tuning._Tuning._test
    tuning.run_trial = _at_once  # type: ignore[assignment]
    tuning._Tuning._test = lambda self, best: {}  # type: ignore[method-assign]
    try:
        search = load_search(Path(place / "spec.yaml"))
        options = tuning.Options(place / "results", Runtime(threads=1), 1, sampler, "none")
        tuning.tune(search, options, ignore, Stop())  # imports the engine
        began = time.perf_counter()
        options = tuning.Options(place / "results", Runtime(threads=1), TRIES + 1, sampler)
        tuning.tune(search, options, ignore, Stop())
        seconds = (time.perf_counter() - began) / TRIES
    finally:
        tuning.run_trial, tuning._Tuning._test = trained, tested  # type: ignore[method-assign]
    what = f"dlx tune by {sampler}: added to a try, {TRIES} tries of {EPOCHS} epochs"
    return Figure(GROUP, what, f"{seconds * 1000:.0f} ms", "nothing", seconds, "s", "≤", TARGET)


def _at_once(directory: Any, label: str, worker: Any, stop: Any, observe: Any) -> Any:
    from dlx.events import EpochEnded, TrialStarted

    observe(TrialStarted(directory.trial, label, {"train": EPOCHS}, (), str(directory.path)))
    for epoch in range(1, EPOCHS + 1):
        observe(EpochEnded(directory.trial, "train", epoch, EPOCHS, {"val_accuracy": 0.5}))
    with directory.claim() as attempt:
        return attempt.end("done", summary={"val_accuracy": 0.5, "val_loss": 1.0})
