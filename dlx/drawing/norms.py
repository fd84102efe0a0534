"""The gradient norms of trials, layer by layer, as several kinds of charts draw them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dlx.blocks import Together, together
from dlx.drawing.subjects import Group, Run, rows_of_stage
from dlx.errors import UsageError
from dlx.language import _

Parameter = Literal["bias", "kernel", "all"] | None
Source = Literal["probe", "train"] | None

Layer = int | str
"""A layer by its number, or several together by the name of their block or stage."""

Norms = dict[tuple[int, int, Layer], float]
"""Norm by (epoch, step, layer)."""

MOST = 16
"""Layers that can be told apart in one picture."""


EVERY_LAYER = f"each layer by itself; false: those of nets with more than {MOST} by block, or by stage if need be"
"""What the option of charts says that draws them all."""


@dataclass(frozen=True)
class Found:
    """Norms of every run of every group, in their order, and what they are the norms of.

    ``names``: of every group, what the layers are called, by number. ``layers``: in the order
    from the input to the output, where layers stand together; None where each is by itself.
    """

    parameter: str
    source: str
    trials: list[list[Norms]]
    names: list[Mapping[int, str]]
    layers: tuple[str, ...] | None = None

    @property
    def orders(self) -> Mapping[str, Sequence[str]]:
        """The order of the column ``layer``, where its values are words."""
        return {"layer": self.layers} if self.layers is not None else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What is said of layers that stand together."""
        if self.layers is None:
            return ()
        count = max(map(len, self.names))
        return (f"of {count} layers those of a block are drawn as their geometric mean (--every-layer draws each)",)

    @property
    def said(self) -> str:
        """The same for a caption; empty where each layer is by itself."""
        return _("; of the layers of a block the geometric mean") if self.layers is not None else ""

    def together(self) -> Found:
        """The layers of deep nets by block or by stage: the geometric mean of each record, as the live display has it.

        As coarse for all settings as the deepest of them needs; itself where none has more than
        :data:`MOST` layers, or no blocks.
        """
        if max(map(len, self.names)) <= MOST:
            return self
        listed = [list(names.values()) for names in self.names]
        stages = any(len(together(names)) > MOST for names in listed)
        groups = [together(names, stages=stages) for names in listed]
        if all(len(found) == len(names) for found, names in zip(groups, listed, strict=True)):
            return self
        trials = [
            [_meaned(trial, list(names), found) for trial in trials]
            for trials, names, found in zip(self.trials, self.names, groups, strict=True)
        ]
        return replace(self, trials=trials, layers=_in_order(groups))


def _meaned(trial: Norms, numbers: Sequence[int], groups: Sequence[Together]) -> Norms:
    records = dict.fromkeys((epoch, step) for epoch, step, _layer in trial)
    found: Norms = {}
    for group in groups:
        mine = [numbers[position] for position in group.positions]
        whole = Together(group.name, tuple(range(len(mine))))
        for epoch, step in records:
            values = [trial[epoch, step, number] for number in mine if (epoch, step, number) in trial]
            if len(values) == len(mine):
                found[epoch, step, group.name] = whole.mean(values)
    return found


def _in_order(groups: Sequence[Sequence[Together]]) -> tuple[str, ...]:
    """Names of the groups of nets of several depths, from the input to the output."""
    places: dict[str, list[float]] = defaultdict(list)
    for found in groups:
        for position, group in enumerate(found):
            places[group.name].append(position / max(1, len(found) - 1))
    return tuple(sorted(places, key=lambda name: sum(places[name]) / len(places[name])))


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


def said(parameter: str) -> str:
    """What a norm is the norm of, in symbols that people know from the literature."""
    symbols = {"bias": "b", "kernel": "W", "all": "(W, b)"}
    return _("‖∂L/∂{symbol}‖").format(symbol=symbols.get(parameter, parameter))
