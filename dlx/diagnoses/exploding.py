"""Exploding gradients: they grow from layer to layer towards the input, or jump in the course of training."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding
from dlx.diagnoses._remedies import changes, field, initializer, normalization, rate
from dlx.diagnoses._speed import ratios, speed
from dlx.diagnoses._words import at_start, number, times
from dlx.language import _
from dlx.records.history import Course, History

Above1 = Annotated[float, Field(gt=1.0, allow_inf_nan=False)]


class Spec(DiagnosisSpec):
    """Ratio of the bias gradients of the first and the last hidden layer before training; jumps while training.

    Towards the end of training ratios of 2 to 5 are common where the net fits its data, so
    that through training only jumps of the mini-batch gradient count.
    """

    summary: ClassVar[str] = "exploding gradients: they grow towards the input, or jump while training"
    source: ClassVar[str] = (
        "Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks, 2013; "
        "Nielsen 2015, chapter 5"
    )
    headline: ClassVar[str] = "ratio"

    name: Literal["exploding"] = "exploding"
    ratio: Above1 = Field(
        default=10.0, description="gradient of the first hidden layer over that of the last, at or above which it is"
    )
    jump: Above1 = Field(
        default=1000.0, description="an epoch's mini-batch gradient over the largest before it, at or above which it is"
    )

    def judge(self, history: History) -> Finding | None:
        steps = history.gradient("grad_norm", "all", "train")
        jumped = None if steps is None else self._jump(steps)
        setting = history.setting
        clipped = field(setting, "training.optimizer.clipnorm", 1.0)
        if jumped is not None:
            return Finding(jumped, case="jump", suggestions=changes(clipped, rate(setting, 0.1)))
        measured = speed(history)
        if measured is None:
            return None
        course, parameter = measured
        start = ratios(course)[0] if course.starts_untrained else None
        if start is None or start < self.ratio:
            return None
        layers = tuple(course.layers)
        values = course.at(0)
        numbers = {
            "ratio": start,
            "first": values[layers[0]],
            "last": values[layers[-1]],
            "per_layer": start ** (1 / (len(layers) - 1)),
        }
        return Finding(
            numbers,
            layers,
            f"start {parameter}",
            changes(initializer(setting), normalization(setting), clipped),
            history.later_stage,
        )

    def _jump(self, course: Course) -> dict[str, float] | None:
        """The first epoch in which the gradient of all layers together jumps, or is no longer a number."""
        whole = [math.hypot(*course.at(index).values()) for index in range(len(course.points))]
        for at, norm in enumerate(whole[1:], start=1):
            before = max(whole[:at])
            if not math.isfinite(norm) or (before and norm / before >= self.jump):
                ratio = norm / before if before else math.inf
                return {"ratio": ratio, "epoch": course.points[at][0], "norm": norm, "before": before}
        return None

    def say(self, finding: Finding) -> str:
        numbers = finding.numbers
        if finding.case == "jump":
            if not math.isfinite(numbers["norm"]):
                return _("In epoch {epoch}, the gradient is no longer a finite number.").format(
                    epoch=f"{numbers['epoch']:g}"
                )
            return _(
                "In epoch {epoch}, the mini-batch gradient is {ratio} times as large as ever before ({norm} after "
                "{before})."
            ).format(
                epoch=f"{numbers['epoch']:g}",
                ratio=times(numbers["ratio"]),
                norm=number(numbers["norm"]),
                before=number(numbers["before"]),
            )
        return _(
            "{when}, the gradient of {first_layer} is {ratio} times that of {last_layer} (norm for the "
            "{parameter} {first} against {last}), a factor of {per_layer} from each layer to the one before."
        ).format(
            when=at_start(finding.stage),
            first_layer=finding.layers[0],
            last_layer=finding.layers[-1],
            ratio=times(numbers["ratio"]),
            parameter=finding.case.partition(" ")[2],
            first=number(numbers["first"]),
            last=number(numbers["last"]),
            per_layer=times(numbers["per_layer"]),
        )

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high} times").format(low=times(low), high=times(high))
