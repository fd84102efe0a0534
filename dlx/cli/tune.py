"""``dlx tune``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlx.cli.options import DataDir, Json, Plugins, Quiet, Sets, TrainingEngine

if TYPE_CHECKING:
    from dlx.spec.search import Search
    from dlx.tuning import Tuned, Winner


def tune(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A YAML spec, or one of `dlx experiments`.", show_default=False)
    ],
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", min=1, help="Tries in all.  [default: 30; of a grid, all]"),
    ] = None,
    max_time: Annotated[
        str | None, typer.Option("--max-time", metavar="TIME", help="Choose among what there is after: 2h, 30m.")
    ] = None,
    sampler: Annotated[
        str, typer.Option("--sampler", metavar="NAME", help="How values are chosen: tpe, random, grid, cmaes.")
    ] = "tpe",
    pruner: Annotated[
        str,
        typer.Option("--pruner", metavar="NAME", help="How tries are ended early: median, hyperband, none."),
    ] = "median",
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="COLUMN", help="What is improved.  [default: val_accuracy, or val_loss]"),
    ] = None,
    sampler_seed: Annotated[
        int, typer.Option("--sampler-seed", metavar="N", min=0, help="Seed of the choices; a trial's is the spec's.")
    ] = 0,
    sets: Sets = None,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", envvar="DLX_RESULTS", help="Where trials leave their files.")
    ] = Path("results"),
    data_dir: DataDir = None,
    plugins: Plugins = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", min=1, help="Threads of a trial.  [default: the cores]")
    ] = None,
    engine: TrainingEngine = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Search for the settings of a spec that do best on its validation set.

    What varies stands under search: in the spec, values by path as in a sweep, or log(a, b) and lin(a, b). Without it,
    that is the axes of sweep:, or else what the model is usually varied in. Tries are trials of the experiment
    NAME-tune and never see the test set, which is looked at once, for the winner. The winner is printed as a spec. The
    same command goes on where it stopped; run at several places at once, it shares the tries.

    Example: dlx tune experiments/quickstart.yaml --trials 2 --set training.epochs=1
    """
    from dlx.cli import display, loading
    from dlx.cli.amounts import parse_duration
    from dlx.cli.configuration import engine as configured
    from dlx.interruption import Stop
    from dlx.shipped import place
    from dlx.spec.search import load_search
    from dlx.tuning import Options
    from dlx.tuning import tune as carry_out
    from dlx.worker import Runtime

    limit = parse_duration(max_time) if max_time is not None else None
    search = load_search(place(spec), sets or [])
    runtime = Runtime(engine or configured(), threads, data_dir, plugins=plugins)
    loading.fetch_absent(search.experiment.trials[:1], data_dir, quiet=quiet)
    options = Options(results, runtime, trials, sampler, pruner, metric, sampler_seed)
    with Stop(limit).listening() as stop, display.choose(trials or 30, sys.stderr, quiet=quiet) as shown:
        tuned = carry_out(search, options, shown, stop)
    if as_json:
        _print_json(search, tuned)
    else:
        if not quiet:
            print("\n".join(lines(search, tuned)), file=sys.stderr)
        if tuned.winner is not None:
            sys.stdout.write(spec_of(tuned, tuned.winner))
    if tuned.winner is None and stop.requested is not None and not stop.timed_out:
        if not quiet:
            print(f"dlx: {stop.requested[0]}; the same command goes on from there", file=sys.stderr)
        return stop.requested[1]
    return 0 if tuned.winner is not None or tuned.elsewhere else 1


def lines(search: Search, tuned: Tuned) -> list[str]:
    """How the tries ended, and who still works on some."""
    from dlx.cli.amounts import counted

    states = [one.state for one in tuned.tries]
    ends = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    output = [f"{counted(len(states), 'trial')} tried: {ends or 'none'}; tables: {tuned.directory / 'trials.csv'}"]
    if tuned.elsewhere:
        runs = "still runs" if tuned.elsewhere == 1 else "still run"
        output.append(f"{counted(tuned.elsewhere, 'trial')} {runs} elsewhere: the last to end names the winner")
    elif tuned.winner is None and "done" not in states:
        output.append("none is done, so there is no winner")
    return output


def spec_of(tuned: Tuned, winner: Winner) -> str:
    """The winner's spec, with what it reached as a comment."""
    best = winner.best
    reached = [f"{tuned.metric} {best.value:.6g}", *(f"test_{name} {value:.6g}" for name, value in winner.test.items())]
    head = f"The best of {len(tuned.tries)} tries: try {best.number}, trial {best.trial}"
    return f"# {head}\n# {', '.join(reached)}\n{winner.spec}"


def _print_json(search: Search, tuned: Tuned) -> None:
    from dlx import objects

    winner: dict[str, Any] | None = None
    if tuned.winner is not None:
        winner = {**_try(tuned.winner.best), "test": dict(tuned.winner.test), "spec": tuned.winner.spec}
    found = {
        "experiment": search.experiment.name,
        "results": str(tuned.directory),
        "metric": tuned.metric,
        "tries": [_try(one) for one in tuned.tries],
        "elsewhere": tuned.elsewhere,
        "winner": winner,
    }
    print(objects.text("tune", found))


def _try(one: Any) -> dict[str, Any]:
    return {
        "try": one.number,
        "trial": one.trial,
        "values": dict(one.values),
        "state": one.state,
        "value": one.value,
    }
