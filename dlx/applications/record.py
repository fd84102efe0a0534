"""Writes down the nets of ``keras.applications``: their layers, what these are applied to, their files of weights.

    python -m dlx.applications.record [NET…]

For a new release of Keras, and then only: what is trained follows these files, not the release
that happens to be installed. A test compares them with that release.
"""

# Keras has no types that mypy could use.
# mypy: disable-error-code="misc, no-untyped-call"

from __future__ import annotations

import gzip
import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parent

_REFERENCE: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "linear"},
    "AveragePooling2D": {"pool_size": 2, "strides": 2},
    "Conv2D": {"filters": 1, "kernel_size": 1},
    "Dense": {"units": 1},
    "DepthwiseConv2D": {"kernel_size": 1},
    "Dropout": {"rate": 0.5},
    "MaxPooling2D": {"pool_size": 2, "strides": 2},
    "Reshape": {"target_shape": [1]},
    "Rescaling": {"scale": 1.0},
    "SeparableConv2D": {"filters": 1, "kernel_size": 1},
    "CustomScaleLayer": {"scale": 1.0},
    "LayerScale": {"init_values": 1.0, "projection_dim": 1},
    "StochasticDepth": {"drop_path_rate": 0.5},
    "ZeroPadding2D": {"padding": 1},
}
"""Arguments that a layer of the class cannot do without; what is as in such a layer is not written."""

_FITTED = ("EfficientNetB", "MobileNetV2", "MobileNetV3", "NASNet")
"""Families whose padding before a stride is one less on the left where the size is even."""


class _FoundError(Exception):
    """The net, and which file Keras would fill it from."""

    def __init__(self, model: Any, file: dict[str, str]) -> None:
        super().__init__(file)
        self.model = model
        self.file = file


def record(network: str) -> dict[str, Any]:
    """A net in plain values, with and without its top as Keras builds it."""
    whole, file = _build(network, top=True)
    body, file_without_top = _build(network, top=False)
    kept = {layer.name for layer in body.layers}
    serialized = whole.get_config()["layers"]
    return {
        "network": network,
        "keras": _version(),
        "size": whole.input_shape[1],
        "files": {"whole": file, "body": file_without_top},
        "top": [layer.name for layer in whole.layers if layer.name not in kept],
        "layers": [_layer(network, layer) for layer in serialized if layer["class_name"] != "InputLayer"],
        "input": serialized[0]["name"],
    }


def write(network: str, place: Path = PLACE) -> Path:
    """The record as a file; the same bytes for the same record."""
    path = place / f"{network}.json.gz"
    text = json.dumps(record(network), separators=(",", ":"), sort_keys=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return path


def _build(network: str, *, top: bool) -> tuple[Any, dict[str, str]]:
    """Keras builds a net before it asks for the weights: there it is taken, with no weights at all."""
    import keras
    from keras.src.utils import file_utils

    def get_file(fname: str, origin: str, *_: Any, file_hash: str | None = None, **__: Any) -> None:
        model = sys._getframe(1).f_locals["model"]
        raise _FoundError(model, {"name": fname, "url": origin} | ({"hash": file_hash} if file_hash else {}))

    keras.utils.clear_session()  # the names of layers that have none are numbered
    before, file_utils.get_file = file_utils.get_file, get_file
    arguments = {"include_top": top, "input_shape": _shape(network)} | ({"classifier_activation": None} if top else {})
    try:
        # Variables that nobody will read are given no values.
        with keras.StatelessScope(initialize_variables=False):
            getattr(keras.applications, network)(weights="imagenet", **arguments)
    except _FoundError as found:
        return found.model, found.file
    finally:
        file_utils.get_file = before
    raise RuntimeError(f"{network} did not ask for its weights")


def _shape(network: str) -> tuple[int, int, int] | None:
    """The size that the weights were trained at, where Keras would not take it by itself without a top."""
    sizes = {"InceptionV3": 299, "InceptionResNetV2": 299, "Xception": 299, "NASNetLarge": 331}
    return (sizes[network],) * 2 + (3,) if network in sizes else None


def _version() -> str:
    import keras

    return str(keras.__version__)


def _layer(network: str, layer: dict[str, Any]) -> dict[str, Any]:
    written = {"class": layer["class_name"], "name": layer["name"], "inputs": _inputs(layer)}
    if layer["class_name"] == "Sequential":
        inside = [inner for inner in layer["config"]["layers"] if inner["class_name"] != "InputLayer"]
        return written | {"layers": [_layer(network, {**inner, "name": inner["config"]["name"]}) for inner in inside]}
    if layer["module"].startswith("keras.src.ops") and len(written["inputs"]) == 1:
        return written | _shifted_or_scaled(layer)
    config = _without_defaults(layer["class_name"], layer["config"])
    named = not layer["name"].startswith("zero_padding2d")
    if layer["class_name"] == "ZeroPadding2D" and network.startswith(_FITTED) and named:
        config = {"kernel": 2 * config["padding"][0][1] + 1}
    return written | ({"config": config} if config else {})


def _shifted_or_scaled(layer: dict[str, Any]) -> dict[str, Any]:
    """A sum or product with a number, ``x + 3``, as a layer."""
    (node,) = layer["inbound_nodes"]
    (number,) = [value for value in (*node["args"], *node["kwargs"].values()) if isinstance(value, int | float)]
    config = {"scale": 1.0, "offset": number} if layer["class_name"] == "Add" else {"scale": number}
    return {"class": "Rescaling", "config": config}


@cache
def _reference(kind: str) -> dict[str, Any]:
    """The settings of a layer of the class that is built with nothing but what it cannot do without."""
    import keras
    from keras.src.applications import convnext, inception_resnet_v2

    own = {
        "LayerScale": getattr(convnext, "LayerScale", None),
        "StochasticDepth": getattr(convnext, "StochasticDepth", None),
        "CustomScaleLayer": getattr(inception_resnet_v2, "CustomScaleLayer", None),
    }
    layer = (own.get(kind) or getattr(keras.layers, kind))(**_REFERENCE.get(kind, {}))
    settings: dict[str, Any] = json.loads(json.dumps(layer.get_config(), default=str))
    return settings


def _without_defaults(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    needed, reference = _REFERENCE.get(kind, {}), _reference(kind)
    config = json.loads(json.dumps(config, default=str))
    left_out = ("name", "dtype", "trainable", "batch_input_shape", "build_config", "seed")
    return {
        key: _plain(value)
        for key, value in config.items()
        if key not in left_out and (key in needed or value != reference.get(key, ...))
    }


def _plain(value: Any) -> Any:
    """An initialiser without the words for Keras' deserialisation, and without a seed."""
    if isinstance(value, dict) and "class_name" in value:
        return {"class_name": value["class_name"], "config": {k: v for k, v in value["config"].items() if k != "seed"}}
    return value


def _inputs(layer: dict[str, Any]) -> list[str]:
    """Names of the layers whose outputs it is applied to."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
            found.append(value["config"]["keras_history"][0])
        elif isinstance(value, dict):
            for item in value.values():
                look(item)
        elif isinstance(value, list | tuple):
            for item in value:
                look(item)

    if len(layer.get("inbound_nodes", ())) > 1:
        raise RuntimeError(f"{layer['name']} is applied more than once")
    look(list(layer.get("inbound_nodes", ())))
    return found


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    import keras

    for name in sys.argv[1:] or [name for name in dir(keras.applications) if name[0].isupper()]:
        sys.stdout.write(f"{write(name)}\n")
