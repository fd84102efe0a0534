"""What a net of one input has made of a function: its curve, the samples it learned from, and the function itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec
from dlx.drawing.networks import trained, trial_of
from dlx.drawing.palette import categories
from dlx.drawing.panels import legend, panels
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.subjects import Group, Run, axes_of, counts_said, place_of
from dlx.drawing.themes import GREY, INK
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError
from dlx.fields import Count
from dlx.language import _

if TYPE_CHECKING:
    import numpy as np

    from dlx.sources import Splits
    from dlx.spec import Trial

_POINTS = 120
"""Of a curve, from the smallest input of the training part to the largest."""


class Spec(ChartSpec):
    """Options of ``dlx plot fit``."""

    name: Literal["fit"] = "fit"
    summary: ClassVar[str] = "what nets of one input make of a function: curve, samples and function, by setting"
    source: ClassVar[str] = "Bishop, Pattern Recognition and Machine Learning (2006), figure 1.4"

    output: Count = Field(default=0, description="which target, of several")
    most: Count = Field(default=100, description="so many training samples at most, the first ones; 0 for none")

    def heading(self) -> str:
        return _("The function and its fit")

    def data(self, subject: Sequence[Group]) -> Tidy:
        """Parts ``function`` (where it is known), ``sample`` (of training), ``fit`` (of each seed): x and y of each."""
        rows: list[dict[str, Any]] = []
        for group in subject:
            place = place_of(group)
            trial = trial_of(group.runs[0])
            splits = _splits(group.runs[0], trial, self.output)
            rows += [{**place, **row} for row in self._given(trial, splits)]
            for run in group.runs:
                x, y = self._curve(run, splits)
                rows += [
                    {**place, "part": "fit", "seed": run.seed, "x": float(at), "y": float(value)}
                    for at, value in zip(x, y, strict=True)
                ]
        info = trial_of(subject[0].runs[0]).setting.dataset.info()
        names = ((info.feature_names or ("x",))[0], (info.target_names or ("y",) * info.outputs)[self.output])
        rows[-1] |= {"x_axis": names[0], "y_axis": names[1]}
        seeds = counts_said(len(group.runs) for group in subject)
        spread = "" if seeds == "1" else _("one line for each of {seeds} seeds").format(seeds=seeds)
        return Tidy(
            ("setting", *axes_of(subject), "part", "seed", "x", "y", "x_axis", "y_axis"),
            rows,
            axes_of(subject),
            caption="; ".join(
                filter(None, (_("What nets of one input make of a function, its samples, and the function"), spread))
            ),
            subtitle=spread,
        )

    def _given(self, trial: Trial, splits: Splits) -> Iterator[dict[str, Any]]:
        """The function, where the data set knows it, and the samples."""
        import numpy as np

        grid = _grid(splits)
        function = trial.setting.dataset.function_of(grid)
        if function is not None:
            for x, y in zip(grid[:, 0], function[:, self.output], strict=True):
                yield {"part": "function", "x": float(x), "y": float(y)}
        inputs, targets = splits.train.read(np.arange(min(self.most, len(splits.train))))
        for x, y in zip(inputs[:, 0], targets[:, self.output], strict=True):
            yield {"part": "sample", "x": float(x), "y": float(y)}

    def _curve(self, run: Run, splits: Splits) -> tuple[np.ndarray, np.ndarray]:
        """What a trial's net answers along the axis; where its weights were not kept, what a probe recorded."""
        import numpy as np

        recorded = run.tables.get("predictions")
        if (run.directory / "weights.npz").is_file() or recorded is None or splits.test is None:
            grid = _grid(splits)
            return grid[:, 0], trained(run).predict(grid)[:, self.output]
        places = {int(number): at for at, number in enumerate(splits.test.ids)}
        inputs, _targets = splits.test.read(np.array([places[int(number or 0)] for number in recorded.ints("id")]))
        answers = np.array(recorded.floats(f"predicted_{self.output}"), dtype=float)
        order = inputs[:, 0].argsort(kind="stable")
        return inputs[order, 0], answers[order]

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        grid = panels(tidy, canvas)
        there = [part for part in ("function", "sample", "fit") if part in tidy.distinct("part")]
        words = {"function": _("function"), "sample": _("samples"), "fit": _("fit")}
        colours = {"function": GREY, "sample": INK, "fit": categories(2)[1]}
        said = "".join(f"datum.label === '{part}' ? '{words[part]}' : " for part in there) + "''"
        colour = alt.Color(
            "part:N",
            scale=alt.Scale(domain=there, range=[colours[part] for part in there]),
            legend=legend(None, canvas, labelExpr=said, symbolType="circle", symbolOpacity=1),
        )
        names = next(row for row in tidy.rows if row.get("x_axis"))
        # The function and its samples decide what is seen: a fit that leaves them far behind is cut off.
        low, high = _ends([row["y"] for row in tidy.rows if row["part"] != "fit"] or tidy.numbers("y"))
        left, right = _ends(tidy.numbers("x"), 0.02)
        x = alt.X(
            "x:Q",
            title=names["x_axis"],
            scale=alt.Scale(domain=[left, right], zero=False, nice=False),
            axis=alt.Axis(tickCount=5, format="~g"),
        )
        y = alt.Y(
            "y:Q",
            title=names["y_axis"],
            scale=alt.Scale(domain=[low, high], zero=False, nice=False),
            axis=alt.Axis(tickCount=5, format="~g"),
        )
        base = alt.Chart(alt.NamedData(DATA)).encode(x=x, y=y, color=colour)
        width = canvas.theme.line
        layers = []
        if "function" in there:
            function = base.transform_filter("datum.part === 'function'")
            layers.append(function.mark_line(strokeWidth=width * 1.6, opacity=0.45, clip=True))
        if "sample" in there:
            sample = base.transform_filter("datum.part === 'sample'")
            layers.append(sample.mark_point(filled=True, size=canvas.theme.point * 0.3, opacity=0.55, clip=True))
        fit = base.transform_filter("datum.part === 'fit'")
        layers.append(fit.mark_line(strokeWidth=width * 0.8, clip=True).encode(detail="seed:N", order="x:Q"))
        return grid.of(alt.layer(*layers))


def _splits(run: Run, trial: Trial, output: int) -> Splits:
    """The data of a trial, if they are one number and its function."""
    from dlx.datasets import Places

    setting = trial.setting
    info = setting.dataset.info()
    if setting.task != "regression" or info.input_shape != (1,):
        shape = "×".join(map(str, info.input_shape))
        raise UsageError(f"trial {run.name} is a {setting.task} of inputs {shape}: a fit is drawn of one input")
    if output >= info.outputs:
        raise UsageError(f"--output: the data have the targets 0 to {info.outputs - 1}, no {output}")
    return setting.dataset.load(Places.here(run.data_dir))


def _grid(splits: Splits) -> np.ndarray:
    """Inputs (n, 1) evenly spaced over those of the training part, in their type."""
    import numpy as np

    inputs, _targets = splits.train.read(np.arange(len(splits.train)))
    return np.linspace(inputs.min(), inputs.max(), _POINTS)[:, None].astype(inputs.dtype)


def _ends(values: Sequence[float], share: float = 0.15) -> tuple[float, float]:
    """The ends of an axis, beyond the values by a share of their range."""
    low, high = min(values), max(values)
    margin = (high - low or 1.0) * share
    return low - margin, high + margin
