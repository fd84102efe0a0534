"""The connection of the executor ``ray`` to a cluster that is there already, and what its nodes have."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dlx import devices as machine
from dlx.errors import UsageError

CONNECT = 5.0
"""Seconds that a cluster's head has to answer."""

_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")
# What a client of gRPC says first, and SETTINGS without any: whoever speaks it answers with SETTINGS of its own.
_HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
_SETTINGS = 4


@dataclass(frozen=True)
class Node:
    """A node that lives: what Ray was told that it has (not what is free)."""

    identity: str
    host: str
    cpus: float
    gpus: float


_ours = False
"""Whether it was this module that connected the process."""


def connect(address: str | None) -> None:
    """Connect this process to the cluster at ``address``, unless it is connected.

    Without an address RAY_ADDRESS counts, then a cluster of which this machine is a node. No
    cluster is ever started. Raises :class:`~dlx.errors.UsageError`.
    """
    global _ours
    ray = _ray()
    if ray.is_initialized():
        return
    found = _find(address or os.environ.get("RAY_ADDRESS") or "auto")
    with _signals_kept():
        try:
            ray.init(address=found, log_to_driver=False, logging_level=logging.CRITICAL)
        except (Exception, SystemExit) as error:
            with contextlib.suppress(Exception):
                ray.shutdown()
            first = str(error).strip().partition("\n")[0]
            raise UsageError(f"cannot use the Ray cluster at {found}: {first}", hint=_ON_A_NODE) from error
    _silence()
    _ours = True


def disconnect() -> None:
    """Leave a cluster that :func:`connect` connected to; whatever this process started there ends."""
    global _ours
    if not _ours:
        return
    _ours = False
    with _signals_kept(), contextlib.suppress(Exception):
        _ray().shutdown()


def nodes() -> list[Node]:
    """The nodes that live."""
    return [
        Node(
            node["NodeID"],
            node.get("NodeManagerHostname") or node.get("NodeManagerAddress") or "",
            float(node["Resources"].get("CPU", 0.0)),
            float(node["Resources"].get("GPU", 0.0)),
        )
        for node in _ray().nodes()
        if node["Alive"]
    ]


@dataclass(frozen=True)
class Share:
    """What one worker asks Ray for."""

    cpus: int
    gpus: float

    def __str__(self) -> str:
        return (
            f"{self.gpus:g} GPU{'s' if self.gpus > 1 else ''}"
            if self.gpus
            else f"{self.cpus} CPU{'s' if self.cpus != 1 else ''}"
        )


def share(found: Sequence[Node], threads: int, per_gpu: int, devices: int = 1) -> Share:
    """A worker's resources: GPUs or a fraction of one where the cluster has any, else a CPU for each thread.

    No more CPUs than the largest node has: a trial that was begun with more threads keeps them,
    and gets the whole node.
    """
    if devices > 1 and any(node.gpus for node in found):
        return Share(0, float(devices))
    if any(node.gpus for node in found):
        return Share(0, math.floor(10_000 / per_gpu) / 10_000)  # as fine as Ray counts; rounded up K would not fit
    largest = max((int(node.cpus) for node in found), default=0)
    return Share(max(1, min(threads, largest or threads)), 0.0)


def capacity(found: Sequence[Node], each: Share) -> int:
    """Workers that the cluster has room for when nobody else uses it."""
    if each.gpus:
        if each.gpus > 1:
            return sum(int(node.gpus / each.gpus) for node in found)
        return sum(int(node.gpus) * int(1 / each.gpus) for node in found)
    return sum(int(node.cpus) // each.cpus for node in found)


def require(found: Sequence[Node], devices: int) -> None:
    """Raises :class:`~dlx.errors.UsageError` where no node has as many GPUs as a trial is to have."""
    most = max((int(node.gpus) for node in found), default=0)
    if devices > (most or machine.virtual()):
        has = f"{most} GPU{'s' if most > 1 else ''}" if most else "no GPU"
        message = f"a trial is to train on {devices} devices, and the cluster's largest node has {has}"
        raise UsageError(message, hint="one trial does not go across machines")


def threads(found: Sequence[Node], trials: int, per_gpu: int, jobs: int | None, devices: int = 1) -> int:
    """Threads of each trial: all CPUs divided among as many trials as run at once, as far as each node has them.

    On a cluster that is one machine these are the threads that the executor ``local`` gives.
    """
    with_gpus = [node for node in found if node.gpus]
    if with_gpus:
        cpus = sum(node.cpus for node in with_gpus)
        places = [int(node.gpus) * per_gpu // devices for node in with_gpus]
        workers = max(1, min(sum(places), jobs or max(1, trials)))
        most = min(int(node.cpus) // max(1, min(n, workers)) for node, n in zip(with_gpus, places, strict=True))
    else:
        counts = [int(node.cpus) for node in found if node.cpus >= 1]
        cpus, most = sum(counts), min(counts, default=1)
        workers = jobs or max(1, min(trials, int(cpus)))
    return max(1, min(int(cpus) // max(1, workers), most))


_ON_A_NODE = "dlx is to be run on a node of the cluster, with the cluster's versions of Python and Ray"
_NO_CLUSTER = "start one with `ray start --head`, or name its head with --address HOST:6379"


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError("the executor 'ray' needs Ray: pip install 'dlx[ray]'") from error
    return ray


def _find(address: str) -> str:
    """Host and port of a head that answers: Ray itself waits for minutes, and talks meanwhile."""
    if address == "local":
        raise UsageError("Ray address 'local' would start a cluster, which dlx never does", hint=_NO_CLUSTER)
    if "://" in address:
        raise UsageError(f"Ray address {address} is for Ray Client", hint=f"give HOST:6379; {_ON_A_NODE}")
    found = address
    if address == "auto":
        from ray._private import services

        try:
            found = services.canonicalize_bootstrap_address("auto") or ""
        except ConnectionError as error:
            raise UsageError("no Ray cluster runs on this machine", hint=_NO_CLUSTER) from error
    host, _, port = found.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"Ray address {address!r} is not HOST:PORT", hint=_NO_CLUSTER)
    if reason := _no_answer(host.strip("[]"), int(port)):
        raise UsageError(f"no Ray cluster answers at {found}: {reason}", hint=_NO_CLUSTER)
    return found


def _no_answer(host: str, port: int) -> str | None:
    """Why no server of gRPC can be had there; None where one answers."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return None
            connection.sendall(_HTTP2_GREETING)
            answer = b""
            while len(answer) < 4 and (more := connection.recv(16)):
                answer += more
            return None if answer[3:4] == bytes([_SETTINGS]) else "what listens there is no head of a cluster"
    except TimeoutError:
        return f"no answer for {CONNECT:g} s"
    except (OSError, OverflowError, UnicodeError) as error:
        return str(getattr(error, "strerror", None) or error)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts handlers of its own in place of those that stop trials in order."""
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # not in the main thread: then Ray could not either
            for number, handler in before.items():
                if handler is not None and signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


def _silence() -> None:
    """Keep the cluster's news (a node that died, memory that ran out) off standard output, where results go.

    ``log_to_driver`` does not cover them, and there is no other way to be had.
    """
    import ray._private.worker as inside

    if hasattr(inside, "print_to_stdstream"):
        inside.print_to_stdstream = _drop


def _drop(*anything: object, **more: object) -> None:
    return None
