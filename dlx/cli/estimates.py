"""How ``--dry-run --estimate`` is told: a table of nets, and a sentence on the whole."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlx.estimate import Estimate


def as_json(estimate: Estimate) -> dict[str, Any]:
    """The estimate as plain values: seconds and bytes."""
    return asdict(estimate)


def lines(estimate: Estimate) -> list[str]:
    """What is printed."""
    from dlx.cli.amounts import counted, duration, seconds, size
    from dlx.cli.summary import table

    if not estimate.trials:
        return ["estimate: nothing is left to run"]
    rows = [
        {
            **{path.rsplit(".", 1)[-1]: str(value) for path, value in cost.settings.items()},
            "trials": str(cost.trials),
            "parameters": f"{cost.parameters:,}",
            "multiply-adds": f"{cost.multiply_adds:,}",
            "memory": size(cost.memory),
            "step": seconds(cost.step_seconds),
            "epoch": seconds(cost.epoch_seconds),
            "trial": seconds(cost.trial_seconds),
        }
        for cost in estimate.costs
    ]
    names = list(dict.fromkeys(name for row in rows for name in row))
    varied = [name for name in names if name not in _FIXED]
    order = [*varied, *(name for name in names if name in _FIXED)]
    workers = f"{counted(estimate.workers, 'worker')} ({estimate.executor}) of {counted(estimate.threads, 'thread')}"
    workers += f" and {counted(estimate.devices, 'device')}" if estimate.devices > 1 else ""
    each = " each" if estimate.workers > 1 else ""
    resident = f", {size(estimate.resident)} of memory{each}" if estimate.resident else ""
    take = "takes" if estimate.trials == 1 else "take"
    return [
        *table([{name: row.get(name, "") for name in order} for row in rows]),
        "",
        f"estimate: {counted(estimate.trials, 'trial')} {take} about {duration(estimate.seconds)} "
        f"on {workers}{each}{resident}",
    ]


_FIXED = ("trials", "parameters", "multiply-adds", "memory", "step", "epoch", "trial")
