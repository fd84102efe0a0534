"""A slot of the executor ``ray``: room on the cluster for one worker, and the worker once Ray has found that room.

An actor and not a task for each unit: it keeps its GPU and its compiled programs, and hears
a request to stop at once, beside the unit that it runs. Units are handed only to actors
that have answered, so that none waits for room while another worker is idle.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from dlx.events import Observer
from dlx.executors import Finished, Unit
from dlx.executors._ray_cluster import Share
from dlx.executors._ray_worker import Ended, Equipment, Greeting, Worker
from dlx.executors._silence import Silence
from dlx.executors._unit import fail, has_ended, tell
from dlx.progress import Follower
from dlx.records.trial_directory import TrialDirectory

_LOOK = 0.5


@dataclass(frozen=True)
class Lost:
    """A worker that is gone: why, in words, and all that Ray says of it."""

    how: str
    log: str


@dataclass(frozen=True)
class Defect:
    """What went wrong in a worker that lives, outside the trial: the exception, and its traceback."""

    what: str
    log: str


class Slot:
    """One worker at a time, asked for when there is something to do and replaced when it is lost."""

    def __init__(self, equipment: Equipment, witness: str) -> None:
        self._equipment = equipment
        self._witness = witness
        self._actor: Any = None
        self._greeting: Any = None
        self._call: Any = None
        self._threads: int | None = None
        self.share: Share | None = None
        self.there: Greeting | None = None
        self.unit: Unit | None = None
        self.program: str | None = None
        self.killed_for: str | None = None

    @property
    def pending(self) -> Any:
        """What Ray is to answer next: a greeting, or a unit's end; None from an idle worker, or without one."""
        return self._call or self._greeting

    @property
    def running(self) -> bool:
        """Whether a unit has been handed over."""
        return self._call is not None

    @property
    def idle(self) -> bool:
        """Whether there is a worker with nothing to do."""
        return self.there is not None and self.unit is None

    def ask_for(self, share: Share, threads: int | None) -> None:
        """Ask Ray for a worker, in place of any before."""
        import ray

        self.close()
        self.share, self._threads = share, threads
        make = ray.remote(concurrency_groups={"control": 1})(Worker).options(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy="SPREAD",
        )
        self._actor = make.remote(self._equipment)
        self._greeting = self._actor.greet.remote(self._witness)

    def answered(self) -> Greeting | Lost:
        """The new worker's greeting, which has come; or what became of it."""
        import ray

        try:
            greeting: Greeting = ray.get(self._greeting)
        except ray.exceptions.RayError as error:
            return lost(error, None)
        self._greeting, self.there = None, greeting
        if self.unit is not None:
            self._hand_over()
        return greeting

    def begin(self, unit: Unit, share: Share) -> None:
        """Hand a unit to the worker; one with another number of threads waits for a new one."""
        self.unit, self.program = unit, unit.program
        if unit.threads != self._threads:
            self.ask_for(share, unit.threads)
            self.unit = unit
        else:
            self._hand_over()

    def begin_afresh(self, unit: Unit) -> None:
        """Have a new worker asked for, and the unit handed to it."""
        assert self.share is not None
        self.ask_for(self.share, unit.threads)
        self.unit, self.program = unit, unit.program

    def _hand_over(self) -> None:
        assert self.unit is not None
        directory = TrialDirectory(self.unit.directory.path.absolute())
        token = secrets.token_hex(8)
        self._follower = Follower(directory.path, token)
        self._silence, self._looked = Silence([]), time.monotonic()
        self.killed_for = None
        self._call = self._actor.run.remote(replace(self.unit, directory=directory), token)

    def watch(self, observe: Observer, timeout: float | None) -> None:
        """Pass on what the trial reports; end its worker where it has reported nothing for ``timeout`` seconds."""
        if (at := time.monotonic()) - self._looked < _LOOK:
            return
        self._looked = at
        self._tell_news(observe)
        report = self._follower.last
        if (reason := self._silence.look([] if report is None else [report], timeout)) is not None:
            self.killed_for = self.killed_for or reason
            self.kill()

    def _tell_news(self, observe: Observer) -> None:
        for event in self._follower.look():
            observe(event)

    def ended(self, observe: Observer) -> Ended | Lost | Defect:
        """What the worker says of its unit, which has come to an end; a defect of its own; or that it is gone."""
        import ray

        try:
            said: Ended = ray.get(self._call)
        except ray.exceptions.RayError as error:
            defect: bool = isinstance(error, ray.exceptions.RayTaskError)
            return Defect(str(error).strip().rpartition("\n")[2], str(error)) if defect else lost(error, self.there)
        finally:
            self._tell_news(observe)
            self._call, self.unit = None, None
        for event in said.notes:
            observe(event)
        return said

    def ask_to_stop(self, reason: str, exit_code: int) -> None:
        """Have the unit under way end in order."""
        if self._actor is not None:
            self._actor.ask_to_stop.options(concurrency_group="control").remote(reason, exit_code)

    def kill(self) -> None:
        """End the worker's process, whatever it does; its unit then ends as lost."""
        import ray

        if self._actor is not None:
            with contextlib.suppress(Exception):  # it is gone, and perhaps the cluster
                ray.kill(self._actor, no_restart=True)

    def close(self) -> None:
        """Give the room back."""
        self.kill()
        self._actor = self._greeting = self._call = None
        self.there = self.unit = self.program = self.killed_for = None


@dataclass
class Leaving:
    """A unit whose worker is gone, or dying, and may hold the trial still.

    On one machine a lock falls with its process; a file server waits until it misses the
    node. ``failed``: the reason, where that is its end. ``again``: whether it is to go on.
    """

    unit: Unit
    until: float
    failed: str | None = None
    log: str = ""
    again: bool = False

    def look(self, observe: Observer) -> Finished | None:
        """The unit's end; None where it is to go on, or somebody still holds it."""
        holder = self.unit.directory.holder()
        if holder is not None:
            if time.monotonic() < self.until:
                return None
            return Finished(self.unit, None, f"{self.unit.directory.path} is being worked on by {holder}")
        if self.failed is not None and not has_ended(self.unit):  # it may have had its last word before it was killed
            return fail(self.unit, self.failed, observe, self.log)
        return None if self.again else tell(self.unit, self.unit.directory.status(), observe)

    @property
    def free(self) -> bool:
        """Whether it can go on now."""
        return self.again and self.unit.directory.holder() is None


def environment(share: Share, shared: bool) -> dict[str, str]:
    """What a worker takes over from this process' surroundings, and what keeps workers out of each other's way."""
    variables = {name: value for name, value in os.environ.items() if name.startswith("DLX_")}
    if not share.gpus:
        return variables | {"CUDA_VISIBLE_DEVICES": ""}  # Ray hides a GPU that was not asked for in some versions only
    if shared:
        variables |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    return variables


def lost(error: Exception, there: Greeting | None) -> Lost:
    """How a worker ended, in words."""
    import ray

    from dlx.executors import _ray_cluster

    text = str(error)
    place = there.host if there else "a node"
    if isinstance(error, ray.exceptions.OutOfMemoryError) or "running low on memory" in text:
        return Lost(f"Ray ended it, since the memory of {place} ran out", text)
    alive = {node.identity for node in _ray_cluster.nodes()}
    if "node has died" in text or (there is not None and there.node not in alive):
        return Lost(f"node {place} was lost", text)
    return Lost(f"its process on {place} ended", text)
