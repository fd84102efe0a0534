"""``dlx new``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx.cli.options import Plugins, Sets
from dlx.errors import UsageError, nearest

FOLDER = Path("plugins")


def new(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="model, dataset or probe: a skeleton in place of a spec.")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="What it is to be called.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The spec's model.  [default: mlp]")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="NAME|FILE", help="Its data, or a .csv or .npz file.  [default: digits]"),
    ] = None,
    sets: Sets = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="The spec's file [default: stdout], a skeleton's folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    plugins: Plugins = None,
) -> None:
    """Write a spec to start from, every setting explained; or the skeleton of a model, data set or probe.

    A spec is valid as it is written: --set gives what has no default, such as dataset.label for a CSV. A skeleton is a
    module and the test of its contract, in the folder plugins; --plugins plugins uses it. Nothing is overwritten.

    Example: dlx new --model cnn --dataset cifar100
    """
    if kind is None:
        _new_spec(model or "mlp", dataset or "digits", sets or [], output, force=force)
        return
    from dlx.skeletons import KINDS, skeleton

    if kind not in KINDS:
        raise UsageError(f"there is no skeleton of a {kind!r}", hint=nearest(kind, KINDS))
    if name is None:
        raise UsageError(f"what is the {kind} to be called?", hint=f"dlx new {kind} NAME")
    if model or dataset or sets:
        raise UsageError(f"--model, --dataset and --set are for a spec, not for the skeleton of a {kind}")
    folder = output or FOLDER
    _write(skeleton(kind, name, folder), force=force)
    use = {"model": f"dlx show {name}", "dataset": f"dlx datasets {name}", "probe": "dlx run SPEC"}[kind]
    print(f"use it with: {use} --plugins {folder}\ntest it with: python -m pytest {folder}", file=sys.stderr)


def _new_spec(model: str, dataset: str, sets: list[str], output: Path | None, *, force: bool) -> None:
    from dlx.models import registry
    from dlx.spec.template import template

    registry.get(model)
    text = template(model, _dataset(dataset), sets, output.parent if output is not None else Path())
    if output is None:
        sys.stdout.write(text)
    else:
        _write({output: text}, force=force)


def _dataset(text: str) -> str | Mapping[str, Any]:
    """A data set by its name, or a file as the settings of the set that reads it."""
    from dlx.datasets import registry

    suffix = Path(text).suffix.lower()
    if suffix in (".csv", ".tsv", ".npz"):
        return {"name": "npz" if suffix == ".npz" else "csv", "path": text}
    registry.get(text)
    return text


def _write(contents: Mapping[Path, str], *, force: bool) -> None:
    """Write files, all or none of them; raises :class:`~dlx.errors.UsageError` where one is there already."""
    from dlx.errors import ResultsError
    from dlx.records import atomic

    present = [str(path) for path in contents if path.exists()]
    if present and not force:
        raise UsageError(f"{', '.join(present)}: is there already", hint="--force overwrites it")
    for path, text in contents.items():
        with atomic.explained("create", path.parent, ResultsError):
            path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, text, error=ResultsError)
        print(f"written: {path}", file=sys.stderr)
