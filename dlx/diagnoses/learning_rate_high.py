"""A learning rate that is too high: steps so large that the training loss jumps about instead of falling."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._learning import fit, losses, rises
from dlx.diagnoses._remedies import changes, rate
from dlx.diagnoses._words import percent, times
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import Course, History, median

Above0 = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Spec(DiagnosisSpec):
    """Update ratios ‖Δθ‖/‖θ‖ of the kernels, or their growth within an epoch, and a loss that does not settle.

    A ratio alone says little: plain gradient descent learns well with some per cent. Only a
    trial that has not fitted its training set, whose loss rises again and again or ends well
    above its best, is suspected, and only if the steps were large. Growth counts because
    after a step far too large the weights are large too, and the ratio looks harmless.
    """

    summary: ClassVar[str] = "learning rate too high: large steps, and a training loss that jumps instead of falling"
    source: ClassVar[str] = (
        "Karpathy, CS231n, notes on training (updates of about 1e-3 of the weights); Bengio 2012, section 3; "
        "Goodfellow, Bengio and Courville 2016, section 11.4.1"
    )
    headline: ClassVar[str] = "rises"
    explained_by: ClassVar[tuple[str, ...]] = ("diverged",)

    name: Literal["learning_rate_high"] = "learning_rate_high"
    ratio: Above0 = Field(
        default=1e-2, description="update of a step over the weight, median over layers, at or above which it is large"
    )
    growth: Above0 = Field(
        default=1.5, description="weight norm after an epoch over that before, median over layers; as large as a ratio"
    )
    rises: Fraction = Field(default=0.15, description="share of epochs whose loss rises, at or above which it jumps")
    worse: Annotated[float, Field(gt=1.0, allow_inf_nan=False)] = Field(
        default=1.5, description="final loss over the least, at or above which it has not settled"
    )
    skill: Fraction = Field(
        default=0.9,
        description="of the way from guessing (0) to perfect (1) on the training set, from which all is well",
    )

    def judge(self, history: History) -> Finding | None:
        loss = losses(history)
        share, over_best = rises(loss), loss[-1] / min(loss) if min(loss) > 0 else 1.0
        if (share < self.rises and over_best < self.worse) or fit(history) >= self.skill:
            return None
        ratio = _largest(history.gradient("update_ratio", "kernel", "train"))
        growth = _growth(history)
        if ratio is None and growth is None:
            raise NotJudged(_("no update ratios or weight norms of the kernels"))
        if ratio is not None and ratio >= self.ratio:
            numbers, case = {"ratio": ratio}, "ratio"
        elif growth is not None and growth >= self.growth:
            numbers, case = {"growth": growth}, "growth"
        else:
            return None
        numbers |= {"rises": share, "over_best": over_best}
        return Finding(numbers, case=case, suggestions=changes(rate(history.setting, 0.1)))

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        shares = {"rises": percent(numbers["rises"])}
        if finding.case == "ratio":
            return _(
                "Steps change the weights by up to {ratio} (0.1 % is usual), and the training loss rises in {rises} of "
                "the epochs instead of settling."
            ).format(ratio=percent(numbers["ratio"]), **shares)
        return _(
            "Within one epoch the weights grow {growth} times, and the training loss rises in {rises} of the epochs "
            "instead of settling."
        ).format(growth=times(numbers["growth"]), **shares)

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high}").format(low=percent(low), high=percent(high))


def _largest(course: Course | None) -> float | None:
    """The largest over the record points of the median over the layers."""
    if course is None:
        return None
    medians = [median(list(course.at(index).values())) for index in range(len(course.points))]
    return max((ratio for ratio in medians if ratio is not None), default=None)


def _growth(history: History) -> float | None:
    """The largest growth of the kernels from one record point to the next, median over the layers.

    Counted per epoch where several lie between.
    """
    course = history.gradient("weight_norm", "kernel", "probe") or history.gradient("weight_norm", "kernel", "train")
    if course is None:
        return None
    found = []
    for at in range(1, len(course.points)):
        epochs = max(1, course.points[at][0] - course.points[at - 1][0])
        before, after = course.at(at - 1), course.at(at)
        ratios = [(after[name] / before[name]) ** (1 / epochs) for name in after if before.get(name)]
        found.append(median(ratios))
    return max((growth for growth in found if growth is not None), default=None)
