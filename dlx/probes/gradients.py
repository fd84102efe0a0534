"""How strong a gradient each layer gets: the speed at which it learns.

Nielsen, *Neural Networks and Deep Learning* (2015), chapter 5, takes the norm of a layer's
bias gradient as its speed of learning.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from dlx.probes import Moment, ProbeSpec, Row

if TYPE_CHECKING:
    import numpy as np

    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values

Origin = Literal["probe", "train"]


class Spec(ProbeSpec):
    """Gradient norms by layer and parameter."""

    summary: ClassVar[str] = "gradient and weight norms of every layer, over a sample and over the steps taken"

    name: Literal["gradients"] = "gradients"
    sources: tuple[Origin, ...] = Field(
        default=("probe", "train"),
        strict=False,
        description="probe: the norm of the gradient over the sample; train: the root mean square over the "
        "epoch's steps of the norm of the mini-batch gradient, and the last step's update ratio",
    )

    @field_validator("sources")
    @classmethod
    def _each_once(cls, sources: tuple[Origin, ...]) -> tuple[Origin, ...]:
        if not sources or len(set(sources)) < len(sources):
            raise ValueError("must be probe, train or both, each once")
        return tuple(sorted(sources))

    @property
    def watches_steps(self) -> bool:
        return "train" in self.sources

    def tables(self) -> Mapping[str, Sequence[str]]:
        return {
            "gradients": (
                "stage", "epoch", "step", "layer", "name", "parameter", "source", "grad_norm", "weight_norm",
                "update_ratio",
            )
        }  # fmt: skip

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        from keras import ops

        weights = groups["model"]
        measured: dict[str, Any] = {"weight": ops.stack([_norm(value) for value in weights])}
        if "probe" in self.sources:
            # The mean over the sample is the examples' sum divided once, whatever parts it came in.
            count = ops.cast(ops.shape(batch.inputs)[0], "float32")

            def total(values: list[Tensor]) -> tuple[Tensor, Any]:
                return stage.loss({**groups, "model": values}, state, batch) * count, ()

            _, gradients = differentiate(total, weights)
            measured |= {"count": count, "gradients": gradients}
        return measured

    def combine(self, one: Any, other: Any) -> Any:
        combined = dict(one)
        if "count" in one:
            combined["count"] = one["count"] + other["count"]
            combined["gradients"] = [a + b for a, b in zip(one["gradients"], other["gradients"], strict=True)]
        return combined

    def finish(self, combined: Any) -> dict[str, Tensor]:
        from keras import ops

        finished = {"weight": combined["weight"]}
        if "count" in combined:
            finished["gradient"] = ops.stack([_norm(g / combined["count"]) for g in combined["gradients"]])
        return finished

    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        weights = numbers["weight"].tolist()
        measured: dict[Origin, tuple[Sequence[float], Sequence[tuple[float, float]]]] = {}
        if "probe" in self.sources:
            measured["probe"] = numbers["gradient"].tolist(), ()
        if "train" in self.sources and moment.gradient_norms:
            measured["train"] = moment.gradient_norms, moment.moves
        rows = []
        for layer in moment.layers:
            if not layer.parameters:
                continue  # frozen
            together = ("all", [index for _, index in layer.parameters])
            parts = [(parameter, [index]) for parameter, index in layer.parameters]
            for source, (norms, moves) in measured.items():
                for parameter, indices in [*parts, together]:
                    moved = [moves[index] for index in indices] if moves else []
                    rows.append(
                        moment.row(layer)
                        | {"parameter": parameter, "source": source}
                        | {"grad_norm": math.hypot(*(norms[index] for index in indices))}
                        | {"weight_norm": math.hypot(*(weights[index] for index in indices))}
                        | {"update_ratio": _ratio(moved)}
                    )
        return {"gradients": rows}


def _ratio(moves: Sequence[tuple[float, float]]) -> float | None:
    """‖Δθ‖/‖θ‖ of variables taken as one vector; None where ‖θ‖ = 0 or nothing moved them."""
    before = math.hypot(*(norm for _, norm in moves))
    return math.hypot(*(moved for moved, _ in moves)) / before if before else None


def _norm(value: Tensor) -> Tensor:
    from keras import ops

    return ops.sqrt(ops.sum(ops.square(ops.cast(value, "float32"))))
