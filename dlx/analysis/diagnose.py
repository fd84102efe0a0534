"""What the rules of :mod:`dlx.diagnoses` find in trials, and in the seeds of one setting together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dlx.analysis.settings import Pooled, pool
from dlx.analysis.trials import Trial
from dlx.diagnoses import DiagnosisSpec, Finding, NotJudged, registry
from dlx.errors import DlxError, ResultsError, UsageError, nearest
from dlx.language import _
from dlx.records.history import History, read_history
from dlx.scalars import read_inline


@dataclass(frozen=True)
class Verdict:
    """A rule's finding in one trial; ``explained_by`` are the verdicts that make it superfluous."""

    rule: str
    finding: Finding
    sentence: str
    headline: float
    explained_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialDiagnosis:
    """A trial with the verdicts on it.

    ``explained`` are verdicts that follow from others; ``not_judged`` says of each rule that
    could not look what it lacks; ``damaged`` has a sentence per table that cannot be read.
    ``looked_at`` is False for a trial that has recorded nothing.
    """

    trial: Trial
    verdicts: tuple[Verdict, ...] = ()
    explained: tuple[Verdict, ...] = ()
    not_judged: Mapping[str, str] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()
    looked_at: bool = True

    def verdict(self, rule: str) -> Verdict | None:
        """The verdict of a rule, None where it raised none."""
        return next((verdict for verdict in self.verdicts if verdict.rule == rule), None)


@dataclass(frozen=True)
class PooledVerdict:
    """A rule's verdict on the trials of one setting.

    ``told`` is the trial whose headline number is the median, so that every number said is one
    trial's; ``low`` and ``high`` are the headline's range over all that have the verdict.
    """

    rule: str
    told: TrialDiagnosis
    verdict: Verdict
    trials: tuple[Trial, ...]
    low: float
    high: float


@dataclass(frozen=True)
class SettingDiagnosis:
    """The trials of one setting, of one engine, and the verdicts on them together."""

    pooled: Pooled
    trials: tuple[TrialDiagnosis, ...]
    verdicts: tuple[PooledVerdict, ...]

    @property
    def judged(self) -> int:
        """How many of its trials have recorded anything to look at."""
        return sum(trial.looked_at for trial in self.trials)


def rules(names: Sequence[str] = (), thresholds: Sequence[str] = ()) -> list[DiagnosisSpec]:
    """The rules, or those named; ``thresholds`` are ``rule.field=value``.

    Raises :class:`~dlx.errors.UsageError` for a name or a value that there is not.
    """
    wanted: dict[str, dict[str, Any]] = {name: {} for name in (check(names) if names else registry.names())}
    for text in thresholds:
        path, equals, value = text.partition("=")
        rule, dot, threshold = path.strip().partition(".")
        if not equals or not dot:
            raise UsageError(f"threshold {text!r} must be RULE.NAME=VALUE, for instance vanishing.ratio=0.05")
        (rule,) = check([rule])
        known = thresholds_of(registry.get(rule))
        if threshold not in known:
            raise UsageError(f"{rule} has no threshold {threshold!r}", hint=nearest(threshold, known))
        if rule in wanted:
            wanted[rule][threshold] = _value(text, value)
    return [_made(name, given) for name, given in wanted.items()]


def check(names: Iterable[str]) -> list[str]:
    """Names of rules as the folder has them (``learning-rate-high`` will do).

    Raises :class:`~dlx.errors.UsageError` with the nearest names for one that there is not.
    """
    known = registry.names()
    found = []
    for name in names:
        plain = name.strip().replace("-", "_")
        if plain not in known:
            raise UsageError(f"no diagnosis {name.strip()!r}", hint=nearest(plain, known))
        found.append(plain)
    return list(dict.fromkeys(found))


def thresholds_of(rule: type[DiagnosisSpec]) -> dict[str, Any]:
    """The thresholds of a rule: name → field, with its default and its meaning."""
    return {name: field for name, field in rule.model_fields.items() if name != "name"}


def _value(text: str, value: str) -> Any:
    try:
        return read_inline(value)
    except ValueError as error:
        raise UsageError(f"threshold {text!r}: {error}") from None


