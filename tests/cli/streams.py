"""Streams of events as a trial sends them, for driving displays without training anything."""

from __future__ import annotations

from collections.abc import Iterator

from dlx.events import EpochEnded, Event, GradientsRecorded, StepsDone, TrialEnded, TrialStarted


def layers(count: int) -> tuple[tuple[int, str], ...]:
    return (*((number, f"dense_{number}") for number in range(1, count)), (count, "output"))


def metrics(accuracy: float) -> dict[str, float | None]:
    return {
        "train_loss": 1 - accuracy,
        "train_accuracy": accuracy,
        "val_loss": 1.1 - accuracy,
        "val_accuracy": accuracy - 0.01,
        "test_loss": None,
        "test_accuracy": None,
        "learning_rate": 0.1,
    }


def started(trial: str = "a", count: int = 3, epochs: int = 3, label: str = "model.depth=2 seed=0") -> TrialStarted:
    return TrialStarted(trial, label, {"train": epochs}, layers(count), f"results/x/trials/{trial}")


def gradients(norms: tuple[float, ...], trial: str = "a", epoch: int = 0, sample: int = 1000) -> GradientsRecorded:
    return GradientsRecorded(trial, "train", epoch, epoch * 10, sample, {"kernel": (9.0,) * len(norms), "bias": norms})


def trial(name: str = "a", count: int = 3, epochs: int = 3, state: str = "done") -> Iterator[Event]:
    """A whole trial whose layers differ by a factor of ten."""
    yield started(name, count, epochs)
    for epoch in range(epochs + 1):
        if epoch:
            yield StepsDone(name, "train", epoch, epochs, 5, 10)
            yield StepsDone(name, "train", epoch, epochs, 10, 10)
        yield EpochEnded(name, "train", epoch, epochs, metrics(0.5 + 0.1 * epoch))
        yield gradients(tuple(10.0 ** (layer - count) for layer in range(count)), name, epoch)
    yield TrialEnded(name, "model.depth=2 seed=0", state, metrics=metrics(0.8))
