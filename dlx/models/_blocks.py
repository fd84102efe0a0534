"""What follows a layer with a kernel, in every model of this folder."""

from __future__ import annotations

from typing import Literal

from dlx.layers import Activation, BatchNormalization, Dropout, LayerNormalization
from dlx.network import Network, Node

Normalization = Literal["none", "batch", "layer"]


def normalize_and_activate(network: Network, name: str, normalization: Normalization, activation: str) -> None:
    """What follows layer ``name``: its normalisation, if any, then its nonlinearity."""
    normalize(network, name, normalization, network.output)
    network.add(Activation(f"{name}_activation", activation))


def normalize(network: Network, name: str, normalization: Normalization, output: Node) -> Node:
    """The normalisation of layer ``name``, applied to its output; that output itself where there is none."""
    if normalization == "batch":
        return network.add(BatchNormalization(f"{name}_normalization"), output)
    if normalization == "layer":
        return network.add(LayerNormalization(f"{name}_normalization"), output)
    return output


def drop(network: Network, name: str, rate: float) -> None:
    """Dropout, where there is any."""
    if rate > 0.0:
        network.add(Dropout(name, rate))
