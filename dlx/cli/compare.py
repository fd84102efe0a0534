"""``dlx compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dlx.cli.columns import terminal_width, wrapped
from dlx.cli.options import Json, Lang

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dlx.analysis.comparison import Comparison
    from dlx.analysis.grid import Grid
    from dlx.analysis.trials import Trial
    from dlx.claims import Judged

CLAIM_REFUTED = 3
Format = Literal["table", "csv", "json", "markdown", "latex"]


def compare(
    results: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RESULTS",
            help="Directories of results, experiments or trials, globs, names: depth, depth:width=30.  "
            "[default: results]",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", "-m", metavar="METRIC",
            help="test_accuracy, val_loss@best, train_loss@epoch:10, grad_norm[1], grad_ratio, "
            "epochs_to(val_accuracy>=0.95), … (repeatable).  [default: the test accuracy]",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", metavar="PARAMETER", help="A row per value of this, whatever else differs (repeatable)."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="CONDITION", help="Only such trials: activation=relu, depth>=2 (repeatable)."),
    ] = None,
    best_over: Annotated[
        list[str] | None,
        typer.Option("--best-over", metavar="PARAMETER", help="Each setting at its own best value of this."),
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", metavar="METRIC", help="The validation metric that finds the best.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="CONDITION", help="The row to compare with: depth=1.  [default: the best]"),
    ] = None,
    sort: Annotated[
        list[str] | None,
        typer.Option("--sort", metavar="NAME", help="A parameter, a metric (best first), n, started; -NAME reverses."),
    ] = None,
    changes: Annotated[
        bool, typer.Option("--changes", help="A diary: what was changed from one try to the next, and what it did.")
    ] = False,
    pivot: Annotated[
        str | None, typer.Option("--pivot", metavar="PARAMETER", help="Its values side by side, of one metric.")
    ] = None,
    each_seed: Annotated[bool, typer.Option("--each-seed", help="A row per trial; nothing is pooled.")] = False,
    pool_engines: Annotated[
        bool, typer.Option("--pool-engines", help="Pool trials of different engines; a seed on both counts once.")
    ] = False,
    claims: Annotated[
        bool, typer.Option("--claims", help="Hold the claims of the specs (expect:) against the trials; 3 if refuted.")
    ] = False,
    form: Annotated[
        Format, typer.Option("--format", metavar="FORMAT", help="table, csv, json, markdown or latex (with booktabs).")
    ] = "table",
    decimal: Annotated[
        Literal[".", ","], typer.Option("--decimal", metavar="MARK", help="In CSV: , for spreadsheets that want it.")
    ] = ".",
    lang: Lang = None,
    as_json: Json = False,
) -> int:  # fmt: skip
    """One row per setting, seeds pooled: what differs, by how much, and how sure one can be.

    Failed and unfinished trials are counted in their row. The sentences below the table compare each row with the best,
    or with --baseline: by pairs where rows share seeds, else by Welch's test.

    Example: dlx compare results --metric test_accuracy@last
    """
    import sys

    from dlx.analysis import comparison as comparing
    from dlx.analysis.conditions import split
    from dlx.analysis.measurements import USUAL_VALIDATION, usual_metrics
    from dlx.analysis.metrics import parse
    from dlx.analysis.selectors import find
    from dlx.analysis.summaries import Summaries
    from dlx.cli.versions import completed
    from dlx.errors import UsageError
    from dlx.language import speak

    speak(lang)
    form = "json" if as_json else form
    if decimal == "," and form != "csv":
        raise UsageError("--decimal is about CSV", hint="add --format csv")
    if claims and form not in ("table", "json"):
        raise UsageError(f"--claims cannot be had as {form}", hint="leave --format out, or take --json")
    shapes = [name for name, given in (("--changes", changes), ("--pivot", pivot), ("--each-seed", each_seed)) if given]
    if len(shapes) > 1:
        raise UsageError(f"{' and '.join(shapes)} cannot be had together", hint="give one of them")
    if select is not None and not best_over:
        raise UsageError("--select says by what --best-over chooses", hint="as in --best-over learning_rate")
    if sort and changes:
        raise UsageError("--changes is in the order in which settings were begun: it cannot be sorted")
    if baseline is not None and shapes and form != "json":
        raise UsageError(f"{shapes[0]} compares with no baseline", hint=f"leave --baseline or {shapes[0]} out")

    def listed(given: Sequence[str] | None) -> list[str]:
        return [part.strip() for text in given or () for part in split(text)]

    metrics = [parse(text) for text in listed(metric)]
    chosen = parse(select) if select is not None else None
    summaries = Summaries()
    found = find(results or (), reader=summaries)
    found.trials = completed(found.trials)
    if changes and not metrics:  # whoever tunes by hand must not tune on the test set
        metrics = usual_metrics(found.trials, USUAL_VALIDATION)
    compared = comparing.compare(
        found.trials,
        metrics,
        summaries,
        where=where or (),
        by=listed(by) if by else None,
        best_over=listed(best_over),
        select=chosen,
        baseline=baseline,
        sort=listed(sort),
        pool_engines=pool_engines,
    )
    compared.warnings[:0] = comparing.unreadable(found.damaged)
    summaries.save()
    for warning in compared.warnings if form != "json" else ():
        print(f"dlx: {warning}", file=sys.stderr)
    judged = _judged(found.trials) if claims else None
    sys.stdout.write(
        _written(compared, form, decimal, changes=changes, pivot=pivot, each_seed=each_seed, judged=judged)
    )
    return CLAIM_REFUTED if any(one.verdict == "refuted" for each in (judged or {}).values() for one in each) else 0


def _judged(trials: Sequence[Trial]) -> dict[str, list[Judged]]:
    """The claims of each experiment, by its name, held against those of its trials that are looked at."""
    from dlx.claims import of_results
    from dlx.errors import UsageError

    by_directory: dict[Path, list[Trial]] = {}
    for trial in trials:
        by_directory.setdefault(trial.path.absolute().parent.parent, []).append(trial)
    judged = {
        place.name: of_results(place, mine)
        for place, mine in by_directory.items()
        if (place / "experiment.yaml").exists()
    }
    if not any(judged.values()):
        raise UsageError("there are no claims", hint="write them into the spec under expect:, and run it again")
    return judged


def _written(
    compared: Comparison,
    form: Format,
    decimal: str,
    *,
    changes: bool,
    pivot: str | None,
    each_seed: bool,
    judged: Mapping[str, Sequence[Judged]] | None,
) -> str:
    """The comparison in the form asked for."""
    from dlx import objects
    from dlx.analysis import export, tabulate
    from dlx.cli.claims import as_json
    from dlx.cli.claims import lines as claim_lines

    if form == "json":
        content = export.as_json(compared, changes=changes)
        if judged is not None:
            content["claims"] = [
                {"experiment": name, **claim} for name, claims in judged.items() for claim in as_json(claims)
            ]
        return objects.text("compare", content) + "\n"
    shape = (
        tabulate.diary(compared)
        if changes
        else tabulate.pivot_grid(compared, pivot)
        if pivot
        else tabulate.trials_grid(compared)
        if each_seed
        else None
    )
    if form == "csv":
        return shape.csv(decimal) if shape else export.as_csv(compared, decimal)
    if form in ("markdown", "latex"):
        grid = shape or tabulate.settings_grid(compared)
        return grid.markdown() if form == "markdown" else grid.latex()
    lines = _on_terminal(compared, shape)
    for name, claims in (judged or {}).items():
        if claims:
            lines += ["", *([f"{name}:"] if judged and len(judged) > 1 else []), *claim_lines(claims)]
    return "\n".join(lines) + "\n"


def _on_terminal(compared: Comparison, shape: Grid | None) -> list[str]:
    """The table, as wide as the terminal allows, and the sentences."""
    import os

    from dlx.analysis.sentences import MOST, footnote, sentences
    from dlx.language import _

    width = terminal_width()
    bold = width is not None and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", None)
    if shape is not None:
        return shape.lines(bold=bold)
    lines: list[str] = []
    grids, complete = _grids(compared, width)
    for grid in grids:
        lines += [*([""] if lines else []), *grid.lines(bold=bold)]
    if not complete:
        lines.append(
            _("(confidence intervals are left out for want of room: a wider window has them, and --format csv)")
        )
    for number, metric in enumerate(compared.metrics):
        said = sentences(compared, number)
        if said:
            lines += ["", *([f"{metric.text}:"] if len(compared.metrics) > 1 else []), *_told(said[:MOST], width)]
            if len(said) > MOST:
                lines.append(_("… and {count} more: --json has all of them").format(count=len(said) - MOST))
    note = footnote(compared)
    return [*lines, *(["", *_told([note], width, bullet="")] if note else [])]


def _grids(compared: Comparison, width: int | None) -> tuple[list[Grid], bool]:
    """One grid if it fits; else one per metric; else without the intervals; and whether these are there."""
    from dlx.analysis import tabulate

    whole = tabulate.settings_grid(compared)
    if width is None or whole.width <= width:
        return [whole], True
    each = range(len(compared.metrics))
    grids = [tabulate.settings_grid(compared, [number]) for number in each]
    if max(grid.width for grid in grids) <= width:
        return grids, True
    whole = tabulate.settings_grid(compared, intervals=False)
    if whole.width <= width:
        return [whole], False
    return [tabulate.settings_grid(compared, [number], intervals=False) for number in each], False


def _told(sentences: Sequence[str], width: int | None, bullet: str = "• ") -> list[str]:
    if width is None:
        return [f"{bullet}{sentence}" for sentence in sentences]
    return [line for sentence in sentences for line in wrapped(sentence, min(width, 120), bullet, " " * len(bullet))]
