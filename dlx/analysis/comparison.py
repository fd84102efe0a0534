"""The table of ``dlx compare``: one row per setting with its seeds pooled, and how the rows differ.

found = find(["depth"], reader=summaries)
comparison = compare(found.trials, [parse("test_accuracy@last")], summaries)
comparison.rows[0].cells[0].estimate.mean
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dlx.analysis import measurements
from dlx.analysis.conditions import OWN, paths_of, resolve, select_some, shortest
from dlx.analysis.conditions import parse as parse_conditions
from dlx.analysis.differences import Against, data_of, differences
from dlx.analysis.folds import overlap_of
from dlx.analysis.measurements import Measurements
from dlx.analysis.metrics import Metric, parse
from dlx.analysis.rows import Row
from dlx.analysis.settings import ABSENT, Pooled, columns_of, label, pool, value_at
from dlx.analysis.summaries import Summaries
from dlx.analysis.trials import Trial
from dlx.errors import DlxError, UsageError, nearest
from dlx.language import _


@dataclass
class Comparison:
    """Rows of the same columns and metrics; ``against`` has the differences between rows, per metric.

    ``columns``: the parameters shown, path → name. ``pairs``: what trials of two rows must have in
    common to be compared as a pair. ``warnings``: what was left out or must be
    known to read the table.
    """

    metrics: Sequence[Metric]
    columns: Mapping[str, str]
    rows: list[Row]
    measured: Measurements
    against: list[Against] = field(default_factory=list)
    pairs: Sequence[str] = ("seed",)
    warnings: list[str] = field(default_factory=list)

    @property
    def engines(self) -> list[str]:
        """The engines of the rows; None among them where they are pooled does not count."""
        return sorted({row.pooled.engine for row in self.rows if row.pooled.engine})

    def value(self, trial: Trial, metric: int) -> float | None:
        """A metric of one trial; None where it has none."""
        measured = self.measured.of(trial, metric)
        return None if measured is None or measured.missing else measured.value

    def best(self, metric: int) -> float:
        """The best mean of a metric among the rows; nan where neither more nor less is better."""
        better = self.metrics[metric].better
        means = [row.cells[metric].mean for row in self.rows]
        finite = [mean for mean in means if math.isfinite(mean)]
        return max(finite, key=lambda mean: mean * better) if better and finite else math.nan


def compare(
    trials: Sequence[Trial],
    metrics: Sequence[Metric],
    summaries: Summaries,
    *,
    where: Sequence[str] = (),
    by: Sequence[str] | None = None,
    best_over: Sequence[str] = (),
    select: Metric | None = None,
    baseline: str | None = None,
    sort: Sequence[str] = (),
    pool_engines: bool = False,
) -> Comparison:
    """Trials side by side.

    ``metrics``: without any the usual one. ``where``: conditions that trials must meet. ``by``:
    parameters to group by instead of whole settings. ``best_over``: parameters of which each
    row has the value with the best mean of ``select``, a validation metric. ``baseline``:
    conditions that name the row which others are compared with, by default the best. ``sort``:
    parameters or metrics (best first), ``-`` before one reverses it. Raises
    :class:`~dlx.errors.UsageError` for what names nothing.
    """
    conditions = [condition for text in where for condition in parse_conditions(text)]
    trials = select_some(trials, conditions, f"no trial has {', '.join(where)}")
    warnings = _incomparable(trials)
    if best_over and select is None:
        select = measurements.usual_metrics(trials, measurements.USUAL_VALIDATION)[0]
    if select is not None and not _validates(select):
        raise UsageError(
            f"--select {select.text}: only a validation metric may choose", hint="as in --select val_accuracy"
        )
    metrics = list(metrics) or measurements.usual_metrics(trials)
    asked = [*metrics, *([select] if select is not None else [])]
    measured = measurements.measure(trials, asked, summaries)
    warnings += _left_out(trials, metrics, measured)
    damaged = {str(error) for error in measured.damaged}
    if damaged:
        trials = [trial for trial in trials if trial.state not in ("done", "diverged") or trial.path in measured.values]
    if not trials:
        raise measured.damaged[0]
    differing = columns_of(trials)
    by = [*by, *best_over] if by is not None else None
    grouped = pool(trials, by=by, engines=pool_engines)
    columns, rest = _columns(trials, by, differing)
    rows = [_row(pooled, columns, measured, rest) for pooled in grouped]
    searched = [resolve(name, paths_of(trials)) for name in best_over]
    if own := [name for name in searched if name in OWN]:
        raise UsageError(f"--best-over {own[0]}: no parameter of the spec", hint="as in --best-over learning_rate")
    if best_over:
        rows, columns, notes = _best_over(rows, columns, searched, asked)
        warnings += notes
        rows = [replace(row, cells=row.cells[: len(metrics)]) for row in rows]
    shown = {path: name for path, name in columns.items() if path not in searched}
    rows = _tell_apart(rows, shown)
    rows = _sorted(rows, sort, columns, metrics, trials)
    comparison = Comparison(metrics, columns, rows, measured, warnings=[*unreadable(measured.damaged), *warnings])
    comparison.against = differences(rows, metrics, _baseline(rows, baseline, trials))
    if rest:
        comparison.pairs = ("seed", *(differing[path] for path in rest))
        sentence = _("each row pools settings that differ in {parameters}: the interval is of the mean over these")
        comparison.warnings.append(sentence.format(parameters=", ".join(comparison.pairs[1:])))
    return comparison


def _columns(
    trials: Sequence[Trial], by: Sequence[str] | None, differing: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The columns of the table, and the differing parameters that are not among them."""
    if by is None:
        return dict(differing), []
    known = paths_of(trials)
    names = shortest(known)
    paths = [resolve(name, known) for name in by]
    return {path: names.get(path, path) for path in paths}, [path for path in differing if path not in paths]


