"""The speed at which hidden layers learn, as several rules look at it."""

from __future__ import annotations

import math

from dlx.diagnoses import NotJudged
from dlx.language import _
from dlx.records.history import Course, History


def speed(history: History) -> tuple[Course, str] | None:
    """The gradient norm of the parameter that shifts each hidden layer's units, and which that is; None for one layer.

    The bias, as Nielsen (2015, chapter 5) measures it: its gradient is the error that reaches
    the layer, whatever the layer's size. Behind batch normalisation a bias has none and the
    shift ``beta`` takes its place, and only the steps as trained count (inference mode is
    another net there). Kernels, where a net has neither. Raises :class:`NotJudged`.
    """
    if history.numbered and len(history.hidden) < 2:
        return None
    sources = ("train",) if history.batch_normalized else ("probe", "train")
    for parameter in ("beta", "bias", "kernel"):
        for source in sources:
            course = history.gradient("grad_norm", parameter, source)
            if course is not None and history.hidden:
                found = course.only(history.hidden)
                if tuple(found.layers) == history.hidden:
                    return found, parameter
    if history.batch_normalized:
        raise NotJudged(_("no gradients of all hidden layers with the source train"))
    raise NotJudged(_("no gradients of all hidden layers"))


def ratios(course: Course) -> list[float | None]:
    """First hidden layer over the last at each record point; None where that says nothing."""
    values = list(course.layers.values())
    return [_ratio(first, last) for first, last in zip(values[0], values[-1], strict=True)]


def _ratio(first: float | None, last: float | None) -> float | None:
    if first is None or last is None or not (math.isfinite(first) and math.isfinite(last)) or not last:
        return None
    return first / last
