"""A sheet of the data set: examples of each class, points in the plane, or what a trial gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.images import COLUMNS, Image, columns_for, pixel_rows, sheet, spread
from dlx.drawing.palette import categories
from dlx.drawing.panels import legend
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Run
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError
from dlx.fields import Positive
from dlx.language import _

if TYPE_CHECKING:
    import numpy as np

    from dlx.datasets import DatasetInfo
    from dlx.drawing.targets import Data


class Spec(ChartSpec):
    """Options of ``dlx plot examples``."""

    name: Literal["examples"] = "examples"
    summary: ClassVar[str] = "a sheet of the data set; --mistakes: the examples that a trial gets wrong, surest first"
    source: ClassVar[str] = "LeCun et al., Gradient-based learning applied to document recognition (1998), figure 8"

    mistakes: bool = Field(default=False, description="only examples of the test set that the trial gets wrong")
    part: Literal["train", "validation", "test"] = Field(default="train", description="train, validation or test")
    units: Positive | None = Field(
        default=None, description="how many: of each class (null: 15), of mistakes (null: 42), of points (null: 1000)"
    )

    @property
    def needs(self) -> Need:
        return "trial" if self.mistakes else "dataset"

    def heading(self) -> str:
        return _("Mistakes") if self.mistakes else _("Examples")

    def data(self, subject: Any) -> Tidy:
        """A row per pixel of each example; of points, one per point."""
        return self._mistakes(subject) if self.mistakes else self._examples(subject)

    def _examples(self, subject: Data) -> Tidy:
        import numpy as np

        from dlx.datasets import Places

        dataset = subject.dataset
        splits = dataset.load(Places.here(subject.data_dir))
        source = getattr(splits, self.part)
        if source is None:
            raise UsageError(f"the data set has no {self.part} part")
        info = splits.info
        inputs, targets = source.read(np.arange(len(source)))
        part = {"train": _("training"), "validation": _("validation"), "test": _("test")}[self.part]
        said = _("{dataset}, {part} data").format(dataset=dataset.name, part=part)
        caption = _("Examples: {said}.").format(said=said)
        if info.task == "regression":
            raise UsageError(f"examples of {dataset.name} are numbers, not classes: there is no sheet of them")
        if info.input_shape == (2,):
            return _points(inputs, targets, info, self.units or 1000, caption, said)
        _check_images(info, dataset.name)
        each = self.units or 15
        images = []
        labels = spread(range(info.outputs), 20)
        for row, label in enumerate(labels):
            members = np.flatnonzero(targets == label)[:each]
            images += [
                Image(
                    _pixels(inputs[at]), row, column, info.largest, heading=_class(info, label) if column == 0 else ""
                )
                for column, at in enumerate(members)
            ]
        notes = () if len(labels) == info.outputs else (f"{len(labels)} of {info.outputs} classes are drawn",)
        return Tidy(COLUMNS, pixel_rows(images), caption=caption, subtitle=said, notes=notes)

    def _mistakes(self, run: Run) -> Tidy:
        import numpy as np

        from dlx.drawing.networks import predictions_of

        found = predictions_of(run)
        info = found.info
        _check_images(info, found.dataset)
        wrong = np.flatnonzero(found.predicted != found.labels)
        sureness = found.probabilities[wrong, found.predicted[wrong]]
        order = wrong[np.argsort(-sureness, kind="stable")]
        if not len(order):
            raise UsageError(f"{run.name} gets all {len(found.labels)} examples of the test set right")
        shown = order[: self.units or 42]
        columns = columns_for(len(shown), 14)
        inputs = found.inputs(found.ids[shown])
        images = [
            Image(
                _pixels(pixels), *divmod(number, columns), info.largest,
                label=f"{_class(info, found.labels[at])} → {_class(info, found.predicted[at])}",
            )
            for number, (at, pixels) in enumerate(zip(shown, inputs, strict=True))
        ]  # fmt: skip
        said = _("{wrong} of {all} test examples wrong").format(wrong=len(order), all=len(found.labels))
        subtitle = _("{said}; class → prediction, the surest first").format(said=said)
        return Tidy(COLUMNS, pixel_rows(images), caption=f"{subtitle}.", subtitle=subtitle)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        if "class" in tidy.columns:
            return _scatter(tidy, canvas)
        return sheet(tidy, canvas, "ink")


def _check_images(info: DatasetInfo, name: str) -> None:
    if len(info.input_shape) != 3 or info.input_shape[2] not in (1, 3):
        shape = "×".join(map(str, info.input_shape))
        raise UsageError(f"examples of {name} are not images (their shape is {shape})")


def _pixels(example: np.ndarray) -> np.ndarray:
    return example[..., 0] if example.shape[-1] == 1 else example


def _class(info: DatasetInfo, label: Any) -> str:
    return info.class_names[int(label)] if info.class_names else str(int(label))


def _points(inputs: Any, targets: Any, info: DatasetInfo, most: int, caption: str, subtitle: str) -> Tidy:
    rows = [
        {"x": float(x), "y": float(y), "class": _class(info, label)}
        for (x, y), label in zip(inputs[:most], targets[:most], strict=False)
    ]
    rows.sort(key=lambda row: str(row["class"]))
    return Tidy(("x", "y", "class"), rows, caption=caption, subtitle=subtitle)


def _scatter(tidy: Tidy, canvas: Canvas) -> Any:
    import altair as alt

    classes = tidy.distinct("class")
    side = min(canvas.width, canvas.theme.height * 1.2)
    reach = max(map(abs, tidy.numbers("x", "y"))) * 1.05
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    colour = alt.Color(
        "class:N",
        scale=alt.Scale(domain=classes, range=categories(len(classes))),
        legend=legend(_("class"), canvas),
    )
    axes = {"axis": alt.Axis(tickCount=5)}
    return (
        alt.Chart(alt.NamedData(DATA))
        .mark_point(filled=True, size=canvas.theme.point * 0.7, opacity=0.8)
        .encode(
            x=alt.X("x:Q", scale=scale, title="x1", **axes),
            y=alt.Y("y:Q", scale=scale, title="x2", **axes),
            color=colour,
        )
        .properties(width=side, height=side)
    )
