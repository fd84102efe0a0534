"""The largest output of each layer: what a package needs to write to add a probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlx.probes import Moment, Row, SampleProbe

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values


class Spec(SampleProbe):
    """The largest absolute output of every layer with a kernel, over a sample of the training part."""

    summary: ClassVar[str] = "largest absolute output of every layer"
    source: ClassVar[str] = "an example"

    name: Literal["spread"] = "spread"

    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        return {"spread": ("stage", "epoch", "step", "layer", "name", "largest")}

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        from keras import ops

        outputs = stage.activations(groups, state, batch.inputs)
        return {name: ops.max(ops.abs(ops.cast(output, "float32"))) for name, output in outputs.items()}

    def combine(self, one: Any, other: Any) -> Any:
        from keras import ops

        return {name: ops.maximum(value, other[name]) for name, value in one.items()}

    def finish(self, combined: Any) -> dict[str, Tensor]:
        return dict(combined)

    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        found = [layer for layer in moment.layers if layer.name in numbers]
        return {"spread": [{**moment.row(layer), "largest": float(numbers[layer.name])} for layer in found]}
