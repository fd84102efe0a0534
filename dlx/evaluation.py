"""How good trained networks are on given examples: one by one, averaged, and under perturbations.

Everything follows from the probabilities (or values) that the networks give.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dlx.errors import UsageError
from dlx.metrics import TOP_K
from dlx.perturbations import PERTURBATIONS

if TYPE_CHECKING:
    from dlx.inputs import Examples
    from dlx.trained import Trained

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ClassScore:
    """A class: its ``label`` and ``name``, how many examples are of it, and the share of them that are recognised."""

    label: int
    name: str
    examples: int
    recall: float


@dataclass(frozen=True)
class Scores:
    """What came out on ``examples`` examples.

    ``metrics``: classification: accuracy, balanced_accuracy (the mean of the recalls of the
    classes that occur), and with more than ten classes top5_accuracy; regression: mae, rmse and
    r2, each over targets; autoencoder: reconstruction_error, the mean squared difference of an
    input, scaled, and what comes back, and mae, rmse and r2 of all inputs together. ``perturbed``:
    the accuracy under each perturbation, by name.
    """

    examples: int
    metrics: Mapping[str, float]
    classes: tuple[ClassScore, ...] = ()
    perturbed: Mapping[str, float] = field(default_factory=dict)


def check_together(networks: Sequence[Trained]) -> None:
    """Raise :class:`~dlx.errors.UsageError` unless the networks answer the same question."""
    first = networks[0]
    for other in networks[1:]:
        for what, one, another in (
            ("takes inputs of shape", first.info.input_shape, other.info.input_shape),
            ("tells classes apart:", first.class_names, other.class_names),
            ("gives outputs:", first.info.outputs, other.info.outputs),
        ):
            if one != another:
                raise UsageError(
                    f"trials {first.trial.id} and {other.trial.id} cannot be taken together: one {what} {one}, "
                    f"the other {another}"
                )


def answers(networks: Sequence[Trained], inputs: Array) -> Array:
    """The mean of the networks' probabilities or values, float32 (n, outputs); of one network, its own."""
    total = np.zeros((), np.float64)
    for network in networks:
        total = total + network.predict(inputs).astype(np.float64)
    mean: Array = (total / len(networks)).astype(np.float32)
    return mean


def decided(networks: Sequence[Trained], inputs: Array) -> Array:
    """The class of each example: of one network as its accuracy counts it, of several the most probable on average."""
    return networks[0].labels(inputs) if len(networks) == 1 else answers(networks, inputs).argmax(axis=1)


def answers_and_labels(networks: Sequence[Trained], examples: Examples) -> tuple[Array, Array]:
    """:func:`answers` and, where these are of classes, what is :func:`decided`, of all examples."""
    classes = networks[0].info.task == "classification"
    given, labels = [], []
    for inputs in examples.blocks():
        if len(networks) > 1:
            given.append(answers(networks, inputs))
            labels.append(given[-1].argmax(axis=1))
            continue
        logits = networks[0].logits(inputs)
        given.append(networks[0].answers(logits))
        if classes:
            labels.append(networks[0].decided(logits))
    return np.concatenate(given), np.concatenate(labels) if classes else np.empty(0, int)


