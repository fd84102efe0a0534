"""Explicit initial weights of a spec, checked against the network they are for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dlx.errors import FieldError, PathKey
from dlx.layers import Shape
from dlx.models import LayerWeights
from dlx.network import Network


def by_variable(given: Sequence[LayerWeights | None], network: Network) -> dict[tuple[str, str], Any]:
    """``initial_weights``, one entry per layer with a kernel, as {(layer name, variable name): nested lists}.

    Raises :class:`~dlx.errors.FieldError` with the path of the first value that does not fit.
    """
    nodes = network.kernel_layers()
    if len(given) != len(nodes):
        names = ", ".join(node.layer.name for node in nodes if node.layer)
        raise FieldError(f"{len(given)} entries for {len(nodes)} layers: {names}", ("initial_weights",))
    values: dict[tuple[str, str], Any] = {}
    for index, (entry, node) in enumerate(zip(given, nodes, strict=True)):
        assert node.layer is not None
        shapes = {variable.name: variable.shape for variable in node.variables}
        for name in ("kernel", "bias"):
            value = getattr(entry, name, None)
            if value is None:
                continue
            path = ("initial_weights", index, name)
            if name not in shapes:
                raise FieldError(f"layer {node.layer.name!r} has no {name}", path)
            _check(value, shapes[name], path, node.layer.name)
            values[node.layer.name, name] = value
    return values


def _check(value: Any, shape: Shape, path: tuple[PathKey, ...], layer: str) -> None:
    if not shape:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FieldError(f"must be a finite number, not {value!r}", path)
        return
    wanted = "x".join(map(str, shape))
    if not isinstance(value, list | tuple):
        raise FieldError(f"must be a list of shape {wanted} (layer {layer!r}), not {value!r}", path)
    if len(value) != shape[0]:
        raise FieldError(f"has {len(value)} entries, needed {shape[0]} of shape {wanted} (layer {layer!r})", path)
    for index, item in enumerate(value):
        _check(item, shape[1:], (*path, index), layer)