def _made(name: str, given: Mapping[str, Any]) -> DiagnosisSpec:
    try:
        return registry.get(name)(name=name, **given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"threshold {name}.{where}: {first['msg'].lower()}") from None


def diagnose(trial: Trial, judges: Sequence[DiagnosisSpec]) -> TrialDiagnosis:
    """What each rule finds in a trial. Raises :class:`~dlx.errors.ResultsError` where it cannot be read at all."""
    history, damaged = read_history(trial.path)
    if not history.tables:
        return TrialDiagnosis(trial, damaged=tuple(damaged), looked_at=False)
    found, not_judged = judge(history, judges)
    names = {verdict.rule for verdict in found}
    explained = {verdict.rule: tuple(name for name in verdict.explained_by if name in names) for verdict in found}
    return TrialDiagnosis(
        trial,
        tuple(verdict for verdict in found if not explained[verdict.rule]),
        tuple(verdict for verdict in found if explained[verdict.rule]),
        not_judged,
        tuple(damaged),
    )


def judge(history: History, judges: Sequence[DiagnosisSpec]) -> tuple[list[Verdict], dict[str, str]]:
    """The verdicts on a history, and why other rules could give none."""
    verdicts: list[Verdict] = []
    not_judged: dict[str, str] = {}
    for rule in judges:
        try:
            finding = rule.judge(history)
        except NotJudged as lacking:
            not_judged[rule.name] = str(lacking)
            continue
        if finding is not None:
            sentence, headline = rule.say(finding), finding.numbers[rule.headline]
            verdicts.append(Verdict(rule.name, finding, sentence, headline, rule.explained_by))
    return verdicts, not_judged


def diagnose_all(
    trials: Sequence[Trial], judges: Sequence[DiagnosisSpec]
) -> tuple[list[SettingDiagnosis], list[DlxError]]:
    """Every setting of the trials with its verdicts, in order; and an error per trial that cannot be read."""
    damaged: list[DlxError] = []
    settings = []
    for pooled in pool(trials):
        found = []
        for trial in pooled.trials:
            try:
                found.append(diagnose(trial, judges))
            except ResultsError as error:
                damaged.append(error)
        verdicts = [_together(rule.name, found) for rule in judges]
        raised = tuple(verdict for verdict in verdicts if verdict is not None)
        settings.append(SettingDiagnosis(pooled, tuple(found), raised))
    return settings, damaged


def _together(rule: str, found: Sequence[TrialDiagnosis]) -> PooledVerdict | None:
    raised = [(verdict, each) for each in found if (verdict := each.verdict(rule)) is not None]
    if not raised:
        return None
    raised.sort(key=lambda pair: pair[0].headline)
    verdict, told = raised[(len(raised) - 1) // 2]
    trials = tuple(each.trial for _, each in raised)
    return PooledVerdict(rule, told, verdict, trials, raised[0][0].headline, raised[-1][0].headline)


def pooled_sentence(verdict: PooledVerdict, setting: SettingDiagnosis) -> str:
    """A verdict on the seeds of one setting together: that of the seed in the middle."""
    if setting.judged == 1:
        return verdict.verdict.sentence
    rule = registry.get(verdict.rule)(name=verdict.rule)
    given = {
        "sentence": verdict.verdict.sentence,
        "count": len(verdict.trials),
        "total": setting.judged,
        "seed": verdict.told.trial.seed,
        "span": rule.span(verdict.low, verdict.high),
    }
    if len(verdict.trials) == 1:
        return _("{sentence} (seed {seed} alone, of {total})").format(**given)
    if verdict.low == verdict.high:
        return _("{sentence} (seed {seed}; so in {count} of {total} seeds)").format(**given)
    return _("{sentence} (seed {seed}; so in {count} of {total} seeds, {span})").format(**given)


def advice(finding: Finding) -> list[str]:
    """What to try, as one sentence; none where the finding suggests nothing."""
    if not finding.suggestions:
        return []
    tried = [f"--set {suggestion}" for suggestion in finding.suggestions]
    text = tried[0]
    for other in tried[1:]:
        text = _("{one}, or {other}").format(one=text, other=other)
    return [_("try {changes}").format(changes=text)]
