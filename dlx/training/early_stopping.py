"""When to stop, decided by the rules of ``keras.callbacks.EarlyStopping``, in a form that resumes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlx.spec import EarlyStopping


@dataclass
class Patience:
    """How long the monitored value has not improved; ``best_epoch`` 0 is before any has been seen."""

    best: float | None = None
    best_epoch: int = 0
    waited: int = 0

    def improved(self, rule: EarlyStopping, value: float | None, epoch: int) -> bool:
        """Note an epoch's value; gives whether it is the best so far.

        NaN never is. Epochs up to ``start_from_epoch`` are a warm-up that is not looked at.
        """
        if epoch <= rule.start_from_epoch:
            return False
        if value is not None and not math.isnan(value) and self._better(rule, value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    def exhausted(self, rule: EarlyStopping) -> bool:
        """Whether to stop now."""
        return self.waited > 0 and self.waited >= rule.patience

    def _better(self, rule: EarlyStopping, value: float) -> bool:
        if self.best is None:
            return True
        gain = value - self.best if rule.more_is_better else self.best - value
        return gain > abs(rule.min_delta)
