"""From per-example losses and logits to the columns of ``metrics.csv``.

Inside the compiled step only sums are formed; dividing them is done on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dlx.losses import Task, Tensor, answer, decided

if TYPE_CHECKING:
    import numpy as np

TOP_K = 5


def recall_names(classes: int) -> tuple[str, ...]:
    """Column endings of what is known of each class: the mean of the recalls, and the recall of each label."""
    return ("balanced_accuracy", *(f"recall_{label}" for label in range(classes)))


@dataclass(frozen=True)
class Metrics:
    """What is counted for a task: ``names`` are the column endings after ``train_`` and its like.

    ``target_scaling``: of targets that are learned scaled, what was subtracted from each and what it was
    divided by. Errors are those of the answers brought back to the targets' own units.
    """

    task: Task
    outputs: int
    activation: str
    target_scaling: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    looked_at: tuple[str, ...] = ()
    gap: str | None = None
    pooled: bool = False
    """R² of all outputs together, as of a reconstruction, some of whose inputs never vary."""
    recalls: bool = False
    """Of a classification: the share of each class that is recognised, and their mean, the balanced accuracy."""

    @property
    def names(self) -> tuple[str, ...]:
        """Column endings in table order; more than ten classes add the top-5 accuracy."""
        if self.task == "regression":
            return ("loss", "mae", "rmse", "r2")
        usual = ("loss", "accuracy", "top5_accuracy") if self.outputs > 10 else ("loss", "accuracy")
        return (*usual, *recall_names(self.outputs)) if self.recalls else usual

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each sum."""
        if self.task == "regression":
            return {"loss": (), "absolute": (self.outputs,), "squared": (self.outputs,)}
        shapes: dict[str, tuple[int, ...]] = {name: () for name in self.names if name not in self._of_classes}
        return shapes | ({"recognised": (self.outputs,), "examples": (self.outputs,)} if self.recalls else {})

    @property
    def _of_classes(self) -> tuple[str, ...]:
        return recall_names(self.outputs) if self.recalls else ()

    def sums(self, losses: Tensor, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Sums over the examples of a batch, in Keras ops; ``weights`` (batch,) are 0 or 1.

        Classification: loss, correct, and correct among the best five; with ``recalls`` also the
        examples of each class and how many of them are recognised (outputs,). Regression: loss,
        and absolute and squared error per output (outputs,).
        """
        from keras import ops

        def total(values: Tensor) -> Tensor:
            values = ops.cast(values, "float32")
            if weights is None:
                return ops.sum(values, axis=0)
            return ops.sum(values * ops.reshape(weights, (-1,) + (1,) * (len(values.shape) - 1)), axis=0)

        sums = {"loss": total(losses)}
        if self.task == "regression":
            error = self.restored(answer(logits, self.activation)) - targets
            return sums | {"absolute": total(ops.abs(error)), "squared": total(ops.square(error))}
        labels = ops.cast(targets, "int32")
        right = ops.equal(decided(logits), labels)
        sums["accuracy"] = total(right)
        if "top5_accuracy" in self.names:
            own = ops.take_along_axis(logits, labels[:, None], axis=-1)
            # Counting the outputs above the right one needs no sort, and a NaN is never right.
            better = ops.sum(ops.cast(logits > own, "int32"), axis=-1)
            sums["top5_accuracy"] = total(ops.logical_and(better < TOP_K, ops.isfinite(own[:, 0])))
        if self.recalls:
            of_class = ops.one_hot(labels, self.outputs, dtype="float32")
            sums |= {"recognised": total(of_class * ops.cast(right, "float32")[:, None]), "examples": total(of_class)}
        return sums

    def scaled(self, targets: Tensor) -> Tensor:
        """Targets (batch, outputs) as they are learned."""
        if self.target_scaling is None:
            return targets
        from keras import ops

        subtract, divide = (ops.convert_to_tensor(each, dtype="float32") for each in self.target_scaling)
        return (targets - subtract) / divide

    def restored(self, answers: Tensor) -> Tensor:
        """Answers (batch, outputs) in the targets' own units."""
        if self.target_scaling is None:
            return answers
        from keras import ops

        subtract, divide = (ops.convert_to_tensor(each, dtype="float32") for each in self.target_scaling)
        return answers * divide + subtract

    def finish(self, sums: Mapping[str, Any], count: int, variation: np.ndarray | None = None) -> dict[str, float]:
        """Means from sums over ``count`` examples.

        ``variation`` (outputs,): Σ(y − ȳ)² of the targets per output, for R² (averaged over
        outputs; NaN where a target is constant). The recall of a class without examples is NaN.
        """
        import numpy as np

        if self.task == "classification":
            found = {name: float(sums[name]) / count for name in self.names if name not in self._of_classes}
            if self.recalls:
                with np.errstate(invalid="ignore"):
                    recalls = np.asarray(sums["recognised"], np.float64) / np.asarray(sums["examples"], np.float64)
                values = [float(np.nanmean(recalls)), *recalls.tolist()]
                found |= dict(zip(self._of_classes, values, strict=True))
            return found

        absolute = np.asarray(sums["absolute"], dtype=np.float64)
        squared = np.asarray(sums["squared"], dtype=np.float64)
        if variation is not None and self.pooled:
            variation, squared_for_r2 = np.sum(variation), squared.sum()
        else:
            squared_for_r2 = squared
        with np.errstate(divide="ignore", invalid="ignore"):
            r2 = np.nan if variation is None else float(np.mean(1.0 - squared_for_r2 / variation))
        return {
            "loss": float(sums["loss"]) / count,
            "mae": float(absolute.mean()) / count,
            "rmse": float(np.sqrt(squared.mean() / count)),
            "r2": r2 if np.isfinite(r2) else float("nan"),
        }
