"""Dead units: rectifiers that are zero for every example and get no gradient any more."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._remedies import activation, changes, initializer, rate
from dlx.diagnoses._words import listed, percent
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import Course, History


class Spec(DiagnosisSpec):
    """Share of the units of a hidden layer that are zero for the whole sample at the last record point."""

    summary: ClassVar[str] = "dead units: rectifiers that are zero whatever the example"
    source: ClassVar[str] = (
        "Karpathy, CS231n Convolutional Neural Networks for Visual Recognition, notes on ReLU (40 % with too high a "
        "learning rate); Lu, Shin, Su and Karniadakis, Dying ReLU and initialization, 2019"
    )
    headline: ClassVar[str] = "share"

    name: Literal["dead"] = "dead"
    share: Fraction = Field(default=0.4, description="share of a hidden layer's units, at or above which it is")

    def judge(self, history: History) -> Finding | None:
        course = history.activation("dead")
        if course is None:
            raise NotJudged(_("no activations"))
        course = _measurable(history, course.only(history.hidden))
        if not course.points:
            return None
        shares = {name: share for name, share in course.at(-1).items() if not _bounded(history, name)}
        layers = tuple(name for name, share in shares.items() if share >= self.share)
        if not layers:
            return None
        setting = history.setting
        numbers = {"share": max(shares[name] for name in layers)}
        untrained = course.starts_untrained and any(course.at(0).get(name, 0.0) >= self.share for name in layers)
        # What was born dead is a matter of the initial weights; what died while training, of too large steps.
        mend = initializer(setting) if untrained else rate(setting, 0.1)
        leaky = activation(setting, "leaky_relu", unless=("elu", "selu", "celu"))
        return Finding(numbers, layers, "born" if untrained else "died", changes(mend, leaky))

    def say(self, finding: Finding) -> str:
        if finding.case == "born":
            sentence = _("{share} of the units of {layers} are zero for every example, from before training on.")
        else:
            sentence = _("{share} of the units of {layers} are zero for every example at the end of training.")
        return sentence.format(share=percent(finding.numbers["share"]), layers=listed(finding.layers))

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high}").format(low=percent(low), high=percent(high))


def _bounded(history: History, layer: str) -> bool:
    """Whether the nonlinearity of a layer has two limits: where such a unit is stuck, it is saturated, not dead."""
    saturated = history.activation("saturated")
    return saturated is not None and any(value is not None for value in saturated.layers.get(layer, ()))


def _measurable(history: History, course: Course) -> Course:
    """The record points at which outputs were numbers."""
    means = history.activation("mean")
    if means is None:
        return course
    finite = {point for at, point in enumerate(means.points) if all(map(math.isfinite, means.at(at).values()))}
    return course.where([point in finite for point in course.points])
