"""What a report says: a chapter for each experiment, gathered from its tables; nothing here knows HTML."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.analysis import comparison as comparing
from dlx.analysis import diagnose, tabulate
from dlx.analysis.comparison import Comparison
from dlx.analysis.diagnose import SettingDiagnosis
from dlx.analysis.grid import Grid
from dlx.analysis.measurements import Measurements
from dlx.analysis.metrics import Metric, parse
from dlx.analysis.selectors import find
from dlx.analysis.sentences import footnote, sentences
from dlx.analysis.settings import columns_of, label, shown, value_at
from dlx.analysis.summaries import Summaries
from dlx.analysis.trials import Tables, Trial
from dlx.analysis.writing import scale, state_said
from dlx.claims import Judged, of_results
from dlx.errors import DlxError, UsageError
from dlx.language import _, plural
from dlx.report.curves import Curves, curves_of
from dlx.report.figures import Figure, figures_of
from dlx.report.origins import Origin, commands_of, origins_of

WAITING = ("pending", "running")
MOST_SENTENCES = 24
"""Comparisons told in words, per metric; the table has all rows."""


@dataclass(frozen=True)
class Sentences:
    """What a comparison shows in one metric; ``more`` are left out."""

    metric: str
    told: Sequence[str]
    more: int = 0


@dataclass(frozen=True)
class Verdicts:
    """What the rules of ``dlx diagnose`` found in one setting: (rule, sentence, what to try)."""

    label: str
    trials: int
    found: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class TrialTold:
    """A trial as the page lists it: where it is, how it ended, its metrics, verdicts and curves."""

    trial: Trial
    label: str
    metrics: Sequence[tuple[str, str]]
    verdicts: Sequence[tuple[str, str]]
    curves: Curves


@dataclass(frozen=True)
class Chapter:
    """One experiment. ``facts`` are (what, value) in the order in which one would ask."""

    name: str
    directory: Path
    description: str
    spec: str
    facts: Sequence[tuple[str, str]]
    comparison: Comparison
    grid: Grid
    sentences: Sequence[Sentences]
    footnote: str
    claims: Sequence[Judged]
    verdicts: Sequence[Verdicts]
    figures: Sequence[Figure]
    trials: Sequence[TrialTold]
    origins: Sequence[Origin]
    commands: Sequence[str]
    notes: Sequence[str] = field(default=())

    @property
    def again(self) -> str:
        """The command that runs the experiment anew from its spec, on the engine that it ran on."""
        engines = self.comparison.engines
        return shlex.join(["dlx", "run", f"{self.name}.yaml", *(["--engine", "jax"] if engines == ["jax"] else [])])

    @property
    def waiting(self) -> int:
        """Trials that have not ended and may yet."""
        return sum(told.trial.state in WAITING for told in self.trials)


def chapters(
    selectors: Sequence[str], metrics: Sequence[str] = (), results: Path | None = None
) -> tuple[list[Chapter], list[str]]:
    """A chapter for each experiment of which trials are selected, and notes on what could not be read.

    ``metrics``: what is compared, by default as in ``dlx compare``. Raises
    :class:`~dlx.errors.UsageError` and :class:`~dlx.errors.ResultsError` as selectors and metrics do.
    """
    asked = [parse(text) for text in metrics]
    summaries = Summaries()
    found = find(selectors, results, summaries)
    if not found.trials:
        raise found.damaged[0] if found.damaged else UsageError("there is no trial to report")
    by_directory: dict[Path, list[Trial]] = {}
    for trial in found.trials:
        by_directory.setdefault(trial.path.parent.parent, []).append(trial)
    told = [_chapter(place, mine, asked, summaries, len(found.trials)) for place, mine in by_directory.items()]
    summaries.save()
    return told, comparing.unreadable(found.damaged)


def _chapter(
    directory: Path, trials: Sequence[Trial], metrics: Sequence[Metric], summaries: Summaries, total: int
) -> Chapter:
    notes: list[str] = []
    columns = columns_of(trials)
    try:
        compared = comparing.compare(trials, metrics, summaries)
    except DlxError as error:  # of several experiments, not every one has every metric
        if metrics and len(trials) == total:
            raise
        notes.append(str(error))
        compared = Comparison([], columns, [], Measurements([]))
    notes += compared.warnings
    tables = {trial.id: Tables(trial.path) for trial in trials}
    settings, _damaged = diagnose.diagnose_all(trials, diagnose.rules())
    figures, more = figures_of(trials, compared, directory, tables)
    text, about, problem = _spec(directory)
    claims, refused = _claims(directory, trials)
    return Chapter(
        name=str(about.get("name") or directory.absolute().name),
        directory=directory,
        description=str(about.get("description") or ""),
        spec=text,
        facts=_facts(trials, columns, compared),
        comparison=compared,
        grid=tabulate.settings_grid(compared) if compared.rows else Grid([], []),
        sentences=[_sentences(compared, number) for number in range(len(compared.metrics))],
        footnote=footnote(compared) or "",
        claims=claims,
        verdicts=_verdicts(settings, columns),
        figures=figures,
        trials=_trials(trials, columns, compared, settings, tables, total),
        origins=origins_of(trials),
        commands=commands_of(trials),
        notes=[*problem, *refused, *notes, *more],
    )


def _spec(directory: Path) -> tuple[str, Mapping[str, Any], list[str]]:
    """The spec as it was submitted, what it says of itself, and what is wrong with it."""
    from dlx.spec import document

    path = directory / "experiment.yaml"
    if not path.exists():
        return "", {}, []
    try:
        text, root = document.read(path)
    except DlxError as error:
        return "", {}, [str(error)]
    about = root.value
    return text, about if isinstance(about, Mapping) else {}, []


def _claims(directory: Path, trials: Sequence[Trial]) -> tuple[list[Judged], list[str]]:
    if not (directory / "experiment.yaml").exists():
        return [], []
    try:
        return of_results(directory, trials), []
    except DlxError as error:
        return [], [str(error)]


def _facts(trials: Sequence[Trial], columns: Mapping[str, str], compared: Comparison) -> list[tuple[str, str]]:
    """What was trained on what, what was varied, how often, and how it ended."""
    facts = []
    for what, path in ((_("Data"), "dataset.name"), (_("Model"), "model.name")):
        names = dict.fromkeys(shown(value_at(trial.setting, path)) for trial in trials)
        facts.append((what, ", ".join(names)))
    for path, name in columns.items():
        distinct = {shown(value): value for trial in trials for value in [value_at(trial.setting, path)]}
        numeric = all(isinstance(value, int | float) for value in distinct.values())
        values = sorted(distinct, key=distinct.__getitem__) if numeric else list(distinct)
        listed = values if len(values) <= 12 else [*values[:6], "…", *values[-3:]]
        facts.append((_("Varied: {parameter}").format(parameter=name), ", ".join(listed)))
    seeds = list(dict.fromkeys(str(trial.seed) for trial in trials))
    facts.append((_("Seeds"), ", ".join(seeds if len(seeds) <= 10 else [*seeds[:4], "…", seeds[-1]])))
    states: dict[str, int] = {}
    for trial in trials:
        states[trial.state] = states.get(trial.state, 0) + 1
    facts.append((_("Trials"), ", ".join(f"{state_said(state)}: {count}" for state, count in states.items())))
    if compared.engines:
        facts.append((_("Engine"), ", ".join(compared.engines)))
    return facts


def _sentences(compared: Comparison, number: int) -> Sentences:
    said = sentences(compared, number)
    return Sentences(compared.metrics[number].text, said[:MOST_SENTENCES], max(0, len(said) - MOST_SENTENCES))


def _verdicts(settings: Sequence[SettingDiagnosis], columns: Mapping[str, str]) -> list[Verdicts]:
    told = []
    several = len({setting.pooled.setting for setting in settings}) < len(settings)
    for setting in settings:
        name = label(setting.pooled.values, columns)
        if several and setting.pooled.engine:
            name = f"{name}, {setting.pooled.engine}"
        found = [
            (
                verdict.rule,
                diagnose.pooled_sentence(verdict, setting),
                "; ".join(diagnose.advice(verdict.verdict.finding)),
            )
            for verdict in setting.verdicts
        ]
        if found:
            told.append(Verdicts(name, setting.judged, found))
    return told


def _trials(
    trials: Sequence[Trial],
    columns: Mapping[str, str],
    compared: Comparison,
    settings: Sequence[SettingDiagnosis],
    tables: Mapping[str, Tables],
    total: int,
) -> list[TrialTold]:
    verdicts = {each.trial.id: each.verdicts for setting in settings for each in setting.trials}
    told = []
    for trial in trials:
        measured = []
        for number, metric in enumerate(compared.metrics):
            value = compared.value(trial, number)
            if value is not None:
                written = scale(metric)
                measured.append((metric.text, written.value(value) + (" %" if written.percent else "")))
        name = label(trial.setting, columns) if columns else ""
        said = [(verdict.rule, verdict.sentence) for verdict in verdicts.get(trial.id, ())]
        told.append(TrialTold(trial, name, measured, said, curves_of(tables[trial.id], total)))
    return told


def counted(trials: int) -> str:
    """``1 trial``, ``20 trials``."""
    return plural("{count} trial", "{count} trials", trials).format(count=trials)
