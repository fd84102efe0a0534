"""Executors: where trials run. They know directories and a callable, and nothing of deep learning.

What is in the results directory is the only truth, whichever executor worked on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlx.events import Observer
    from dlx.interruption import Stop
    from dlx.records.status import Status
    from dlx.records.trial_directory import TrialDirectory
    from dlx.worker import Runtime


@dataclass(frozen=True)
class Unit:
    """A trial to run: its directory, which holds a ``trial.yaml``, and what people call it."""

    directory: TrialDirectory
    label: str


@dataclass(frozen=True)
class Finished:
    """What became of a unit. ``status`` is None where another process works on the trial: ``held`` says who."""

    unit: Unit
    status: Status | None
    held: str | None = None


class Executor(ABC):
    """The contract: run units, in any order, and tell of each when it ends."""

    @abstractmethod
    def run(self, units: Iterable[Unit], runtime: Runtime, stop: Stop, observe: Observer) -> Iterator[Finished]:
        """Every unit's end, as it comes; after a request to stop, those that had begun and no more."""
