"""A registered set small enough to write in every container, its files, and a web server for them."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

from dlx.datasets import DatasetInfo, Facts, Places
from dlx.datasets._containers import IdxFiles, KerasNpz
from dlx.datasets._registered import Files, Registered
from dlx.downloads import Remote
from dlx.sources import Official

IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@dataclass
class Tiny:
    """Six training and four test images of 4 × 4, three classes."""

    official: Official = field(
        default_factory=lambda: Official(
            np.arange(96, dtype=np.uint8).reshape(6, 4, 4, 1),
            np.array([0, 1, 2, 0, 1, 2], np.int32),
            np.arange(100, 164, dtype=np.uint8).reshape(4, 4, 4, 1),
            np.array([2, 1, 0, 0], np.int32),
        )
    )

    @property
    def npz(self) -> bytes:
        o = self.official
        return npz(
            x_train=o.train_inputs[..., 0],
            y_train=o.train_targets.astype(np.uint8),
            x_test=o.test_inputs[..., 0],
            y_test=o.test_targets.astype(np.uint8),
        )

    @property
    def idx(self) -> dict[str, bytes]:
        o = self.official
        arrays = (o.train_inputs[..., 0], o.train_targets, o.test_inputs[..., 0], o.test_targets)
        return {name: idx(array) for name, array in zip(IDX_NAMES, arrays, strict=True)}

    def write_idx(self, folder: Path, *, gz: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.idx.items():
            (folder / f"{name}{'.gz' if gz else ''}").write_bytes(gzip.compress(content) if gz else content)
        return folder

    def spec(self, url: str = "http://127.0.0.1:9", *, slow: bool = False, **settings: Any) -> Registered:
        """The set as a registered one that downloads ``tiny.npz`` from ``url``."""
        content = self.npz
        marked = slow

        class Spec(Registered):
            name: Literal["tiny"] = "tiny"
            facts: ClassVar[Facts] = Facts(title="Tiny")
            about: ClassVar[DatasetInfo] = DatasetInfo((4, 4, 1), "classification", 3, 6, 4, train_counts=(2, 2, 2))
            files: ClassVar[Files] = Files(
                containers=(KerasNpz(("tiny.npz",)), IdxFiles(("tiny", "."))),
                downloads=(
                    Remote("tiny.npz", (f"{url}/tiny.npz",), hashlib.sha256(content).hexdigest(), len(content)),
                ),
                digest=self.official.digest(),
                slow=marked,
            )

        return Spec(**{"validation": 0, **settings})


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """The real data sets, as far as they are here, and a cache for what is slow to decode."""
    data = os.environ.get("DLX_DATA")
    cache = tmp_path_factory.mktemp("cache")
    return Places(environment=Path(data) if data else None, cache=cache, download=False)


@pytest.fixture
def tiny() -> Tiny:
    return Tiny()


@pytest.fixture
def only(tmp_path: Path) -> Callable[..., Places]:
    """Places with one data folder (``tmp_path/data``) and a cache beside it; no download unless asked for."""

    def places(**changed: Any) -> Places:
        (tmp_path / "data").mkdir(exist_ok=True)
        return Places(**{"data_dir": tmp_path / "data", "cache": tmp_path / "cache", "download": False, **changed})

    return places


class Server:
    """Serves bytes by path; ``requests`` counts them, ``cuts`` says after how many bytes the next ones break off."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.requests: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: outer.cuts.pop(0)] if outer.cuts else content)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()
