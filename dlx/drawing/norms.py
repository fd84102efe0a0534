"""The gradient norms of trials, layer by layer, as several kinds of charts draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dlx.drawing.subjects import Group, Run, rows_of_stage
from dlx.errors import UsageError
from dlx.language import _

Parameter = Literal["bias", "kernel", "all"] | None
Source = Literal["probe", "train"] | None

Norms = dict[tuple[int, int, int], float]
"""Norm by (epoch, step, layer)."""


@dataclass(frozen=True)
class Found:
    """Norms of every run of every group, in their order, and what they are the norms of."""

    parameter: str
    source: str
    trials: list[list[Norms]]


def norms(groups: Sequence[Group], parameter: Parameter, source: Source, stage: str | None) -> Found:
    """The norms that the trials recorded of one kind of parameter, from one source.

    ``parameter`` None: the bias, as its gradient is the error of the layer (Nielsen 2015,
    chapter 5), unless a layer has none: then the kernel. ``source`` None: the fixed sample,
    unless nothing was recorded of it. Raises :class:`~dlx.errors.UsageError` where a trial
    recorded no such thing.
    """
    recorded = [[_recorded(run, stage) for run in group.runs] for group in groups]
    every = [trial for trials in recorded for trial in trials]
    if source is None:
        source = "probe" if all(any(kind[0] == "probe" for kind in trial) for trial in every) else "train"
    if parameter is None:
        whole = all(
            {key[2] for key in trial.get((source, "bias"), {})} == {key[2] for key in trial.get((source, "kernel"), {})}
            for trial in every
        )
        parameter = "bias" if whole else "kernel"
    for group, trials in zip(groups, recorded, strict=True):
        for run, trial in zip(group.runs, trials, strict=True):
            if (source, parameter) not in trial:
                there = ", ".join(sorted({f"{name} ({origin})" for origin, name in trial}))
                raise UsageError(
                    f"{run.name} recorded no gradient norm of {parameter} ({source})", hint=f"it has {there}"
                )
    return Found(parameter, source, [[trial[source, parameter] for trial in trials] for trials in recorded])


def _recorded(run: Run, stage: str | None) -> dict[tuple[str, str], Norms]:
    """Norms by (source, parameter)."""
    rows = run.table("gradients", "probes: {gradients: {every: 1 epoch}}")
    columns = [rows.column(name) for name in ("source", "parameter", "layer", "epoch", "step", "grad_norm")]
    found: dict[tuple[str, str], Norms] = {}
    for position in rows_of_stage(rows, stage):
        source, parameter, layer, epoch, step, norm = (column[position] for column in columns)
        if layer and norm:
            # A normalisation's parameters count with the layer before, which comes first and is the one meant.
            found.setdefault((source, parameter), {}).setdefault((int(epoch), int(step), int(layer)), float(norm))
    return found


def said(parameter: str) -> str:
    """What a norm is the norm of, in symbols that people know from the literature."""
    symbols = {"bias": "b", "kernel": "W", "all": "(W, b)"}
    return _("‖∂L/∂{symbol}‖").format(symbol=symbols.get(parameter, parameter))
