"""When to stop, decided by the rules of ``keras.callbacks.EarlyStopping``, in a form that resumes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Protocol


class Rule(Protocol):
    """The settings of early stopping, by their Keras names."""

    monitor: str
    min_delta: float
    patience: int
    mode: str
    restore_best_weights: bool
    start_from_epoch: int


@dataclass
class Patience:
    """How long the monitored value has not improved; ``best_epoch`` 0 is before any has been seen."""

    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def improved(self, rule: Rule, value: float | None, epoch: int) -> bool:
        """Take notice of an epoch's value; whether it is the best so far.

        NaN never is. Epochs up to ``start_from_epoch`` are a warm-up that is not looked at.
        """
        if epoch <= rule.start_from_epoch:
            return False
        if value is not None and not math.isnan(value) and self._better(rule, value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    def exhausted(self, rule: Rule) -> bool:
        """Whether to stop now."""
        return self.waited > 0 and self.waited >= rule.patience

    def state(self) -> dict[str, Any]:
        """What :class:`Patience` is made from again."""
        return asdict(self)

    def _better(self, rule: Rule, value: float) -> bool:
        if self.best is None:
            return True
        falls = rule.mode == "min" or (rule.mode == "auto" and lower_is_better(rule.monitor))
        gain = self.best - value if falls else value - self.best
        return gain > abs(rule.min_delta)


def lower_is_better(metric: str) -> bool:
    """Losses and errors fall; accuracies and R² rise."""
    return metric.rsplit("_", 1)[-1] in ("loss", "mae", "rmse")
