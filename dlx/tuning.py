"""``dlx tune``: tries of a spec's search, chosen by Optuna, until there are enough or time is up.

Every try is an ordinary trial of the experiment ``<name>-tune``; what Optuna knows of them
is in a journal beside them, which several processes share and a later one goes on from.
Tries see the training and validation parts; the test part is looked at once, for the winner.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import socket
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx import devices as machine
from dlx.errors import ResultsError, SpecError, UsageError, nearest
from dlx.events import EpochEnded, Event, Note, Observer, TrialStarted
from dlx.interruption import Stop
from dlx.metrics import Metrics
from dlx.records import atomic
from dlx.records.experiment_directory import ExperimentDirectory, check_writable
from dlx.records.ownership import Held
from dlx.records.status import Listing, Status
from dlx.schedule import label, listing
from dlx.spec import resolved
from dlx.spec.search import Dimension, Search, Value
from dlx.trained import Trained
from dlx.trial import run_trial
from dlx.worker import Runtime, Worker

if TYPE_CHECKING:
    import optuna

    from dlx.spec import Trial

SAMPLERS = ("tpe", "random", "grid", "cmaes")
PRUNERS = ("median", "hyperband", "none")
JOURNAL = "tuning.journal"
WINNER = "winner.json"
_SCHEMA = "dlx.winner/1"
_CONTINUES = "continues"
_JUST_BEGUN = timedelta(minutes=1)
_INVALID = 20
"""Choices in a row that do not go together, after which it is the search that is wrong."""


@dataclass(frozen=True)
class Options:
    """``trials``: how many tries there are to be in all (None: every combination of a grid, else 30).

    ``metric``: a validation column of ``metrics.csv``; by default the accuracy, in a regression
    the loss. ``seed`` is that of the sampler.
    """

    results: Path = Path("results")
    runtime: Runtime = field(default_factory=Runtime)
    trials: int | None = None
    sampler: str = "tpe"
    pruner: str = "median"
    metric: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Try:
    """One try: its number, its trial's id, what was chosen, the state of its trial, and the metric if it is done."""

    number: int
    trial: str | None
    values: Mapping[str, Value]
    state: str
    value: float | None


@dataclass(frozen=True)
class Winner:
    """The best try; ``spec`` is YAML that ``dlx run`` runs; ``test``: metrics of the test part, if there is one."""

    best: Try
    spec: str
    test: Mapping[str, float]


@dataclass(frozen=True)
class Tuned:
    """What a process leaves: all tries, the winner once no more are to come, and whether it was told to stop."""

    directory: Path
    metric: str
    tries: tuple[Try, ...]
    winner: Winner | None
    elsewhere: int = 0


def tune(search: Search, options: Options, observe: Observer, stop: Stop) -> Tuned:
    """Try until there are enough tries or it is time to stop.

    A time limit ends the search, a signal only interrupts it. Raises
    :class:`~dlx.errors.UsageError` for options that do not suit the search, before anything is
    created, and :class:`~dlx.errors.ResultsError` for a journal that cannot be used.
    """
    return _Tuning(search, options, observe, stop).run()


def names_of_metrics(search: Search) -> list[str]:
    """The columns that a choice can go by."""
    setting = search.experiment.trials[0].setting
    return [f"val_{name}" for name in Metrics(setting.learned.task, setting.outputs, "").names]


