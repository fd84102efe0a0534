"""Every number of a tiny network, step by step: what one would write down computing by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.errors import FieldError
from dlx.every import Every, RecordEvery
from dlx.fields import Positive
from dlx.probes import Moment, Row, SampleProbe

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values

MOST_AT_ONCE = 2_000
"""Numbers at one record point: more than that, nobody follows by hand."""
MOST = 2_000_000
"""Rows of the whole table: a hundred megabytes."""

FORWARD = ("preactivation", "activation", "error")


class Spec(SampleProbe):
    """Weights, what goes through the layers, error terms and gradients, one row per number.

    A row of step s is of the weights after s steps. ``kernel``, ``bias`` and the gradients
    (``kernel_gradient``, …) have the index of the weight; ``preactivation`` z, ``activation``
    σ(z) and ``error`` ∂L/∂z that of the example within the sample and then of the unit, for
    instance ``0,2``. L is the mean loss over the sample: with the whole training part as the
    sample and ``batch_size: full``, the gradients are those that the next step takes.
    """

    summary: ClassVar[str] = "every weight, activation, error term and gradient of a tiny network"
    source: ClassVar[str] = "Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors"

    name: Literal["values"] = "values"
    every: RecordEvery = Field(
        default=Every(1, "steps"), description="when to record: a number of epochs or steps; the start always counts"
    )
    sample: Positive = Field(default=1, description="examples looked at: the first N of the training part")

    def check(self, setting: Setting) -> None:
        network, sizes = setting.network(), setting.dataset.sizes()
        sample = min(self.sample, sizes["train"])
        outputs = sum(math.prod(node.shape) for node in network.kernel_layers())
        numbers = 2 * network.trainable_parameters + len(FORWARD) * sample * outputs
        if numbers > MOST_AT_ONCE:
            raise FieldError(
                f"is for tiny networks: this one has {network.trainable_parameters:,} parameters and {outputs:,} units "
                f"or positions, {numbers:,} numbers at each record point of {sample} example{'s' * (sample > 1)} "
                f"(at most {MOST_AT_ONCE:,})"
            )
        times = 0
        for planned in setting.pipeline:
            size = sizes["train"] if planned.batch_size == "full" else planned.batch_size
            steps = planned.epochs * (-(-sizes["train"] // size) if self.every.unit == "steps" else 1)
            times += steps // int(self.every.amount) + 1
        if times * numbers > MOST:
            raise FieldError(
                f"values.csv would have {times * numbers:,} rows, {numbers:,} at each of {times:,} record points "
                f"(at most {MOST:,}): record more rarely, or train for fewer epochs",
                ("every",),
            )

    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        return {"values": ("stage", "epoch", "step", "layer", "name", "quantity", "index", "value")}

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        from keras import ops

        count = ops.cast(ops.shape(batch.inputs)[0], "float32")

        def total(values: list[Tensor]) -> tuple[Tensor, Any]:
            return stage.loss({**groups, "model": values}, state, batch) * count, ()

        _, gradients = differentiate(total, groups["model"])
        return {
            "count": count,
            "weights": list(groups["model"]),
            "gradients": gradients,
            "layers": stage.trace(groups, state, batch, differentiate),
        }

    def combine(self, one: Any, other: Any) -> Any:
        from keras import ops

        return {
            "count": one["count"] + other["count"],
            "weights": one["weights"],
            "gradients": [a + b for a, b in zip(one["gradients"], other["gradients"], strict=True)],
            "layers": {
                name: {
                    quantity: ops.concatenate([part, other["layers"][name][quantity]]) for quantity, part in of.items()
                }
                for name, of in one["layers"].items()
            },
        }

    def finish(self, combined: Any) -> dict[str, Tensor]:
        count = combined["count"]
        finished = {f"weight {at}": value for at, value in enumerate(combined["weights"])}
        finished |= {f"gradient {at}": value / count for at, value in enumerate(combined["gradients"])}
        for name, quantities in combined["layers"].items():
            for quantity, value in quantities.items():
                # An error term was taken of the sum over the sample.
                finished[f"{quantity} {name}"] = value / count if quantity == "error" else value
        return finished

    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        rows: list[Row] = []
        for layer in moment.layers:
            found = {parameter: numbers[f"weight {at}"] for parameter, at in layer.parameters}
            found |= {one: numbers[f"{one} {layer.name}"] for one in FORWARD if f"{one} {layer.name}" in numbers}
            found |= {f"{parameter}_gradient": numbers[f"gradient {at}"] for parameter, at in layer.parameters}
            place = moment.row(layer)
            for quantity, array in found.items():
                rows += [
                    {**place, "quantity": quantity, "index": ",".join(map(str, index)), "value": array[index].item()}
                    for index in _indices(array.shape)
                ]
        return {"values": rows}


def _indices(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    import numpy as np

    return list(np.ndindex(*shape))
