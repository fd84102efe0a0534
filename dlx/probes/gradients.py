"""How strong a gradient each layer gets: the speed at which it learns.

Nielsen, *Neural Networks and Deep Learning* (2015), chapter 5, takes the norm of a layer's
bias gradient as its speed of learning.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from dlx.fields import Positive
from dlx.norms import norm
from dlx.probes import Moment, Row, SampleProbe

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values

Origin = Literal["probe", "train"]


class Spec(SampleProbe):
    """Gradient norms by layer and parameter.

    Steps that the optimiser skips, because gradients overflowed in ``mixed_float16``, are left out of an epoch's.
    """

    summary: ClassVar[str] = "gradient and weight norms of every layer, over a sample and over the steps taken"

    name: Literal["gradients"] = "gradients"
    sources: tuple[Origin, ...] = Field(
        default=("probe", "train"),
        strict=False,
        description="probe: the norm of the gradient over the sample; train: the root mean square over the "
        "epoch's steps of the norm of the mini-batch gradient, and the last step's update ratio",
    )

    units: Positive | None = Field(
        default=None,
        description="gradient_units.csv: the sample's gradient of each layer's first N units, feature maps in a "
        "convolution; null: none",
    )

    @field_validator("sources")
    @classmethod
    def _each_once(cls, sources: tuple[Origin, ...]) -> tuple[Origin, ...]:
        if not sources or len(set(sources)) < len(sources):
            raise ValueError("must be probe, train or both, each once")
        return tuple(sorted(sources))

    @model_validator(mode="after")
    def _units_of_the_sample(self) -> Spec:
        if self.units is not None and "probe" not in self.sources:
            raise ValueError("units are of the sample's gradient, and sources leaves that out: probe is missing")
        return self

    @property
    def watches_steps(self) -> bool:
        return "train" in self.sources

    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        place = ("stage", "epoch", "step", "layer", "name")
        tables: dict[str, Sequence[str]] = {
            "gradients": (*place, "parameter", "source", "grad_norm", "weight_norm", "update_ratio")
        }
        if self.units is not None:
            tables["gradient_units"] = (*place, "unit", "bias_grad", "kernel_grad_norm")
        return tables

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        from keras import ops

        weights = groups["model"]
        measured: dict[str, Any] = {"weight": ops.stack([norm(value) for value in weights])}
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
            gradients = [gradient / combined["count"] for gradient in combined["gradients"]]
            finished["gradient"] = ops.stack([norm(gradient) for gradient in gradients])
            if self.units is not None:
                finished |= {f"units {at}": _by_unit(value) for at, value in enumerate(gradients)}
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
        units = {} if self.units is None else {"gradient_units": self._unit_rows(numbers, moment)}
        return {"gradients": rows, **units}

    def _unit_rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> list[Row]:
        """The first units of each layer; a kernel that is not arranged by unit gives no norms."""
        rows: list[Row] = []
        for layer in moment.layers:
            indices = dict(layer.parameters)
            found = {name: numbers[f"units {indices[name]}"].tolist() for name in ("bias", "kernel") if name in indices}
            kernels, biases = found.get("kernel", []), found.get("bias", [])
            if biases and len(biases) != len(kernels):
                kernels = []
            of_units = enumerate(itertools.zip_longest(biases, kernels))
            for unit, (bias, kernel) in itertools.islice(of_units, self.units):
                rows.append(moment.row(layer) | {"unit": unit, "bias_grad": bias, "kernel_grad_norm": kernel})
        return rows


def _ratio(moves: Sequence[tuple[float, float]]) -> float | None:
    """‖Δθ‖/‖θ‖ of variables taken as one vector; None where ‖θ‖ = 0 or nothing moved them."""
    before = math.hypot(*(norm for _, norm in moves))
    return math.hypot(*(moved for moved, _ in moves)) / before if before else None


def _by_unit(gradient: Tensor) -> Tensor:
    """Along the last axis: the gradient itself of a vector, else its norm over the other axes."""
    from keras import ops

    if len(gradient.shape) < 2:
        return ops.reshape(ops.cast(gradient, "float32"), (-1,))
    return norm(gradient, axis=list(range(len(gradient.shape) - 1)))