def _row(pooled: Pooled, columns: Mapping[str, str], measured: Measurements, rest: Sequence[str]) -> Row:
    """Pools each metric; trials of two rows belong together where seed and the parameters of ``rest`` are the same."""

    def replicate(trial: Trial) -> Hashable:
        return (*trial.replicate, *(repr(value_at(trial.setting, path)) for path in rest))

    cells = tuple(
        measurements.cell(
            metric,
            [(replicate(trial), measured.of(trial, number)) for trial in pooled.trials],
            max(overlap_of(trial.setting) for trial in pooled.trials),
        )
        for number, metric in enumerate(measured.metrics)
    )
    return Row(pooled, label(pooled.values, columns), cells)


def _best_over(
    rows: Sequence[Row], columns: Mapping[str, str], over: Sequence[str], metrics: Sequence[Metric]
) -> tuple[list[Row], dict[str, str], list[str]]:
    """Of the rows that differ in ``over`` alone the one with the best mean of the last metric, which selects."""
    select = metrics[-1]
    kept = {path: name for path, name in columns.items() if path not in over}
    groups: dict[Hashable, list[Row]] = {}
    for row in rows:
        key = (*(repr(row.value(path)) for path in kept), row.pooled.engine)
        groups.setdefault(key, []).append(row)
    chosen, notes = [], []
    for group in groups.values():
        finite = [row for row in group if math.isfinite(row.cells[-1].mean)]
        # A setting that did not always finish is chosen only where none did: what diverges half the time is not best.
        whole = [row for row in finite if not row.not_done] or finite
        if not whole:
            sentence = _("{setting}: no value of {parameters} has {metric}, so none is shown")
            searched = ", ".join(columns.get(path, path) for path in over)
            setting = label(group[0].pooled.values, kept)
            notes.append(sentence.format(setting=setting, parameters=searched, metric=select.text))
            continue
        best = max(whole, key=lambda row: row.cells[-1].mean * (select.better or 1))
        chosen.append(best)
    if not chosen:
        raise UsageError(f"no setting has {select.text} to be chosen by")
    return chosen, dict(columns), notes


def _tell_apart(rows: Sequence[Row], columns: Mapping[str, str]) -> list[Row]:
    """Labels by what differs between rows of the same data, which are the ones compared; and by data, and engine."""
    kinds: dict[object, list[Row]] = {}
    for row in rows:
        kinds.setdefault(data_of(row), []).append(row)
    engines = len({row.pooled.engine for row in rows if row.pooled.engine}) > 1
    labels: dict[int, str] = {}
    for alike in kinds.values():
        differing = {path: name for path, name in columns.items() if len({repr(row.value(path)) for row in alike}) > 1}
        for row in alike:
            text = label(row.pooled.values, differing if len(alike) > 1 else columns)
            if len(kinds) > 1 and len(alike) > 1:
                text = _("{setting} on {data}").format(setting=text, data=row.pooled.setting.get("dataset.name"))
            labels[id(row)] = f"{text}, {row.pooled.engine or _('not begun')}" if engines else text
    return [replace(row, label=labels[id(row)]) for row in rows]


