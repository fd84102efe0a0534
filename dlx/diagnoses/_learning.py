"""How the training loss and the fit go, as several rules look at it."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

from dlx.diagnoses import NotJudged
from dlx.language import _
from dlx.records.history import History, median

LEAST_EPOCHS = 5
"""Fewer say nothing of a trend."""


def losses(history: History) -> list[float]:
    """The training loss of each epoch from the first. Raises :class:`NotJudged` for too few, or one not finite."""
    found = [loss for loss, epoch in zip(history.metric("train_loss"), history.epochs, strict=False) if epoch > 0]
    finite = [loss for loss in found if loss is not None and math.isfinite(loss)]
    if len(finite) < len(found):
        raise NotJudged(_("the training loss is not a finite number throughout"))
    if len(finite) < LEAST_EPOCHS:
        raise NotJudged(_("fewer than {count} epochs").format(count=LEAST_EPOCHS))
    return finite


def last_epochs(epochs: int) -> int:
    """How many epochs are looked at as the end: a fifth, at least three."""
    return max(3, epochs // 5)


def fit(history: History, part: str = "train") -> float:
    """How well a part is predicted at the end, from guessing (0) to perfect (1): the median of the last epochs.

    Raises :class:`NotJudged` where no score tells.
    """
    skill = history.skill(part)
    found = median(skill[-last_epochs(len(skill)) :])
    if found is None:
        raise NotJudged(_("no score of the training set") if part == "train" else _("no score of the validation set"))
    return found


def rises(loss: list[float]) -> float:
    """The share of epochs whose training loss is above that of the epoch before."""
    return statistics.fmean(after > before for before, after in pairwise(loss))


def late_fall(loss: list[float]) -> float:
    """What share of its whole fall the training loss made in the last fifth of the epochs; 0 where it has not fallen.

    A loss that falls evenly makes a fifth of its way there, one that has settled next to nothing.
    """
    whole = loss[0] - loss[-1]
    return max(0.0, (loss[-1 - len(loss) // 5] - loss[-1]) / whole) if whole > 0 else 0.0
