"""``dlx models``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlx.cli.columns import listed, terminal_width, wrapped
from dlx.cli.options import Json, Plugins

if TYPE_CHECKING:
    from dlx.models import ModelSpec


def models(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Tell all about this one.")] = None,
    table: Annotated[
        bool,
        typer.Option("--table", help="The classic nets: counts as here, and what was published of them."),
    ] = False,
    form: Annotated[
        Literal["table", "csv", "json", "markdown"] | None,
        typer.Option("--format", metavar="FORMAT", help="Of --table: table, csv, json or markdown.  [default: table]"),
    ] = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """List the models, or show one with its parameters; or compare the classic nets.

    Models of other packages (entry point group dlx.models) are listed with the package they come from. In the table,
    parameters count moving statistics, a multiply-add is one product of a convolution or dense layer, and FLOPs are
    twice the multiply-adds: a multiplication and an addition each. A terminal has as many columns as fit, and the rest
    in words below each net; files and pipes have all of them.

    Example: dlx models --table
    """
    from dlx import objects

    if table or form:
        _literature(name, "json" if as_json else form or "table", table=table)
        return

    from dlx.activations import names
    from dlx.cli.parameters import parameters
    from dlx.initializers import signatures
    from dlx.models import registry

    if name is None:
        found = [describe(member, registry.get(member)) for member in registry.names()]
        if as_json:
            print(objects.text("models", {"models": found}))
        else:
            print("\n".join(_listing(found)))
        return
    spec = registry.get(name)
    settings = parameters(spec)
    about = {**describe(name, spec), "description": _paragraph(spec)}
    if as_json:
        model = {**about, "parameters": [parameter.as_dict() for parameter in settings]}
        known = {"activations": names(), "initializers": signatures()}
        print(objects.text("models", {"model": model, **known}))
    else:
        lines = [line for parameter in settings for line in parameter.lines()]
        words = {word for parameter in settings for word in parameter.type.split(" | ")}
        vocabularies = {"Activations": names() if "activation" in words else []}
        vocabularies["Initializers"] = signatures() if "initializer" in words else []
        print("\n".join(_in_full(about, lines, vocabularies)))


def _literature(name: str | None, form: str, *, table: bool) -> None:
    from dlx import literature, objects
    from dlx.errors import UsageError

    if not table:
        raise UsageError("--format is of the table of nets", hint="add --table")
    found = [entry for entry in literature.table() if name in (None, entry["model"])]
    if not found:
        known = sorted({entry["model"] for entry in literature.table()})
        raise UsageError(f"nothing was published of {name!r} that could be listed", hint=", ".join(known))
    if form == "json":
        print(objects.text("models", {"table": found}))
        return
    if form == "csv":
        from dlx.analysis.grid import csv_text

        keys = [*found[0]]
        rows = [[_in_csv(entry[key]) for key in keys] for entry in found]
        print(csv_text([keys, *rows]), end="")
        return
    if form == "markdown":
        print(literature.grid(found).markdown(), end="")
        return
    # Somebody who reads it elsewhere, or looks for a net with grep, has it in one line.
    print("\n".join(literature.lines(found, terminal_width() or 10**6)))


def _in_csv(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    return "" if value is None else str(value)


def describe(name: str, spec: type[ModelSpec]) -> dict[str, Any]:
    """A model in one line each: what it is, the paper, the package that brings it."""
    return {"name": name, "summary": spec.summary, "source": spec.source, "package": _package(spec)}


def _package(spec: type[ModelSpec]) -> str:
    """The distribution that a class was installed with; its module where it was not installed."""
    top = spec.__module__.partition(".")[0]
    if top == "dlx":
        return "dlx"
    from importlib.metadata import packages_distributions

    return ", ".join(packages_distributions().get(top, [top]))


def _paragraph(spec: type[ModelSpec]) -> str:
    import inspect

    return inspect.cleandoc(spec.__doc__ or "").replace("``", "")


def _listing(found: list[dict[str, Any]]) -> list[str]:
    rows = []
    for one in found:
        origin = "" if one["package"] == "dlx" else f" (from {one['package']})"
        rows += [(one["name"], f"{one['summary']}{origin}"), ("", one["source"])]
    return listed(rows, terminal_width())


def _in_full(one: dict[str, Any], parameters: list[str], vocabularies: dict[str, list[str]]) -> list[str]:
    lines = [f"{one['name']}: {one['summary']}", one["source"], "", one["description"], "", "Parameters", *parameters]
    for title, words in vocabularies.items():
        if words:
            lines += ["", title, *wrapped(", ".join(words), 98, "  ", "  ")]
    return lines
