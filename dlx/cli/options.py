"""Arguments and options that several commands share, so that they mean and read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Specs = Annotated[
    list[Path],
    typer.Argument(metavar="SPEC", help="YAML specs, or names of `dlx experiments`.", show_default=False),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Override a setting of the spec (repeatable)."),
]
Smoke = Annotated[
    bool, typer.Option("--smoke", help="As small as smoke: in the spec says: seconds that show that all of it works.")
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="DIR", help="Look for data sets here first, then in $DLX_DATA and the cache."),
]


def _load_plugins(place: Path | None) -> Path | None:
    if place is None:
        return None
    from dlx import plugins

    return plugins.load(place).place


Plugins = Annotated[
    Path | None,
    typer.Option(
        "--plugins", metavar="DIR", callback=_load_plugins, help="Use the models, data sets and probes in this folder."
    ),
]
Results = Annotated[
    Path | None,
    typer.Option(
        "--results",
        metavar="DIR",
        envvar="DLX_RESULTS",
        help="Where trials are looked up.  [default: results]",
    ),
]
Engine = Annotated[
    Literal["tensorflow", "jax"] | None,
    typer.Option("--engine", metavar="NAME", help="tensorflow or jax.  [default: as the trial was trained]"),
]
TrainingEngine = Annotated[
    Literal["tensorflow", "jax"] | None,
    typer.Option(
        "--engine",
        metavar="NAME",
        envvar="DLX_ENGINE",
        help="The Keras backend that trains: tensorflow, jax.  [default: the configuration file's, tensorflow]",
    ),
]
Lang = Annotated[
    str | None,
    typer.Option("--lang", metavar="CODE", help="Language of what is said: en, es.  [default: DLX_LANG, en]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
