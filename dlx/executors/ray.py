"""Workers on a Ray cluster that is there already, kept warm between trials.

What is relied upon: every node sees the results directory under the same path (each worker
is asked before it is given a trial), has dlx installed in the same versions, and file locks
there end with the process that has them, or when the file server misses its node. A trial
whose worker or node is lost goes on from its last checkpoint on another worker.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from dlx.errors import ResultsError, UsageError
from dlx.events import Note, Observer
from dlx.executors import Executor, Finished, Unit, Work, _ray_cluster, always
from dlx.executors._queue import Queue
from dlx.executors._ray_slot import Leaving, Lost, Slot, environment
from dlx.executors._ray_worker import Equipment
from dlx.executors._unit import fail, ran_out_of_memory, tell
from dlx.fields import Count, Positive
from dlx.interruption import TERMINATED, Stop
from dlx.records import atomic

TICK = 0.1
"""Seconds between two looks at the workers and at requests to stop."""

RELEASE = 120.0
"""Seconds in which a lost worker's lock must fall: more than a file server takes to miss a node (NFS 4: 90)."""

_DYING = 10.0
_COUNT = 5.0
_PATIENCE = 15.0
_TRIES = 3


class Spec(Executor):
    """Trials on warm workers of an existing Ray cluster."""

    summary: ClassVar[str] = "workers on an existing Ray cluster, whose nodes share the results directory"
    source: ClassVar[str] = "https://docs.ray.io"

    name: Literal["ray"] = "ray"
    address: str | None = Field(
        default=None,
        description="HOST:PORT of the cluster's head (default: RAY_ADDRESS, else the cluster that this machine is in)",
    )
    jobs: Positive | None = Field(
        default=None, description="trials at the same time (default: as many as the cluster's GPUs, else CPUs, take)"
    )
    per_gpu: Positive = Field(default=1, description="trials that share a GPU")
    losses: Count = Field(
        default=3, description="workers or nodes that a trial may lose, and go on elsewhere, before it counts as failed"
    )
    timeout: float | None = Field(
        default=None,
        gt=0.0,
        allow_inf_nan=False,
        description="seconds without a step after which a trial is ended and counts as failed; before its first "
        "step it has two minutes more, to load and to compile (default: never)",
    )
    grace: float = Field(
        default=30.0,
        ge=0.0,
        allow_inf_nan=False,
        description="seconds that running trials have to save themselves when they are asked to stop",
    )

    def ready(self) -> None:
        """Connect; raises :class:`~dlx.errors.UsageError` where there is no cluster to be had."""
        _ray_cluster.connect(self.address)

    def threads(self, trials: int) -> int:
        self.ready()
        return _ray_cluster.threads(_ray_cluster.nodes(), trials, self.per_gpu, self.jobs)

    def run(
        self,
        units: Sequence[Unit],
        work: Work,
        stop: Stop,
        observe: Observer,
        may_begin: Callable[[Unit], bool] = always,
    ) -> Iterator[Finished]:
        if not units or stop.requested:
            return
        self.ready()
        trials = units[0].directory.path.absolute().parent
        with atomic.placing(trials / "seen-by-nodes", durable=False) as witness:  # gone at the end, as its name tells
            witness.touch()
            serving = _Serving(self, units, work, stop, observe, may_begin, witness)
            try:
                yield from serving.serve()
            finally:
                serving.close()
        (trials / "seen-by-nodes").unlink(missing_ok=True)
