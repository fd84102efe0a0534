"""Waiting for what happens when it happens: no test says how fast a machine must be."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 900.0
"""Seconds: far more than anything that is waited for takes on a busy machine. Only a defect waits so long."""


def until(condition: Callable[[], object], *, every: float = 0.01, what: Callable[[], object] = lambda: "") -> None:
    """Wait until ``condition`` gives something true, looked at ``every`` so often; ``what`` tells what is instead."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"did not happen: {what()}"
        time.sleep(every)
