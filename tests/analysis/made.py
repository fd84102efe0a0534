"""Results directories made without training, through dlx's own writers, with numbers that a test decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.records.environment import gather
from dlx.records.experiment_directory import ExperimentDirectory
from dlx.records.status import Listing, State
from dlx.records.tables import ACTIVATIONS, GRADIENTS, LAYERS, TIMING, Table, metrics_table
from dlx.spec import Trial, load_text, resolved

Numbers = Callable[[Trial, int], Mapping[str, float | None]]
"""The columns of ``metrics.csv`` for a trial after an epoch."""


def make(
    results: Path,
    spec: str,
    numbers: Numbers,
    *,
    name: str = "depth",
    epochs: int = 3,
    task: str = "classification",
    sets: Sequence[str] = (),
    seeds: str | None = None,
    state: Callable[[Trial], State] = lambda trial: "done",
    gradient: Callable[[Trial, int, int, str], float] | None = None,
    engine: str = "tensorflow",
) -> list[Trial]:
    """Write the trials of a spec; ``gradient(trial, epoch, layer, parameter)`` gives the norms of the probe sample."""
    experiment = ExperimentDirectory(results, name)
    loaded = load_text(spec, sets, **({"seeds": seeds} if seeds else {}))
    listings = [Listing(trial.id, _seed(trial), parameters=dict(trial.parameters)) for trial in loaded.trials]
    experiment.submit(spec, listings)
    metrics = metrics_table(task)
    for trial, listing in zip(loaded.trials, listings, strict=True):
        text = resolved(trial, name)
        directory = experiment.trial(trial.id)
        directory.create(text, listing)
        ending = state(trial)
        if ending == "pending":
            continue
        with directory.claim() as attempt:
            attempt.write_environment(gather(spec=text, engine=engine, device={"kind": "cpu"}, threads=1))
            recorder = attempt.record([metrics, GRADIENTS, ACTIVATIONS, TIMING, LAYERS])
            layers = depth(trial) + 1
            for epoch in range(epochs + 1):
                place = {"stage": "train", "epoch": epoch, "step": 10 * epoch}
                recorder.append(metrics, [place | dict(numbers(trial, epoch))])
                recorder.append(ACTIVATIONS, [_activation(place, layer, epoch) for layer in range(1, layers + 1)])
                if epoch:
                    recorder.append(TIMING, [{"stage": "train", "epoch": epoch, "seconds": 0.5}])
                if gradient:
                    recorder.append(
                        GRADIENTS,
                        [
                            row
                            for layer in range(1, layers + 1)
                            for row in _gradients(place, layer, layers, trial, epoch, gradient)
                        ],
                    )
            recorder.append(LAYERS, [{"layer": 1, "name": "dense_1", "parameters": 100, "multiply_adds": 90}])
            if ending != "interrupted":
                attempt.end(ending, None if ending == "done" else f"it {ending}", summary={"engine": engine})
    experiment.renew(force=True)
    return list(loaded.trials)


def depth(trial: Trial) -> int:
    """Hidden layers of the trial's net."""
    found: int = getattr(trial.setting.model, "depth", 1)
    return found


def _seed(trial: Trial) -> int | str:
    plain = trial.seed.plain()
    return plain if isinstance(plain, int) else " ".join(f"{purpose}={value}" for purpose, value in plain.items())


def _activation(place: Mapping[str, Any], layer: int, epoch: int) -> dict[str, Any]:
    return {
        **place,
        "layer": layer,
        "name": f"dense_{layer}",
        "mean": 0.1,
        "std": 0.2,
        "saturated": layer / 10,
        "dead": 0.0,
    }


def _gradients(
    place: Mapping[str, Any],
    layer: int,
    layers: int,
    trial: Trial,
    epoch: int,
    gradient: Callable[[Trial, int, int, str], float],
) -> list[dict[str, Any]]:
    name = "output" if layer == layers else f"dense_{layer}"
    about = {**place, "layer": layer, "name": name}
    rows = []
    for parameter in ("kernel", "bias", "all"):
        norm = gradient(trial, epoch, layer, parameter)
        rows.append({**about, "parameter": parameter, "source": "probe", "grad_norm": norm, "weight_norm": 1.0})
        if epoch:
            rows.append(
                {**about, "parameter": parameter, "source": "train", "grad_norm": 2 * norm, "update_ratio": norm / 100}
            )
    return rows


def table_of(path: Path, table: Table | str) -> Path:
    """A table's file in a trial's directory."""
    return path / (table.file_name if isinstance(table, Table) else f"{table}.csv")
