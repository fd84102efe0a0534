"""``dlx diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlx.cli.columns import terminal_width, wrapped
from dlx.cli.options import Json, Lang, Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dlx.analysis.diagnose import SettingDiagnosis, TrialDiagnosis, Verdict
    from dlx.diagnoses import DiagnosisSpec
    from dlx.errors import DlxError

GATE_FAILED = 3
_INDENT = "    "
_WIDTH = 100
"""Columns of lines where there is no terminal."""


def diagnose(
    selectors: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SELECTOR",
            help="Which trials: a directory, an experiment's name, NAME:depth=4,seed=0, best@NAME, the beginning of a "
            "trial's id.  [default: all of the results directory]",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="NAMES", help="Exit with 3 if a trial has one of these: vanishing,diverged."),
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", metavar="NAMES", help="Ask these rules alone, separated by commas.")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", metavar="RULE.NAME=VALUE", help="Another threshold: vanishing.ratio=0.01 (repeatable)."
        ),
    ] = None,
    each_seed: Annotated[
        bool, typer.Option("--each-seed", help="One verdict per trial; seeds are not pooled.")
    ] = False,
    list_rules: Annotated[
        bool, typer.Option("--rules", help="List the rules with their thresholds and sources, and look at no trial.")
    ] = False,
    results: Annotated[
        Path, typer.Option("--results", metavar="DIR", envvar="DLX_RESULTS", help="Where experiments are looked up.")
    ] = Path("results"),
    plugins: Plugins = None,
    lang: Lang = None,
    as_json: Json = False,
) -> int:
    """Say what the tables of trials show, in words: vanishing gradients, dead units, overfitting and the like.

    Each verdict comes with the numbers behind it and changes to try. Seeds of one setting are told together: every
    number is of the seed in the middle, with the range over the others. A verdict that follows from another is left
    out (a net that diverged underfits, too); --json has it.

    Exit codes: 0 whatever is found; 3 if a trial has what --fail-on names; 2 if nothing can be looked at.

    Example: dlx diagnose quickstart
    """
    import sys

    from dlx.analysis import diagnose as analysis
    from dlx.analysis.selectors import find
    from dlx.analysis.settings import columns_of
    from dlx.language import speak

    speak(lang)
    gate = analysis.check(_names(fail_on)) if fail_on is not None else []
    judges = analysis.rules(_names(only) if only is not None else (), threshold or ())
    if list_rules:
        _print_rules(judges, as_json)
        return 0
    if only is not None and (absent := set(gate) - {rule.name for rule in judges}):
        judges += analysis.rules(sorted(absent), threshold or ())
    found = find(selectors or [], results)
    settings, unreadable = analysis.diagnose_all(found.trials, judges)
    if not any(setting.trials for setting in settings):
        raise (unreadable or found.damaged)[0]
    columns = columns_of(found.trials)
    damaged = [*found.damaged, *unreadable]
    failed = [(name, each) for setting in settings for each in setting.trials for name in gate if each.verdict(name)]
    if as_json:
        _print_json(settings, judges, damaged, columns, failed)
    else:
        print("\n".join(_report(settings, columns, each_seed)))
        for error in damaged:
            print(f"dlx: left out: {error}", file=sys.stderr)
        for setting in settings:
            for each in setting.trials:
                for sentence in each.damaged:
                    print(f"dlx: {each.trial.named}: not looked at: {sentence}", file=sys.stderr)
        if failed:
            named = ", ".join(dict.fromkeys(name for name, _ in failed))
            trials = len({each.trial.id for _, each in failed})
            print(f"dlx: --fail-on: {named} ({trials} of {_judged(settings)} trials)", file=sys.stderr)
    return GATE_FAILED if failed else 0


def _names(text: str) -> list[str]:
    from dlx.errors import UsageError

    names = [name for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError("no diagnosis is named", hint="for instance vanishing,diverged")
    return names


def _judged(settings: Sequence[SettingDiagnosis]) -> int:
    return sum(setting.judged for setting in settings)


def _report(settings: Sequence[SettingDiagnosis], columns: Mapping[str, str], each_seed: bool) -> list[str]:
    from dlx.analysis.diagnose import advice, pooled_sentence
    from dlx.analysis.settings import label
    from dlx.language import _, plural

    lines: list[str] = []
    for setting in settings:
        name = label(setting.pooled.values, columns)
        if len({other.pooled.setting for other in settings}) < len(settings) and setting.pooled.engine:
            name = f"{name}, {setting.pooled.engine}"
        if each_seed:
            for each in setting.trials:
                title = f"{name}, seed {each.trial.seed}{_standing(each)}"
                lines += _block(
                    title, [(v.rule, [v.sentence, *advice(v.finding)]) for v in each.verdicts], each.looked_at
                )
        else:
            seeds = plural("{count} trial", "{count} trials", len(setting.trials)).format(count=len(setting.trials))
            title = f"{name} ({seeds}{_standings(setting)})"
            pooled = [(v.rule, [pooled_sentence(v, setting), *advice(v.verdict.finding)]) for v in setting.verdicts]
            lines += _block(title, pooled, setting.judged > 0)
    if lacking := _lacking(settings):
        lines += ["", *_wrapped(_("Not judged: {rules}.").format(rules="; ".join(lacking)), "")]
    return lines


def _block(title: str, verdicts: Sequence[tuple[str, Sequence[str]]], looked_at: bool) -> list[str]:
    from dlx.language import _

    if not looked_at:
        return [_("{setting}: nothing recorded yet").format(setting=title)]
    if not verdicts:
        return [_("{setting}: nothing found").format(setting=title)]
    lines = [title]
    for rule, sentences in verdicts:
        lines.append(f"  {rule}")
        for sentence in sentences:
            lines += _wrapped(sentence, _INDENT)
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return wrapped(text, terminal_width() or _WIDTH, indent, indent)


def _standing(each: TrialDiagnosis) -> str:
    return "" if each.trial.state == "done" else f", {each.trial.state}"


def _standings(setting: SettingDiagnosis) -> str:
    counts = [f"{number} {state}" for state, number in setting.pooled.counts.items() if state != "done"]
    return "".join(f", {count}" for count in counts)


def _lacking(settings: Sequence[SettingDiagnosis]) -> list[str]:
    """Each reason for which rules could not look, with the rules and how many trials it concerns."""
    from dlx.language import _

    reasons: dict[tuple[str, str], int] = {}
    for setting in settings:
        for each in setting.trials:
            for rule, why in each.not_judged.items():
                reasons[why, rule] = reasons.get((why, rule), 0) + 1
    by_reason: dict[tuple[str, int], list[str]] = {}
    for (why, rule), count in reasons.items():
        by_reason.setdefault((why, count), []).append(rule)
    total = _judged(settings)
    return [
        _("{rules} of {count} of {total} trials ({why})").format(
            rules=", ".join(names), count=count, total=total, why=why
        )
        for (why, count), names in by_reason.items()
    ]


def described(rule: DiagnosisSpec) -> dict[str, Any]:
    """A rule as ``--rules --json`` and the documentation have it: summary, source, thresholds with their meaning."""
    import inspect

    from dlx.analysis.diagnose import thresholds_of

    return {
        "summary": rule.summary,
        "source": rule.source,
        "description": inspect.cleandoc(type(rule).__doc__ or ""),
        "thresholds": {
            name: {"value": getattr(rule, name), "default": field.default, "meaning": field.description}
            for name, field in thresholds_of(type(rule)).items()
        },
        "explained_by": list(rule.explained_by),
    }


def _print_rules(judges: Sequence[DiagnosisSpec], as_json: bool) -> None:
    if as_json:
        from dlx import objects

        print(objects.text("diagnose", {"rules": {rule.name: described(rule) for rule in judges}}))
        return
    lines = []
    for rule in judges:
        about = described(rule)
        lines += [rule.name, *_wrapped(about["summary"], "  ")]
        lines += [
            line
            for name, one in about["thresholds"].items()
            for line in _wrapped(f"{name} {one['value']:g}: {one['meaning']}", _INDENT)
        ]
        lines += _wrapped(about["source"], "  ")
    print("\n".join(lines))


def _print_json(
    settings: Sequence[SettingDiagnosis],
    judges: Sequence[DiagnosisSpec],
    damaged: Sequence[DlxError],
    columns: Mapping[str, str],
    failed: Sequence[tuple[str, TrialDiagnosis]],
) -> None:
    from dlx import objects
    from dlx.analysis.diagnose import pooled_sentence
    from dlx.analysis.settings import label, value_at

    content = {
        "rules": {rule.name: described(rule) for rule in judges},
        "settings": [
            {
                "label": label(setting.pooled.values, columns),
                "engine": setting.pooled.engine,
                "parameters": {path: _plain(value_at(setting.pooled.setting, path)) for path in columns},
                "trials": [each.trial.id for each in setting.trials],
                "verdicts": [
                    {
                        "rule": verdict.rule,
                        "trials": [trial.id for trial in verdict.trials],
                        "of": setting.judged,
                        "told_of": verdict.told.trial.id,
                        "low": verdict.low,
                        "high": verdict.high,
                        **_verdict(verdict.verdict),
                        "sentence": pooled_sentence(verdict, setting),
                    }
                    for verdict in setting.verdicts
                ],
            }
            for setting in settings
        ],
        "trials": [_trial(each) for setting in settings for each in setting.trials],
        "damaged": [str(error) for error in damaged],
        "failed_on": sorted({name for name, _ in failed}),
    }
    print(objects.text("diagnose", content))


def _trial(each: TrialDiagnosis) -> dict[str, Any]:
    trial = each.trial
    return {
        "id": trial.id,
        "experiment": trial.experiment,
        "directory": str(trial.path),
        "state": trial.state,
        "seed": trial.seed,
        "verdicts": [{"rule": verdict.rule, **_verdict(verdict)} for verdict in each.verdicts],
        "explained": [
            {"rule": verdict.rule, "explained_by": list(verdict.explained_by), **_verdict(verdict)}
            for verdict in each.explained
        ],
        "not_judged": dict(each.not_judged),
        "damaged": list(each.damaged),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    finding = verdict.finding
    return {
        "sentence": verdict.sentence,
        "case": finding.case,
        "layers": list(finding.layers),
        "numbers": dict(finding.numbers),
        "suggestions": list(finding.suggestions),
    }


def _plain(value: Any) -> Any:
    from dlx.analysis.settings import ABSENT

    return None if value is ABSENT else value
