"""The nets of ``keras.applications`` as layers, without Keras.

For each there is a record, ``NAME.json.gz``, which :mod:`dlx.applications.record` wrote down from
Keras' own: layers with their names and arguments, what they are applied to, the files of
weights. From it come shapes and counts for any size of input, and the net itself.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlx.applications.layers import Bordering, made
from dlx.errors import nearest
from dlx.network import Network, Node

PLACE = Path(__file__).parent
CLASSES = 1000
"""Outputs of the nets that Keras has weights of."""

_SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
SMALLEST = 32


@dataclass(frozen=True)
class File:
    """A file of weights that Keras offers: its name, its address, its MD5 or SHA-256 where Keras knows one."""

    name: str
    url: str
    hash: str | None = None


@dataclass(frozen=True)
class Application:
    """A net of ``keras.applications``, by its name there.

    ``size`` of the images that Keras has weights for; ``top``: names of the layers behind the
    last maps, which ``include_top=False`` leaves out.
    """

    name: str
    size: int
    top: frozenset[str]
    files: Mapping[str, File]
    record: Mapping[str, Any]

    @property
    def smallest(self) -> int:
        """The least height and width that Keras allows."""
        return _SMALLEST.get(self.name, SMALLEST)

    def add_to(self, network: Network, outputs: int) -> None:
        """The net's layers, applied to what was added last; the last of them gives so many outputs."""
        nodes: dict[str, Node] = {self.record["input"]: network.output}
        for written in self._layers(outputs):
            sources = [nodes[name] for name in written["inputs"]]
            layer = made(written)
            if isinstance(layer, Bordering):
                layer = layer.fitted(sources[0].shape)
            nodes[written["name"]] = network.add(layer, *sources)

    def _layers(self, outputs: int) -> Iterator[Mapping[str, Any]]:
        for layer in self.record["layers"]:
            config = layer.get("config", {})
            if layer["name"] in self.top and CLASSES in (config.get("units"), config.get("filters")):
                key = "units" if "units" in config else "filters"
                layer = {**layer, "config": {**config, key: outputs}}
            elif layer["name"] in self.top and config.get("target_shape") == [CLASSES]:
                layer = {**layer, "config": {"target_shape": [outputs]}}
            yield layer


@lru_cache(maxsize=4)
def application(name: str) -> Application:
    """The net; raises :class:`ValueError` with the nearest name."""
    if name not in names():
        raise ValueError(f"keras.applications has no {name!r} ({nearest(name, names())})")
    record = json.loads(gzip.decompress((PLACE / f"{name}.json.gz").read_bytes()))
    files = {part: File(**file) for part, file in record["files"].items()}
    # Nets that take images of any size say none: their weights were trained at this one.
    return Application(name, record["size"] or 224, frozenset(record["top"]), files, record)


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """All nets, sorted."""
    return tuple(sorted(path.name.removesuffix(".json.gz") for path in PLACE.glob("*.json.gz")))
