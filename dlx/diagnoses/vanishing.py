"""Vanishing gradients: the first hidden layer learns an order of magnitude slower than the last."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding
from dlx.diagnoses._remedies import RECTIFIERS, activation, changes, initializer, normalization
from dlx.diagnoses._speed import ratios, speed
from dlx.diagnoses._words import at_start, number, times
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import History, median


class Spec(DiagnosisSpec):
    """Ratio of the bias gradients of the first and the last hidden layer, before training or as the median over it.

    In Nielsen's sigmoid nets of 2, 3 and 4 hidden layers the ratios before training are 0.23,
    0.04 and 0.01.
    """

    summary: ClassVar[str] = "vanishing gradients: the first hidden layer learns far slower than the last"
    source: ClassVar[str] = (
        "Nielsen, Neural Networks and Deep Learning, 2015, chapter 5; Glorot and Bengio 2010, section 4; "
        "Hochreiter 1991"
    )
    headline: ClassVar[str] = "slower"

    name: Literal["vanishing"] = "vanishing"
    ratio: Fraction = Field(
        default=0.1, description="gradient of the first hidden layer over that of the last, at or below which it is"
    )

    def judge(self, history: History) -> Finding | None:
        measured = speed(history)
        if measured is None:
            return None
        course, parameter = measured
        found = ratios(course)
        start = found[0] if course.starts_untrained else None
        during = median([ratio for ratio, (_epoch, step) in zip(found, course.points, strict=True) if step > 0])
        if start is not None and start <= self.ratio:
            case, index, ratio = "start", 0, start
        elif during is not None and during <= self.ratio:
            case, ratio = "training", during
            index = min((i for i, r in enumerate(found) if r is not None), key=lambda i: abs((found[i] or 0) - during))
        else:
            return None
        layers = tuple(course.layers)
        values = course.at(index)
        slower = 1 / ratio if ratio else math.inf
        numbers = {
            "ratio": ratio,
            "slower": slower,
            "first": values[layers[0]],
            "last": values[layers[-1]],
            "per_layer": slower ** (1 / (len(layers) - 1)),
        }
        if case == "start" and during is not None:
            numbers["during"] = during
        setting = history.setting
        suggestions = changes(activation(setting, unless=RECTIFIERS), initializer(setting), normalization(setting))
        return Finding(numbers, layers, f"{case} {parameter}", suggestions, history.later_stage)

    def say(self, finding: Finding) -> str:
        case, _space, parameter = finding.case.partition(" ")
        numbers, layers = finding.numbers, finding.layers
        given = {
            "first_layer": layers[0],
            "last_layer": layers[-1],
            "parameter": parameter,
            "first": number(numbers["first"]),
            "last": number(numbers["last"]),
        }
        if not numbers["ratio"]:
            return _(
                "{first_layer} gets no gradient at all while {last_layer} does (gradient norm of the {parameter} 0 "
                "against {last})."
            ).format(**given)
        given |= {
            "when": at_start(finding.stage),
            "slower": times(numbers["slower"]),
            "per_layer": times(numbers["per_layer"]),
        }
        if case == "start":
            sentence = _(
                "{when}, {first_layer} learns {slower} times slower than {last_layer} (gradient norm of the "
                "{parameter} {first} against {last}), a factor of {per_layer} from each layer to the one before."
            )
        else:
            sentence = _(
                "Through training, {first_layer} learns {slower} times slower than {last_layer} (gradient norm of the "
                "{parameter} {first} against {last}, at the median), a factor of {per_layer} from each layer to the "
                "one before."
            )
        said = sentence.format(**given)
        if "during" in numbers:
            during = number(numbers["during"])
            if numbers["during"] > self.ratio:
                said += " " + _("Training evens it out: over the epochs the ratio is {during}.").format(during=during)
            else:
                said += " " + _("It stays so: over the epochs the ratio is {during}.").format(during=during)
        return said

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high} times").format(low=times(low), high=times(high))
