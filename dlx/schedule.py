"""From an experiment to finished trials: which are still to be run, and what came of them.

A trial is a cell that is filled once. What is done is not done again, what was interrupted
goes on, what failed waits until it is asked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlx import devices, packing
from dlx.continuation import Finished, Origin, begin_with
from dlx.errors import ResultsError, TrialError, UsageError
from dlx.events import Note, Observer
from dlx.executors import Executor, Unit
from dlx.executors import executor as executor_named
from dlx.interruption import Stop
from dlx.records import environment
from dlx.records.experiment_directory import ExperimentDirectory, check_writable
from dlx.records.ownership import Held
from dlx.records.reader import read_table
from dlx.records.status import Listing, State, Status
from dlx.records.tables import METRICS, Table
from dlx.records.trial_directory import TrialDirectory
from dlx.spec import resolved
from dlx.verdict import NOT_BEGUN
from dlx.work import Train
from dlx.worker import Runtime

if TYPE_CHECKING:
    from dlx.shards import Shard
    from dlx.spec import Experiment, Trial

Action = Literal["run", "continue", "retry", "restart", "rerun", "skip"]
_AFRESH = ("restart", "rerun")


@dataclass(frozen=True)
class Options:
    """What the person asked for besides the experiment; as the flags of ``dlx run``.

    ``max_failures``: after so many no trial is begun any more; by default when the first
    five all fail in the same way. ``executor``: by default ``local`` where several trials are to be
    run and there is room for two at a time, or one of its options is given; else
    ``inline``, which starts no process. ``executor_options``: None stands for one that is not given.
    ``shard``: only its trials are run and reported. ``pack``: how many train together at
    most, 0 for none; by default as many as a GPU takes in about the time of one, and none without a GPU.
    """

    results: Path = Path("results")
    runtime: Runtime = field(default_factory=Runtime)
    retry: bool = False
    rerun: bool = False
    restart: bool = False
    fail_fast: bool = False
    max_failures: int | None = None
    executor: str | None = None
    executor_options: Mapping[str, Any] = field(default_factory=dict)
    shard: Shard | None = None
    pack: int | None = None


@dataclass(frozen=True)
class Decision:
    """What is to be done about a trial, and why; ``seen`` is the attempt that it goes on from (0: afresh).

    ``origin`` is a shorter trial that it goes on from.
    """

    trial: Trial
    directory: TrialDirectory
    action: Action
    why: str
    seen: int = 0
    origin: Origin | None = None


@dataclass(frozen=True)
class Ending:
    """A trial as the run leaves it; ``held`` names another process that works on it."""

    trial: Trial
    directory: TrialDirectory
    status: Status
    held: str | None = None


@dataclass(frozen=True)
class Outcome:
    """All trials of the experiment as they stand at the end, in spec order."""

    directory: Path
    endings: tuple[Ending, ...]
    notes: tuple[str, ...] = ()
    stopped: tuple[str, int] | None = None

    def exit_code(self, allowed: Iterable[State] = ()) -> int:
        """0: all done. 1: a trial failed, diverged or could not be continued. 2: the data of one
        could not be used. 130, 143: stopped before the end.

        States in ``allowed`` do not count as failures.
        """
        if self.stopped:
            return self.stopped[1]
        if any(_not_begun(ending.status) for ending in self.endings):
            return UsageError.exit_code
        good = {"done", "pruned", *allowed}
        return int(any(ending.status.state not in good and not ending.held for ending in self.endings))


def decide(experiment: Experiment, options: Options) -> list[Decision]:
    """What a run would do about each trial (of its shard), in spec order; only looks, nothing is created."""
    place = ExperimentDirectory(options.results, experiment.name)
    finished = Finished(place)
    mine = [trial for index, trial in enumerate(experiment.trials) if not options.shard or options.shard.takes(index)]
    return [_decide(trial, place.trial(trial.id), options, finished) for trial in mine]


def _decide(trial: Trial, directory: TrialDirectory, options: Options, finished: Finished) -> Decision:
    def decision(action: Action, why: str) -> Decision:
        return Decision(trial, directory, action, why, 0 if action in _AFRESH else status.last_attempt)

    status = directory.status()
    match status.state:
        case "running":
            return decision("skip", f"is being worked on by {directory.holder()}")
        case "done":
            missing = [table.name for table in directory.missing_tables(_asked_for(trial))]
            missing += [] if _has_recalls(trial, directory) else ["the recalls"]
            if options.rerun:
                return decision("rerun", "done before")
            if missing:
                return decision("rerun", f"done before, without {', '.join(missing)}")
            return decision("skip", "done")
        case "interrupted":
            return decision("restart", "interrupted") if options.restart else decision("continue", "interrupted")
        case "failed" | "diverged" | "pruned":
            # What diverged would do so again; what was pruned left no checkpoint.
            if options.rerun or options.restart or (options.retry and status.state != "failed"):
                return decision("restart", status.reason or status.state)
            if options.retry:
                return decision("retry", status.reason or status.state)
            return decision("skip", f"{status.state}: {status.reason} (--retry runs it again)")
    begun = directory.origin()
    if options.restart:
        return decision("restart" if begun else "run", "not run yet")
    if begun:
        return decision("continue", f"goes on from {begun}")
    origin = finished.origin(trial)
    if origin is None:
        return decision("run", "not run yet")
    beginning = f"{origin.directory.trial}, which has {origin.epochs} of its {trial.setting.training.epochs} epochs"
    if origin.hindrance:
        return decision("run", f"not run yet; from the beginning, since {beginning}, {origin.hindrance}")
    return replace(decision("continue", f"goes on from {beginning}"), origin=origin)


def run(
    experiment: Experiment, options: Options, observe: Observer, stop: Stop, executor: Executor | None = None
) -> Outcome:
    """Run what is to be run; every trial's end is on disk before the next begins.

    Raises :class:`~dlx.errors.ResultsError` before anything is started, where the results
    cannot be written.
    """
    if executor is None and options.executor is not None:
        executor = executor_named(options.executor, options.executor_options)
    if executor is not None:
        executor.ready()
    _check_packing(executor, options)
    check_devices(experiment, options, executor)
    check_writable(options.results)
    place = ExperimentDirectory(options.results, experiment.name)
    decisions = decide(experiment, options)
    place.submit(experiment.source, [listing(trial) for trial in experiment.trials])
    notes: list[str] = []

    def tell(sentence: str, trial: str | None = None) -> None:
        notes.append(sentence)
        observe(Note(sentence, trial))

    def renew(*, force: bool = False) -> None:
        try:
            place.renew(force=force)
        except TrialError as refusal:  # the table is derived: trials do not fail for it
            tell(str(refusal))

    units, held = _to_run(experiment.name, decisions, executor, tell)
    renew(force=True)
    executor, units = _placed(executor, options, experiment.trials, units)
    failures = Failures(options)
    ended: dict[str, Status] = {}
    for end in executor.run(units, Train(options.runtime), stop, observe, lambda unit: failures.enough is None):
        trial = end.unit.directory.trial
        if end.status is None:
            held[trial] = end.held or ""
            if not end.told:
                tell(f"{end.held}: left to it", trial)
        else:
            ended[trial] = end.status
            if not stop.requested and (enough := failures.count(end.status)):
                tell(enough)
        renew()
    renew(force=True)
    endings = []
    for d in decisions:
        status = ended.get(d.trial.id) or d.directory.status()
        # What another process had then, and has finished since, is done.
        endings.append(Ending(d.trial, d.directory, status, held.get(d.trial.id) if status.state != "done" else None))
    interrupted = any(ending.status.state in ("pending", "interrupted") for ending in endings)
    return Outcome(place.path, tuple(endings), tuple(notes), stop.requested if interrupted else None)


def label(trial: Trial) -> str:
    """What people call a trial: the parameters in which it differs, by their last names, and its seed."""
    named = [f"{path.rsplit('.', 1)[-1]}={_short(value)}" for path, value in trial.parameters.items()]
    fold = trial.fold
    held = [] if fold is None else [f"repeat={fold.repeat}", *([f"fold={fold.fold}"] if fold.fold is not None else [])]
    return ", ".join([*named, *held, f"seed={_seed(trial)}"])


def _not_begun(status: Status) -> bool:
    return status.state == "interrupted" and bool(status.attempts) and status.attempts[-1].exit == NOT_BEGUN


def _seed(trial: Trial) -> int | str:
    """A seed as tables have it: a number, or what differs by purpose."""
    plain = trial.seed.plain()
    return plain if isinstance(plain, int) else " ".join(f"{purpose}={value}" for purpose, value in plain.items())


def _short(value: object) -> object:
    return value.get("name", value) if isinstance(value, Mapping) else value


def _to_run(
    experiment: str, decisions: Sequence[Decision], executor: Executor | None, tell: Callable[[str, str], None]
) -> tuple[list[Unit], dict[str, str]]:
    """Units whose directories are ready to be run; by trial, who works on those that other processes have."""
    held: dict[str, str] = {d.trial.id: d.why for d in decisions if d.directory.holder()}
    units = []
    for decision in decisions:
        if decision.action != "skip":
            try:
                units.append(_prepare(experiment, decision, tell))
            except Held as other:
                held[decision.trial.id] = str(other)
    if executor is not None and held:  # jobs of an earlier run may be at some of them: those are waited for
        running = [d for d in decisions if d.trial.id in held]
        theirs = executor.at_work([d.directory for d in running])
        units += [_under_way(d) for d in running if d.trial.id in theirs]
        held = {trial: why for trial, why in held.items() if trial not in theirs}
    return units, held


def _prepare(experiment: str, decision: Decision, tell: Callable[[str, str], None]) -> Unit:
    """Make the trial's directory ready for its next attempt."""
    directory = decision.directory
    if decision.action == "rerun":
        directory.move_aside()
    elif decision.action == "restart":
        directory.discard()
    trial_yaml, named = resolved(decision.trial, experiment), listing(decision.trial)
    if decision.origin and not begin_with(decision.origin, directory, trial_yaml, named):
        sentence = f"{directory.trial} cannot go on from {decision.origin.directory.path}: trained from the beginning"
        tell(sentence, directory.trial)
    as_asked = directory.create(trial_yaml, named)
    if not as_asked:
        tell(
            f"{directory.trial} was begun with other probes or records and is finished as it was begun; "
            "--restart trains it with the new ones",
            directory.trial,
        )
    program = json.dumps(dict(decision.trial.parameters), sort_keys=True, default=str)
    return Unit(directory, label(decision.trial), decision.seen, _threads_of(decision), program)


