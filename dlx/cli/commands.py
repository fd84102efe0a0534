"""The commands by panel, found by name and imported when asked for.

``dlx NAME`` is the function ``NAME`` of the module ``dlx.cli.NAME``; its docstring is the
help. The modules import nothing but typer at the top, so that help stays instant.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from dlx.errors import UsageError, nearest

PANELS = {
    "Run": ("run", "sweep", "tune"),
    "Look": ("status", "compare", "diagnose", "diff", "plot", "report", "show", "step"),
    "Use": ("predict", "evaluate", "sample"),
    "Registry": ("models", "datasets", "experiments"),
    "Set-up": ("new", "check", "schema", "doctor"),
}
HELP = {"help_option_names": ["-h", "--help"]}


class Command(TyperCommand):
    """One command; its help names arguments as a person would write them (``SPEC...``)."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records = [(param, param.get_help_record(ctx)) for param in self.get_params(ctx)]
        shown = [(param.param_type_name, record) for param, record in records if record is not None]
        # typer writes an argument's Python type behind its name, which says nothing to the reader
        arguments = [(name.split(" <")[0], text) for kind, (name, text) in shown if kind == "argument"]
        options = [record for kind, record in shown if kind == "option"]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Commands(TyperGroup):
    """All commands: none is imported before it is called, or listed in the help."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for names in PANELS.values() for name in names]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load(cmd_name) if cmd_name in self.list_commands(ctx) else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-"):
            raise UsageError(f"no command {args[0]!r}", hint=nearest(args[0], names))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for panel, names in PANELS.items():
            with formatter.section(panel):
                rows = [(name.ljust(width), load(name).get_short_help_str(2 * formatter.width)) for name in names]
                formatter.write_dl(rows)


def load(name: str) -> Any:
    """The command of that name, built from its function's signature and docstring."""
    function = getattr(importlib.import_module(f"dlx.cli.{name}"), name)
    alone = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    alone.command(name, cls=Command, context_settings=HELP)(function)
    return typer.main.get_command(alone)


def program() -> Any:
    """The whole program as a click group."""
    app = typer.Typer(
        cls=Commands,
        context_settings=HELP,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_dlx)
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from dlx import __version__

        sys.stdout.write(f"dlx {__version__}\n")
        raise typer.Exit


def _dlx(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Experiments on the foundations of deep learning.

    A YAML spec goes in; trained Keras networks come out, with the accuracy of every epoch and the gradient norm of
    every layer in tables.
    """