def _sorted(
    rows: Sequence[Row],
    sort: Sequence[str],
    columns: Mapping[str, str],
    metrics: Sequence[Metric],
    trials: Sequence[Trial],
) -> list[Row]:
    ordered = list(rows)
    for wanted in reversed(sort):
        key = _sort_key(wanted.removeprefix("-"), columns, metrics, trials)
        ordered.sort(key=key, reverse=wanted.startswith("-"))
    return ordered


def _sort_key(
    name: str, columns: Mapping[str, str], metrics: Sequence[Metric], trials: Sequence[Trial]
) -> Callable[[Row], Any]:
    if name == "started":
        return lambda row: min((trial.started or "9" for trial in row.trials), default="")
    if name in ("n", "done"):
        return lambda row: row.done
    for number, metric in enumerate(metrics):
        if _is_metric(name, metric):
            return functools.partial(_best_first, number, metric.better or -1)
    try:
        path = resolve(name, dict.fromkeys([*paths_of(trials), *columns]))
    except UsageError:
        known = ["started", "n", *columns.values(), *(metric.text for metric in metrics)]
        raise UsageError(f"cannot sort by {name!r}", hint=nearest(name, known)) from None
    return lambda row: _ordering(row.value(path) if path not in OWN else OWN[path](row.trials[0]))


def _is_metric(name: str, metric: Metric) -> bool:
    try:
        return parse(name).text == metric.text
    except UsageError:
        return False


def _best_first(number: int, better: int, row: Row) -> tuple[bool, float]:
    mean = row.cells[number].mean
    return math.isnan(mean), -better * mean


def _ordering(value: Any) -> tuple[int, float, str]:
    """Numbers by size, before text by letter, before what is not there."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return 0, float(value), ""
    return (2, 0.0, "") if value is ABSENT or value is None else (1, 0.0, str(value))


def _baseline(rows: Sequence[Row], baseline: str | None, trials: Sequence[Trial]) -> list[Row] | None:
    """The rows that a baseline names: one of each kind of data; None where nobody names one."""
    if baseline is None:
        return None
    conditions = parse_conditions(baseline)
    known = paths_of(trials)
    resolved = [(condition, resolve(condition.name, known)) for condition in conditions]
    named = [
        row for row in rows if all(condition.holds(trial, path) for trial in row.trials for condition, path in resolved)
    ]
    if not named:
        raise UsageError(
            f"--baseline {baseline} names no row", hint=f"rows: {'; '.join(row.label for row in rows[:8])}"
        )
    return named


def _validates(metric: Metric) -> bool:
    return "test_" not in metric.text and metric.better != 0 and "val_" in metric.text


def _incomparable(trials: Sequence[Trial]) -> list[str]:
    """Says so where trials are of different data: what differs then is not the nets alone."""
    names = dict.fromkeys(str(trial.setting.get("dataset.name")) for trial in trials)
    if len(names) > 1:
        return [
            _("different data ({names}) stand side by side: rows are compared with rows of the same data only").format(
                names=", ".join(names)
            )
        ]
    digests: dict[str, dict[str, None]] = {}
    for trial in trials:
        digest = trial.setting.get("digests.dataset")
        if digest is not None:
            digests.setdefault(str(trial.setting.get("dataset.name")), {})[str(digest)] = None
    return [
        _("{count} different contents of the data {name}: rows are compared with rows of the same data only").format(
            count=len(found), name=name
        )
        for name, found in digests.items()
        if len(found) > 1
    ]


def _left_out(trials: Sequence[Trial], metrics: Sequence[Metric], measured: Measurements) -> list[str]:
    """Trials that are done and yet have no value of a metric, by reason; never having got there is no such gap."""
    sentences = []
    for number, metric in enumerate(metrics):
        reasons: dict[str, list[Trial]] = {}
        for trial in trials:
            one = measured.of(trial, number)
            if one is not None and one.missing and one.why != "never":
                reasons.setdefault(one.why or "", []).append(trial)
        for why, without in reasons.items():
            experiments = ", ".join(dict.fromkeys(trial.experiment for trial in without))
            sentences.append(
                _("{metric}: none in {count} of {total} finished trials ({experiments}): {why}").format(
                    metric=metric.text, count=len(without), total=len(measured.values), experiments=experiments, why=why
                )
            )
    return sentences


def unreadable(errors: Sequence[DlxError]) -> list[str]:
    """A sentence for each trial that was named and could not be read."""
    return [_("left out: {problem}").format(problem=error) for error in errors]
