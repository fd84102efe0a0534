"""A learning rate that is too low: the weights hardly move, and the training set is far from fitted."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._learning import fit, losses, rises
from dlx.diagnoses._remedies import changes, rate, scaled
from dlx.diagnoses._words import number
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import History, median


class Spec(DiagnosisSpec):
    """Update ratios ‖Δθ‖/‖θ‖ of the kernels far below a thousandth, while the loss falls slowly and steadily."""

    summary: ClassVar[str] = "learning rate too low: the weights hardly move, and the training set is not fitted"
    source: ClassVar[str] = (
        "Karpathy, CS231n, notes on training: updates should be about 1e-3 of the weights; where lower, the rate "
        "may be too low"
    )
    headline: ClassVar[str] = "ratio"

    name: Literal["learning_rate_low"] = "learning_rate_low"
    ratio: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = Field(
        default=1e-4,
        description="update of a step over the weight, median over layers and epochs, at or below which it is small",
    )
    rises: Fraction = Field(
        default=0.15, description="share of epochs whose loss rises, from which it is not the rate's smallness"
    )
    skill: Fraction = Field(
        default=0.9,
        description="of the way from guessing (0) to perfect (1) on the training set, from which all is well",
    )

    def judge(self, history: History) -> Finding | None:
        loss = losses(history)
        if rises(loss) >= self.rises or loss[-1] > loss[0] or fit(history) >= self.skill:
            return None
        course = history.gradient("update_ratio", "kernel", "train")
        if course is None:
            raise NotJudged(_("no update ratios (gradients with the source train)"))
        ratio = median([median(list(course.at(index).values())) for index in range(len(course.points))])
        if not ratio or ratio > self.ratio:
            return None
        setting = history.setting
        factor = 10.0 ** max(1, math.ceil(-3 - math.log10(ratio)))
        return Finding(
            {"ratio": ratio, "start": loss[0], "end": loss[-1]},
            suggestions=changes(rate(setting, factor), scaled(setting, "training.epochs", 10)),
        )

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        return _(
            "A step changes the weights by {ratio} of themselves (0.001 is usual): the training loss has only come "
            "from {start} to {end}."
        ).format(ratio=number(numbers["ratio"]), start=number(numbers["start"]), end=number(numbers["end"]))
