"""A diagnosis: what a package needs to write to add one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dlx.diagnoses import DiagnosisSpec, Finding
from dlx.records.history import History


class Spec(DiagnosisSpec):
    """The last epoch, where it is no later than a threshold."""

    summary: ClassVar[str] = "a training that was short"
    source: ClassVar[str] = "an example"
    headline: ClassVar[str] = "epochs"

    name: Literal["short"] = "short"
    epochs: int = Field(default=2, description="epochs up to which a training is short")

    def judge(self, history: History) -> Finding | None:
        last = max(history.epochs, default=0)
        return Finding({"epochs": last}) if last <= self.epochs else None

    def say(self, finding: Finding) -> str:
        return f"Trained for {finding.numbers['epochs']:g} epochs only."
