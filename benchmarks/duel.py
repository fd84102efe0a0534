"""Contenders in turns: rounds of one are followed by rounds of the other, so that both meet the same machine."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks.report import microseconds

ROOT = Path(__file__).resolve().parent.parent
Task = Mapping[str, Any]
Contender = tuple[str, Task]
"""A module of :mod:`benchmarks.contenders`, and what it is to do; ``environment``: variables of its process."""


class ContenderFailedError(Exception):
    """A contender ended early; the message is the end of what it printed."""


def environment() -> dict[str, str]:
    """That of this process, with dlx importable from the working tree."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


@dataclass
class Rounds:
    """What a contender answered: the first round, which compiles, and those that count."""

    first: dict[str, Any]
    counted: list[dict[str, Any]] = field(default_factory=list)

    def values(self, key: str = "seconds") -> list[float]:
        """A quantity, round by round."""
        return [reply[key] for reply in self.counted]

    def best(self, key: str = "seconds") -> float:
        """The fastest round: what the machine can do when nothing else wants it."""
        return min(self.values(key))

    @property
    def compilation(self) -> float:
        """Seconds that the first round took longer than the others."""
        return max(0.0, float(self.first["round"]) - statistics.median(self.values("round")))

    def median(self, key: str = "seconds") -> float:
        """The middle round."""
        return statistics.median(self.values(key))

    def text(self) -> str:
        """The fastest round's time of a step, and the median."""
        return f"{microseconds(self.best())} (median {microseconds(self.median())})"


class Child:
    """A contender's process."""

    def __init__(self, module: str, task: Task) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process writes to it
        command = [sys.executable, "-m", f"benchmarks.contenders.{module}", json.dumps(task)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env={**environment(), **task.get("environment", {})}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._printed,
        )  # fmt: skip
        self._answer()

    def round(self) -> dict[str, Any]:
        """One round; raises :class:`ContenderFailedError`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("round\n")
            self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._printed.seek(0)
            raise ContenderFailedError(self._printed.read().decode(errors="replace")[-3000:])
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # An orderly end: closing its input tells it that there is no further round.
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._printed.close()


def take_turns(contenders: Mapping[str, Contender], rounds: int, tell: Callable[[str], None]) -> dict[str, Rounds]:
    """Every contender's rounds, taken in turns.

    Every second turn goes backwards, so that nobody always follows the same neighbour.
    """
    with contextlib.ExitStack() as stack:
        children, heard = {}, {}
        for name, (module, task) in contenders.items():
            children[name] = stack.enter_context(Child(module, task))
            heard[name] = Rounds(children[name].round())
        for turn in range(rounds):
            for name in list(children)[:: 1 if turn % 2 == 0 else -1]:
                heard[name].counted.append(children[name].round())
            tell(f"  round {turn + 1}/{rounds}: " + ", ".join(f"{n} {_short(h)}" for n, h in heard.items()))
        return heard


def _short(heard: Rounds) -> str:
    return microseconds(heard.counted[-1]["seconds"])


def ratio(one: Rounds, other: Rounds) -> float:
    """How many times the other's time one takes, each in its fastest round."""
    return one.best() / other.best()


def paired(one: Rounds, other: Rounds) -> float:
    """The same by the median over the turns: for steps so long that no round is left undisturbed.

    The fastest of such rounds is chance, but two rounds of a turn stand close together, and meet much the same machine.
    """
    return statistics.median(mine / theirs for mine, theirs in zip(one.values(), other.values(), strict=True))
