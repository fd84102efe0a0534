"""Where examples lie in the space of a layer's outputs: what a scatter of hidden units is drawn from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.errors import FieldError, nearest
from dlx.fields import Positive
from dlx.probes import Moment, Row, SampleProbe

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values

MOST_UNITS = 4096


class Spec(SampleProbe):
    """A layer's outputs, after its nonlinearity, for each example of the sample.

    One row per example and record point, in the stages whose network has the layer; ``id`` is the
    example's number in the training part as published, ``label`` its class (empty in a
    regression), ``unit_0`` … the outputs.
    """

    summary: ClassVar[str] = "a layer's outputs for each example of the sample"
    source: ClassVar[str] = "Hinton and Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks"

    name: Literal["representations"] = "representations"
    layer: Positive | str | None = Field(
        default=None, description="number or name of the layer; null: the last hidden one (of an autoencoder, the code)"
    )

    def check(self, setting: Setting) -> None:
        _, units = self._layer(setting)
        if units > MOST_UNITS:
            raise FieldError(f"would have {units:,} columns, more than the {MOST_UNITS:,} that are allowed", ("layer",))

    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        units = [f"unit_{unit}" for unit in range(self._layer(setting)[1])]
        return {"representations": ("stage", "epoch", "step", "layer", "name", "id", "label", *units)}

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        from keras import ops

        name = self._name_in(stage)
        if name is None:
            return {}
        outputs = ops.cast(stage.activations(groups, state, batch.inputs)[name], "float32")
        flat = ops.reshape(outputs, (-1, math.prod(outputs.shape[1:])))
        labels = {"label": batch.targets} if len(batch.targets.shape) == 1 else {}
        return {name: flat, **labels}

    def combine(self, one: Any, other: Any) -> Any:
        from keras import ops

        return {name: ops.concatenate([part, other[name]]) for name, part in one.items()}

    def finish(self, combined: Any) -> dict[str, Tensor]:
        return dict(combined)

    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        rows: list[Row] = []
        for layer in moment.layers:
            if layer.name not in numbers:
                continue
            labels = numbers["label"].tolist() if "label" in numbers else [None] * len(moment.ids)
            for id, label, units in zip(moment.ids, labels, numbers[layer.name].tolist(), strict=True):
                outputs = {f"unit_{unit}": value for unit, value in enumerate(units)}
                rows.append(moment.row(layer) | {"id": id, "label": label} | outputs)
        return {"representations": rows}

    def _layer(self, setting: Setting) -> tuple[str, int]:
        """The layer's name and the number of its outputs; raises :class:`~dlx.errors.FieldError`."""
        network = setting.network()
        found = [node for node in network.kernel_layers() if node.layer and node.layer.name not in network.decoder]
        sizes = {node.layer.name: math.prod(node.shape) for node in found if node.layer}
        names = list(sizes)
        if self.layer is None:
            name = names[-1] if network.decoder or len(names) == 1 else names[-2]
        elif isinstance(self.layer, str):
            if self.layer not in sizes:
                message = f"the network has no layer {self.layer!r} with a kernel ({nearest(self.layer, names)})"
                raise FieldError(message, ("layer",))
            name = self.layer
        elif self.layer > len(names):
            raise FieldError(f"the network has {len(names)} layers with a kernel, not {self.layer}", ("layer",))
        else:
            name = names[self.layer - 1]
        return name, sizes[name]

    def _name_in(self, stage: Stage) -> str | None:
        """The layer's name, where the stage's network has it."""
        from dlx.keras_graph import kernel_layers

        names = [one.layer.name for one in kernel_layers(stage.model) if one.layer.name not in stage.unnumbered]
        if isinstance(self.layer, str):
            return self.layer if self.layer in names else None
        if self.layer is not None:
            return names[self.layer - 1] if self.layer <= len(names) else None
        hidden = names if stage.unnumbered or len(names) == 1 else names[:-1]
        return hidden[-1] if stage.whole_network else None
