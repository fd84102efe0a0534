"""Underfitting: not even the training set is predicted well, and the validation set no worse."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding
from dlx.diagnoses._learning import fit, late_fall, losses
from dlx.diagnoses._remedies import changes, larger, scaled
from dlx.diagnoses._words import number, percent, points
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import History


class Spec(DiagnosisSpec):
    """A poor score on the training set at the end, and hardly a gap to the validation set.

    Whether the loss still falls tells a training that was too short from a net that is too small.
    """

    summary: ClassVar[str] = "underfitting: not even the training set is predicted well"
    source: ClassVar[str] = "Goodfellow, Bengio and Courville, Deep Learning, 2016, section 5.2"
    headline: ClassVar[str] = "train"
    explained_by: ClassVar[tuple[str, ...]] = (
        "diverged",
        "plateau",
        "learning_rate_low",
        "learning_rate_high",
        "idle_layer",
        "dead",
        "saturated",
        "exploding",
    )

    name: Literal["underfitting"] = "underfitting"
    skill: Fraction = Field(
        default=0.9, description="of the way from guessing (0) to perfect (1) on the training set, below which it is"
    )
    gap: Fraction = Field(
        default=0.05, description="score on the training minus the validation set, from which it is not"
    )
    falling: Fraction = Field(
        default=0.05,
        description="share of the training loss's fall in the last fifth of the epochs, from which it still learns",
    )

    def judge(self, history: History) -> Finding | None:
        loss = losses(history)
        train = fit(history)
        validation = history.skill("val")
        val = fit(history, "val") if any(value is not None for value in validation) else train
        # Dropout makes the training score worse than the net is; the validation score has none.
        best = max(train, val)
        if best >= self.skill or train - val >= self.gap:
            return None
        fall = late_fall(loss)
        chance = 0.0 if history.classes is None else 1 / history.classes
        numbers = {"train": chance + train * (1 - chance), "val": chance + val * (1 - chance), "fall": fall}
        setting, score = history.setting, "r2" if history.classes is None else "accuracy"
        if fall >= self.falling:
            return Finding(numbers, case=f"short {score}", suggestions=changes(scaled(setting, "training.epochs", 3)))
        return Finding(numbers, case=f"small {score}", suggestions=larger(setting))

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        short = finding.case.startswith("short")
        given = {"train": points(numbers["train"]), "val": points(numbers["val"]), "fall": percent(numbers["fall"])}
        if finding.case.endswith("r2"):
            given |= {"train": number(numbers["train"]), "val": number(numbers["val"])}
            if short:
                return _(
                    "R² is only {train} on the training set at the end ({val} on the validation set), but the last "
                    "fifth of the epochs made {fall} of the fall of the loss: the training was too short."
                ).format(**given)
            return _(
                "R² is only {train} on the training set at the end ({val} on the validation set), and the loss hardly "
                "falls any more: the net is too small for the data."
            ).format(**given)
        if short:
            return _(
                "Only {train} % of the training set are right at the end ({val} % of the validation set), but the last "
                "fifth of the epochs made {fall} of the fall of the loss: the training was too short."
            ).format(**given)
        return _(
            "Only {train} % of the training set are right at the end ({val} % of the validation set), and the loss "
            "hardly falls any more: the net is too small for the data."
        ).format(**given)

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high}").format(low=percent(low), high=percent(high))
