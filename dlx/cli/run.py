"""``dlx run``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dlx.cli.amounts import parse_duration
from dlx.cli.flags import Flags, with_flags
from dlx.cli.options import Specs
from dlx.errors import UsageError

if TYPE_CHECKING:
    from dlx.claims import Judged
    from dlx.cli.summary import TrialSummary
    from dlx.estimate import Estimate
    from dlx.events import Event, Observer
    from dlx.schedule import Decision, Options, Outcome
    from dlx.spec import Experiment
    from dlx.tensorboard import TensorBoard

CLAIM_REFUTED = 3


@with_flags
def run(specs: Specs, flags: Flags) -> int:
    """Run the trials of a spec that are not done yet.

    Trials that were interrupted go on where they stopped, to the same result. On a terminal, a live display shows
    accuracies and the gradient norm of every layer; elsewhere there is a line per epoch at most. A table of what was
    reached, and where the files are, is printed at the end.

    Exit codes: 0 all done; 1 a trial failed or diverged; 2 bad usage or spec; 3 a claim of the spec (expect:) is
    refuted; 130 interrupted and 143 terminated, both of which the same command continues.

    Example: dlx run experiments/quickstart.yaml
    """
    from dlx.cli import loading

    found = loading.load_all(specs, flags.sets or [], flags.seeds, flags.cap, smoke=flags.smoke)
    return carry_out("run", [experiment for _, experiment in found], flags)


def carry_out(command: str, experiments: Sequence[Experiment], flags: Flags, *, pooled: bool | None = None) -> int:
    """Run experiments, or say what would be run, as the flags of the command say; gives the exit code.

    ``pooled``: whether seeds are pooled in the report; by default where there are many trials.
    """
    from dlx.cli import display, loading, summary
    from dlx.events import Note, ignore
    from dlx.executors import executor
    from dlx.interruption import Stop
    from dlx.language import speak
    from dlx.schedule import Options, check_devices, decide
    from dlx.schedule import run as run_experiment
    from dlx.worker import Runtime

    speak(flags.lang)
    if flags.estimate and not flags.dry_run:
        raise UsageError("--estimate goes with --dry-run: without it, what is estimated is run")
    allowed = [flags.allow] if flags.allow else []
    limit = parse_duration(flags.max_time) if flags.max_time is not None else None
    options = Options(
        flags.results,
        Runtime(
            flags.engine or "tensorflow", flags.threads, flags.data_dir, plugins=flags.plugins, devices=flags.devices
        ),
        retry=flags.retry,
        rerun=flags.rerun,
        restart=flags.restart,
        fail_fast=flags.fail_fast,
        max_failures=flags.max_failures,
        pack=_pack(flags.pack),
        executor=flags.executor,
        executor_options=_executor_options(flags),
    )
    for experiment in experiments:
        check_devices(experiment, options)
    shares = _shares(options, experiments, flags.shard)
    decisions = [decide(experiment, share) for experiment, share in zip(experiments, shares, strict=True)]
    to_run = [d.trial for each in decisions for d in each if d.action != "skip"]
    if flags.dry_run:
        estimates = None
        if flags.estimate:
            loading.fetch_absent(to_run, flags.data_dir, quiet=flags.quiet)
            estimates = _estimates(experiments, decisions, options, quiet=flags.quiet)
        _print_decisions(command, experiments, decisions, flags, options, estimates)
        return 0
    if options.executor is not None:
        executor(options.executor, options.executor_options).ready()
    loading.fetch_absent(to_run, flags.data_dir, quiet=flags.quiet)

    board = _board(flags)
    outcomes: list[Outcome] = []
    shown: Observer = ignore
    most, why = _limit(limit)
    with Stop(most, lambda reason: _acknowledge(reason, shown), why).listening() as stop:
        for experiment, share, decided in zip(experiments, shares, decisions, strict=True):
            begun = sum(decision.action != "skip" for decision in decided)
            examples = "images" if _on_images(experiment) else "examples"
            with display.choose(begun, sys.stderr, quiet=flags.quiet, examples=examples) as shown:
                for note in [*experiment.notes, *_left_alone(decided)]:
                    shown(Note(note))
                observe = _both(shown, board) if board is not None else shown
                outcomes.append(run_experiment(experiment, share, observe, stop))
            if stop.requested or (flags.fail_fast and outcomes[-1].exit_code(allowed)):
                break

    if board is not None:
        board.close()
        if board.problem:
            print(f"dlx: {board.problem}", file=sys.stderr)
    reports = [summary.of_outcome(outcome) for outcome in outcomes]
    judged = [_judged(experiment, outcome) for experiment, outcome in zip(experiments, outcomes, strict=False)]
    if flags.as_json:
        _print_json(command, experiments, outcomes, reports, judged)
    elif not flags.quiet:
        for experiment, outcome, trials, claims in zip(experiments, outcomes, reports, judged, strict=False):
            _print_report(experiment, outcome, trials, claims, pooled)
    if stop.requested and any(outcome.stopped for outcome in outcomes):
        print(f"dlx: {stop.requested[0]}; the same command goes on from there", file=sys.stderr)
    codes = {outcome.exit_code(allowed) for outcome in outcomes}
    if any(claim.verdict == "refuted" for claims in judged for claim in claims):
        codes.add(CLAIM_REFUTED)
    return next((code for code in (130, 143, 2, 1, CLAIM_REFUTED) if code in codes), 0)


def _board(flags: Flags) -> TensorBoard | None:
    """The TensorBoard log that was asked for; raises :class:`~dlx.errors.UsageError` where there can be none."""
    if flags.tensorboard is None:
        return None
    from dlx.tensorboard import TensorBoard

    return TensorBoard(flags.tensorboard)


def _both(one: Observer, other: Observer) -> Observer:
    """Two observers that are told the same."""

    def observe(event: Event) -> None:
        one(event)
        other(event)

    return observe


def _judged(experiment: Experiment, outcome: Outcome) -> list[Judged]:
    """The claims of an experiment, held against what its trials have left."""
    if not experiment.claims:
        return []
    from dlx.claims import of_run

    return of_run(experiment, outcome.directory)


def _pack(text: str) -> int | None:
    """Trials that train together at most; 0 for none, None for whatever suits the machine."""
    if text in ("auto", "off"):
        return None if text == "auto" else 0
    if not text.isascii() or not text.isdigit() or not int(text):
        raise UsageError(f"--pack {text}: a number of trials from 1, auto or off")
    return int(text) if int(text) > 1 else 0


def _executor_options(flags: Flags) -> dict[str, Any]:
    """Of ``executors.yaml``, then of the command line; raises :class:`~dlx.errors.UsageError`."""
    given = flags.executor_options
    if flags.executor is not None:
        from dlx.executors._settings import options

        given = options(flags.executor, flags.results, flags.executors) | given
    if given:
        from dlx.executors import executor

        executor(flags.executor or "local", given)
    return given


def _shares(options: Options, experiments: Sequence[Experiment], shard: str | None) -> list[Options]:
    """The options for each experiment: shares of several are dealt out as if they were one."""
    from dataclasses import replace

    from dlx.shards import parse

    if shard is None:
        return [options] * len(experiments)
    share, shares = parse(shard), []
    for experiment in experiments:
        shares.append(replace(options, shard=share))
        share = share.after(len(experiment.trials))
    return shares


def _limit(limit: float | None) -> tuple[float | None, str]:
    """Seconds to run at most, and what to say then: of ``--max-time``, or what is left of the SLURM job around this."""
    from dlx.executors._slurm_queue import time_left
    from dlx.shards import seconds_left

    left = seconds_left(ask=time_left)
    if left is not None and (limit is None or left < limit):
        return left, "the SLURM job nears its time limit"
    return limit, "the time given by --max-time is up"


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


def _print_report(
    experiment: Experiment,
    outcome: Outcome,
    trials: Sequence[TrialSummary],
    claims: Sequence[Judged],
    pooled: bool | None,
) -> None:
    from dlx.cli.columns import terminal_width
    from dlx.cli.summary import report
    from dlx.language import _

    if experiment.description:
        print(experiment.description, end="\n\n")
    print("\n".join(report(trials, terminal_width(), pooled=pooled)))
    if claims:
        from dlx.cli.claims import lines

        print("", *lines(claims), sep="\n")
    places = {"table": outcome.directory / "trials.csv", "folder": outcome.directory / "trials"}
    print("\n" + _("tables: {table} and {folder}/<id>/").format(**places))


def _print_json(
    command: str,
    experiments: Sequence[Experiment],
    outcomes: Sequence[Outcome],
    reports: Sequence[Sequence[TrialSummary]],
    judged: Sequence[Sequence[Judged]],
) -> None:
    from dlx import objects
    from dlx.cli import claims
    from dlx.cli.summary import as_json

    ran = [
        {
            "experiment": experiment.name,
            "file": _file(experiment),
            "results": str(outcome.directory),
            "trials": [as_json(trial) for trial in trials],
            "claims": claims.as_json(mine),
            "notes": [*experiment.notes, *outcome.notes],
        }
        for experiment, outcome, trials, mine in zip(experiments, outcomes, reports, judged, strict=False)
    ]
    print(objects.text(command, {"experiments": ran}))


def _file(experiment: Experiment) -> str | None:
    """The spec's; None for a study that comes with dlx."""
    return str(experiment.path) if experiment.path is not None else None


