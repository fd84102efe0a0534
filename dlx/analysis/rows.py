"""A row of ``dlx compare``: a setting with its trials pooled, and what each metric makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dlx.analysis.measurements import Cell
from dlx.analysis.settings import Pooled, value_at
from dlx.analysis.trials import Trial
from dlx.records.status import STATES

NOT_DONE = tuple(sorted(set(STATES) - {"done"}, key=lambda state: (state in ("running", "pending"), state)))
"""What else a trial may be, ended ones first: of each the row says how many there are."""


@dataclass(frozen=True)
class Row:
    """Trials pooled, and a cell for each metric. ``label`` tells it from the other rows in words."""

    pooled: Pooled
    label: str
    cells: tuple[Cell, ...]

    @property
    def done(self) -> int:
        """Trials that are done."""
        return self.pooled.counts.get("done", 0)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Its trials, in whatever state."""
        return self.pooled.trials

    @property
    def not_done(self) -> dict[str, int]:
        """Trials in each other state that there is."""
        return {state: count for state in NOT_DONE if (count := self.pooled.counts.get(state))}

    def value(self, path: str) -> Any:
        """A parameter of the row; :data:`~settings.ABSENT` where it has none."""
        return self.pooled.values[path] if path in self.pooled.values else value_at(self.pooled.values, path)
