"""``dlx report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlx.cli.options import Json, Lang, Quiet, Results

if TYPE_CHECKING:
    from dlx.report.writing import Written


def report(
    selectors: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SELECTOR", help="Which trials, as in dlx compare.  [default: results]", show_default=False
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page.")] = Path("report.html"),
    metric: Annotated[
        list[str] | None,
        typer.Option("--metric", "-m", metavar="METRIC", help="What is compared, as in dlx compare (repeatable)."),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="In place of the experiment's name.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again while trials run; the page renews itself.")
    ] = False,
    results: Results = None,
    lang: Lang = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """One page that tells an experiment: the question, the answer, the charts, every trial, how to run it again.

    The page is a single file that works without a network: hover for the numbers, click a legend to hide a series, open
    a trial for its curves. With --watch it grows with a sweep that runs elsewhere; end that with Ctrl-C.

    Example: dlx report quickstart -o quickstart.html
    """
    import sys
    import webbrowser

    from dlx.analysis.conditions import split
    from dlx.errors import UsageError
    from dlx.language import speak
    from dlx.report.writing import interval, write
    from dlx.report.writing import watch as keep_watch

    speak(lang)
    if output.suffix not in (".html", ".htm"):
        raise UsageError(f"-o {output}: a report is a page, its name ends in .html")
    metrics = [part.strip() for text in metric or () for part in split(text)]

    def made(refresh: int | None) -> Written:
        return write(selectors or [], output, metrics=metrics, title=title, results=results, refresh=refresh)

    def tell(written: Written) -> None:
        if not quiet and not as_json:
            left = f", {written.waiting} to end" if written.waiting else ""
            print(f"{written.path}: {written.trials} trials{left}", file=sys.stderr, flush=True)

    written = made(interval(0) if watch else None)
    for note in written.notes:
        print(f"dlx: {note}", file=sys.stderr)
    if open_:
        webbrowser.open(output.resolve().as_uri())
    try:
        if watch:
            tell(written)
            written = keep_watch(written, made, tell)
    finally:
        _end(written, quiet=quiet, as_json=as_json)


def _end(written: Written, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        from dlx import objects

        print(objects.text("report", _object(written)))
    elif not quiet:
        from dlx.cli.amounts import counted

        told = f"{counted(written.trials, 'trial')}, {counted(written.charts, 'chart')}"
        print(f"{written.path}: {told}, {written.size / 1e6:.1f} MB")


def _object(written: Written) -> dict[str, Any]:
    return {
        "file": str(written.path),
        "bytes": written.size,
        "experiments": [
            {
                "experiment": chapter.name,
                "results": str(chapter.directory),
                "trials": [told.trial.id for told in chapter.trials],
                "waiting": chapter.waiting,
                "charts": [figure.kind for figure in chapter.figures],
                "claims": [{"statement": claim.statement, "verdict": claim.verdict} for claim in chapter.claims],
                "notes": list(chapter.notes),
            }
            for chapter in written.chapters
        ],
        "notes": list(written.notes),
    }