def _estimates(
    experiments: Sequence[Experiment], decisions: Sequence[Sequence[Decision]], options: Options, *, quiet: bool
) -> list[Estimate]:
    from dlx.estimate import estimate

    def tell(sentence: str) -> None:
        if not quiet:
            print(sentence, file=sys.stderr, flush=True)

    return [estimate(decided, options, tell) for decided in decisions]


def _print_decisions(
    command: str,
    experiments: Sequence[Experiment],
    decisions: Sequence[Sequence[Decision]],
    flags: Flags,
    options: Options,
    estimates: Sequence[Estimate] | None,
) -> None:
    from dlx import objects
    from dlx.cli.amounts import counted
    from dlx.cli.estimates import as_json, lines
    from dlx.schedule import devices_of, label

    if flags.as_json:
        would: list[dict[str, Any]] = [
            {
                "experiment": experiment.name,
                "file": _file(experiment),
                "results": str(flags.results / experiment.name),
                "trials": [
                    {
                        "id": d.trial.id,
                        "action": d.action,
                        "why": d.why,
                        "parameters": dict(d.trial.parameters),
                        "devices": devices_of(d.trial, options),
                    }
                    for d in decided
                ],
                "notes": list(experiment.notes),
            }
            for experiment, decided in zip(experiments, decisions, strict=True)
        ]
        for experiment_would, estimated in zip(would, estimates or (), strict=False):
            experiment_would["estimate"] = as_json(estimated)
        print(objects.text(command, {"dry_run": True, "experiments": would}))
        return
    for number, (experiment, decided) in enumerate(zip(experiments, decisions, strict=True)):
        begun = sum(decision.action != "skip" for decision in decided)
        named = _file(experiment) or experiment.name
        each = max((devices_of(decision.trial, options) for decision in decided), default=1)
        on = f", each on {each} devices" if each > 1 else ""
        print(f"{named}: would run {begun} of {counted(len(decided), 'trial')}{on}")
        for decision in decided:
            print(f"  {decision.trial.id}  {decision.action:<8}  {label(decision.trial)}  ({decision.why})")
        if estimates is not None:
            print("\n" + "\n".join(lines(estimates[number])))
