"""The flags that ``dlx run`` and ``dlx sweep`` share: how trials are run, whatever says which."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from dlx.cli.options import DataDir, Json, Lang, Plugins, Quiet, Sets, Smoke, TrainingEngine


@dataclass(frozen=True)
class Flags:
    """Each field is an option of the command line."""

    sets: Sets = None
    smoke: Smoke = False
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="SEEDS", help="Seeds in place of the spec's: 5, 0..4, [0, 3].")
    ] = None
    cap: Annotated[
        int, typer.Option("--cap", metavar="N", min=1, help="Refuse an experiment of more trials than this.")
    ] = 10_000
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", envvar="DLX_RESULTS", help="Where trials leave their files.")
    ] = Path("results")
    data_dir: DataDir = None
    plugins: Plugins = None
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", metavar="N", min=1, help="Threads of a trial.  [default: the cores, divided among the trials]"
        ),
    ] = None
    engine: TrainingEngine = None
    pack: Annotated[
        str,
        typer.Option(
            "--pack",
            metavar="N",
            help="JAX: trials alike but for seed, rate, penalty or initial weights that train as one vectorised "
            "program: a number, off, or auto (on GPUs, by size).",
        ),
    ] = "auto"
    devices: Annotated[
        int | None,
        typer.Option(
            "--devices",
            metavar="N",
            min=1,
            help="GPUs of one machine that divide each batch of a trial.  [default: training.devices, 1]",
        ),
    ] = None
    retry: Annotated[bool, typer.Option("--retry", help="Run failed and diverged trials again.")] = False
    rerun: Annotated[bool, typer.Option("--rerun", help="Run finished trials again; the old ones move aside.")] = False
    restart: Annotated[
        bool, typer.Option("--restart", help="Start interrupted trials afresh instead of continuing them.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate", help="With --dry-run: time a few steps of each setting, and say how long all takes."
        ),
    ] = False
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", metavar="TIME", help="Stop in order after this long: 20m, 1h30m, 90s."),
    ] = None
    executor: Annotated[
        str | None,
        typer.Option("--executor", metavar="NAME", help="Where trials run: inline, local, ray, slurm."),
    ] = None
    executors: Annotated[
        Path | None,
        typer.Option("--executors", metavar="FILE", help="Options of executors.  [default: executors.yaml, if there]"),
    ] = None
    jobs: Annotated[
        int | None, typer.Option("--jobs", metavar="N", min=1, help="Trials at the same time.  [default: what fits]")
    ] = None
    per_gpu: Annotated[
        int | None, typer.Option("--per-gpu", metavar="N", min=1, help="Trials that share a GPU.  [default: 1]")
    ] = None
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="TIME", help="End a trial that takes no step for so long: 10m.")
    ] = None
    grace: Annotated[
        str | None,
        typer.Option("--grace", metavar="TIME", help="What running trials have to save themselves.  [default: 30s]"),
    ] = None
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST:PORT", help="The Ray cluster.", rich_help_panel="Ray"),
    ] = None
    losses: Annotated[
        int | None,
        typer.Option(
            "--losses", metavar="N", min=0, help="Lost nodes that a trial may survive.", rich_help_panel="Ray"
        ),
    ] = None
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="K/N", help="Run the K-th of N shares of the trials; slurm: the array's."),
    ] = None
    detach: Annotated[
        bool, typer.Option("--detach", help="SLURM: submit and return; the same command collects later.")
    ] = False
    partition: Annotated[str | None, typer.Option("--partition", metavar="NAME", help="SLURM: the partition.")] = None
    account: Annotated[
        str | None, typer.Option("--account", metavar="NAME", help="SLURM: the account that is charged.")
    ] = None
    time: Annotated[
        str | None,
        typer.Option("--time", metavar="TIME", help="SLURM: time limit of an array task: 30m, 4h."),
    ] = None
    cpus: Annotated[int | None, typer.Option("--cpus", metavar="N", min=1, help="SLURM: cores of a task.")] = None
    gpus: Annotated[int | None, typer.Option("--gpus", metavar="N", min=0, help="SLURM: GPUs of a task.")] = None
    mem: Annotated[str | None, typer.Option("--mem", metavar="SIZE", help="SLURM: memory of a task: 8G.")] = None
    per_task: Annotated[
        int | None, typer.Option("--per-task", metavar="N", min=1, help="SLURM: trials of a task.  [default: 1]")
    ] = None
    allow: Annotated[
        Literal["diverged"] | None,
        typer.Option("--allow", metavar="diverged", help="Do not count trials that end so as failures."),
    ] = None
    max_failures: Annotated[
        int | None,
        typer.Option(
            "--max-failures",
            metavar="N",
            min=1,
            help="Begin no trial after so many failed.  [default: when the first five fail alike]",
        ),
    ] = None
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Begin no trial after the first that fails.")] = False
    tensorboard: Annotated[
        Path | None,
        typer.Option("--tensorboard", metavar="DIR", help="Also write scalars and gradient norms for TensorBoard."),
    ] = None
    lang: Lang = None
    as_json: Json = False
    quiet: Quiet = False

    @property
    def executor_options(self) -> dict[str, Any]:
        """What was said of the executor, by the names of its options."""
        from dlx.cli.amounts import parse_duration

        given = {name: getattr(self, name) for name in _OPTIONS}
        for name in ("timeout", "grace"):
            text = getattr(self, name)
            given[name] = None if text is None else parse_duration(text, f"--{name}")
        return {name: value for name, value in given.items() if value is not None and value is not False}


_OPTIONS = (
    "jobs",
    "per_gpu",
    "timeout",
    "grace",
    "address",
    "losses",
    "detach",
    "partition",
    "account",
    "time",
    "cpus",
    "gpus",
    "mem",
    "per_task",
)


def with_flags(command: Callable[..., int]) -> Callable[..., int]:
    """The command with every field of :class:`Flags` as an option of its own, in place of its parameter ``flags``."""
    hints = get_type_hints(Flags, include_extras=True)
    own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "flags"]
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(Flags)
    ]

    @functools.wraps(command)
    def flattened(**given: Any) -> int:
        flags = Flags(**{field.name: given.pop(field.name) for field in fields(Flags)})
        if flags.engine is None:
            from dlx.cli.configuration import engine

            flags = replace(flags, engine=engine())
        return command(**given, flags=flags)

    # typer reads both: the one says what there is, the other what it means.
    parameters = [*own, *shared]
    flattened.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flattened.__annotations__ = {each.name: each.annotation for each in parameters}
    return flattened
