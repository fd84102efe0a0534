"""A layer that does not learn: it never gets a gradient worth the name."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._remedies import RECTIFIERS, activation, changes, initializer
from dlx.diagnoses._words import listed, number
from dlx.language import _
from dlx.records.history import History


class Spec(DiagnosisSpec):
    """The gradient of all of a layer's parameters over that of the fastest layer, at every record point of training."""

    summary: ClassVar[str] = "a layer that does not learn: its gradient is zero, or lost in rounding beside the others'"
    source: ClassVar[str] = (
        "IEEE 754: float32 has 24 bits, 6e-8 of a number; Goodfellow, Bengio and Courville 2016, section 8.4: equal "
        "initial weights stay equal"
    )
    headline: ClassVar[str] = "ratio"

    name: Literal["idle_layer"] = "idle_layer"
    ratio: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = Field(
        default=1e-6, description="gradient of a layer over that of the fastest, never above which it does not learn"
    )

    def judge(self, history: History) -> Finding | None:
        course = history.gradient("grad_norm", "all", "train") or history.gradient("grad_norm", "all", "probe")
        if course is None:
            raise NotJudged(_("no gradients"))
        course = course.trained()
        if not course.points:
            raise NotJudged(_("no gradients while training"))
        fastest = [max(course.at(index).values(), default=0.0) for index in range(len(course.points))]
        idle = {
            name: max((value or 0.0) / most if most else 0.0 for value, most in zip(values, fastest, strict=True))
            for name, values in course.layers.items()
        }
        layers = tuple(name for name, ratio in idle.items() if ratio <= self.ratio)
        if not layers or not any(fastest):
            return None
        setting = history.setting
        return Finding(
            {"ratio": max(idle[name] for name in layers)},
            layers,
            suggestions=changes(initializer(setting), activation(setting, unless=RECTIFIERS)),
        )

    def say(self, finding: Finding) -> str:
        if not finding.numbers["ratio"]:
            return _("{layers} got no gradient at all while the net was trained.").format(layers=listed(finding.layers))
        return _("{layers} never got more than {ratio} of the gradient of the fastest layer.").format(
            layers=listed(finding.layers), ratio=number(finding.numbers["ratio"])
        )