def devices_of(trial: Trial, options: Options) -> int:
    """Among how many devices a trial's batches are divided: as the command says, else the spec."""
    return options.runtime.devices or trial.setting.training.devices


def check_devices(experiment: Experiment, options: Options, executor: Executor | None = None) -> None:
    """Raise :class:`~dlx.errors.UsageError` where trials cannot have the devices that they are to have.

    ``executor``: where they would run, by default on this machine.
    """
    executor = executor or executor_named(options.executor or "local", options.executor_options)
    for count in sorted({devices_of(trial, options) for trial in experiment.trials} - {1}):
        executor.require(count)
        if options.pack:
            raise UsageError(f"--pack {options.pack}: trials that train together do so on one device, not {count}")
        for trial in experiment.trials:
            for stage, size in trial.setting.undivided(count):
                up = -(-size // count) * count
                raise UsageError(
                    f"{count} devices cannot have equal parts of {size} examples, a batch of stage {stage} of "
                    f"{label(trial)}",
                    hint=f"training.batch_size: {up}" if up > size else None,
                )


def _under_way(decision: Decision) -> Unit:
    """A trial that a job of an earlier run is at: to be waited for."""
    seen = max(0, decision.directory.status().last_attempt - 1)
    return Unit(decision.directory, label(decision.trial), seen, _threads_of(decision))


def listing(trial: Trial) -> Listing:
    """What names a trial in ``trials.csv``."""
    fold = trial.fold
    repeat, number = (fold.repeat, fold.fold) if fold is not None else (None, None)
    return Listing(trial.id, _seed(trial), repeat, number, dict(trial.parameters))


def _asked_for(trial: Trial) -> list[Table]:
    """Tables that a finished trial may lack."""
    setting = trial.setting
    found = [probe.tables(setting) for probe in setting.probes.values()]
    return [Table(name, tuple(columns)) for tables in found for name, columns in tables.items()]


def _has_recalls(trial: Trial, directory: TrialDirectory) -> bool:
    """Whether a finished trial has the recalls that are asked for: their columns come with no table of their own."""
    if not trial.setting.recalls:
        return True
    try:
        columns = read_table(directory.table(METRICS)).columns
    except ResultsError:  # it is gone, or damaged
        return False
    return any(column.endswith("_balanced_accuracy") for column in columns)


def _threads_of(decision: Decision) -> int | None:
    """The threads that a trial which goes on was begun with."""
    if decision.action in ("continue", "retry") and (before := environment.read(decision.directory.environment)):
        threads = before.get("threads")
        return threads if isinstance(threads, int) else None
    return None


def _placed(
    executor: Executor | None, options: Options, trials: Sequence[Trial], units: Sequence[Unit]
) -> tuple[Executor, list[Unit]]:
    """The executor, unless it was chosen; and the units with the threads that each is to have, in packs where asked."""
    local = executor or executor_named("local", options.executor_options)
    counts = {trial.id: devices_of(trial, options) for trial in trials}
    most = max(counts.values(), default=1)
    threads = options.runtime.threads or threads_of(local, len(trials), most)
    units = [
        replace(
            unit,
            threads=options.runtime.threads or unit.threads or threads,
            devices=counts.get(unit.directory.trial, 1),
        )
        for unit in units
    ]
    if local.packs and most == 1 and options.runtime.engine == PACKING_ENGINE:
        units = list(_in_packs(units, {trial.id: trial for trial in trials}, options.pack, threads))
    if executor is None:
        different = len({unit.threads for unit in units}) > 1  # which one process cannot give
        asked = any(value is not None for value in options.executor_options.values())
        room = len(devices.layout(len(units), threads=threads, devices=most).shares)
        several = len(units) > 1 and room > 1
        executor = local if several or different or asked else executor_named("inline", {})
    return executor, units


def threads_of(executor: Executor, trials: int, devices: int) -> int:
    """The threads that an executor gives each of so many trials."""
    # One that gives a trial one device need not know of more.
    return executor.threads(trials) if devices == 1 else executor.threads(trials, devices)


PACKING_ENGINE = "jax"


def _check_packing(executor: Executor | None, options: Options) -> None:
    if not options.pack:
        return
    if options.runtime.engine != PACKING_ENGINE:
        raise UsageError(
            f"--pack {options.pack}: the {options.runtime.engine} engine trains one trial at a time",
            hint=f"--engine {PACKING_ENGINE}",
        )
    if executor is not None and not executor.packs:
        raise UsageError(
            f"--pack {options.pack}: the executor {options.executor!r} runs one trial at a time",
            hint="--executor local or inline",
        )


def _in_packs(units: Sequence[Unit], trials: Mapping[str, Trial], most: int | None, threads: int) -> Iterator[Unit]:
    """Units that are alike become one; trials that were begun in a pack go on in it, whatever is asked for now."""
    begun: dict[tuple[str, ...], list[Unit]] = {}
    alike: dict[tuple[str, int | None], list[Unit]] = {}
    alone: list[Unit] = []
    for unit in units:
        place = packing.place_of(unit.directory)
        if unit.directory.status().last_attempt:
            begun.setdefault(place.trials if place else (unit.directory.trial,), []).append(unit)
            continue
        kind = packing.kind(trials[unit.directory.trial])
        (alone if kind is None else alike.setdefault((kind, unit.threads), [])).append(unit)
    workers = len(devices.layout(len(units), threads=threads).shares)
    for members in alike.values():
        size = most if most is not None else _room(trials[members[0].directory.trial], len(members), workers)
        for part in packing.divide(members, max(1, size)):
            packing.put([unit.directory for unit in part])
            yield _together(part)
    for unit in alone:
        packing.put([unit.directory])
        yield unit
    yield from map(_together, begun.values())


def _room(trial: Trial, members: int, workers: int) -> int:
    """Lanes of a pack that nobody gave a size: by the size of a step, so that no GPU is idle; 1 without a GPU."""
    if not devices.gpus():
        return 1
    size = trial.setting.training.batch_size
    examples = trial.setting.dataset.sizes()["train"]
    return min(packing.room(trial, examples if size == "full" else size), -(-members // workers))


def _together(units: Sequence[Unit]) -> Unit:
    return replace(units[0], companions=tuple(units[1:]))


class Failures:
    """Counts trials that fail, and says when to begin no more: what breaks every trial should not cost hours."""

    def __init__(self, options: Options) -> None:
        self._fast = options.fail_fast
        self._most = options.max_failures
        self._ended = 0
        self._failed: list[str] = []
        self.enough: str | None = None

    def count(self, status: Status) -> str | None:
        """Take in an end; a sentence where it is the one with which there are enough."""
        self._ended += 1
        if self.enough is not None or status.state == "done":
            return None
        if self._fast:
            self.enough = f"a trial {status.state}: no other is begun (--fail-fast)"
        elif status.state != "diverged":
            self._failed.append(_NUMBER.sub("#", status.reason or status.state))
            number = len(self._failed)
            if self._most is not None and number >= self._most:
                self.enough = f"{number} trials failed: no other is begun (--max-failures)"
            elif self._most is None and number == self._ended == _ALIKE and len(set(self._failed)) == 1:
                self.enough = (
                    f"the first {number} trials all failed in the same way: no other is begun "
                    "(--max-failures N lets more fail)"
                )
        return self.enough


_ALIKE = 5
_NUMBER = re.compile(r"\b[0-9a-f]{12}\b|\d+")
