"""A contender's side of the conversation with whoever compares it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Reply = dict[str, Any]


class Channel:
    """Lines of JSON to the process that started this one; what libraries print goes to stderr."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def say(self, reply: Reply) -> None:
        """Send one answer."""
        self._answers.write(json.dumps(reply) + "\n")
        self._answers.flush()

    def wait(self) -> bool:
        """Block until the next round is asked for; False at the end."""
        return sys.stdin.readline().strip() == "round"


def task() -> dict[str, Any]:
    """What this process was started for."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def serve(channel: Channel, ready: Reply, play: Callable[[], Reply]) -> None:
    """Answer every round with what ``play`` measures."""
    channel.say(ready)
    while channel.wait():
        channel.say(play())


def serve_timed(channel: Channel, train: Callable[[], Reply | None], steps: int) -> None:
    """Answer every round with what ``train`` takes, by each of its ``steps`` and in all, and what else it says."""

    def play() -> Reply:
        began = time.perf_counter()
        said = train() or {}
        seconds = time.perf_counter() - began
        return {"seconds": seconds / steps, "round": seconds, **said}

    serve(channel, {}, play)