def evaluate(
    networks: Sequence[Trained], examples: Examples, perturbations: Mapping[str, float] | None = None
) -> Scores:
    """Scores of networks taken together (one alone is itself) on labelled examples.

    ``perturbations``: strength by name (:data:`dlx.perturbations.PERTURBATIONS`). Raises
    :class:`~dlx.errors.UsageError` where they make no sense for the data.
    """
    assert examples.targets is not None
    first = networks[0]
    if first.trial.setting.model.reconstructs:
        if perturbations:
            raise UsageError("perturbations are for images with classes, and an autoencoder chooses none")
        pairs = [(answers(networks, inputs), first.inputs(inputs)) for inputs in examples.blocks()]
        back, wanted = (np.concatenate(each) for each in zip(*pairs, strict=True))
        return Scores(len(back), reconstruction(back, wanted))
    given, labels = answers_and_labels(networks, examples)
    if first.info.task == "regression":
        if perturbations:
            raise UsageError("perturbations are for images with classes, and this is a regression")
        return Scores(len(given), regression(given, examples.targets))
    classes = recalls(labels, examples.targets, first.class_names)
    accuracy = float(np.mean(labels == examples.targets))
    metrics = {
        "accuracy": accuracy,
        "balanced_accuracy": float(np.mean([one.recall for one in classes if one.examples])),
    }
    if given.shape[1] > 10:
        own = np.take_along_axis(given, examples.targets.astype(np.int64)[:, None], axis=1)
        metrics["top5_accuracy"] = float(np.mean((given > own).sum(axis=1) < TOP_K))
    scores = Scores(len(given), metrics, classes)
    return replace(scores, perturbed=_perturbed(networks, examples, perturbations or {}))


def recalls(labels: Array, targets: Array, names: Sequence[str]) -> tuple[ClassScore, ...]:
    """Of each class the share of its examples that are recognised; NaN where it has none."""
    scores = []
    for label, name in enumerate(names):
        of_it = targets == label
        count = int(of_it.sum())
        recall = float(np.mean(labels[of_it] == label)) if count else float("nan")
        scores.append(ClassScore(label, name, count, recall))
    return tuple(scores)


def regression(given: Array, targets: Array) -> dict[str, float]:
    """mae and rmse over all targets; r2, the mean over targets of 1 − Σ(y − ŷ)²/Σ(y − ȳ)²."""
    error = given.astype(np.float64) - targets
    spread = np.square(targets - targets.mean(axis=0, dtype=np.float64)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = float(np.mean(1.0 - np.square(error).sum(axis=0) / spread))
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "r2": r2 if np.isfinite(r2) else float("nan"),
    }


def reconstruction(given: Array, inputs: Array) -> dict[str, float]:
    """Of answers (n, inputs) to scaled inputs (n, …): see :class:`Scores`."""
    wanted = inputs.reshape(len(inputs), -1).astype(np.float64)
    error = given.astype(np.float64) - wanted
    spread = np.square(wanted - wanted.mean(axis=0)).sum()
    squared = float(np.square(error).mean())
    return {
        "reconstruction_error": squared,
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(squared)),
        "r2": float(1.0 - np.square(error).sum() / spread) if spread else float("nan"),
    }


def _perturbed(networks: Sequence[Trained], examples: Examples, wanted: Mapping[str, float]) -> dict[str, float]:
    """The accuracy over all variants of each perturbation."""
    found: dict[str, float] = {}
    assert examples.targets is not None
    if wanted and examples.inputs.ndim != 4:
        raise UsageError("perturbations are for images, and these data are not")
    for name, strength in wanted.items():
        _check(name, strength, min(examples.inputs.shape[1:3]))
        more = {"largest": networks[0].info.largest} if name == "brightness" else {}
        right, looked, start = 0, 0, 0
        for inputs in examples.blocks():
            targets = examples.targets[start : start + len(inputs)]
            start += len(inputs)
            for images in PERTURBATIONS[name](inputs, strength, **more):
                right += int(np.sum(decided(networks, images) == targets))
                looked += len(images)
        found[name] = right / looked
    return found


def _check(name: str, strength: float, side: int) -> None:
    if not math.isfinite(strength):
        raise UsageError(f"--{name} {strength:g}: must be a number")
    if name in ("scale", "brightness") and strength <= 0:
        raise UsageError(f"--{name} {strength:g}: must be a factor above 0")
    if name in ("shift", "occlude") and not 0 <= strength < side:
        raise UsageError(
            f"--{name} {strength:g}: must be 0 or more, and less than the {side} pixels of the images' sides"
        )
