"""Saturated units: a bounded nonlinearity so near its limits that hardly any gradient passes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged
from dlx.diagnoses._remedies import activation, changes, initializer, normalization
from dlx.diagnoses._words import at_start, listed, percent
from dlx.fields import Fraction
from dlx.language import _
from dlx.records.history import History


class Spec(DiagnosisSpec):
    """Share of unit-example pairs of a hidden layer within 5 % of a limit, before training and at its end.

    Units that saturate as a net learns do no harm: in Nielsen's MNIST nets, which learn well,
    up to 3 in 4 of the first layer's do. Before training a half is too much, since those units
    hardly learn; at the end only a layer that does next to nothing else.
    """

    summary: ClassVar[str] = "saturated units: a hidden layer whose units stay at the limits of their range"
    source: ClassVar[str] = (
        "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010, section 3; "
        "Nielsen 2015, chapter 3, weight initialization"
    )
    headline: ClassVar[str] = "share"

    name: Literal["saturated"] = "saturated"
    start: Fraction = Field(default=0.5, description="share of a hidden layer before training, at or above which it is")
    end: Fraction = Field(default=0.9, description="share of a hidden layer at the end, at or above which it is")

    def judge(self, history: History) -> Finding | None:
        course = history.activation("saturated")
        if course is None:
            if history.activation("std") is None:
                raise NotJudged(_("no activations"))
            return None  # no nonlinearity here has limits
        course = course.only(history.hidden)
        if not course.layers:
            return None
        moments = [("end", -1, self.end)]
        if course.starts_untrained and not history.batch_normalized:
            moments.insert(0, ("start", 0, self.start))
        if not course.points or (history.batch_normalized and not course.trained().points):
            return None
        for case, index, limit in moments:
            shares = course.at(index)
            layers = tuple(name for name, share in shares.items() if share >= limit)
            if layers:
                setting = history.setting
                initial = (initializer(setting), activation(setting))
                learned = (activation(setting), normalization(setting))
                share = max(shares[name] for name in layers)
                suggestions = changes(*(initial if case == "start" else learned))
                return Finding({"share": share}, layers, case, suggestions, history.later_stage)
        return None

    def say(self, finding: Finding) -> str:
        if finding.case == "start":
            sentence = _("{when}, {share} of the outputs of {layers} already are at the limits of their range.")
        else:
            sentence = _("At the end, {share} of the outputs of {layers} are at the limits of their range.")
        return sentence.format(
            when=at_start(finding.stage), share=percent(finding.numbers["share"]), layers=listed(finding.layers)
        )

    def span(self, low: float, high: float) -> str:
        return _("{low} to {high}").format(low=percent(low), high=percent(high))
