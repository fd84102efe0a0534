"""On what the figures were taken, in words."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from dlx import devices

PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "keras": ("keras",), "jax": ("jax",), "numpy": ("numpy",)}
"""Packages that matter, each under the names that it is distributed by."""


def hardware() -> str:
    """Cores, memory, operating system; no names of machines."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpu = ", ".join(each.name for each in devices.gpus()) or "no GPU"
    parts = [f"{cores} cores ({platform.machine()}{_processor()})", gpu]
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        parts.append(f"{memory:.0f} GB memory")
    return ", ".join([*parts, platform.system()])


def versions() -> str:
    """Python and the packages that matter."""
    found = [f"Python {platform.python_version()}"]
    for package, names in PACKAGES.items():
        version = next(filter(None, map(_version, names)), None)
        found.append(f"{package} {version}" if version else f"no {package}")
    return ", ".join(found)


def load() -> str:
    """How busy the machine is, where it says so: figures taken on a busy one are worth less."""
    return f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f", {names[0]}" if names else ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
