"""What the trained network says of every test example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from dlx.errors import FieldError
from dlx.probes import Moment, ProbeSpec, Row

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import Setting
    from dlx.stages import Batch, Stage, Tensor, ValueAndGrad, Values


class Spec(ProbeSpec):
    """Label, decision and probabilities of each test example, with the weights that the trial ends with.

    Those are the best epoch's where early stopping restores them. ``id`` is the example's
    number in the test part as published. The probabilities have the sum 1: a softmax's are
    what it says, of outputs that stand each for a class the share of each (of the logistic
    loss, those of σ(h)); ``predicted`` is what the accuracy counts. In a regression: targets
    and answers.
    """

    summary: ClassVar[str] = "decision and probabilities for every test example, at the end of training"
    part: ClassVar[Literal["test"]] = "test"

    name: Literal["predictions"] = "predictions"

    def check(self, setting: Setting) -> None:
        last = setting.pipeline[-1]
        if not last.spec.supervised:
            raise FieldError(f"are made by a last stage that learns from labels, and {last.name} does not")
        if setting.records.test == "withheld":
            raise FieldError("are of the test part, and records.test withholds it")
        if not setting.dataset.sizes()["test"]:
            raise FieldError(f"there is nothing to predict: {setting.dataset.name} has no test part here")

    def tables(self, setting: Setting) -> Mapping[str, Sequence[str]]:
        info = setting.dataset.info()
        if info.task == "regression":
            columns = [f"{kind}_{output}" for kind in ("target", "predicted") for output in range(info.outputs)]
        else:
            columns = ["label", "predicted", *(f"probability_{label}" for label in range(info.outputs))]
        return {"predictions": ("id", *columns)}

    def measure(
        self, stage: Stage, groups: Values, state: Sequence[Tensor], batch: Batch, differentiate: ValueAndGrad
    ) -> Any:
        answer = stage.predict(groups, state, batch.inputs)
        return {"target": batch.targets, **answer} if answer else {}

    def combine(self, one: Any, other: Any) -> Any:
        from keras import ops

        return {name: ops.concatenate([part, other[name]]) for name, part in one.items()}

    def finish(self, combined: Any) -> dict[str, Tensor]:
        return dict(combined)

    def rows(self, numbers: Mapping[str, np.ndarray], moment: Moment) -> dict[str, list[Row]]:
        if not numbers:
            return {}
        columns: dict[str, list[Any]] = {"id": list(moment.ids)}
        values = numbers["values"].T.tolist()
        if "labels" in numbers:
            columns |= {"label": numbers["target"].tolist(), "predicted": numbers["labels"].tolist()}
            columns |= {f"probability_{label}": column for label, column in enumerate(values)}
        else:
            columns |= {f"target_{output}": column for output, column in enumerate(numbers["target"].T.tolist())}
            columns |= {f"predicted_{output}": column for output, column in enumerate(values)}
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]}
