"""``dlx plot``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dlx.cli.options import DataDir, Json, Plugins


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="What to draw; dlx plot kinds lists them.")],
    selectors: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SELECTOR",
            help="Which trials, as in dlx compare; for architecture and examples also a spec or a name.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The picture: its suffix is .svg, .png, .pdf or .html."),
    ] = None,
    theme: Annotated[str, typer.Option("--theme", metavar="NAME", help="slide or paper.")] = "slide",
    width: Annotated[
        str | None, typer.Option("--width", metavar="LENGTH", help="Of the whole picture: 3.25in, 8cm, 234pt.")
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="In place of the kind's own; empty for none.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FILE", help="Write the numbers that are drawn as CSV.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What is drawn: test_accuracy@best, loss, dead.")
    ] = None,
    layer: Annotated[str | None, typer.Option("--layer", metavar="NAME", help="A layer, by number or name.")] = None,
    epoch: Annotated[str | None, typer.Option("--epoch", metavar="N", help="An epoch; several as 0,10,30.")] = None,
    units: Annotated[
        str | None, typer.Option("--units", metavar="N", help="Which units, or how many; see dlx plot KIND --options.")
    ] = None,
    x: Annotated[str | None, typer.Option("--x", metavar="NAME", help="What is along the axis.")] = None,
    method: Annotated[
        str | None, typer.Option("--method", metavar="NAME", help="How dimensions are reduced: units, pca, tsne.")
    ] = None,
    example: Annotated[
        str | None, typer.Option("--example", metavar="N", help="An example of the test set, by its number.")
    ] = None,
    mistakes: Annotated[bool, typer.Option("--mistakes", help="Only examples that the trial gets wrong.")] = False,
    every_layer: Annotated[
        bool, typer.Option("--every-layer", help="Each layer of a deep net, not the mean of each block.")
    ] = False,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="Any option of the kind (repeatable)."),
    ] = None,
    options: Annotated[bool, typer.Option("--options", help="List the kind's options and draw nothing.")] = False,
    results: Annotated[
        Path | None,
        typer.Option("--results", metavar="DIR", envvar="DLX_RESULTS", help="Where trials left their files."),
    ] = None,
    data_dir: DataDir = None,
    plugins: Plugins = None,
    lang: Annotated[str | None, typer.Option("--lang", metavar="CODE", help="Language of the picture: en, es.")] = None,
    as_json: Json = False,
) -> None:
    """Draw results: learning speed, accuracy, sweeps, filters, confusion, decision regions, architectures.

    The suffix of the file says the format; without a file, curves are drawn as text. HTML works from a file, without a
    network: hover for the numbers, click the legend to hide a series. dlx plot kinds lists what there is to draw,
    --options what a kind takes.

    Example: dlx plot architecture lenet5 -o lenet5.svg
    """
    from dlx.errors import UsageError
    from dlx.language import speak

    speak(lang)
    if kind == "kinds" or options:
        _tell(None if kind == "kinds" else kind, as_json)
        return
    named = {
        "metric": metric,
        "layer": layer,
        "epoch": epoch,
        "units": units,
        "x": x,
        "method": method,
        "example": example,
        "mistakes": "true" if mistakes else None,
        "every_layer": "true" if every_layer else None,
    }
    for text in sets or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: write OPTION=VALUE")
        named[name.strip()] = value.strip()
    if output is None and data is None and not as_json:
        _print(kind, selectors or [], named, title, results, data_dir)
        return
    _draw(kind, selectors or [], named, output, theme, width, title, data, results, data_dir, as_json)


def _print(
    kind: str,
    selectors: list[str],
    options: dict[str, str | None],
    title: str | None,
    results: Path | None,
    data_dir: Path | None,
) -> None:
    """The curves as text, as wide as the terminal; in colour only where somebody looks."""
    import os
    import shutil
    import sys

    from dlx.drawing.text import lines
    from dlx.errors import UsageError
    from dlx.plot import numbers

    spec, tidy, notes = numbers(kind, selectors, options, results=results, data_dir=data_dir)
    curves = spec.curves(tidy)
    if curves is None:
        raise UsageError(
            f"dlx plot {kind} cannot be drawn as text", hint="-o fig.svg (or .png, .pdf, .html), or --data"
        )
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", None)
    heading = spec.heading() if title is None else title
    drawn = lines(tidy, curves, shutil.get_terminal_size((80, 24)).columns, coloured=coloured)
    print("\n".join([*([heading[:1].upper() + heading[1:], ""] if heading else []), *drawn]))
    for note in (*notes, *tidy.notes):
        print(f"note: {note}", file=sys.stderr)


def _draw(
    kind: str,
    selectors: list[str],
    options: dict[str, str | None],
    output: Path | None,
    theme: str,
    width: str | None,
    title: str | None,
    data: Path | None,
    results: Path | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    import sys

    from dlx.drawing.picture import suffix_of
    from dlx.drawing.themes import theme_of
    from dlx.errors import ResultsError
    from dlx.plot import plot as plotted_of
    from dlx.records import atomic

    interactive = output is not None and suffix_of(output) == ".html"
    plotted = plotted_of(
        kind,
        selectors,
        options,
        theme_of(theme, width),
        title=title,
        interactive=interactive,
        results=results,
        data_dir=data_dir,
    )
    for note in plotted.notes:
        print(f"note: {note}", file=sys.stderr)
    if data is not None:
        atomic.write_text(data, plotted.tidy.csv(), durable=False, error=ResultsError)
    if output is not None:
        plotted.picture.write(output)
    if as_json:
        from dlx import objects

        tidy = plotted.tidy
        told = {
            "kind": kind,
            "file": str(output) if output else None,
            "title": plotted.picture.title,
            "caption": tidy.caption,
            "columns": list(tidy.columns),
            "rows": tidy.values(),
            "notes": list(plotted.notes),
        }
        print(objects.text("plot", told))
    else:
        print(output or data)


def _tell(kind: str | None, as_json: bool) -> None:
    """The kinds with what they draw, or the options of one with what they mean."""
    from dlx import objects
    from dlx.charts import kinds, registry
    from dlx.cli.columns import listed, terminal_width
    from dlx.cli.parameters import flow
    from dlx.plot import chart_of

    if kind is None:
        found = [{"kind": name, "summary": registry.get(name.replace("-", "_")).summary} for name in kinds()]
        if as_json:
            print(objects.text("plot", {"kinds": found}))
        else:
            print("\n".join(listed([(one["kind"], one["summary"]) for one in found], terminal_width())))
        return
    spec = chart_of(kind, {})
    options = [
        {"option": name, "default": getattr(spec, name), "description": field.description}
        for name, field in type(spec).model_fields.items()
        if name != "name"
    ]
    if as_json:
        print(objects.text("plot", {"kind": kind, "options": options}))
        return
    told = []
    for one in options:
        default = flow(objects.standard(one["default"]))
        told.append((str(one["option"]), f"{one['description']}  [default: {default}]"))
    print("\n".join(listed(told, terminal_width()) or [f"{kind} has no options"]))
