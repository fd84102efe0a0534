"""What a running trial keeps: rows as they come, checkpoints when they are due or asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dlx.every import Every
from dlx.interruption import Stop
from dlx.probes import Row
from dlx.records.tables import Table

if TYPE_CHECKING:
    from dlx.records.recorder import Recorder
    from dlx.records.trial_directory import Attempt
    from dlx.training.program import Arrays

LEAST_SECONDS = 10.0
COST_SHARE = 0.01


class TrialKeeper:
    """Rows go to the recorder at once; a checkpoint ties arrays, state and table positions together.

    Without a schedule a checkpoint is due when the time since the last one is 100 times
    what that one took, and ten seconds at least: under 1 % of the run, whatever the size of
    the network. ``state`` gives what is to be saved at that moment. ``stay``: checkpoints are
    kept when the trial is done, and there is one of its end. ``agree``: trials that train
    together save themselves together, as soon as it is due for one of them.
    """

    def __init__(
        self,
        attempt: Attempt,
        recorder: Recorder,
        tables: Mapping[str, Table],
        stop: Stop,
        every: Every | None,
        state: Callable[[], tuple[Arrays, dict[str, Any]]],
        *,
        stay: bool = False,
        agree: Callable[[Any, Callable[[Sequence[Any]], Any]], Any] = lambda value, choose: value,
    ) -> None:
        self._attempt = attempt
        self._recorder = recorder
        self._tables = tables
        self._stop = stop
        self._every = every
        self._state = state
        self._stay = stay
        self.agree = agree
        self._rows_since = True
        self._kept_at = time.monotonic()
        self._cost = 0.0

    @property
    def stride(self) -> int | None:
        """Steps between checkpoints, where the schedule is in steps."""
        return int(self._every.amount) if self._every and self._every.unit == "steps" else None

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Write rows that from now on survive the process."""
        self._rows_since = True
        self._recorder.append(self._tables[table], rows)

    def keep_if_due(self, *, epoch: int, step: int, epoch_ended: bool) -> None:
        """Checkpoint if the schedule says so; ``step`` counts from the beginning of the stage."""
        if self.agree(self._is_due(epoch, step, epoch_ended), any):
            self.keep()

    def keep(self) -> None:
        """Checkpoint now."""
        began = time.monotonic()
        self._attempt.save_checkpoint(*self._state())
        self._rows_since = False
        self._kept_at = time.monotonic()
        self._cost = self._kept_at - began

    def keep_last(self) -> None:
        """Checkpoint the end of the trial, where checkpoints stay and it is not just done."""
        if self._stay and self._rows_since:
            self.keep()

    def pause(self) -> None:
        """Checkpoint and raise :class:`~dlx.interruption.Interrupted`, if somebody asked to stop.

        A trial that is pruned needs no checkpoint.
        """
        if self._stop.requested:
            if not self._stop.pruned:
                self.keep()
            self._stop.check()

    def _is_due(self, epoch: int, step: int, epoch_ended: bool) -> bool:
        if self._every is None:
            return time.monotonic() - self._kept_at >= max(LEAST_SECONDS, self._cost / COST_SHARE)
        if self._every.seconds is not None:
            return time.monotonic() - self._kept_at >= self._every.seconds
        if self._every.unit == "steps":
            return step % int(self._every.amount) == 0
        return epoch_ended and epoch % int(self._every.amount) == 0
