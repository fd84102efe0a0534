"""What comes out of each layer: its distribution, and units that have stopped to work.

Glorot and Bengio (AISTATS 2010), section 3, watch saturation this way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlx.probes import Moment, Row, SampleProbe

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values

SATURATED_WITHIN = 0.05
"""Of the range of a bounded nonlinearity: nearer to a limit than this counts as saturated."""


class Spec(SampleProbe):
    """Mean, standard deviation, saturation and dead units by layer.

    A unit is a neuron of a dense layer, a feature map of a convolution: it is dead when it
    is zero at every position for the whole sample.
    """

    summary: ClassVar[str] = "mean, spread, saturation and dead units of every layer's output"
    source: ClassVar[str] = (
        "Glorot and Bengio, Understanding the difficulty of training deep feedforward networks, 2010"
    )

    name: Literal["activations"] = "activations"

    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        return {"activations": ("stage", "epoch", "step", "layer", "name", "mean", "std", "saturated", "dead")}

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        from keras import ops

        measured = {}
        for name, output in stage.activations(groups, state, batch.inputs).items():
            values = ops.cast(output, "float32")
            mean = ops.mean(values)
            measured[name] = {
                "count": ops.cast(ops.size(values), "float32"),
                "mean": mean,
                "squares": ops.sum(ops.square(values - mean)),
                "saturated": ops.sum(ops.cast(_saturated(values, stage.limits.get(name)), "float32")),
                "alive": ops.any(ops.not_equal(values, 0.0), axis=list(range(len(values.shape) - 1))),
            }
        return measured

    def combine(self, one: Any, other: Any) -> Any:
        # Chan, Golub and LeVeque (1983): means and squared deviations of two parts together.
        combined = {}
        for name, a in one.items():
            b = other[name]
            count = a["count"] + b["count"]
            apart = b["mean"] - a["mean"]
            combined[name] = {
                "count": count,
                "mean": a["mean"] + apart * b["count"] / count,
                "squares": a["squares"] + b["squares"] + apart * apart * a["count"] * b["count"] / count,
                "saturated": a["saturated"] + b["saturated"],
                "alive": a["alive"] | b["alive"],
            }
        return combined

    def finish(self, combined: Any) -> dict[str, Tensor]:
        from keras import ops

        return {
            name: ops.stack(
                [
                    numbers["mean"],
                    ops.sqrt(numbers["squares"] / numbers["count"]),
                    numbers["saturated"] / numbers["count"],
                    ops.mean(1.0 - ops.cast(numbers["alive"], "float32")),
                ]
            )
            for name, numbers in combined.items()
        }

    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        rows = []
        for layer in moment.layers:
            if layer.name not in numbers:
                continue
            mean, std, saturated, dead = numbers[layer.name].tolist()
            rows.append(
                moment.row(layer)
                | {"mean": mean, "std": std, "saturated": saturated if layer.limits else None, "dead": dead}
            )
        return {"activations": rows}


def _saturated(values: Tensor, limits: tuple[float, float] | None) -> Tensor:
    from keras import ops

    if limits is None:
        return ops.zeros_like(values)
    low, high = limits
    margin = SATURATED_WITHIN * (high - low)
    return ops.logical_or(values < low + margin, values > high - margin)