class _Tuning:
    def __init__(self, search: Search, options: Options, observe: Observer, stop: Stop) -> None:
        self.search = search
        self.options = options
        self.observe = observe
        self.stop = stop
        self.metric = _metric(search, options.metric)
        self.more_is_better = self.metric.endswith(("accuracy", "r2"))
        self.enough = _enough(search, options)
        count = options.runtime.devices or search.experiment.trials[0].setting.training.devices
        machine.require(count)
        self.worker = Worker(replace(options.runtime, devices=count))
        check_writable(options.results)
        self.place = ExperimentDirectory(options.results, f"{search.experiment.name}-tune")
        # Optuna's own chatter about experimental parts and every single trial is nobody's business here.
        warnings.filterwarnings("ignore", module="optuna")
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = self._study()
        self.invalid = 0
        self.listings: dict[str, Listing] = {}

    def run(self) -> Tuned:
        with atomic.explained("write to", self.place.path, ResultsError):
            self._submit()
            _ = self.worker.engine  # a minute of importing is nobody's try
            while not self.stop.requested and (asked := self._ask()) is not None:
                self._try(asked)
                self._submit()
            self.place.renew(force=True)
            return self._tuned()

    def _ask(self) -> optuna.Trial | None:
        """The next try; None where there are enough. Its number is taken first, so that no two processes count it."""
        self._take_up()
        if len(self._taken()) >= self.enough:
            return None
        asked = self.study.ask({dimension.path: _distribution(dimension) for dimension in self.search.dimensions})
        earlier = [one for one in self._taken() if one.number < asked.number]
        if len(earlier) >= self.enough:
            self._withdraw(asked)
            return None
        return asked

    def _take_up(self) -> None:
        """Queue again what another process began and left: the trial goes on from its checkpoint."""
        import optuna

        for left in self.study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
            if not self._is_left(left):
                continue
            try:
                self.study.tell(left.number, state=optuna.trial.TrialState.FAIL)
            except (ValueError, RuntimeError):  # another process was quicker
                continue
            self.study.enqueue_trial(left.params, user_attrs={_CONTINUES: left.number})

    def _is_left(self, begun: optuna.trial.FrozenTrial) -> bool:
        trial, host, pid = begun.user_attrs.get("begun", (None, None, None))
        if trial is not None and self.place.trial(trial).holder() is not None:
            return False
        if pid is not None and host == socket.gethostname():
            return pid == os.getpid() or not atomic.process_lives(pid)
        started = begun.datetime_start
        return started is None or datetime.now() - started > _JUST_BEGUN

    def _counted(self) -> list[optuna.trial.FrozenTrial]:
        """The tries that count: not those taken up by a later one, nor those that were one too many."""
        tries = self.study.get_trials(deepcopy=False)
        taken_up = {one.user_attrs.get(_CONTINUES) for one in tries}
        return [one for one in tries if one.number not in taken_up and not one.user_attrs.get("withdrawn")]

    def _taken(self) -> list[optuna.trial.FrozenTrial]:
        """The tries that count towards their number; of a grid also those whose values do not go together."""
        if self.options.sampler != "grid":
            return self._counted()
        impossible = [one for one in self.study.get_trials(deepcopy=False) if one.user_attrs.get("impossible")]
        return [*self._counted(), *impossible]

    def _withdraw(self, asked: optuna.Trial) -> None:
        import optuna

        asked.set_user_attr("withdrawn", True)
        self.study.tell(asked, state=optuna.trial.TrialState.FAIL)

    def _try(self, asked: optuna.Trial) -> None:
        """Train what was asked for, report every epoch, and tell how it ended."""
        import optuna

        states = optuna.trial.TrialState
        try:
            trial = self.search.trial(asked.params)
        except SpecError as error:
            self._tell(f"try {asked.number}: left out: {error.problems[0].message}")
            asked.set_user_attr("impossible", True)
            self._withdraw(asked)
            self.invalid += 1
            if self.invalid >= _INVALID:
                raise UsageError(f"{_INVALID} choices in a row do not go together: {error.problems[0]}") from None
            return
        self.invalid = 0
        asked.set_user_attr("begun", (trial.id, socket.gethostname(), os.getpid()))
        status = self._train(trial, asked)
        if status is None or status.state in ("interrupted", "running", "pending"):
            if not self.stop.requested:  # another process has it, or it cannot go on
                self._withdraw(asked)
            return
        value = _measured(status.summary.get(self.metric))
        if status.state == "done" and value is not None:
            self.study.tell(asked, value)
        elif status.state == "failed":
            self.study.tell(asked, state=states.FAIL)
        else:  # a diverged one is a lesson too: values like these are worse than others
            self.study.tell(asked, state=states.PRUNED)
        best = self._best()
        if best is not None and status.state == "done":
            found = math.nan if value is None else value
            self._tell(f"try {asked.number}: {self.metric} {found:.6g} (best {best.value:.6g}, try {best.number})")

    def _train(self, trial: Trial, asked: optuna.Trial) -> Status | None:
        """The try's trial, brought to its end; None where another process has it."""
        directory = self.place.trial(trial.id)
        status = directory.status()
        if status.state in ("done", "diverged", "pruned"):
            return status  # the same values were tried before
        directory.create(resolved(trial, self.place.path.name), listing(trial))
        self._report_again(asked)
        stop = Stop(outer=self.stop)
        pruning = self.options.pruner != "none"
        # After 1, 2, 3, 4, 6, 8, 11, … epochs: each look is a write to the journal, which all processes wait for.
        looks = {round(2 ** (power / 2)) for power in range(64)} - {trial.setting.training.epochs}
        last = ""

        def watch(event: Event) -> None:
            nonlocal last
            self.observe(event)
            if isinstance(event, TrialStarted):
                last = list(event.epochs)[-1]  # what comes before it measures something else
            if pruning and isinstance(event, EpochEnded) and event.stage == last and event.epoch in looks:
                value = _measured(event.metrics.get(self.metric))
                if value is not None:
                    asked.report(value, event.epoch)
                    if asked.should_prune():
                        stop.prune(
                            f"{self.metric} {value:.6g} after epoch {event.epoch} promises less than other tries"
                        )

        try:
            return run_trial(directory, label(trial), self.worker, stop, watch)
        except Held as other:
            self._tell(f"try {asked.number}: {other}: left to it")
            return None

    def _report_again(self, asked: optuna.Trial) -> None:
        """Report what the try that this one continues has reported: other tries are held against that too."""
        before = asked.user_attrs.get(_CONTINUES)
        if before is not None:
            for epoch, value in self.study.get_trials(deepcopy=False)[before].intermediate_values.items():
                asked.report(value, epoch)

    def _tries(self) -> list[Try]:
        return [
            Try(
                one.number,
                _trial_of(one),
                dict(one.params),
                self.place.trial(trial).status().state if (trial := _trial_of(one)) is not None else "pending",
                one.value if one.state.name == "COMPLETE" else None,
            )
            for one in self._counted()
        ]

    def _best(self) -> optuna.trial.FrozenTrial | None:
        try:
            return self.study.best_trial
        except ValueError:  # none is done
            return None

    def _tuned(self) -> Tuned:
        tries = self._tries()
        best = self._best()
        elsewhere = sum(one.state == "running" for one in tries)
        # A signal says "later"; a time limit says that what there is must do.
        ended = not elsewhere and (self.stop.requested is None or self.stop.timed_out)
        winner = None
        if best is not None and ended:
            chosen = self._first_among_equals([one for one in tries if one.value == best.value])
            winner = Winner(chosen, self.search.spec(chosen.values), self._test(chosen))
        return Tuned(self.place.path, self.metric, tuple(tries), winner, elsewhere)

    def _first_among_equals(self, best: Sequence[Try]) -> Try:
        """Of tries that are equally good the one with the lowest validation loss: accuracies of a few examples tie."""

        def loss(one: Try) -> tuple[float, int]:
            found = _measured(self.place.trial(str(one.trial)).status().summary.get("val_loss"))
            return (math.inf if found is None else found), one.number

        return min(best, key=loss)

    def _test(self, best: Try) -> dict[str, float]:
        """Test metrics of the winner, from its weights; the first time looked at and put on record."""
        assert best.trial is not None
        record = self.place.path / WINNER
        if record.exists():
            with atomic.explained("read", record, ResultsError):
                known = json.loads(record.read_text("utf-8"))
            if known.get("trial") == best.trial:
                return dict(known["test"])
        network = Trained.of(self.place.trial(best.trial), runtime=self.options.runtime)
        test = network.evaluate("test") if network.splits.test is not None else {}
        content = {"schema": _SCHEMA, "trial": best.trial, "try": best.number, self.metric: best.value, "test": test}
        atomic.write_json(record, content, error=ResultsError)
        return test

    def _submit(self) -> None:
        """``trials.csv``, in the order of the tries."""
        for one in self._counted():
            if (trial := _trial_of(one)) is not None and trial not in self.listings:
                self.listings[trial] = self.place.trial(trial).status().listing or Listing(trial)
        self.place.submit(self.search.experiment.source, list(self.listings.values()))
        self.place.renew()

    def _tell(self, sentence: str) -> None:
        self.observe(Note(sentence))

    def _study(self) -> optuna.Study:
        """This search's study in the experiment's journal: another search of the same name has another one."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalFileSymlinkLock

        with atomic.explained("create", self.place.path, ResultsError):
            self.place.path.mkdir(parents=True, exist_ok=True)
        journal = str((self.place.path / JOURNAL).resolve())  # the lock is a link, and must not be a relative one
        lock = JournalFileOpenLock(journal) if os.name == "nt" else JournalFileSymlinkLock(journal)
        try:
            return optuna.create_study(
                storage=JournalStorage(JournalFileBackend(journal, lock_obj=lock)),
                study_name=_identity(self.search, self.metric),
                direction="maximize" if self.more_is_better else "minimize",
                sampler=_sampler(self.search, self.options),
                pruner=_pruner(self.search, self.options),
                load_if_exists=True,
            )
        except (ValueError, KeyError) as error:
            raise ResultsError(f"{journal} is not the journal of a search: {error}") from error


def _trial_of(begun: optuna.trial.FrozenTrial) -> str | None:
    """The id of a try's trial, as soon as there is one."""
    trial: str | None = begun.user_attrs.get("begun", (None,))[0]
    return trial


