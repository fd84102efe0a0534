"""One module per promise; each has ``measure(setup) -> figures``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import data
from benchmarks.duel import Contender


@dataclass(frozen=True)
class Setup:
    """What all measurements share: rounds to take, whether MNIST is noise, a scratch folder, who is told."""

    rounds: int
    synthetic: bool
    scratch: Path
    tell: Callable[[str], None]

    def trial(
        self, name: str, *, network: str, batch_size: int, epochs: int | None, probes: str, **more: Any
    ) -> Contender:
        """A trial of dlx, ``epochs`` a round; None: a chunk of steps.

        ``network``: a name of :data:`MODELS`, hidden units (``30-30``) or a model as in a spec.
        ``images``: train on as many; ``dataset``: another one than MNIST; ``checkpoint``,
        ``seeds``, ``augmentation`` and ``precision`` as in a spec; ``environment``: variables of the process.
        """
        images = more.pop("images", None)
        spec = "\n".join([
            f"dataset: {more.pop('dataset', None) or data.yaml(images)}",
            f"model: {MODELS.get(network) or _network(network)}",
            "training:",
            f"  optimizer: {OPTIMIZERS.get(network, '{name: sgd, learning_rate: 0.1}')}",
            f"  batch_size: {batch_size}",
            f"  augmentation: {more.pop('augmentation', '[]')}",
            f"  precision: {more.pop('precision', 'float32')}",
            "  epochs: 100000",
            *([f"  checkpoint: {more.pop('checkpoint')}"] if "checkpoint" in more else []),
            f"probes: {probes}",
            f"seeds: {more.pop('seeds', '[1]')}",
        ])  # fmt: skip
        task = {"spec": spec, "results": str(self.scratch / name), "epochs": epochs, "synthetic": self.synthetic}
        return "dlx_trial", {**task, **more}

    def fit(self, *, network: str, batch_size: int, epochs: int, backend: str = "tensorflow", **more: Any) -> Contender:
        """Plain Keras."""
        task = {"network": network, "batch_size": batch_size, "epochs": epochs, "synthetic": self.synthetic}
        return "keras_fit", {**task, "backend": backend, **more}

    def jax(self, *, network: str, batch_size: int, epochs: int, **more: Any) -> Contender:
        """A loop written by hand."""
        task = {"network": network, "batch_size": batch_size, "epochs": epochs, "synthetic": self.synthetic, "seed": 1}
        return "jax_scan", {**task, **more}


NOTHING = "{gradients: null, activations: null}"
STEPS = "{gradients: {sources: [train]}, activations: null}"
EVERYTHING = "{gradients: {sources: [probe, train]}, activations: {}}"
"""Probes: none; the norms of every step's gradient; these and, each epoch, those and the activations of a sample."""

_BLOCKS = (
    "{name: cnn, blocks: [{filters: 32, pool: max}, {filters: 64, pool: max}, {filters: 128, pool: max}], dense: [], "
    "normalization: batch}"
)
MODELS = {
    "lenet5": "{name: lenet5, variant: modern}",
    "cnn": "cnn",
    "cnn 32-64-128": _BLOCKS,
    "resnet20": "{name: cifar_resnet, depth: 20}",
    "resnet50": "{name: resnet, depth: 50}",
}
OPTIMIZERS = {
    "lenet5": "{name: adam, learning_rate: 0.001}",
    "resnet20": "{name: sgd, learning_rate: 0.1, momentum: 0.9}",
    "resnet50": "{name: sgd, learning_rate: 0.01, momentum: 0.9}",
}


def _network(network: str) -> str:
    """A model as in a spec, or hidden units."""
    return network if network.startswith("{") else _mlp(network)


def _mlp(hidden: str) -> str:
    units = ", ".join(hidden.split("-"))
    start = "{kernel: scaled_normal, bias: zeros}"
    return f"{{name: mlp, hidden: [{units}], activation: sigmoid, initializer: {start}}}"
