"""Divergence: the training loss is no longer a number, or far above where it began."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._remedies import changes, field, rate
from dlx.diagnoses._words import number
from dlx.language import _
from dlx.records.history import History


class Spec(DiagnosisSpec):
    """State ``diverged``, or a final training loss well above that of the untrained net."""

    summary: ClassVar[str] = "divergence: the training loss is infinite, no number, or far above where it began"
    source: ClassVar[str] = (
        "Bengio, Practical recommendations for gradient-based training of deep architectures, 2012, section 3: try a "
        "learning rate three times smaller"
    )
    headline: ClassVar[str] = "epoch"

    name: Literal["diverged"] = "diverged"
    factor: Annotated[float, Field(gt=1.0, allow_inf_nan=False)] = Field(
        default=2.0, description="final training loss over that before training, at or above which it is"
    )

    def judge(self, history: History) -> Finding | None:
        losses = history.metric("train_loss")
        broken = next((i for i, loss in enumerate(losses) if loss is not None and not math.isfinite(loss)), None)
        setting = history.setting
        suggestions = changes(rate(setting, 1 / 3), field(setting, "training.optimizer.clipnorm", 1.0))
        if broken is not None or history.state == "diverged":
            at = broken if broken is not None else max(len(losses) - 1, 0)
            epoch = history.epochs[at] if history.epochs else 0
            return Finding({"epoch": epoch}, case="broken", suggestions=suggestions)
        if len(losses) < 2 or losses[0] is None or losses[-1] is None:
            raise NotJudged(_("no training loss before and after training"))
        if not losses[0] > 0 or losses[-1] < self.factor * losses[0]:
            return None
        numbers = {"start": losses[0], "end": losses[-1], "epoch": history.epochs[-1]}
        return Finding(numbers, case="worse", suggestions=suggestions)

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        if finding.case == "broken":
            return _("In epoch {epoch}, the training loss is no longer a finite number.").format(
                epoch=f"{numbers['epoch']:g}"
            )
        return _("The training loss ends at {end}, after {start} before training.").format(
            end=number(numbers["end"]), start=number(numbers["start"])
        )

    def span(self, low: float, high: float) -> str:
        return _("epoch {low} to {high}").format(low=f"{low:g}", high=f"{high:g}")
