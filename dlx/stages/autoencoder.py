"""A layer trained to give back what it reads."""

from __future__ import annotations

from typing import ClassVar, Literal

from dlx.stages._reconstruction import ReconstructionSpec


class Spec(ReconstructionSpec):
    """Gradient descent on the difference between a layer's inputs and what a decoder makes of its outputs."""

    summary: ClassVar[str] = "one layer as an autoencoder of what it reads"
    source: ClassVar[str] = "Bengio, Lamblin, Popovici, Larochelle 2007, Greedy Layer-Wise Training of Deep Networks"

    name: Literal["autoencoder"] = "autoencoder"
