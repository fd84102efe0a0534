"""What an experiment would cost: parameters, multiply-adds, memory, and time from a few timed steps.

Each kind of net is built, and takes steps and looks at its data for a moment, in this
process, with the threads that its trials would have. Nothing is written.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import devices
from dlx.executors import executor as executor_named
from dlx.members import plain
from dlx.preparation import prepare, signature
from dlx.randomness import epoch_order
from dlx.schedule import Decision, Options, devices_of, threads_of
from dlx.spec import settings
from dlx.worker import Worker

if TYPE_CHECKING:
    from dlx.sources import Splits
    from dlx.spec import Trial
    from dlx.stages import PlannedStage
    from dlx.training.program import Program

TIMED_SECONDS = 0.25
"""How long steps are timed for, where an epoch has so many."""

TRIAL_SECONDS = 0.1
"""What a trial costs besides: its files, flushed to the disk, and its weights, drawn and written."""


@dataclass(frozen=True)
class Cost:
    """Trials that cost the same. ``parameters`` of the spec are those in which they differ from others.

    ``memory``: bytes of weights, gradients, optimiser, activations of a batch and resident data.
    ``epoch_seconds``: steps, evaluations and probes of an epoch, and ``step_seconds``, of the last
    stage. ``compile_seconds`` of all stages, once per program and worker. ``trial_seconds`` of the
    longest, at most where it may stop early.
    """

    settings: Mapping[str, Any]
    trials: int
    parameters: int
    multiply_adds: int
    memory: int
    step_seconds: float
    epoch_seconds: float
    compile_seconds: float
    trial_seconds: float


@dataclass(frozen=True)
class Estimate:
    """What is still to be run of an experiment, on so many workers of so many threads.

    ``seconds`` on the clock from start to end, and of that the ``start_seconds`` of a worker. ``resident``:
    bytes of this process at the end, as each worker would have them; None where the system does not say.
    ``devices``: of each worker.
    """

    costs: tuple[Cost, ...]
    trials: int
    executor: str
    workers: int
    threads: int
    start_seconds: float
    seconds: float
    resident: int | None
    devices: int = 1


def estimate(decisions: Sequence[Decision], options: Options, tell: Callable[[str], None]) -> Estimate:
    """The estimate for what is to be run; ``tell`` is given a line before each net that is timed.

    Raises :class:`~dlx.errors.DlxError` where data or engine cannot be had.
    """
    to_run = [decision for decision in decisions if decision.action != "skip"]
    executor = executor_named(options.executor or "local", options.executor_options)
    most = max((devices_of(decision.trial, options) for decision in decisions), default=1)
    threads = options.runtime.threads or threads_of(executor, len(decisions), most)
    workers = _workers(executor, len(to_run), threads, most)
    name = "inline" if options.executor is None and workers == 1 else str(getattr(executor, "name", ""))
    if not to_run:
        return Estimate((), 0, name, workers, threads, 0.0, 0.0, None, most)

    groups: dict[str, list[Decision]] = {}
    for decision in to_run:
        groups.setdefault(_kind(decision.trial), []).append(decision)
    began = time.monotonic()
    tell(f"estimate: starting the {options.runtime.engine} engine with {threads} thread{'s' * (threads > 1)}")
    worker = Worker(replace(options.runtime, threads=threads, devices=most))
    start_seconds = _timed(lambda: worker.engine)
    costs = []
    work: list[float] = []
    for number, alike in enumerate(groups.values(), start=1):
        common = _common(alike)
        named = ", ".join(f"{path.rsplit('.', 1)[-1]}={value}" for path, value in common.items())
        tell(f"estimate: timing net {number} of {len(groups)}{f' ({named})' if named else ''}")
        cost, each = _cost(alike, common, worker)
        costs.append(cost)
        work += each
    tell(f"estimate: took {time.monotonic() - began:.0f} s")
    # Trials are not divided: the last one may keep one worker busy alone.
    seconds = start_seconds + max(sum(work) / workers, max(work))
    return Estimate(tuple(costs), len(to_run), name, workers, threads, start_seconds, seconds, _resident(), most)


def _workers(executor: Any, trials: int, threads: int, each: int) -> int:
    """Trials at the same time: on this machine as many as there is room for, on a cluster as many as are asked for."""
    if executor.name == "inline":
        return 1
    jobs, per_gpu = getattr(executor, "jobs", None), getattr(executor, "per_gpu", 1)
    if executor.name == "local":
        room = len(devices.layout(trials, jobs=jobs, threads=threads, per_gpu=per_gpu, devices=each).shares)
    else:
        room = (jobs or 1) * getattr(executor, "parallel", 1)
    return max(1, min(trials, room))


def _kind(trial: Trial) -> str:
    """What a step's cost depends on: not the learning rate, the initial weights or the number of epochs."""
    sections = settings(trial.setting)
    training = sections["training"]
    model = {key: value for key, value in sections["model"].items() if key not in ("initializer", "initial_weights")}
    optimizer = training["optimizer"]["name"], isinstance(training["optimizer"]["learning_rate"], dict)
    step = optimizer, training["batch_size"], training["precision"], training["loss"]
    stages = [plain(planned.spec) | {"epochs": None} for planned in trial.setting.pipeline]
    dataset = {**sections["dataset"], "digest": trial.setting.dataset.digest()}
    return json.dumps([dataset, model, step, sections["probes"], stages], sort_keys=True)