def _measured(value: Any) -> float | None:
    """A metric as a number, None where there is none or it is NaN."""
    return None if not isinstance(value, float | int) or math.isnan(value) else float(value)


def _metric(search: Search, wanted: str | None) -> str:
    known = names_of_metrics(search)
    if wanted is None:
        return next((name for name in known if name == "val_accuracy"), "val_loss")
    if wanted not in known:
        raise UsageError(f"--metric {wanted}: tuning goes by {', '.join(known)}", hint=nearest(wanted, known))
    return wanted


def _enough(search: Search, options: Options) -> int:
    for kind, name, names in (("sampler", options.sampler, SAMPLERS), ("pruner", options.pruner, PRUNERS)):
        if name not in names:
            raise UsageError(f"there is no {kind} {name!r}", hint=nearest(name, names))
    if options.sampler != "grid":
        return options.trials or 30
    size = 1
    for dimension in search.dimensions:
        if not dimension.finite:
            raise UsageError(
                f"--sampler grid: {dimension.path} has no values to list",
                hint=f"search: {dimension.path}: with a number of points, as in log(1e-4, 1e-1, 4)",
            )
        size *= len(dimension.listed())
    return min(size, options.trials or size)


def _identity(search: Search, metric: str) -> str:
    """What makes tries comparable: the setting without what varies, what it varies over, and the metric."""
    trial = search.experiment.trials[0]
    space = [[one.path, one.values, one.low, one.high, one.whole, one.step, one.log] for one in search.dimensions]
    text = json.dumps([trial.id, search.seeds.init[0], space, metric], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    from optuna import distributions

    if dimension.values:
        return distributions.CategoricalDistribution(dimension.values)
    if dimension.whole:
        low, high = int(dimension.low), int(dimension.high)
        return distributions.IntDistribution(low, high, log=dimension.log, step=dimension.step)
    return distributions.FloatDistribution(float(dimension.low), float(dimension.high), log=dimension.log)


def _pruner(search: Search, options: Options) -> optuna.pruners.BasePruner:
    from optuna import pruners

    epochs = search.experiment.trials[0].setting.training.epochs
    if options.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 10)
    if options.pruner == "hyperband":
        return pruners.HyperbandPruner(min_resource=1, max_resource=max(1, epochs))
    return pruners.NopPruner()


