"""Claims held against trials: confirmed, refuted or undecided, with the numbers.

A claim is decided by the 95 % interval over seeds: of the mean, or of the difference by seed
where seeds are shared (:mod:`dlx.analysis.statistics`). Where the interval holds both answers,
seeds do not decide. Of a single trial that is all there is to be, its value decides.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from dlx.analysis import statistics
from dlx.analysis.conditions import has_none
from dlx.analysis.differences import difference_of
from dlx.analysis.folds import overlap_of
from dlx.analysis.measurements import Cell, Measurements, cell, measure
from dlx.analysis.metrics import KNOWN, At, EpochsTo, Metric, Share, parse
from dlx.analysis.settings import ABSENT, differing, shown, value_at
from dlx.analysis.summaries import Summaries
from dlx.analysis.trials import Reader, Setting, Trial, flatten
from dlx.analysis.writing import scale
from dlx.errors import DlxError, Problem, ResultsError, SpecError, UsageError, nearest
from dlx.language import _, plural
from dlx.records.status import STATES
from dlx.records.tables import LAYERS, MOVES, TIMING, metrics_table
from dlx.spec import Experiment
from dlx.spec import settings as plain_settings
from dlx.spec.claims import Claim, same

Verdict = Literal["confirmed", "refuted", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("refuted", "undecided", "confirmed")
"""The worst first."""


@dataclass(frozen=True)
class Part:
    """What the trials of one setting of the other parameters say: a verdict, in words, and its numbers."""

    where: Mapping[str, Any]
    verdict: Verdict
    sentence: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict: refuted if any part refutes it, confirmed if all confirm it."""

    claim: Claim
    statement: str
    parts: tuple[Part, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its parts'; undecided without any."""
        return next((v for v in VERDICTS if any(part.verdict == v for part in self.parts)), "undecided")


def check(experiment: Experiment) -> None:
    """Look for metrics that its trials will not have. Raises :class:`~dlx.errors.SpecError`."""
    problems = [problem for claim in experiment.claims for problem in _metric_problems(claim, experiment)]
    if problems:
        raise SpecError(problems)


def _metric_problems(claim: Claim, experiment: Experiment) -> list[Problem]:
    if claim.metric is None:
        return []
    try:
        metric = parse(claim.metric)
    except UsageError as error:
        return [claim.problem(str(error), "metric")]
    while isinstance(metric, Share):
        metric = metric.of
    if not isinstance(metric, At | EpochsTo):
        return []
    tables = _columns(experiment)
    series = metric.series
    if series.table not in tables:
        hint = nearest(series.table, tables)
        return [claim.problem(f"no trial will have a table {series.table!r} ({hint})", "metric")]
    if series.column not in tables[series.table]:
        known = {
            column if name in ("metrics", "gradients") else f"{name}.{column}"
            for name, columns in tables.items()
            for column in columns
        }
        written = series.text.partition("[")[0]
        return [claim.problem(f"no trial will have {written!r} ({nearest(written, {*known, *KNOWN})})", "metric")]
    return []


def _columns(experiment: Experiment) -> dict[str, set[str]]:
    """The columns of every table that the trials will leave."""
    tables: dict[str, set[str]] = {TIMING.name: set(TIMING.columns), LAYERS.name: set(LAYERS.columns)}
    for setting in {id(trial.setting): trial.setting for trial in experiment.trials}.values():
        info = setting.learned
        classes = info.outputs if info.task == "classification" else 0
        metrics = tables.setdefault("metrics", set())
        metrics.update(metrics_table(info.task, classes).columns)
        for planned in setting.pipeline:
            metrics.update(planned.spec.columns(setting))
        if len(setting.pipeline) > 1:
            tables[MOVES.name] = set(MOVES.columns)
        for probe in setting.probes.values():
            for name, columns in probe.tables(setting).items():
                tables.setdefault(name, set()).update(columns)
    return tables


def judge(claims: Sequence[Claim], trials: Sequence[Trial], absent: int = 0) -> list[Judged]:
    """Each claim held against the trials of an experiment.

    ``absent``: how many of its trials have left nothing that can be read.
    """
    summaries, judged = Summaries(), []
    for claim in claims:
        if claim.metric is None:
            judged.append(_judged(claim, trials, functools.partial(_by_state, claim, absent)))
            continue
        try:
            metric = parse(claim.metric)
            asked = _Asked(claim, metric, measure(trials, [metric], summaries), absent)
        except UsageError as error:  # none of the trials has it: there is nothing to decide by
            judged.append(Judged(claim, statement(claim), (Part({}, "undecided", str(error)),)))
        else:
            judged.append(_judged(claim, trials, asked.decide))
    return judged


def statement(claim: Claim) -> str:
    """What a claim says, in words."""
    of = _where(claim.at)
    if claim.state is not None:
        return _("all trials{of} end as {state}").format(of=of, state=claim.state)
    given = {"metric": claim.metric, "of": of, "other": _where(claim.other or {}), "over": claim.over}
    low, high = (f"{bound:g}" if bound is not None else "" for bound in claim.bounds)
    match claim.relation:
        case "above":
            return _("{metric}{of} is above that{other}").format(**given)
        case "below":
            return _("{metric}{of} is below that{other}").format(**given)
        case "between":
            return _("{metric}{of} is between {low} and {high}").format(low=low, high=high, **given)
        case "at_least":
            return _("{metric}{of} is at least {low}").format(low=low, **given)
        case "at_most":
            return _("{metric}{of} is at most {high}").format(high=high, **given)
        case "decreasing_over":
            return _("{metric}{of} decreases over {over}").format(**given)
        case _:
            return _("{metric}{of} increases over {over}").format(**given)


def _where(values: Mapping[str, Any]) -> str:
    listed = ", ".join(f"{path.removesuffix('.name')} {shown(value)}" for path, value in values.items())
    return _(" at {values}").format(values=listed) if listed else ""


def _judged(claim: Claim, trials: Sequence[Trial], decide: Callable[[Sequence[Trial]], Part]) -> Judged:
    """The claim decided for each setting of the parameters that it does not name, and each engine."""
    mine = [trial for trial in trials if _has(trial, claim.at) or _has(trial, {**claim.at, **(claim.other or {})})]
    others = _others(mine, {path for _place, path, _value in claim.paths})
    engines = {trial.engine for trial in mine if trial.engine}
    groups: dict[str, tuple[dict[str, Any], list[Trial]]] = {}
    for trial in mine:
        where = {path: value_at(trial.setting, path) for path in others}
        if len(engines) > 1:
            where["engine"] = trial.engine
        groups.setdefault(repr(where), (where, []))[1].append(trial)
    parts = []
    for where, group in groups.values():
        part = decide(group)
        visible = {path: value for path, value in where.items() if value is not ABSENT}
        parts.append(Part(visible, part.verdict, part.sentence, part.numbers))
    return Judged(claim, statement(claim), tuple(parts))


def _others(trials: Sequence[Trial], named: Collection[str]) -> list[str]:
    """The paths that vary besides those that a claim names.

    The fields of a member that it names (the momentum of an optimizer) differ as the member does; those that differ
    within one member (``model.parameters``, where it names ``model``) vary besides it.
    """
    settings = list(dict.fromkeys(trial.setting for trial in trials))
    found = []
    for path in differing(settings):
        above = [name for name in named if path.startswith((f"{name}.", f"{name}["))]
        values: dict[str, set[str]] = {}
        for setting in settings:
            member = repr([value_at(setting, name) for name in above])
            values.setdefault(member, set()).add(repr(value_at(setting, path)))
        if path not in named and any(len(some) > 1 for some in values.values()):
            found.append(path)
    return found


def _has(trial: Trial, values: Mapping[str, Any]) -> bool:
    """Whether a trial has these values."""
    found = ((value_at(trial.setting, path), value) for path, value in values.items())
    return all(same(one, value) or has_none(None if one is ABSENT else one, value) for one, value in found)


def _by_state(claim: Claim, absent: int, group: Sequence[Trial]) -> Part:
    mine = [trial for trial in group if _has(trial, claim.at)]
    counts = {state: number for state in STATES if (number := sum(trial.state == state for trial in mine))}
    ended = {state: number for state, number in counts.items() if state in ("done", "diverged", "failed")}
    said = ", ".join(f"{number} {state}" for state, number in counts.items()) or _("none has begun")
    if any(state != claim.state for state in ended):
        verdict: Verdict = "refuted"
    else:
        verdict = "confirmed" if mine and len(ended) == len(counts) and not absent else "undecided"
    return Part({}, verdict, said, {"states": counts})


@dataclass(frozen=True)
class _Asked:
    """A claim on a metric, and the metric's value in each trial."""

    claim: Claim
    metric: Metric
    measured: Measurements
    absent: int

    def decide(self, group: Sequence[Trial]) -> Part:
        """What a group of trials that differ in what the claim names, and in seeds, says."""
        claim = self.claim
        if claim.relation in ("above", "below"):
            other = {**claim.at, **(claim.other or {})}
            return self._compared([self._cell(group, claim.at), self._cell(group, other)], claim.relation == "above")
        if claim.over is not None:
            mine = [trial for trial in group if _has(trial, claim.at)]
            # by how they are written: lists of units are values too
            values = list(
                {repr(value): value for trial in mine for value in [value_at(trial.setting, claim.over)]}.values()
            )
            if all(isinstance(value, int | float) for value in values):
                values.sort()
            cells = [self._cell(mine, {claim.over: value}) for value in values]
            return self._ordered(values, cells, claim.relation == "increasing_over")
        return self._bounded(self._cell(group, claim.at), claim.bounds)

    def _cell(self, group: Sequence[Trial], values: Mapping[str, Any]) -> _Side:
        mine = [trial for trial in group if _has(trial, values)]
        overlap = max((overlap_of(trial.setting) for trial in mine), default=0.0)
        pooled = cell(self.metric, [(trial.replicate, self.measured.of(trial, 0)) for trial in mine], overlap)
        waiting = sum(trial.state in ("pending", "running", "interrupted") for trial in mine)
        return _Side(pooled, len(mine), waiting + self.absent)

    def _bounded(self, side: _Side, bounds: tuple[float | None, float | None]) -> Part:
        lacking = side.lacking()
        estimate = side.cell.estimate
        if lacking is not None or estimate is None or not math.isfinite(estimate.mean):
            return Part({}, "undecided", lacking or self._words(side), self._numbers([side]))
        low, high = (-math.inf if bounds[0] is None else bounds[0]), (math.inf if bounds[1] is None else bounds[1])
        least = estimate.mean if estimate.low is None else estimate.low
        most = estimate.mean if estimate.high is None else estimate.high
        verdict: Verdict = "undecided"
        if low <= least and most <= high:
            verdict = "confirmed"
        elif most < low or least > high:
            verdict = "refuted"
        return Part({}, verdict, self._words(side), self._numbers([side]))

    def _compared(self, sides: Sequence[_Side], above: bool) -> Part:
        lacking = next((side.lacking() for side in sides if side.lacking() is not None), None)
        difference = difference_of(self.metric, sides[0].cell, sides[1].cell) if lacking is None else None
        if difference is None:
            return Part({}, "undecided", lacking or _("they cannot be compared"), self._numbers(sides))
        words = _("{one} against {other}").format(one=self._words(sides[0]), other=self._words(sides[1]))
        if difference.low is not None and difference.high is not None:
            words += "; " + self._difference(difference)
        return Part({}, _direction(difference, above), words, self._numbers(sides, [difference]))

    def _difference(self, difference: statistics.Difference) -> str:
        written = scale(self.metric)
        low, high = difference.low or 0.0, difference.high or 0.0
        number = written.difference(difference.value, (high - low) / 4)
        given = {
            "difference": f"−{number}" if difference.value < 0 else number,
            "interval": written.from_to(low, high),
            "n": difference.n[0],
            "m": difference.n[1],
        }
        if difference.kind == "paired" and difference.overlap:
            words = _("difference {difference}, 95 % CI {interval}, {n} paired folds")
        elif difference.kind == "paired":
            words = _("difference {difference}, 95 % CI {interval}, {n} paired seeds")
        elif difference.overlap:
            words = _("difference {difference}, 95 % CI {interval}, {n} and {m} folds")
        else:
            words = _("difference {difference}, 95 % CI {interval}, {n} and {m} seeds")
        words = words.format(**given)
        needed = None if difference.detected else statistics.seeds_needed(difference)
        if needed is not None:
            words += ", " + _("about {seeds} seeds each would settle it").format(
                seeds=max(needed, max(difference.n) + 1)
            )
        return words

    def _ordered(self, values: Sequence[Any], sides: Sequence[_Side], increasing: bool) -> Part:
        lacking = next((side.lacking() for side in sides if side.lacking() is not None), None)
        steps = [difference_of(self.metric, after.cell, before.cell) for before, after in pairwise(sides)]
        words = ", ".join(f"{shown(value)}: {self._words(side)}" for value, side in zip(values, sides, strict=True))
        numbers = {"values": list(values), **self._numbers(sides, [step for step in steps if step is not None])}
        if lacking is not None or any(step is None for step in steps) or not steps:
            return Part({}, "undecided", lacking or words, numbers)
        known = [step for step in steps if step is not None]
        verdicts = [_direction(step, increasing) for step in known]
        # That all of several hold needs no correction; that any of several does not, does.
        corrected = statistics.holm([step.p for step in known])
        wrong = any(
            verdict == "refuted" and (p is None or p < statistics.ALPHA)
            for verdict, p in zip(verdicts, corrected, strict=True)
        )
        verdict: Verdict = "undecided"
        if wrong:
            verdict = "refuted"
        elif all(each == "confirmed" for each in verdicts):
            verdict = "confirmed"
        return Part({}, verdict, words, numbers)

    def _words(self, side: _Side) -> str:
        estimate = side.cell.estimate
        if estimate is None:
            return _("no value")
        written = scale(self.metric)
        text = written.estimate(estimate) + (" %" if written.percent else "")
        interval = written.interval(estimate.low, estimate.high)
        if not interval:
            return _("{value} (one trial)").format(value=text) if estimate.n == 1 else text
        return _("{value} (95 % CI {interval}, {n} trials)").format(value=text, interval=interval, n=estimate.n)

    def _numbers(self, sides: Iterable[_Side], differences: Iterable[statistics.Difference] = ()) -> dict[str, Any]:
        return {
            "estimates": [vars(side.cell.estimate) if side.cell.estimate else None for side in sides],
            "trials": [side.trials for side in sides],
            "differences": [vars(difference) for difference in differences],
        }


@dataclass(frozen=True)
class _Side:
    """The trials of one side of a claim: how many there are, and how many have not ended."""

    cell: Cell
    trials: int
    waiting: int

    def lacking(self) -> str | None:
        """Why nothing can be said: no trial, none with the number, some that have not ended, or only one of several."""
        if not self.trials:
            return _("no such trial")
        if self.waiting:
            words = plural("{count} trial has not ended", "{count} trials have not ended", self.waiting)
            return words.format(count=self.waiting)
        if not self.cell.values:
            return _("none of {total} trials has the number").format(total=self.trials)
        if len(self.cell.values) == 1 and self.trials > 1:
            return _("only one of {total} trials has the number").format(total=self.trials)
        return None


def _direction(difference: statistics.Difference, up: bool) -> Verdict:
    """Whether a difference is above 0 (below it, unless ``up``) for certain, or for certain is not."""
    low = difference.value if difference.low is None else difference.low
    high = difference.value if difference.high is None else difference.high
    low, high = (low, high) if up else (-high, -low)
    return "confirmed" if low > 0 else "refuted" if high < 0 or (low == high == 0) else "undecided"


def exit_code(judged: Iterable[Judged]) -> int:
    """3 where a claim is refuted, else 0."""
    return 3 if any(each.verdict == "refuted" for each in judged) else 0


def of_run(experiment: Experiment, place: Path) -> list[Judged]:
    """The claims of an experiment held against its trials as they stand in its directory, whoever ran them."""
    reader = Reader()
    found: list[Trial] = []
    for trial in experiment.trials:
        with contextlib.suppress(ResultsError):  # damaged or not there: nothing that it could say
            found.append(reader.read(place / "trials" / trial.id, experiment.name))
    return _judge_specified(experiment, found)


def of_results(directory: Path, trials: Sequence[Trial]) -> list[Judged]:
    """The claims of the spec that an experiment's directory keeps, held against those of ``trials`` that it makes.

    Where the spec can no longer be expanded (its data are elsewhere), against all of them. Raises
    :class:`~dlx.errors.SpecError` for a spec that is damaged.
    """
    from dlx.spec import document, load_text
    from dlx.spec.claims import claims_of

    text, root = document.read(directory / "experiment.yaml")
    claims = claims_of(root.child("expect"))
    try:
        experiment = load_text(text, name=directory.name, file=str(directory / "experiment.yaml"))
    except DlxError:
        return judge(claims, trials)
    return _judge_specified(experiment, trials)


def _judge_specified(experiment: Experiment, trials: Sequence[Trial]) -> list[Judged]:
    """Held against those trials that the spec makes, each with its setting as this version of dlx writes it.

    A trial recorded before a field was added has it at its default, without saying so.
    """
    specified = {trial.id: trial.setting for trial in experiment.trials}
    settings = {id(setting): Setting(dict(flatten(plain_settings(setting)))) for setting in specified.values()}
    mine = [replace(trial, setting=settings[id(specified[trial.id])]) for trial in trials if trial.id in specified]
    return judge(experiment.claims, mine, len(specified) - len(mine))
