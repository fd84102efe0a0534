"""``weights.npz``: the final weights, with early stopping the best ones, with pretraining those it ended with.

An ordinary ``.npz`` (uncompressed, keys ``final/<variable path>``, ``best/<variable path>``
and ``pretrained/<variable path>``) whose bytes depend on the arrays alone: sorted, with fixed time stamps.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.errors import ResultsError
from dlx.records import atomic

if TYPE_CHECKING:
    import numpy as np

FINAL, BEST, PRETRAINED = "final", "best", "pretrained"


def write_weights(
    path: Path,
    final: Mapping[str, np.ndarray],
    best: Mapping[str, np.ndarray] | None = None,
    pretrained: Mapping[str, np.ndarray] | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Write arrays by variable path; ``bfloat16``, which the format has not, is widened to float32 without loss.

    ``check`` may raise just before the file takes its place. Raises :class:`~dlx.errors.TrialError`.
    """
    import numpy as np

    members = {f"{FINAL}/{name}": array for name, array in final.items()}
    members |= {f"{BEST}/{name}": array for name, array in (best or {}).items()}
    members |= {f"{PRETRAINED}/{name}": array for name, array in (pretrained or {}).items()}
    with atomic.replacing(path, check=check) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            array = np.asarray(members[name])
            if array.dtype.kind == "V":
                array = array.astype(np.float32)
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # otherwise the platform's
            entry.external_attr = 0o600 << 16
            archive.writestr(entry, content.getbuffer())


def read_weights(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """``{"final": {variable path: array}, "best": {…}, "pretrained": {…}}``; what there is none of is not a key.

    Nothing is unpacked or unpickled, and no more memory is used than the file is long.
    Raises :class:`~dlx.errors.ResultsError` where it is missing or is not such a file.
    """
    weights: dict[str, dict[str, np.ndarray]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ValueError("its members are larger than the file")
            for entry in archive.infolist():
                kind, _, name = entry.filename.removesuffix(".npy").partition("/")
                if kind not in (FINAL, BEST, PRETRAINED) or not name or entry.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"unexpected member {entry.filename[:100]!r}")
                weights.setdefault(kind, {})[name] = _array(archive.read(entry))
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # zipfile and NumPy's parser of headers raise whatever they stumble over
        raise ResultsError(f"{path} is not a file of weights: {error}") from error
    return weights


def _array(content: bytes) -> np.ndarray[Any, Any]:
    import numpy as np

    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read_header(file)
    count = math.prod(shape)
    if (
        dtype.hasobject
        or dtype.kind not in "biufc"
        or count < 0
        or count * dtype.itemsize != len(content) - file.tell()
    ):
        raise ValueError("an array is not as long as its header says")
    array = np.frombuffer(content, dtype, count, file.tell()) if count else np.empty(0, dtype)
    return array.reshape(shape, order="F" if fortran else "C").copy()
