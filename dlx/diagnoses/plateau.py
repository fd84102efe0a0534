"""A plateau: for a long while the training loss does not move, and the net has not learned yet."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._learning import LEAST_EPOCHS, losses
from dlx.diagnoses._remedies import RECTIFIERS, activation, changes, initializer, normalization
from dlx.diagnoses._words import number
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import History


class Spec(DiagnosisSpec):
    """The longest stretch of epochs in which the training loss stays within a band while the net hardly beats guessing.

    A net that has learned and no longer moves has converged, which is not a plateau. Nor is it one
    where the weights hardly move because of a small learning rate.
    """

    summary: ClassVar[str] = "a plateau: the training loss does not move, and the net is no better than guessing"
    source: ClassVar[str] = (
        "Glorot and Bengio 2010, section 3.1: deep sigmoid nets stay on a plateau for a hundred epochs; "
        "Choromanska et al. 2015"
    )
    headline: ClassVar[str] = "epochs"
    explained_by: ClassVar[tuple[str, ...]] = ("diverged", "learning_rate_low", "learning_rate_high")

    name: Literal["plateau"] = "plateau"
    band: Fraction = Field(default=0.02, description="width of the band in which the loss stays, of its level")
    share: Fraction = Field(default=0.2, description="share of the epochs, at least 5, for which it must")
    skill: Fraction = Field(
        default=0.2, description="of the way from guessing (0) to perfect (1) on the training set, below which it is"
    )

    def judge(self, history: History) -> Finding | None:
        loss = losses(history)
        skill = history.skill("train")[-len(loss) :]
        wanted = max(LEAST_EPOCHS, round(self.share * len(loss)))
        if not any(value is not None for value in skill):
            raise NotJudged(_("no score of the training set"))
        unlearned = [value is None or value < self.skill for value in skill]
        begin, end = _longest(loss, unlearned, self.band)
        if end - begin < wanted:
            return None
        level = sum(loss[begin:end]) / (end - begin)
        left = end < len(loss) and min(loss[end:]) < 0.9 * level
        numbers = {"epochs": end - begin, "first": begin + 1, "last": end, "loss": level}
        setting = history.setting
        return Finding(
            numbers,
            case="left" if left else "stays",
            suggestions=changes(initializer(setting), activation(setting, unless=RECTIFIERS), normalization(setting)),
        )

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        given = {
            "epochs": f"{numbers['epochs']:g}",
            "first": f"{numbers['first']:g}",
            "last": f"{numbers['last']:g}",
            "loss": number(numbers["loss"]),
        }
        if finding.case == "left":
            return _(
                "From epoch {first} to {last}, the training loss stays at {loss} and the net hardly beats guessing; "
                "only then does it begin to learn."
            ).format(**given)
        return _(
            "For {epochs} epochs, from {first} to {last}, the training loss stays at {loss} and the net hardly beats "
            "guessing."
        ).format(**given)

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high} epochs").format(low=f"{low:g}", high=f"{high:g}")


def _longest(loss: list[float], allowed: list[bool], band: float) -> tuple[int, int]:
    """The longest run of allowed epochs, as [begin, end), in which the loss varies by less than ``band`` of itself."""
    best, begin = (0, 0), 0
    for end in range(1, len(loss) + 1):
        if not allowed[end - 1]:
            begin = end
            continue
        while max(loss[begin:end]) - min(loss[begin:end]) > band * abs(max(loss[begin:end])):
            begin += 1
        if end - begin > best[1] - best[0]:
            best = begin, end
    return best