def _common(alike: Sequence[Decision]) -> dict[str, Any]:
    """The parameters that all of these trials share."""
    first = alike[0].trial.parameters
    return {
        path: value
        for path, value in first.items()
        if all(decision.trial.parameters.get(path) == value for decision in alike)
    }


def _cost(alike: Sequence[Decision], common: Mapping[str, Any], worker: Worker) -> tuple[Cost, list[float]]:
    """The cost of trials of one kind, and the seconds of each with the compilation of its programs."""
    trial = alike[0].trial
    splits = worker.load(trial.setting.dataset, trial.seed.order)
    stages = {planned.name: _stage_cost(trial, planned, splits, worker) for planned in trial.setting.pipeline}
    last = stages[trial.setting.pipeline[-1].name]

    network = trial.setting.network()
    widths = sum(math.prod(row.output_shape) for row in network.rows())
    data = sum(source.nbytes for source in (splits.train, splits.validation, splits.test) if source is not None)
    memory = last.state + 4 * network.parameters + 2 * 4 * last.batch_size * widths + data

    work = []
    compiled: set[str] = set()
    longest = 0.0
    for decision in alike:
        pipeline = decision.trial.setting.pipeline
        begun = decision.origin.epochs if decision.origin else 0
        # What is gone on from is in its last stage.
        passed = pipeline[-1:] if begun else pipeline
        epochs = sum(planned.epochs * stages[planned.name].epoch_seconds for planned in passed)
        seconds = epochs - begun * last.epoch_seconds + TRIAL_SECONDS
        longest = max(longest, seconds)
        for planned in passed:
            identity = signature(decision.trial, planned)
            seconds += 0.0 if identity in compiled else stages[planned.name].compile_seconds
            compiled.add(identity)
        work.append(seconds)
    cost = Cost(
        common,
        len(alike),
        network.parameters,
        network.multiply_adds,
        memory,
        last.step_seconds,
        last.epoch_seconds,
        sum(stage.compile_seconds for stage in stages.values()),
        longest,
    )
    return cost, work


@dataclass(frozen=True)
class _StageCost:
    """Of one stage: seconds, and the bytes of all that its program changes."""

    compile_seconds: float
    step_seconds: float
    epoch_seconds: float
    state: int
    batch_size: int


def _stage_cost(trial: Trial, planned: PlannedStage, splits: Splits, worker: Worker) -> _StageCost:
    made: list[Program] = []
    compile_seconds = _timed(lambda: made.append(prepare(trial, splits, worker, planned)))
    program = made[0]
    first_seconds, step_seconds = _time_steps(program, planned.name, trial.seed.order)
    every = ((probe, probe.schedule) for probe in trial.setting.probes.values())
    probes = [(probe, schedule.amount) for probe, schedule in every if schedule and schedule.unit == "epochs"]

    def look() -> None:
        for part in ("validation", "test"):
            if program.count(part):
                program.evaluate(part)

    def measure() -> None:
        for probe, _ in probes:
            program.measure(probe)

    first_look, first_measure = _timed(look), _timed(measure)
    look_seconds = _timed(look)
    measure_seconds = sum(_timed(partial(program.measure, probe)) / epochs for probe, epochs in probes)
    compile_seconds += max(0.0, first_seconds + first_look + first_measure - look_seconds - step_seconds)
    return _StageCost(
        compile_seconds,
        step_seconds,
        program.steps * step_seconds + look_seconds + measure_seconds,
        sum(array.nbytes for array in program.snapshot().values()),
        program.batch_size,
    )


def _time_steps(program: Program, stage: str, seed: int) -> tuple[float, float]:
    """Seconds of the first step, which compiles, and of one that follows."""
    program.begin_epoch(epoch_order(seed, stage, 1, program.examples), 0)
    first = _timed(lambda: program.run(0, 1))
    at, count, best = 1, 1, math.inf
    while at < program.steps:
        end = min(program.steps, at + count)
        spent = _timed(partial(program.run, at, end))
        best = min(best, spent / (end - at))
        at, count = end, count * 2
        if spent > TIMED_SECONDS:
            break
    if best == math.inf:
        best = _timed(lambda: program.run(0, 1))
    return first, best


def _timed(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _resident() -> int | None:
    """Bytes of this process in memory, where the system says."""
    try:
        import os

        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
