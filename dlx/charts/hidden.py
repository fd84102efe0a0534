"""What a hidden layer makes of the test set: its activations as points, coloured by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.interaction import Series
from dlx.drawing.networks import test_part, trained
from dlx.drawing.palette import categories
from dlx.drawing.panels import legend
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.projection import reduced
from dlx.drawing.subjects import Run
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError, nearest
from dlx.fields import Count, Positive
from dlx.language import _
from dlx.models import ListOf


class Spec(ChartSpec):
    """Options of ``dlx plot hidden``."""

    name: Literal["hidden"] = "hidden"
    summary: ClassVar[str] = "a layer's activations of the test set as a scatter, coloured by class, of one trial"
    source: ClassVar[str] = "van der Maaten and Hinton, Visualizing data using t-SNE (2008)"

    layer: str | None = Field(
        default=None, description="a layer, by number or name; null: the last hidden one, an autoencoder's code"
    )
    method: Literal["units", "pca", "tsne"] | None = Field(
        default=None,
        description="units (two of them, as they are), pca or tsne; null: units of a layer of two, else pca",
    )
    units: ListOf[Count] = Field(
        default=(0, 1), min_length=2, max_length=2, description="the two units of method units"
    )
    most: Positive = Field(default=1000, description="so many examples of the test set at most, the first ones")
    beside: Literal["pca"] | None = Field(
        default=None, description="pca: beside it the inputs themselves, in their first two principal components"
    )

    def heading(self) -> str:
        return _("The test set in a hidden layer")

    @property
    def needs(self) -> Need:
        return "trial"

    def data(self, subject: Run) -> Tidy:
        """Per example: two coordinates, its class, and whether the trial gets it right."""
        import numpy as np

        network = trained(subject)
        test = test_part(subject, network)
        inputs, targets = test.read(np.arange(min(self.most, len(test))))
        outputs = network.activations(inputs)
        classifies = network.trial.setting.task == "classification"
        # The last hidden layer is what a classifier decides by; of an autoencoder one wants to see the code.
        usual = list(outputs)[-2:][0] if classifies else min(outputs, key=lambda each: outputs[each][0].size)
        name = usual if self.layer is None else _layer(self.layer, list(outputs))
        values = outputs[name].reshape(len(inputs), -1)
        width = values.shape[1]
        method = self.method or ("units" if width == 2 else "pca")
        points, axes, said = reduced(values, method, (self.units[0], self.units[1]))
        names = network.class_names
        predicted = network.labels(inputs) if names and classifies else None
        subtitle = _("{layer}, {width} units, {said}").format(layer=name, width=width, said=said)
        # What the axes are is the same for all rows of a panel, so that it goes beside the columns.
        panels = {"hidden": (points, axes)}
        caption = _("Activations of {n} test examples in {subtitle}.").format(n=len(inputs), subtitle=subtitle)
        if self.beside:
            plain = network.inputs(inputs).reshape(len(inputs), -1)
            panels["inputs"] = reduced(plain, self.beside, (0, 1))[:2]
            subtitle = _("left: {layer}; right: the inputs, principal components").format(layer=subtitle)
            caption += " " + _("Beside them the inputs themselves, in their first two principal components.")
        rows = [
            {
                "panel": panel,
                "x": float(x),
                "y": float(y),
                "class": names[int(target)] if names else float(np.ravel(target)[0]),
                **({} if predicted is None else {"right": bool(predicted[at] == target)}),
                "id": int(test.ids[at]),
                "x_axis": x_axis,
                "y_axis": y_axis,
            }
            for panel, (places, (x_axis, y_axis)) in panels.items()
            for at, ((x, y), target) in enumerate(zip(places, targets, strict=True))
        ]
        if names:
            rows.sort(key=lambda row: names.index(str(row["class"])))
        columns = ("id", "class", *(("right",) if names and classifies else ()), "x", "y")
        return Tidy((*(("panel",) if self.beside else ()), *columns), rows, caption=caption, subtitle=subtitle)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        classes = tidy.distinct("class")
        named = isinstance(tidy.rows[0]["class"], str)
        series = Series(canvas, "class", classes)
        scale = alt.Scale(zero=False, nice=False, padding=canvas.theme.text / 2)
        axis = alt.Axis(tickCount=5)
        if named:
            colour = alt.Color(
                "class:N", sort=classes, scale=alt.Scale(domain=classes, range=categories(len(classes))),
                legend=legend(_("class"), canvas, columns=5),
            )  # fmt: skip
        else:
            colour = alt.Color("class:Q", scale=alt.Scale(scheme="viridis"), legend=legend(_("target"), canvas))
        # Short names say the class where colours do not: the digits themselves, as in the papers.
        short = named and all(len(str(name)) <= 2 for name in classes)
        text = canvas.theme.text * 0.75

        def scatter(rows: Any, titles: Mapping[str, Any], width: float) -> Any:
            marks = (
                rows.mark_text(fontSize=text, fontWeight="bold")
                if short
                else rows.mark_point(filled=True, size=canvas.theme.point * 0.6)
            )
            if short:
                marks = marks.encode(text="class:N")
            chart = marks.encode(
                x=alt.X("x:Q", scale=scale, axis=axis, title=titles["x_axis"]),
                y=alt.Y("y:Q", scale=scale, axis=axis, title=titles["y_axis"]),
                color=colour,
                opacity=series.opacity(0.9) if named else alt.value(0.75),
            )
            if canvas.interactive:
                tooltip = [alt.Tooltip("id:N", title=_("example")), alt.Tooltip("class:N", title=_("class"))]
                chart = chart.encode(tooltip=tooltip)
            return chart.properties(width=width, height=canvas.theme.height * 1.2)

        rows = alt.Chart(alt.NamedData(DATA))
        if "panel" not in tidy.columns:
            side = min(canvas.width, canvas.theme.height * 1.6)
            chart = scatter(rows, tidy.rows[0], canvas.width if side == canvas.width else side * 1.3)
            return chart.add_params(series.parameter) if canvas.interactive and named else chart
        panels = [
            scatter(
                rows.transform_filter(f"datum.panel === '{panel}'"),
                next(row for row in tidy.rows if row["panel"] == panel),
                (canvas.width - canvas.gap * 4) / 2,
            )
            for panel in ("hidden", "inputs")
        ]
        if canvas.interactive and named:  # one legend hides a class in both
            panels[0] = panels[0].add_params(series.parameter)
        return alt.hconcat(*panels, spacing=canvas.gap * 2)


def _layer(wanted: str, names: list[str]) -> str:
    """A layer's Keras name from its name or its number."""
    if wanted in names:
        return wanted
    if wanted.lstrip("-").isdecimal() and 0 < abs(int(wanted)) <= len(names):
        number = int(wanted)
        return names[number - 1 if number > 0 else number]
    raise UsageError(
        f"no layer {wanted!r} with weights", hint=nearest(wanted, [*names, *map(str, range(1, len(names) + 1))])
    )
