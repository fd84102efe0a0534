"""How numbers of a metric are written for people: accuracies in per cent, deviations with two digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dlx.analysis.metrics import At, Metric, Share
from dlx.analysis.statistics import Estimate
from dlx.language import _

MOST_DECIMALS = 5
"""With more, numbers are written as 1.23e-06."""


@dataclass(frozen=True)
class Scale:
    """How a metric is written. ``percent``: accuracies and shares, which tables hold as fractions."""

    percent: bool

    def value(self, value: float, spread: float | None = None) -> str:
        """A number, with as many decimals as its spread has digits that mean something."""
        if not math.isfinite(value):
            return str(value)
        if self.percent:
            return f"{100 * value:.2f}"
        if spread is None or not math.isfinite(spread) or spread <= 0:
            return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"
        decimals = max(0, 1 - math.floor(math.log10(spread)))
        return f"{value:.{decimals}f}" if decimals <= MOST_DECIMALS and abs(value) < 1e6 else f"{value:.3g}"

    def spread(self, std: float, mean: float) -> str:
        """A standard deviation beside its mean."""
        text = self.value(std, std)
        return f"{std:.2g}" if "e" in text or "e" in self.value(mean, std) else text

    def estimate(self, estimate: Estimate) -> str:
        """``96.46 ± 0.19``; of a single trial, and of a share, the mean alone."""
        mean = self.value(estimate.mean, estimate.std)
        return mean if estimate.std is None else f"{mean} ± {self.spread(estimate.std, estimate.mean)}"

    def interval(self, low: float | None, high: float | None) -> str:
        """``[96.33, 96.60]``; nothing where there is none."""
        if low is None or high is None:
            return ""
        return f"[{self.value(low, _width(low, high))}, {self.value(high, _width(low, high))}]"

    def difference(self, value: float, spread: float | None = None) -> str:
        """A difference as a phrase: ``0.42 points``, ``0.031``; without its sign."""
        text = self.value(abs(value), spread)
        return _("{number} points").format(number=text) if self.percent else text

    def from_to(self, low: float, high: float) -> str:
        """``0.21 to 0.63``."""
        width = _width(low, high)
        return _("{low} to {high}").format(low=signed(self.value(low, width)), high=signed(self.value(high, width)))


def _width(low: float, high: float) -> float:
    return (high - low) / 4


def signed(text: str) -> str:
    """A number's text with a real minus sign."""
    return text.replace("-", "−", 1) if text.startswith("-") else text


def scale(metric: Metric) -> Scale:
    """How a metric is written."""
    if isinstance(metric, Share):
        return Scale(True)
    return Scale(isinstance(metric, At) and metric.series.column.endswith("accuracy"))


def probability(p: float) -> str:
    """``p = 0.031``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def heading(metric: Metric) -> str:
    """A column's heading: the metric, and its unit where numbers are not as in the tables."""
    return f"{metric.text} (%)" if scale(metric).percent else metric.text


def state_said(state: str) -> str:
    """A state in words."""
    return {
        "done": _("done"),
        "running": _("running"),
        "pending": _("pending"),
        "diverged": _("diverged"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "pruned": _("pruned"),
    }.get(state, state)
