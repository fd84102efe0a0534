"""``dlx run``."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dlx.cli.options import DataDir, Json, Quiet, Sets, Specs
from dlx.errors import UsageError

if TYPE_CHECKING:
    from dlx.cli.summary import TrialSummary
    from dlx.events import Observer
    from dlx.schedule import Decision, Outcome
    from dlx.spec import Experiment

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s?)?")


def run(
    specs: Specs,
    sets: Sets = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="SEEDS", help="Seeds in place of the spec's: 5, 0..4, [0, 3].")
    ] = None,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", envvar="DLX_RESULTS", help="Where trials leave their files.")
    ] = Path("results"),
    data_dir: DataDir = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Threads per trial.  [default: all cores]")
    ] = None,
    engine: Annotated[
        Literal["tensorflow", "jax"],
        typer.Option("--engine", metavar="NAME", help="The Keras backend that trains: tensorflow, jax."),
    ] = "tensorflow",
    retry: Annotated[bool, typer.Option("--retry", help="Run failed and diverged trials again.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run finished trials again; the old ones move aside.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start interrupted trials afresh instead of continuing them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", metavar="TIME", help="Stop in order after this long: 20m, 1h30m, 90s."),
    ] = None,
    allow: Annotated[
        Literal["diverged"] | None,
        typer.Option("--allow", metavar="diverged", help="Do not count trials that end so as failures."),
    ] = None,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Begin no trial after the first that fails.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run the trials of a spec that are not done yet.

    Trials that were interrupted go on where they stopped, to the same result. On a terminal, a live display shows
    accuracies and the gradient norm of every layer; elsewhere there is a line per epoch at most. A table of what was
    reached, and where the files are, is printed at the end.

    Exit codes: 0 all done; 1 a trial failed or diverged; 2 bad usage or spec; 130 interrupted and 143 terminated, both
    of which the same command continues.

    Example: dlx run experiments/quickstart.yaml
    """
    from dlx.cli import display, loading, summary
    from dlx.events import Note, ignore
    from dlx.interruption import Stop
    from dlx.schedule import Options, decide
    from dlx.schedule import run as run_experiment
    from dlx.worker import Runtime

    allowed = [allow] if allow else []
    limit = seconds(max_time) if max_time is not None else None
    experiments = loading.load_all(specs, sets or [], seeds)
    options = Options(
        results, Runtime(engine, threads, data_dir), retry=retry, rerun=rerun, restart=restart, fail_fast=fail_fast
    )
    decisions = [decide(experiment, options) for _, experiment in experiments]
    if dry_run:
        _print_decisions(experiments, decisions, results, as_json)
        return 0
    loading.fetch_absent([d.trial for each in decisions for d in each if d.action != "skip"], data_dir, quiet=quiet)

    outcomes: list[Outcome] = []
    shown: Observer = ignore
    with Stop(limit, lambda reason: _acknowledge(reason, shown)).listening() as stop:
        for (_, experiment), decided in zip(experiments, decisions, strict=True):
            begun = sum(decision.action != "skip" for decision in decided)
            examples = "images" if _on_images(experiment) else "examples"
            with display.choose(begun, sys.stderr, quiet=quiet, examples=examples) as shown:
                for note in [*experiment.notes, *_left_alone(decided)]:
                    shown(Note(note))
                outcomes.append(run_experiment(experiment, options, shown, stop))
            if stop.requested or (fail_fast and outcomes[-1].exit_code(allowed)):
                break

    reports = [summary.of_outcome(outcome) for outcome in outcomes]
    if as_json:
        _print_json(experiments, outcomes, reports)
    elif not quiet:
        for (_, experiment), outcome, trials in zip(experiments, outcomes, reports, strict=False):
            _print_report(experiment, outcome, trials)
    if stop.requested and any(outcome.stopped for outcome in outcomes):
        print(f"dlx: {stop.requested[0]}; the same command goes on from there", file=sys.stderr)
    codes = {outcome.exit_code(allowed) for outcome in outcomes}
    return next((code for code in (130, 143, 1) if code in codes), 0)


def seconds(text: str) -> float:
    """``1h30m`` → 5400.0; a bare number is seconds. Raises :class:`~dlx.errors.UsageError`."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise UsageError(f"--max-time {text!r} is no length of time", hint="20m, 1h30m, 90s")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + rest
    if not total:
        raise UsageError("--max-time 0 leaves no time to train")
    return total


def _acknowledge(reason: str, observe: Observer) -> None:
    """Tell at once that a signal was heard: the step that is under way is still finished."""
    from dlx.events import Note

    # The signal may have come in the middle of a write to the same stream; the end of the run says it too.
    with suppress(RuntimeError):
        observe(Note(f"{reason}: finishing the step, saving, stopping"))


def _left_alone(decisions: Sequence[Decision]) -> list[str]:
    """Which trials are not run, and why."""
    from dlx.schedule import label

    left = [decision for decision in decisions if decision.action == "skip"]
    done = sum(decision.why == "done" for decision in left)
    notes = [f"{done} of {len(decisions)} trials were done before"] if done else []
    return notes + [f"{label(decision.trial)}: {decision.why}" for decision in left if decision.why != "done"]


def _on_images(experiment: Experiment) -> bool:
    return all(len(trial.setting.dataset.info().input_shape) == 3 for trial in experiment.trials[:1])


def _print_report(experiment: Experiment, outcome: Outcome, trials: Sequence[TrialSummary]) -> None:
    import shutil

    from dlx.cli.summary import report

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if experiment.description:
        print(experiment.description, end="\n\n")
    print("\n".join(report(trials, width)))
    print(f"\ntables: {outcome.directory / 'trials.csv'} and {outcome.directory / 'trials'}/<id>/")


def _print_json(
    experiments: Sequence[tuple[Path, Experiment]],
    outcomes: Sequence[Outcome],
    reports: Sequence[Sequence[TrialSummary]],
) -> None:
    import json

    from dlx.cli.summary import as_json

    ran = [
        {
            "experiment": experiment.name,
            "file": str(path),
            "results": str(outcome.directory),
            "trials": [as_json(trial) for trial in trials],
            "notes": [*experiment.notes, *outcome.notes],
        }
        for (path, experiment), outcome, trials in zip(experiments, outcomes, reports, strict=False)
    ]
    print(json.dumps({"schema": "dlx.run/1", "experiments": ran}, ensure_ascii=False))


def _print_decisions(
    experiments: Sequence[tuple[Path, Experiment]],
    decisions: Sequence[Sequence[Decision]],
    results: Path,
    as_json: bool,
) -> None:
    import json

    from dlx.cli.progress import counted
    from dlx.schedule import label

    if as_json:
        would = [
            {
                "experiment": experiment.name,
                "file": str(path),
                "results": str(results / experiment.name),
                "trials": [
                    {"id": d.trial.id, "action": d.action, "why": d.why, "parameters": dict(d.trial.parameters)}
                    for d in decided
                ],
                "notes": list(experiment.notes),
            }
            for (path, experiment), decided in zip(experiments, decisions, strict=True)
        ]
        print(json.dumps({"schema": "dlx.run/1", "dry_run": True, "experiments": would}, ensure_ascii=False))
        return
    for (path, _), decided in zip(experiments, decisions, strict=True):
        begun = sum(decision.action != "skip" for decision in decided)
        print(f"{path}: would run {begun} of {counted(len(decided), 'trial')}")
        for decision in decided:
            print(f"  {decision.trial.id}  {decision.action:<8}  {label(decision.trial)}  ({decision.why})")
