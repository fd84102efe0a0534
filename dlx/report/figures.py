"""The charts that fit an experiment, by what varies in it and what its trials recorded."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlx.analysis.comparison import Comparison
from dlx.analysis.trials import Tables, Trial
from dlx.drawing.picture import Picture, compose
from dlx.drawing.subjects import Group
from dlx.drawing.themes import Theme
from dlx.drawing.tidy import Tidy
from dlx.errors import DlxError, ResultsError
from dlx.language import _
from dlx.plot import chart_of, data_of, groups_of

PAGE = Theme("page", width=840, height=270, text=13, title=16, line=2, point=36, ppi=144, titled=False)
MOST_SETTINGS = 12
"""Of more, charts that have a panel or a colour per setting show :data:`SHOWN` from the best to the worst."""
SHOWN = 6


@dataclass(frozen=True)
class Figure:
    """A chart of the page: its picture and numbers, what it leaves out, and the command that draws it alone."""

    kind: str
    picture: Picture
    tidy: Tidy
    command: str
    note: str = ""


def figures_of(
    trials: Sequence[Trial], compared: Comparison, directory: Path, tables: Mapping[str, Tables]
) -> tuple[list[Figure], list[str]]:
    """The charts of an experiment's trials, the answer first; and why others that would fit are not there."""
    try:
        groups, notes = groups_of(trials)
    except DlxError as error:
        return [], [str(error)]
    groups = [replace(g, runs=tuple(replace(r, tables=tables.get(r.name, r.tables)) for r in g.runs)) for g in groups]
    figures, problems = [], list(notes)
    some, left_out = _some(groups, compared)
    for kind, options in _fitting(groups, compared):
        whole = kind == "sweep"
        try:
            figures.append(_figure(kind, groups if whole else some, options, directory, "" if whole else left_out))
        except (DlxError, ValueError) as error:
            problems.append(f"{kind}: {error}")
    return figures, problems


def _fitting(groups: Sequence[Group], compared: Comparison) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Kinds with their options: what varies goes first, then how it came about, in time and by layer."""
    if len(groups) > 1 and compared.metrics:
        yield "sweep", {"metric": compared.metrics[0].text}
    yield "accuracy", {}
    recorded = {name for name in ("gradients", "activations") if all(_has(group, name) for group in groups)}
    if "gradients" in recorded:
        yield "learning-speed", {}
        yield "gradients", {}
    if "activations" in recorded:
        yield "activations", {}


def _has(group: Group, table: str) -> bool:
    try:
        return all(run.tables.get(table) is not None for run in group.runs)
    except ResultsError:  # a table that is damaged is there: what can be read is drawn
        return True
    except DlxError:
        return False


def _some(groups: Sequence[Group], compared: Comparison) -> tuple[Sequence[Group], str]:
    """The settings that charts with a panel for each show: all, or from the best to the worst at even distances."""
    if len(groups) <= MOST_SETTINGS:
        return groups, ""
    means = {}
    for row in compared.rows:
        for trial in row.trials:
            means[trial.id] = row.cells[0].mean
    better = compared.metrics[0].better if compared.metrics else 0

    def quality(group: Group) -> float:
        value = means.get(group.runs[0].name, math.nan)
        return -math.inf if math.isnan(value) else value * (better or 1)

    ranked = sorted(groups, key=quality, reverse=True)
    chosen = {id(ranked[round(at * (len(ranked) - 1) / (SHOWN - 1))]) for at in range(SHOWN)}
    shown = [group for group in groups if id(group) in chosen]
    note = _("{shown} of {all} settings, from the best to the worst").format(shown=len(shown), all=len(groups))
    return shown, note


def _figure(
    kind: str, groups: Sequence[Group], options: Mapping[str, str | None], directory: Path, note: str
) -> Figure:
    spec = chart_of(kind, options)
    tidy, left_out = data_of(spec, groups)
    heading = tidy.heading or spec.heading()
    picture = compose(
        lambda canvas: spec.draw(tidy, canvas), tidy, PAGE, heading[:1].upper() + heading[1:], interactive=True
    )
    words = ["dlx", "plot", kind, str(directory), *(f"--{name}={value}" for name, value in options.items() if value)]
    command = shlex.join([*words, "-o", f"{kind}.svg"])
    return Figure(kind, picture, tidy, command, "; ".join(part for part in (note, *left_out, *tidy.notes) if part))
