"""Overfitting: the training set is predicted much better than the validation set, and that one gets worse."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._learning import last_epochs, losses
from dlx.diagnoses._remedies import changes, field
from dlx.diagnoses._words import number, points
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import History, median


class Spec(DiagnosisSpec):
    """The gap between the scores of the training and the validation set at the end, and the validation loss's trend.

    Nielsen calls it overfitting where 1,000 images leave a gap of 17.7 points, and much reduced
    where 50,000 leave 2.5. Both must hold: a large gap, and a validation loss that has risen
    since its best, in the median of the last epochs.
    """

    summary: ClassVar[str] = "overfitting: a large gap to the validation set, whose loss rises again"
    source: ClassVar[str] = (
        "Nielsen 2015, chapter 3, overfitting; Prechelt, Early stopping - but when?, 1998; "
        "Goodfellow, Bengio and Courville 2016, section 5.2"
    )
    headline: ClassVar[str] = "gap"
    explained_by: ClassVar[tuple[str, ...]] = ("diverged",)

    name: Literal["overfitting"] = "overfitting"
    gap: Fraction = Field(
        default=0.1,
        description="accuracy (or R²) on the training set minus that on the validation set, from which it is",
    )
    rise: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = Field(
        default=0.1, description="by how much of its least the validation loss has risen, from which it is"
    )

    def judge(self, history: History) -> Finding | None:
        loss = losses(history)
        window = last_epochs(len(loss))
        score = "r2" if history.classes is None else "accuracy"
        train, val = (median(history.metric(f"{part}_{score}")[-window:]) for part in ("train", "val"))
        validation = [value for value in history.metric("val_loss")[1:] if value is not None]
        if train is None or val is None or len(validation) < len(loss):
            raise NotJudged(_("no validation set"))
        least = min(validation)
        lowest = validation.index(least)
        # What comes before the least is higher because the loss fell, not because it rose.
        last = median(validation[max(lowest, len(validation) - window) :])
        rise = last / least - 1 if last is not None and least > 0 else 0.0
        if train - val < self.gap or rise < self.rise:
            return None
        numbers = {
            "gap": train - val, "train": train, "val": val, "rise": rise, "epoch": lowest + 1,
            "least": least, "last": last or 0.0,
        }  # fmt: skip
        setting = history.setting
        return Finding(
            numbers,
            case=score,
            suggestions=changes(
                field(setting, "training.early_stopping", "{}"),
                field(setting, "model.dropout", 0.3),
                field(setting, "training.l2", 1e-3),
            ),
        )

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        given = {
            "gap": points(numbers["gap"]),
            "train": points(numbers["train"]),
            "val": points(numbers["val"]),
            "epoch": f"{numbers['epoch']:g}",
            "least": number(numbers["least"]),
            "last": number(numbers["last"]),
        }
        if finding.case == "r2":
            given |= {"train": number(numbers["train"]), "val": number(numbers["val"])}
            return _(
                "R² is {train} on the training set and {val} on the validation set, whose loss has risen from "
                "{least} in epoch {epoch} to {last}."
            ).format(**given)
        return _(
            "The training set is predicted {gap} points better than the validation set ({train} against {val} %), "
            "whose loss has risen from {least} in epoch {epoch} to {last}."
        ).format(**given)

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high} points").format(low=points(low), high=points(high))
