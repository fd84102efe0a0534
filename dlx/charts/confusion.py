"""Which classes a trial takes for which."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.networks import predictions_of
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Run
from dlx.drawing.tidy import Tidy
from dlx.language import _


class Spec(ChartSpec):
    """Options of ``dlx plot confusion``."""

    name: Literal["confusion"] = "confusion"
    summary: ClassVar[str] = "a table of classes and predictions on the test set, of one trial"
    source: ClassVar[str] = "Kohavi and Provost, Glossary of terms, Machine Learning 30 (1998)"

    metric: Literal["count", "share"] = Field(
        default="count", description="what is written: count, or share of the class; colours are shares of the class"
    )

    def heading(self) -> str:
        return _("Confusion matrix")

    @property
    def needs(self) -> Need:
        return "trial"

    def data(self, subject: Run) -> Tidy:
        """Per class and prediction: how many test examples, and which share of the class they are."""
        import numpy as np

        found = predictions_of(subject)
        size = found.probabilities.shape[1]
        counts = np.zeros((size, size), dtype=int)
        np.add.at(counts, (found.labels.astype(int), found.predicted.astype(int)), 1)
        names = found.info.class_names or tuple(map(str, range(size)))
        rows = [
            {
                "class": names[label],
                "predicted": names[predicted],
                "count": int(counts[label, predicted]),
                "share": counts[label, predicted] / total if (total := int(counts[label].sum())) else 0.0,
            }
            for label in range(size)
            for predicted in range(size)
        ]
        right = int(np.trace(counts))
        said = _("{right} of {all} test examples right ({share})").format(
            right=right, all=int(counts.sum()), share=f"{right / max(1, counts.sum()):.1%}"
        )
        caption = _("Confusion matrix: {said}.").format(said=said)
        return Tidy(("class", "predicted", "count", "share"), rows, caption=caption, subtitle=said)

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        names = tidy.distinct("class")
        height = min(canvas.width, canvas.theme.height * 1.25)
        width = min(canvas.width, height * 1.7)
        cell = height / len(names)
        base = alt.Chart(alt.NamedData(DATA)).encode(
            x=alt.X(
                "predicted:N",
                sort=names,
                title=_("prediction"),
                axis=alt.Axis(
                    labelAngle=0 if max(map(len, names)) * canvas.theme.text * 0.55 < width / len(names) else -50,
                    ticks=False,
                ),
            ),
            y=alt.Y("class:N", sort=names, title=_("class"), axis=alt.Axis(ticks=False)),
            tooltip=[
                alt.Tooltip("class:N", title=_("class")),
                alt.Tooltip("predicted:N", title=_("prediction")),
                alt.Tooltip("count:Q", title=_("examples")),
                alt.Tooltip("share:Q", title=_("share of the class"), format=".1%"),
            ],
        )
        # Half of a class wrong is dark already: mistakes are what one looks for, and they are few.
        scale = alt.Scale(range=["#f7fbff", "#6baed6", "#08519c", "#08306b"], domain=[0, 0.15, 0.6, 1])
        cells = base.mark_rect(stroke="white", strokeWidth=canvas.theme.line / 4).encode(
            color=alt.Color("share:Q", scale=scale, legend=None)
        )
        layers = [cells]
        if cell > canvas.theme.text * 1.4:
            layers.append(
                base.transform_filter("datum.count > 0")
                .mark_text(fontSize=min(canvas.theme.text * 0.85, cell * 0.42))
                .encode(
                    text=alt.Text(f"{self.metric}:Q", format=",d" if self.metric == "count" else ".0%"),
                    color=alt.condition("datum.share > 0.2", alt.value("white"), alt.value("#08306b")),
                )
            )
        return alt.layer(*layers).properties(width=width, height=height)
