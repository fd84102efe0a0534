"""What this machine has and lacks for dlx: versions, devices, data. Imports no backend to find out."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dlx import __version__
from dlx.datasets import Places, registry

REQUIRED = ("keras", "tensorflow", "numpy", "pydantic", "PyYAML", "rich", "typer", "platformdirs", "scikit-learn")
EXTRAS = {"jax": ("jax",), "gpu": ("nvidia-ml-py",), "ray": ("ray",), "slurm": ("submitit",)}
ALTERNATIVES = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tf-nightly")}


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as NVML names it; memory in bytes."""

    name: str
    memory: int


@dataclass(frozen=True)
class Folder:
    """A place where data sets are looked for: ``label`` is what names it (``DLX_DATA``)."""

    label: str
    path: Path
    exists: bool
    writable: bool


@dataclass(frozen=True)
class DataSet:
    """A registered data set: where it is, or else how many bytes would have to be fetched (0: none needed)."""

    name: str
    path: Path | None
    download_bytes: int

    @property
    def here(self) -> bool:
        return self.path is not None or self.download_bytes == 0


@dataclass(frozen=True)
class Examination:
    """All that was found; ``missing`` are sentences that say what is absent and what would mend it."""

    dlx: str
    python: str
    system: str
    packages: dict[str, str | None]
    extras: dict[str, dict[str, str | None]]
    cores: int
    usable_cores: int
    gpus: tuple[Gpu, ...]
    folders: tuple[Folder, ...]
    datasets: tuple[DataSet, ...]
    missing: tuple[str, ...]
    broken: bool


def examine(data_dir: Path | None = None) -> Examination:
    """Look at this machine; ``broken`` if dlx cannot train (absent data sets and extras are only told)."""
    places = Places.here(data_dir, download=False)
    packages = {name: _version(*ALTERNATIVES.get(name, (name,))) for name in REQUIRED}
    extras = {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()}
    gpus, gpu_trouble = _gpus()
    folders = tuple(
        Folder(label, path, path.is_dir(), os.access(_nearest_existing(path), os.W_OK))
        for label, path in places.folders()
    )
    datasets = tuple(
        DataSet(name, member.find(places), member.download_bytes())
        for name, member in ((name, registry.get(name)) for name in registry.names())
    )
    absent = [name for name, version in packages.items() if version is None]
    missing = [f"{name} is not installed: pip install dlx" for name in absent]
    if gpu_trouble:
        missing.append(gpu_trouble)
    if gpus and not any("cudnn" in (dist.name or "") for dist in metadata.distributions()):
        missing.append("TensorFlow has no CUDA libraries and will not use the GPU: pip install 'dlx[gpu]'")
    missing += [
        f"{folder.label} is {folder.path}, which is not a folder"
        for folder in folders
        if not folder.exists and folder.label != "cache"
    ]
    missing += [
        f"{dataset.name} is not here: dlx datasets {dataset.name} --download"
        for dataset in datasets
        if not dataset.here
    ]
    return Examination(
        dlx=__version__,
        python=f"{platform.python_version()} ({sys.executable})",
        system=f"{platform.system()} {platform.machine()}",
        packages=packages,
        extras=extras,
        cores=os.cpu_count() or 1,
        usable_cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        gpus=gpus,
        folders=folders,
        datasets=datasets,
        missing=tuple(missing),
        broken=bool(absent),
    )


def _version(*names: str) -> str | None:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _nearest_existing(path: Path) -> Path:
    return next((folder for folder in (path, *path.parents) if folder.exists()), path)


def _gpus() -> tuple[tuple[Gpu, ...], str | None]:
    """The GPUs, and what keeps one from being seen where there are signs of one."""
    try:
        import pynvml
    except ImportError:
        if Path("/proc/driver/nvidia").exists():
            return (), "an NVIDIA driver is here, but not the library that finds GPUs: pip install 'dlx[gpu]'"
        return (), None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return (), None
    try:
        gpus = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            gpus.append(Gpu(pynvml.nvmlDeviceGetName(handle), pynvml.nvmlDeviceGetMemoryInfo(handle).total))
        return tuple(gpus), None
    except pynvml.NVMLError as error:
        return (), f"NVML reports no GPU that can be used: {error}"
    finally:
        pynvml.nvmlShutdown()
