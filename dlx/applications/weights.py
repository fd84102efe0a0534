"""Weights that Keras offers for the nets of ``keras.applications``: found, verified, read.

A file is looked for where Keras keeps it (``~/.keras/models``, or below ``KERAS_HOME``), then in a
folder ``weights`` of each place that data sets are looked for in, and fetched last. Its content
is compared with the digest that Keras knows before anything is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.applications import File
from dlx.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from dlx.datasets import Places


def initial_values(model: Any, file: File, absent: frozenset[str], places: Places) -> dict[str, np.ndarray]:
    """What the file holds for a model's layers but those that are ``absent`` from it: arrays by variable path.

    Raises :class:`~dlx.errors.DataError` for a file that is not there and cannot be fetched, that has
    another digest than Keras', or that is of another net.
    """
    path = find(file, places)
    layers = [layer for layer in model.layers if layer.weights and layer.name not in absent]
    groups = list(_groups(path))
    if len(groups) != len(layers):
        raise DataError(f"{path} has weights of {len(groups)} layers, and the net has {len(layers)} to fill from it")
    values: dict[str, np.ndarray] = {}
    for layer, (name, arrays) in zip(layers, groups, strict=True):
        # In files of this kind trained weights come first: so they stand in a layer when all of it is trained.
        variables = sorted(layer.weights, key=lambda one: one.name in _STATISTICS)
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [array.shape for array in arrays]:
            found = ", ".join(str(array.shape) for array in arrays)
            wanted = ", ".join(map(str, shapes))
            raise DataError(f"{path}: layer {name} has arrays {found}, and the net's {layer.name} takes {wanted}")
        for variable, array in zip(variables, arrays, strict=True):
            values[variable.path] = array.astype(variable.dtype)
    return values


_STATISTICS = ("moving_mean", "moving_variance", "mean", "variance", "count")


def find(file: File, places: Places) -> Path:
    """The file, whole and verified; raises :class:`~dlx.errors.DataError`."""
    path = lying(file, places)
    if path is not None:
        return verified(path, file)
    where = f"put {file.name} from {file.url} into {folder()}"
    if not places.download:
        raise DataError(f"the weights {file.name} are not here, and nothing may be downloaded", hint=where)
    return verified(_fetched(file, where), file)


def lying(file: File, places: Places) -> Path | None:
    """Where the file lies, its content not looked at; None where it is not."""
    folders = [folder(), *(place / "weights" for _, place in places.folders())]
    return next((path for one in folders if (path := one / file.name).is_file()), None)


def note(file: File, size: int, places: Places) -> str:
    """Where the file lies, or what a run would fetch; ``size``: the bytes of its weights.

    Raises :class:`~dlx.errors.DataError` where it lies there with another content than Keras'.
    """
    path = lying(file, places)
    if path is not None:
        return f"the weights imagenet are those in {verified(path, file)}"
    about = f"the weights {file.name} (about {max(1, round(size / 1e6)):,} MB) are not here"
    return f"{about}; the first run downloads them from {file.url} into {folder()}"


def verified(path: Path, file: File) -> Path:
    """The path, its content being what Keras says; raises :class:`~dlx.errors.DataError` where it is not."""
    if file.hash is not None:
        kind = "sha256" if len(file.hash) == 64 else "md5"
        with path.open("rb") as opened:
            found = hashlib.file_digest(opened, kind).hexdigest()
        if found != file.hash:
            raise DataError(
                f"{path} is not the file that Keras offers: its {kind.upper()} is {found}, not {file.hash}",
                hint=f"remove it, or replace it by {file.url}",
            )
        return path
    # Of some files Keras states no digest, and what a stopped download leaves has their name.
    if trouble := _trouble(path):
        raise DataError(
            f"{path} is not a file of weights that can be read: {trouble}",
            hint=f"remove it, or replace it by {file.url}",
        )
    return path


def _trouble(path: Path) -> str:
    """What is wrong with an HDF5 file by its first bytes, which say how long it is; empty for nothing.

    Source: HDF5 file format specification, III.A, superblock.
    """
    with path.open("rb") as opened:
        head = opened.read(64)
    if head[: len(_HDF5)] != _HDF5 or len(head) < 64:
        return "it is not HDF5"
    at = {0: 40, 1: 44}.get(head[8], 28)  # by the superblock's version
    whole, found = int.from_bytes(head[at : at + 8], "little"), path.stat().st_size
    return f"it ends after {found:,} of {whole:,} bytes" if found < whole else ""


_HDF5 = b"\x89HDF\r\n\x1a\n"


def folder() -> Path:
    """Where Keras keeps files of weights."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path("~").expanduser() / ".keras") / "models"


def _fetched(file: File, where: str) -> Path:
    from keras.utils import get_file

    try:
        # Keras tells of its progress on stdout, which belongs to results.
        with contextlib.redirect_stdout(sys.stderr):
            return Path(get_file(file.name, file.url, cache_subdir="models", file_hash=file.hash))
    except Exception as error:  # of the network, the disk, a wrong digest: Keras raises plain Exceptions
        raise DataError(f"the weights {file.name} are not here and cannot be downloaded: {error}", hint=where) from None


def _groups(path: Path) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(layer, its arrays) of a file in Keras' older format, in the order of the net, for layers that have any."""
    import h5py
    import numpy as np

    try:
        with h5py.File(path, "r") as opened:
            top = opened.get("model_weights", opened)
            for name in _strings(top.attrs["layer_names"]):
                names = _strings(top[name].attrs["weight_names"])
                if names:
                    yield name, [np.asarray(top[name][one]) for one in names]
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path} is not a file of weights that can be read: {error}") from None


def _strings(values: Any) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
