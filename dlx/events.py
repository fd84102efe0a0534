"""What a trial tells whoever is watching: the display, a log, an executor's queue.

Events go one way and cost the step nothing: they are sent between chunks, from values
already on the host. An observer that drops them all changes no byte of any table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Note:
    """A sentence for the person watching (a reset sibling, a damaged checkpoint set aside)."""

    message: str
    trial: str | None = None


@dataclass(frozen=True)
class TrialStarted:
    """A trial begins or continues; ``epochs`` per stage name, ``layers`` as (number, Keras name)."""

    trial: str
    label: str
    epochs: dict[str, int]
    layers: tuple[tuple[int, str], ...]
    directory: str
    resumed: str | None = None


@dataclass(frozen=True)
class StepsDone:
    """A chunk ended: ``step`` of ``steps`` in epoch ``epoch`` (from 1) of ``epochs``."""

    trial: str
    stage: str
    epoch: int
    epochs: int
    step: int
    steps: int


@dataclass(frozen=True)
class EpochEnded:
    """A row of metrics.csv: ``metrics`` by column name, floats or None where a column does not apply."""

    trial: str
    stage: str
    epoch: int
    epochs: int
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class GradientsRecorded:
    """Gradient norms at one record point, ``norms[parameter]`` = one value per layer, input first."""

    trial: str
    stage: str
    epoch: int
    step: int
    sample: int
    norms: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class TrialEnded:
    """The trial's last word; ``state`` as in status.json, ``reason`` where it is not ``done``."""

    trial: str
    label: str
    state: str
    reason: str | None = None
    log: str | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)


Event = Note | TrialStarted | StepsDone | EpochEnded | GradientsRecorded | TrialEnded
Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An observer for nobody."""
