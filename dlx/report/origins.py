"""Where the numbers of a report come from: machines, versions, and the commands that ran the trials."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlx.analysis.trials import Trial
from dlx.language import _
from dlx.records import environment


@dataclass(frozen=True)
class Origin:
    """One environment: (what, value), and how many trials ran in it."""

    facts: tuple[tuple[str, str], ...]
    trials: int


def origins_of(trials: Sequence[Trial]) -> list[Origin]:
    """The environments of trials, each once, in order of first appearance. Hosts and folders are nobody's business."""
    found: dict[tuple[tuple[str, str], ...], int] = {}
    for trial in trials:
        content = environment.read(trial.path / environment.FILE)
        if content:
            facts = tuple((what, value) for what, value in _facts(content) if value)
            found[facts] = found.get(facts, 0) + 1
    return [Origin(facts, count) for facts, count in found.items()]


def _facts(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    git = _mapping(content.get("git"))
    commit = str(git.get("commit") or "")[:12]
    changed = _("with changes")
    versions = ", ".join(f"{name} {version}" for name, version in _mapping(content.get("versions")).items())
    return [
        (_("Engine"), str(content.get("engine") or "")),
        (_("Device"), str(_mapping(content.get("device")).get("kind") or "")),
        (_("Threads"), str(content.get("threads") or "")),
        (_("Versions"), versions),
        (_("Python"), str(content.get("python") or "")),
        (_("System"), str(content.get("platform") or "")),
        (_("Commit"), commit + (f" ({changed})" if commit and git.get("dirty") else "")),
    ]


def commands_of(trials: Sequence[Trial]) -> list[str]:
    """The command lines that ran the trials, each once, as one would type them."""
    found: dict[str, None] = {}
    for trial in trials:
        command = (environment.read(trial.path / environment.FILE) or {}).get("command")
        if isinstance(command, list) and len(command) > 1:
            found[shlex.join(["dlx", *map(str, command[1:])])] = None
    return list(found)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
