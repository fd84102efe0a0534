"""How a net of two inputs divides the plane: regions, the lines of its hidden units, and the points in their space."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from dlx.charts import ChartSpec, Need
from dlx.drawing.images import coloured_uri
from dlx.drawing.networks import trained
from dlx.drawing.palette import categories
from dlx.drawing.panels import legend
from dlx.drawing.picture import DATA, Canvas
from dlx.drawing.projection import axes_said, principal
from dlx.drawing.subjects import Run, rows_of_stage, thinned
from dlx.drawing.themes import INK
from dlx.drawing.tidy import Tidy
from dlx.errors import UsageError
from dlx.fields import Count, Positive
from dlx.language import _

if TYPE_CHECKING:
    import numpy as np

    from dlx.trained import Trained

Weights = Mapping[str, Any]
"""Arrays by variable path."""

_FRAMES = 25
_FEW = 20
"""Points that are drawn large: the four of XOR."""


class Spec(ChartSpec):
    """Options of ``dlx plot boundary``."""

    name: Literal["boundary"] = "boundary"
    summary: ClassVar[str] = (
        "decision regions of a net of two inputs, its hidden units' lines and space; a slider in HTML"
    )
    source: ClassVar[str] = "Olah, Neural Networks, Manifolds, and Topology (2014)"

    epoch: Count | None = Field(
        default=None, description="the epoch, of those in values.csv; null: the trained net, and in HTML a slider"
    )
    units: Positive = Field(default=60, description="squares along each side of the plane")
    most: Positive = Field(default=300, description="so many training points at most, the first ones")

    def heading(self) -> str:
        return _("Decision regions")

    @property
    def needs(self) -> Need:
        return "trial"

    def data(self, subject: Run) -> Tidy:
        """Parts ``region`` (a square, its class), ``line`` (of a hidden unit), ``point``, ``hidden`` (one there)."""
        import numpy as np

        network = trained(subject)
        info = network.info
        dataset = network.trial.setting.dataset
        plane = dataset.plane()
        if plane is None or info.task != "classification":
            shape = "×".join(map(str, info.input_shape))
            raise UsageError(
                f"{subject.name} is a {info.task} of inputs {shape}: regions are drawn of classes in the plane"
            )
        splits = network.splits if plane is dataset else network.worker.load(plane)
        points, labels = splits.train.read(np.arange(min(self.most, len(splits.train))))
        inputs = dataset.lifted(points)
        frames = self._frames(subject, network)
        last = frames[max(frames)]
        names = network.class_names
        square = _square(points, self.units)
        lifted = dataset.lifted(square)
        basis: tuple[Any, Any] | None = None
        hidden_name = ""
        rows: list[dict[str, Any]] = []
        for epoch in sorted(frames, reverse=True):  # the last one first: it decides how the hidden space is seen
            for variable in network.model.weights:
                variable.assign(frames[epoch].get(variable.path, last[variable.path]))
            shares = network.predict(lifted)
            for (x, y), share in zip(square, shares, strict=True):
                best = int(share.argmax())
                about = {"part": "region", "epoch": epoch, "x": float(x), "y": float(y)}
                rows.append({**about, "class": names[best], "share": float(share[best])})
            if info.input_shape == (2,) and lifted is square:
                rows += [{"part": "line", "epoch": epoch, **line} for line in _lines(network, frames[epoch], square)]
            outputs = network.activations(inputs)
            hidden_name = _hidden(outputs)
            values = outputs[hidden_name].reshape(len(inputs), -1)
            if basis is None:
                basis = (values.mean(axis=0), principal(values)) if values.shape[1] > 2 else (0.0, np.eye(2))
            for (x, y), label in zip((values - basis[0]) @ basis[1].T, labels, strict=True):
                about = {"part": "hidden", "epoch": epoch, "x": float(x), "y": float(y)}
                rows.append({**about, "class": names[int(label)]})
        for (x, y), label in zip(points, labels, strict=True):
            rows.append({"part": "point", "x": float(x), "y": float(y), "class": names[int(label)]})
        width = next(iter(basis[1].shape[1:])) if basis else 2
        x_title, y_title = axes_said(width)
        epochs = sorted(frames)
        when = _("epoch {epoch}").format(epoch=epochs[-1])
        lines = any(row["part"] == "line" for row in rows)
        left = _("left: regions, points and the lines of the hidden units") if lines else _("left: regions and points")
        subtitle = left + _("; right: the points as they leave {layer}; {when}").format(layer=hidden_name, when=when)
        columns = ("part", "epoch", "x", "y", "x2", "y2", "unit", "class", "share", "x_axis", "y_axis")
        rows[-1] |= {"x_axis": x_title, "y_axis": y_title}
        return Tidy(
            columns, rows, caption=_("Decision regions; {subtitle}.").format(subtitle=subtitle), subtitle=subtitle
        )

    def _frames(self, run: Run, network: Trained) -> dict[int, Weights]:
        """Weights by epoch: those that the probe ``values`` recorded, and the final ones."""
        final = {variable.path: variable.numpy() for variable in network.model.weights}
        end = int(network.recorded.get("epochs") or 0)
        recorded = recorded_weights(run, {path: array.shape for path, array in final.items()})
        if self.epoch is not None:
            known = {**recorded, end: final}
            if self.epoch not in known:
                there = ", ".join(map(str, sorted(known)[:20]))
                hint = f"there are: {there}" if recorded else "probes: {values: {every: 1 epoch}} records others"
                raise UsageError(f"{run.name} kept no weights of epoch {self.epoch}", hint=hint)
            return {self.epoch: known[self.epoch]}
        kept = thinned(sorted({*recorded, end}), _FRAMES)
        return {epoch: final if epoch == end else recorded[epoch] for epoch in kept}

    def draw(self, tidy: Tidy, canvas: Canvas) -> Any:
        import altair as alt

        classes = sorted({str(row["class"]) for row in tidy.rows if row.get("class") is not None})
        colours = dict(zip(classes, categories(len(classes)), strict=True))
        epochs = sorted({row["epoch"] for row in tidy.rows if row["part"] == "region"})
        over_time = canvas.interactive and len(epochs) > 1
        side = min((canvas.width - canvas.gap * 4) / 2, canvas.theme.height * 1.3)
        regions = [_region(tidy, epoch, colours, side) for epoch in (epochs if over_time else epochs[-1:])]
        first = regions[0]
        x = alt.X("x:Q", title="x1", scale=alt.Scale(domain=[first["left"], first["right"]], nice=False), axis=_axis())
        y = alt.Y("y:Q", title="x2", scale=alt.Scale(domain=[first["bottom"], first["top"]], nice=False), axis=_axis())
        rows = alt.Chart(alt.NamedData(DATA))
        now = f"datum.epoch == {epochs[-1]}"
        if over_time:
            slider = alt.param(name="epoch", value=epochs[-1], bind=_slider(epochs))
            now = "datum.epoch == epoch"
        image = (
            alt.Chart(alt.InlineData(values=regions))
            .transform_filter(now)
            .mark_image(aspect=False, width=side, height=side)
            .encode(x=x, y=y, url="url:N")
        )
        if over_time:
            image = image.add_params(slider)
        lines = (
            rows.transform_filter(f"datum.part == 'line' && {now}")
            .mark_rule(
                color=INK, strokeWidth=canvas.theme.line * 0.7, strokeDash=[canvas.theme.line * 2] * 2, clip=True
            )
            .encode(x=x, y=y, x2="x2:Q", y2="y2:Q", tooltip=alt.Tooltip("unit:N", title=_("hidden unit")))
        )
        colour = alt.Color(
            "class:N",
            scale=alt.Scale(domain=classes, range=list(colours.values())),
            legend=legend(_("class"), canvas),
        )
        few = sum(row["part"] == "point" for row in tidy.rows) <= _FEW
        dots = {
            "filled": True,
            "size": canvas.theme.point * (3 if few else 0.5),
            "stroke": INK,
            "strokeWidth": canvas.theme.line / 8,
        }
        points = (
            rows.transform_filter("datum.part == 'point'").mark_point(**dots, opacity=1).encode(x=x, y=y, color=colour)
        )
        plane = alt.layer(image, lines, points).properties(width=side, height=side)
        titles = next(row for row in tidy.rows if row.get("x_axis"))
        seen = [row for row in tidy.rows if row["part"] == "hidden" and (over_time or row["epoch"] == epochs[-1])]
        ends = [_ends([row[axis] for row in seen]) for axis in ("x", "y")]
        hidden = (
            rows.transform_filter(f"datum.part == 'hidden' && {now}")
            .mark_point(**dots, opacity=0.9)
            .encode(
                x=alt.X(
                    "x:Q", title=titles["x_axis"], scale=alt.Scale(domain=ends[0], nice=False), axis=_axis(grid=True)
                ),
                y=alt.Y(
                    "y:Q", title=titles["y_axis"], scale=alt.Scale(domain=ends[1], nice=False), axis=_axis(grid=True)
                ),
                color=colour,
            )
            .properties(width=side, height=side)
        )
        return alt.hconcat(plane, hidden, spacing=canvas.gap * 2)


def recorded_weights(run: Run, shapes: Mapping[str, tuple[int, ...]]) -> dict[int, dict[str, np.ndarray]]:
    """Weights after each epoch by variable path, from the whole kernels and biases in ``values.csv``; empty without."""
    import numpy as np

    rows = run.tables.get("values")
    if rows is None:
        return {}
    names, quantities, places = rows.texts("name"), rows.texts("quantity"), rows.texts("index")
    epochs, values = rows.ints("epoch"), rows.floats("value")
    paths = {tuple(path.split("/")[-2:]): path for path in shapes}
    found: dict[int, dict[str, np.ndarray]] = {}
    for at in rows_of_stage(rows, None):
        path, epoch, value = paths.get((names[at], quantities[at])), epochs[at], values[at]
        if path is None or epoch is None or value is None:
            continue
        index = tuple(int(part) for part in places[at].split(","))
        if len(index) != len(shapes[path]) or any(one >= size for one, size in zip(index, shapes[path], strict=True)):
            continue
        array = found.setdefault(epoch, {}).setdefault(path, np.full(shapes[path], np.nan, dtype=np.float32))
        if np.isnan(array[index]):  # of several records of an epoch the first, which follows that epoch
            array[index] = value
    whole = {"kernel", "bias"}
    wanted = {path for path in shapes if path.rsplit("/", 1)[-1] in whole}
    return {
        epoch: arrays
        for epoch, arrays in found.items()
        if arrays.keys() >= wanted and not any(np.isnan(array).any() for array in arrays.values())
    }


def _square(inputs: Any, units: int) -> Any:
    """The middles of ``units`` × ``units`` squares over the points and a little beyond, by line from the top left."""
    import numpy as np

    low, high = inputs.min(axis=0), inputs.max(axis=0)
    margin = (high - low) * 0.08 + 1e-9
    low, high = low - margin, high + margin
    steps = (np.arange(units) + 0.5) / units
    x, y = np.meshgrid(low[0] + steps * (high[0] - low[0]), high[1] - steps * (high[1] - low[1]))
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(inputs.dtype)


def _lines(network: Trained, weights: Weights, square: Any) -> list[dict[str, Any]]:
    """Where each unit of the first layer is zero before its nonlinearity: the ends of a segment through the square."""
    import numpy as np

    name = next(
        iter(network.trial.setting.model.network((2,), network.trial.setting.outputs).kernel_layers())
    ).layer.name  # type: ignore[union-attr]
    kernel = next((array for path, array in weights.items() if path.split("/")[-2:] == [name, "kernel"]), None)
    bias = next((array for path, array in weights.items() if path.split("/")[-2:] == [name, "bias"]), None)
    if kernel is None or kernel.shape[0] != 2 or kernel.shape[1] > 40:
        return []
    scale = np.broadcast_to(network.scaling.divide, (2,)), np.broadcast_to(network.scaling.subtract, (2,))
    low, high = square.min(axis=0), square.max(axis=0)
    lines = []
    for unit in range(kernel.shape[1]):
        slope = kernel[:, unit] / scale[0]
        offset = (0.0 if bias is None else float(bias[unit])) - float(slope @ scale[1])
        ends = _segment(slope, offset, low, high)
        if ends is not None:
            (x, y), (x2, y2) = ends
            lines.append({"unit": unit, "x": x, "y": y, "x2": x2, "y2": y2})
    return lines


def _segment(slope: Any, offset: float, low: Any, high: Any) -> list[tuple[float, float]] | None:
    """The part of the line ``slope`` · (x, y) + ``offset`` = 0 within a rectangle; None if it lies outside."""
    a, b = map(float, slope)
    ends = set()
    for x in (float(low[0]), float(high[0])):
        if b and low[1] <= (y := -(a * x + offset) / b) <= high[1]:
            ends.add((x, y))
    for y in (float(low[1]), float(high[1])):
        if a and low[0] <= (x := -(b * y + offset) / a) <= high[0]:
            ends.add((x, y))
    return sorted(ends)[:: len(ends) - 1] if len(ends) >= 2 else None


def _hidden(outputs: Mapping[str, Any]) -> str:
    """The layer whose space is drawn: the last hidden one of two units, else the last hidden one."""
    names = list(outputs)[:-1] or list(outputs)
    flat = [name for name in names if outputs[name].shape[1:] == (2,)]
    return flat[-1] if flat else names[-1]


def _region(tidy: Tidy, epoch: int, colours: Mapping[str, str], side: float) -> dict[str, Any]:
    """The regions of one epoch as an image, with its middle and the ends of both axes."""
    import numpy as np

    rows = [row for row in tidy.rows if row["part"] == "region" and row["epoch"] == epoch]
    units = round(len(rows) ** 0.5)
    known = {
        name: np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)], float) for name, colour in colours.items()
    }
    even = 1 / len(colours)
    pixels = []
    for row in rows:
        # The surer, the fuller: no colour where all classes are as likely.
        sure = 0.06 + 0.34 * max(0.0, (row["share"] - even) / (1 - even))
        pixels.append(255 + sure * (known[str(row["class"])] - 255))
    image = np.array(pixels).reshape(units, units, 3)
    xs, ys = (np.array([row[axis] for row in rows]) for axis in ("x", "y"))
    half = (xs.max() - xs.min()) / (units - 1) / 2, (ys.max() - ys.min()) / (units - 1) / 2
    left, right = float(xs.min() - half[0]), float(xs.max() + half[0])
    bottom, top = float(ys.min() - half[1]), float(ys.max() + half[1])
    url = coloured_uri(image, side / 2, few_colours=True)
    middle = {"x": (left + right) / 2, "y": (bottom + top) / 2}
    return {"epoch": epoch, "url": url, "left": left, "right": right, "bottom": bottom, "top": top, **middle}


def _axis(grid: bool = False) -> Any:
    import altair as alt

    return alt.Axis(tickCount=5, grid=grid)


def _ends(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    margin = (high - low or 1.0) * 0.06
    return [low - margin, high + margin]


def _slider(epochs: Sequence[int]) -> Any:
    """A slider over evenly spaced epochs, a list of others."""
    import altair as alt

    steps = {later - earlier for earlier, later in itertools.pairwise(epochs)}
    name = _("epoch") + " "
    if len(steps) == 1:
        return alt.binding_range(min=epochs[0], max=epochs[-1], step=steps.pop(), name=name)
    return alt.binding_select(options=list(epochs), name=name)
