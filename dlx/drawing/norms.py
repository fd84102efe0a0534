"""The gradient norms of trials, layer by layer, as several kinds of charts draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dlx.blocks import Together
from dlx.drawing.depth import Depth, Layer, depth, pooled_geometrically
from dlx.drawing.subjects import Group, Run, rows_of_stage
from dlx.errors import UsageError
from dlx.language import _

Parameter = Literal["bias", "kernel", "all"] | None
Source = Literal["probe", "train"] | None

Norms = dict[tuple[int, int, Layer], float]
"""Norm by (epoch, step, layer)."""


@dataclass(frozen=True)
class Found:
    """Norms of every run of every group, in their order, and what they are the norms of.

    ``names``: of every group, what the layers are called, by number. ``depth``: which of them
    stand together; None where each is by itself.
    """

    parameter: str
    source: str
    trials: list[list[Norms]]
    names: list[Mapping[int, str]]
    depth: Depth | None = None

    @property
    def layers(self) -> tuple[str, ...] | None:
        """Names of layers that stand together, from the input to the output."""
        return self.depth.layers if self.depth else None

    @property
    def orders(self) -> Mapping[str, Sequence[str]]:
        """The order of the column ``layer``, where its values are words."""
        return self.depth.orders if self.depth else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of layers that stand together."""
        return (self.depth.note("geometric mean"),) if self.depth else ()

    @property
    def said(self) -> str:
        """The same for a caption; empty where each layer is by itself."""
        return pooled_geometrically() if self.depth else ""

    def together(self) -> Found:
        """The layers of deep nets by block or by stage: the geometric mean of each record, as in the live display."""
        found = depth(self.names)
        if found is None:
            return self
        trials = [
            [_meaned(trial, places) for trial in trials]
            for trials, places in zip(self.trials, found.places, strict=True)
        ]
        return replace(self, trials=trials, depth=found)


def _meaned(trial: Norms, places: Mapping[str, tuple[int, ...]]) -> Norms:
    records = dict.fromkeys((epoch, step) for epoch, step, _layer in trial)
    found: Norms = {}
    for name, numbers in places.items():
        whole = Together(name, tuple(range(len(numbers))))
        for epoch, step in records:
            values = [trial[epoch, step, number] for number in numbers if (epoch, step, number) in trial]
            if len(values) == len(numbers):
                found[epoch, step, name] = whole.mean(values)
    return found


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
    return Found(
        parameter,
        source,
        [[trial[source, parameter] for trial in trials] for trials in recorded],
        [_names(group.runs[0], trials[0][source, parameter]) for group, trials in zip(groups, recorded, strict=True)],
    )


def _names(run: Run, trial: Norms) -> Mapping[int, str]:
    """What the layers are called that have norms: as the first row of each has it."""
    rows = run.table("gradients")
    first: dict[int, str] = {}
    for layer, name in zip(rows.column("layer"), rows.column("name"), strict=True):
        if layer:
            first.setdefault(int(layer), name)
    return {layer: first[layer] for layer in sorted({int(layer) for _epoch, _step, layer in trial})}


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


def records(trial: Norms) -> list[tuple[int, int]]:
    """The records of a trial in order: (epoch, step)."""
    return sorted({(epoch, step) for epoch, step, _layer in trial})


def after_epochs(trial: Norms) -> dict[int, int]:
    """By epoch the step of the record that follows it: where a probe records within epochs, others come later."""
    return dict(reversed(records(trial)))


def said(parameter: str) -> str:
    """What a norm is the norm of, in symbols that people know from the literature."""
    symbols = {"bias": "b", "kernel": "W", "all": "(W, b)"}
    return _("‖∂L/∂{symbol}‖").format(symbol=symbols.get(parameter, parameter))