def _sampler(search: Search, options: Options) -> optuna.samplers.BaseSampler:
    """A sampler whose draws are a function of the seed, the place of the try and the tries before it.

    Two processes, or one that goes on later, do not repeat each other's draws. A try that took up
    another one has a number of its own and the place of that other, so that those after it are
    what they would have been.
    """
    from optuna import samplers

    continued = [0]  # how many of the first 0, 1, 2, … tries took up another one, which never changes

    def fresh(study: Any, number: int) -> optuna.samplers.BaseSampler:
        for one in study.get_trials(deepcopy=False)[len(continued) - 1 : number]:
            continued.append(continued[-1] + (_CONTINUES in one.user_attrs))
        place = number - continued[number]
        seed = int.from_bytes(hashlib.sha256(f"{options.seed}/{place}".encode()).digest()[:4], "big")
        if options.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if options.sampler == "grid":
            space = {dimension.path: dimension.listed() for dimension in search.dimensions}
            return samplers.GridSampler(space, seed=options.seed)
        if options.sampler == "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return samplers.TPESampler(seed=seed, multivariate=True, warn_independent_sampling=False)

    class PerTry(samplers.BaseSampler):
        """Asks a sampler of its own for each try; none of them has anything to do when a try ends."""

        def before_trial(self, study: Any, trial: Any) -> None:
            self.inner = fresh(study, trial.number)
            self.inner.before_trial(study, trial)

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self.inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, space: Any) -> Any:
            return self.inner.sample_relative(study, trial, space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self.inner.sample_independent(study, trial, name, distribution)

    return PerTry()
