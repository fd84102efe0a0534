"""What this machine trains with: cores, memory and GPUs, found without importing a backend.

Cores are those that this process may use (affinity, cgroup quota), not those that are
built in; GPUs are those that NVML finds and ``CUDA_VISIBLE_DEVICES`` leaves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx.errors import UsageError

WORKER_MEMORY = 1 << 30
"""Bytes that a warm worker with a small network is reckoned to need: TensorFlow alone takes half of it."""

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU, or one MIG instance of it: ``identity`` as ``CUDA_VISIBLE_DEVICES`` takes it, memory in bytes."""

    identity: str
    name: str = ""
    memory: int = 0


@dataclass(frozen=True)
class Share:
    """What one worker is given: GPUs or none, and a number of threads."""

    gpus: tuple[Gpu, ...]
    threads: int


@dataclass(frozen=True)
class Layout:
    """How this machine is divided among workers."""

    shares: tuple[Share, ...]

    @property
    def threads(self) -> int:
        """Threads of each worker; all have the same."""
        return self.shares[0].threads


def layout(
    trials: int, *, jobs: int | None = None, threads: int | None = None, per_gpu: int = 1, devices: int = 1
) -> Layout:
    """Divide this machine among workers for an experiment of so many trials (done or not).

    One worker per GPU, or ``per_gpu`` of them, or one per ``devices`` GPUs. Without a GPU one per trial, but no more
    than there are cores (over ``threads`` each, where that is given) and memory. ``jobs``
    is the number of workers, on GPUs the largest. Without ``threads`` the cores are divided
    among the workers. Nothing depends on how many trials are still to be run, so a trial
    that is run again has the threads it had before.
    """
    cores = usable_cores()
    found = gpus()
    if found:
        sets = [found[first : first + devices] for first in range(0, len(found) - devices + 1, devices)] or [found]
        workers = min(len(sets) * per_gpu, jobs or max(1, trials))
        placed: list[tuple[Gpu, ...]] = [sets[number % len(sets)] for number in range(workers)]
    else:
        memory = usable_memory()
        most = min(trials, cores // (threads or 1), memory // WORKER_MEMORY if memory else cores)
        placed = [()] * (jobs or max(1, most))
    each = threads or max(1, cores // len(placed))
    return Layout(tuple(Share(shown, each) for shown in placed))


def virtual(environment: Mapping[str, str] = os.environ) -> int:
    """Devices that the processor is to be taken for, so that several can be tried without GPUs; 0: as it is.

    ``DLX_VIRTUAL_DEVICES``, or XLA's own flag for the same. Raises :class:`~dlx.errors.UsageError`.
    """
    text = environment.get(VIRTUAL, "").strip()
    if text and not (text.isascii() and text.isdigit()):
        raise UsageError(f"{VIRTUAL}={text}: must be a number of devices")
    if text:
        return int(text)
    found = re.findall(r"--xla_force_host_platform_device_count=(\d+)", environment.get("XLA_FLAGS", ""))
    return int(found[-1]) if found else 0


VIRTUAL = "DLX_VIRTUAL_DEVICES"


def require(devices: int) -> None:
    """Raise :class:`~dlx.errors.UsageError` where a trial cannot have so many devices on this machine."""
    if devices == 1:
        return
    one_machine_only()
    there = len(gpus())
    if devices <= (there or virtual()):
        return
    hint = (hidden_gpus() if not there else None) or (
        f"{VIRTUAL}={devices} takes the processor for {devices} devices, to try it without GPUs" if not there else None
    )
    raise UsageError(f"a trial is to train on {devices} devices, and this machine has {_counted(there)}", hint=hint)


def one_machine_only(environment: Mapping[str, str] = os.environ) -> None:
    """Raise :class:`~dlx.errors.UsageError` where several machines are asked to train one model."""
    for name in ("TF_CONFIG", "JAX_COORDINATOR_ADDRESS"):
        if environment.get(name):
            raise UsageError(
                f"{name} is set, which asks for one model trained across machines: dlx divides a trial among the "
                "devices of one machine",
                hint=f"unset {name}; --executor ray or slurm trains different trials on different machines",
            )


def _counted(gpus: int) -> str:
    return {0: "no GPU that is seen", 1: "1 GPU"}.get(gpus, f"{gpus} GPUs")


def usable_cores() -> int:
    """Cores that this process may use: by its affinity, and by the CPU quotas of its cgroups (a container, a job)."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for group in _cgroups("cpu") if (quota := _quota(group))]
    return max(1, min([count, *map(int, quotas)]))


def usable_memory() -> int | None:
    """Bytes of memory, or the least that a cgroup of this process allows; None where the system does not say."""
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):
        return None
    for group in _cgroups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = _read(group / name)
            if text.isdigit():
                limits.append(int(text))
    return min(limits)


def _cgroups(controller: str) -> Iterator[Path]:
    """The cgroups that this process is in, from the innermost outwards (versions 2 and 1)."""
    for line in _read(Path("/proc/self/cgroup")).splitlines():
        hierarchy, controllers, place = line.split(":", 2)
        if hierarchy == "0":
            root = _CGROUP
        elif controller in controllers.split(","):
            root = _CGROUP / controllers
        else:
            continue
        group = root / place.strip("/")
        # In a container the path may be the host's, of which only the root is to be seen.
        yield from (group, *(parent for parent in group.parents if parent == root or root in parent.parents))


def _quota(group: Path) -> float | None:
    """Cores that a cgroup's quota amounts to; None without one."""
    limit, _, period = _read(group / "cpu.max").partition(" ")
    if not limit:
        limit, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return max(1.0, int(limit) / int(period)) if limit.isdigit() and period.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def gpus(environment: Mapping[str, str] = os.environ) -> tuple[Gpu, ...]:
    """The GPUs that a backend of this process would see, by NVML; none where its library or a driver is absent.

    A worker is shown its GPU under NVML's universal identifier, since CUDA counts GPUs in another order.
    """
    found = _nvml()
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if not found or chosen is None:
        return found
    visible = []
    for entry in map(str.strip, chosen.split(",")):
        # As CUDA does: what follows an entry that is no GPU is not looked at.
        match = next((gpu for gpu in found if entry and gpu.identity.startswith(entry)), None)
        if match is None and not (entry.isdigit() and int(entry) < len(found)):
            break
        visible.append(match or Gpu(entry, found[int(entry)].name, found[int(entry)].memory))
    return tuple(visible)


def hidden_gpus() -> str | None:
    """A sentence where there are signs of GPUs that cannot be counted, else None."""
    if not Path("/proc/driver/nvidia/version").exists():
        return None
    try:
        import pynvml  # noqa: F401
    except ImportError:
        return "an NVIDIA driver is here, but not the library that finds GPUs: pip install 'dlx[gpu]'"
    return None


def _nvml() -> tuple[Gpu, ...]:
    try:
        import pynvml
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        found: list[Gpu] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            instances = _instances(pynvml, handle)
            found += [_gpu(pynvml, device) for device in instances or [handle]]
        return tuple(found)
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()


def _instances(nvml: Any, handle: Any) -> list[Any]:
    """The MIG instances of a GPU; a GPU that is divided so cannot be used as a whole."""
    try:
        if nvml.nvmlDeviceGetMigMode(handle)[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        count = nvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except nvml.NVMLError:
        return []
    instances = []
    for number in range(count):
        try:
            instances.append(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
        except nvml.NVMLError:
            continue
    return instances


def _gpu(nvml: Any, handle: Any) -> Gpu:
    return Gpu(
        str(nvml.nvmlDeviceGetUUID(handle)),
        str(nvml.nvmlDeviceGetName(handle)),
        int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
    )
