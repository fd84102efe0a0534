"""Diagnoses: rules that read a trial's tables and say what they show.

A member is a module with a class ``Spec``: its thresholds are its fields, with their
meaning; ``source`` says who found them. A rule looks at one trial and knows of no other rule.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dlx.diagnoses._words import number
from dlx.fields import MemberFields
from dlx.language import _
from dlx.records.history import History
from dlx.registry import OpenSet


@dataclass(frozen=True)
class Finding:
    """What a rule found in a trial.

    ``numbers`` are the evidence by name; of several seeds their medians are told. ``layers``
    are the Keras names that it is about, from the input. ``case`` tells apart what one rule
    says in several ways. ``suggestions`` are changes as ``--set`` takes them
    (``model.activation=relu``), the likeliest first. ``stage`` is set where the start of a later
    stage is meant, and not that of training.
    """

    numbers: Mapping[str, float]
    layers: tuple[str, ...] = ()
    case: str = ""
    suggestions: tuple[str, ...] = ()
    stage: str | None = None


class NotJudged(Exception):
    """The trial did not record what the rule reads; the message says what that is."""


class DiagnosisSpec(MemberFields):
    """The contract of a rule.

    ``headline`` is the number, in every finding, whose range over the seeds is told; ``explained_by`` names
    rules whose verdict makes this one superfluous.
    """

    headline: ClassVar[str]
    explained_by: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def judge(self, history: History) -> Finding | None:
        """What the rule finds, None for nothing. Raises :class:`NotJudged`."""

    @abstractmethod
    def say(self, finding: Finding) -> str:
        """The finding as a sentence to be read aloud, without the trial's name."""

    def span(self, low: float, high: float) -> str:
        """The range of the headline number over seeds, as it is said."""
        return _("{low} to {high}").format(low=number(low), high=number(high))


registry: OpenSet[DiagnosisSpec] = OpenSet("diagnosis", "dlx.diagnoses", DiagnosisSpec)
