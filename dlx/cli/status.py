"""``dlx status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlx.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlx.progress import Report
    from dlx.survey import ExperimentStanding, TrialStanding

MOST_LINES = 20
"""Trials of one state that are listed one by one."""


def status(
    results: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RESULTS", help="Results directories, or experiments within, by name too.  [default: results]",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again until nothing runs.")] = False,
    every: Annotated[float, typer.Option("--every", metavar="SECONDS", min=0.2, help="Between two looks.")] = 2.0,
    as_json: Json = False,
) -> int:  # fmt: skip
    """What is done, what is running and how far it is, what failed and why.

    Only reads the results directory: it works from any machine that sees it, while trials run and afterwards.

    Example: dlx status results
    """
    from dlx.analysis.selectors import default_results
    from dlx.survey import survey

    usual = default_results()
    given = results or [usual]
    places = [usual / place if not place.exists() and (usual / place).exists() else place for place in given]
    if watch:
        return _watch(places, every, as_json)
    found = survey(places)
    if as_json:
        _print_json(found)
    else:
        print("\n".join(lines(found)))
    return 0


def _watch(places: Sequence[Path], every: float, as_json: bool) -> int:
    """Redraw on a terminal; elsewhere print again what has changed, for ``--json`` an object per line."""
    import sys
    import time

    from dlx.survey import survey

    if sys.stdout.isatty() and not as_json:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(), auto_refresh=False) as live:
            while True:
                found = survey(places)
                live.update(Text("\n".join(lines(found)), no_wrap=True, overflow="ellipsis"), refresh=True)
                if not _running(found):
                    return 0
                time.sleep(every)
    before: list[str] = []
    while True:
        found = survey(places)
        if as_json:
            _print_json(found)
        elif (now := lines(found)) != before:
            print("\n".join(now), flush=True)
            before = now
        if not _running(found):
            return 0
        time.sleep(every)


def _running(found: Sequence[ExperimentStanding]) -> bool:
    return any(experiment.counts.get("running") for experiment in found)


def lines(found: Sequence[ExperimentStanding]) -> list[str]:
    """What is printed: a line per experiment, then its trials that need a word."""
    output: list[str] = []
    for experiment in found:
        output += [*([""] if output else []), _heading(experiment)]
        for state in ("running", "interrupted", "failed", "diverged"):
            trials = [trial for trial in experiment.trials if trial.state == state]
            output += [f"  {state:<11}  {_describe(trial)}" for trial in trials[:MOST_LINES]]
            if len(trials) > MOST_LINES:
                output.append(f"  {state:<11}  and {len(trials) - MOST_LINES:,} more")
    return output


def _heading(experiment: ExperimentStanding) -> str:
    from dlx.cli.amounts import counted, duration

    counts = dict(experiment.counts)
    done = counts.pop("done", 0)
    parts = [f"{done:,} of {counted(len(experiment.trials), 'trial')} done"]
    parts += [f"{number:,} {state}" for state, number in counts.items()]
    if (left := experiment.seconds_left) is not None:
        parts.append(f"about {duration(left)} left")
    return f"{experiment.name} ({experiment.directory}): {', '.join(parts)}"


def _describe(trial: TrialStanding) -> str:
    """A trial that is not simply done or pending: how far it is, or why it is not further."""
    words = [trial.label]
    if trial.progress is not None:
        words += _progress(trial.progress)
    elif trial.state == "running":
        words.append("starting")
    if trial.state == "running":
        if trial.holder is not None:
            words.append(f"process {trial.holder.pid} on {trial.holder.host}")
    elif trial.reason:
        words.append(trial.reason)
    if trial.log is not None and trial.state == "failed":
        words.append(f"log: {trial.log}")
    return "; ".join(words)


def _progress(report: Report) -> list[str]:
    from dlx.cli.amounts import duration
    from dlx.cli.progress import metrics_line

    words = []
    if report.stage is not None:
        words.append(f"{report.stage} epoch {report.epoch}/{report.epochs}, {report.fraction:.0%}")
        if measured := metrics_line(report.metrics):
            words.append(measured)
    if report.seconds_left is not None:
        words.append(f"about {duration(report.seconds_left)} left")
    return words


def _print_json(found: Sequence[ExperimentStanding]) -> None:
    from dlx import objects

    experiments = [
        {
            "experiment": experiment.name,
            "results": str(experiment.directory),
            "counts": experiment.counts,
            "seconds_left": experiment.seconds_left,
            "trials": [_as_json(trial) for trial in experiment.trials],
        }
        for experiment in found
    ]
    print(objects.text("status", {"experiments": experiments}), flush=True)


def _as_json(trial: TrialStanding) -> dict[str, Any]:
    report = trial.progress
    return {
        "id": trial.id,
        "state": trial.state,
        "seed": trial.seed,
        "parameters": dict(trial.parameters),
        "reason": trial.reason,
        "log": str(trial.log) if trial.log else None,
        "host": trial.holder.host if trial.holder else None,
        "pid": trial.holder.pid if trial.holder else None,
        "progress": None
        if report is None
        else {
            "stage": report.stage,
            "epoch": report.epoch,
            "epochs": report.epochs,
            "step": report.step,
            "steps": report.steps,
            "fraction": report.fraction,
            "seconds_left": report.seconds_left,
            "updated": report.updated,
            "metrics": dict(report.metrics),
        },
    }
