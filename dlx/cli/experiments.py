"""``dlx experiments``."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx.cli.columns import listed, terminal_width
from dlx.cli.options import Json
from dlx.errors import UsageError, nearest

ACTIONS = ("show", "copy")


def experiments(
    action: Annotated[
        str | None, typer.Argument(metavar="show|copy|TOPIC", help="One of them, or all of a topic.  [default: all]")
    ] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which: vanishing-gradient/depth.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="copy: the file.  [default: NAME.yaml, here]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="copy: overwrite what is there.")] = False,
    as_json: Json = False,
) -> None:
    """The experiments that come with dlx, by topic.

    dlx run NAME runs one, dlx run NAME --smoke in seconds and on data that need no download. show prints its spec, with
    the figures that are published and those reached; copy writes it to a file to be changed.

    Example: dlx experiments show quickstart
    """
    if action in ACTIONS:
        if name is None:
            raise UsageError("which experiment?", hint=f"dlx experiments {action} NAME; dlx experiments lists them")
        if action == "show":
            _show(name, as_json=as_json)
        else:
            _copy(name, output, force=force, as_json=as_json)
        return
    if name is not None:
        raise UsageError(f"{action} is neither show nor copy", hint=nearest(str(action), ACTIONS))
    _list(_found(action), as_json=as_json)


@dataclass(frozen=True)
class Listed:
    """An experiment's name, the file of its spec and what it asks."""

    name: str
    path: Path
    description: str

    @property
    def topic(self) -> str:
        """The folder; empty for one that is of none."""
        return self.name.rpartition("/")[0]

    def plain(self) -> dict[str, Any]:
        """As in a command's JSON; ``tables``: whether finished ones come with it, as ``experiment:NAME``."""
        from dlx.shipped import finished

        said = {"name": self.name, "topic": self.topic, "file": str(self.path), "description": self.description}
        return {**said, "tables": self.name in finished()}


def _found(topic: str | None) -> list[Listed]:
    """All, or those of a topic; raises :class:`~dlx.errors.UsageError` for one that there is not."""
    from dlx.shipped import experiments as shipped

    found = [_listed(name, path) for name, path in shipped().items()]
    if topic is None:
        return found
    mine = [one for one in found if one.topic == topic.rstrip("/")]
    if not mine:
        known = [*ACTIONS, *dict.fromkeys(one.topic for one in found if one.topic)]
        hint = f"dlx experiments show {topic}" if topic in shipped() else nearest(topic, known)
        raise UsageError(f"{topic} is not a topic", hint=hint)
    return mine


def _listed(name: str, path: Path) -> Listed:
    from dlx.spec.document import read

    described = read(path)[1].child("description")
    return Listed(name, path, str(described.content) if described is not None else "")


def _list(found: Sequence[Listed], *, as_json: bool) -> None:
    if as_json:
        from dlx import objects

        print(objects.text("experiments", {"experiments": [one.plain() for one in found]}))
        return
    lines: list[str] = []
    column = max(len(one.name) for one in found)
    for _, group in itertools.groupby(found, key=lambda one: one.topic):
        named = [(f"{one.name:<{column}}", one.description) for one in group]
        lines += [*([""] if lines else []), *listed(named, terminal_width())]
    print("\n".join(lines))


def _show(name: str, *, as_json: bool) -> None:
    from dlx import shipped
    from dlx.spec.document import read

    path = shipped.get(name)
    text, _ = read(path)
    if not as_json:
        sys.stdout.write(text)
        return
    from dlx import objects

    shown = {**_listed(name, path).plain(), **_trained(path), "spec": text}
    print(objects.text("experiments", {"experiment": shown}))


def _trained(path: Path) -> dict[str, Any]:
    """Trials, axes and claims; what is in the way where the data that a spec is about are not here."""
    from dlx.errors import SpecError
    from dlx.spec import load

    try:
        experiment = load(path)
    except SpecError as error:
        return {"trials": None, "why": error.message}
    trials = [trial.id for trial in experiment.trials]
    return {"trials": trials, "axes": list(experiment.axes), "claims": len(experiment.claims)}


def _copy(name: str, output: Path | None, *, force: bool, as_json: bool) -> None:
    from dlx import shipped
    from dlx.errors import ResultsError
    from dlx.records import atomic
    from dlx.spec.document import read

    source = shipped.get(name)
    target = Path(source.name) if output is None else output
    if target.is_dir():
        target = target / source.name
    if target.exists() and not force:
        raise UsageError(f"{target}: is there already", hint="--force overwrites it, -o writes elsewhere")
    text, _ = read(source)
    with atomic.explained("create", target.parent, ResultsError):
        target.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(target, text, error=ResultsError)
    if as_json:
        from dlx import objects

        print(objects.text("experiments", {"written": target}))
    else:
        print(f"written: {target}", file=sys.stderr)
