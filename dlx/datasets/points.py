"""Points of the plane in classes that a line does not divide: XOR, circles, spirals, clouds, moons."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from dlx.datasets import DatasetInfo, Divide, Facts, InMemory, Places
from dlx.fields import Count, Fraction

if TYPE_CHECKING:
    import numpy as np

    from dlx.datasets._made import Values
    from dlx.sources import Official

_TEST = 0.2
_TURNS = 1.0

Feature = Literal["x", "y", "x2", "y2", "xy", "r", "sin_x", "sin_y"]
_COORDINATES: tuple[Feature, ...] = ("x", "y")


class Spec(InMemory):
    """Two coordinates, roughly between −1 and 1, and a class; drawn from ``draw``, the same on every machine.

    ``xor``: a square whose quadrants belong to two classes in turn. ``circles``: rings about one
    centre. ``spiral``: arms that wind once about it. ``gaussians``: round clouds on a circle.
    ``moons``: two half circles, one within reach of the other. ``noise`` is the standard
    deviation of what is added to both coordinates (for ``gaussians``, of the clouds).

    ``features`` puts functions of the coordinates in their place, made by hand as for a linear
    classifier: squares, the product, the distance from the centre, sin πx and sin πy.
    """

    name: Literal["points"] = "points"
    summary: ClassVar[str] = "points of the plane, drawn: xor, circles, spiral, gaussians, moons"
    source: ClassVar[str] = "after scikit-learn's make_moons and make_circles; Lang and Witbrock 1988 (two spirals)"
    facts: ClassVar[Facts] = Facts(
        title="Points of the plane",
        unit="a coordinate, roughly −1 to 1; unit divides by the largest that can be drawn",
        licence="none needed",
        origin="drawn, nothing to download",
    )

    shape: Literal["xor", "circles", "spiral", "gaussians", "moons"] = Field(
        default="xor", description="how the classes lie"
    )
    n: int = Field(default=1000, ge=4, le=10_000_000, description="how many points, as many of each class")
    groups: int = Field(
        default=2, ge=2, le=20, description="classes of circles, spiral and gaussians; xor and moons have two"
    )
    noise: float = Field(
        default=0.1, ge=0.0, le=10.0, allow_inf_nan=False, description="standard deviation of what is added"
    )
    draw: Count = Field(default=0, description="which draw: other numbers are other points")
    features: Annotated[tuple[Feature, ...], Field(strict=False, min_length=1)] = Field(
        default=_COORDINATES,
        description="inputs, made of the coordinates: x, y, x2 (x²), y2, xy, r (distance from the centre), sin_x "
        "(sin πx), sin_y",
    )
    test: Count | Fraction | None = Field(
        default=None, description="held out for testing before validation: a count, or a fraction below 1; null: 0.2"
    )
    scaling: Literal["unit", "none", "standardize"] | Divide = Field(
        default="none", description="none, standardize, unit (by the largest that can be drawn), or {divide: NUMBER}"
    )

    @model_validator(mode="after")
    def _groups_where_there_are_two(self) -> Spec:
        if self.shape in ("xor", "moons") and self.groups != 2:
            raise ValueError(f"{self.shape} has two groups; circles, spiral and gaussians may have {self.groups}")
        if self.n < 2 * self.groups:
            raise ValueError(f"{self.n} points are too few for {self.groups} groups")
        return self

    def whole(self) -> DatasetInfo:
        counts = tuple(len(range(group, self.n, self.groups)) for group in range(self.groups))
        return DatasetInfo(
            input_shape=(len(self.features),),
            task="classification",
            outputs=self.groups,
            train=self.n,
            test=0,
            largest=max(_largest(name, _REACH[self.shape] + 8.6 * self.noise) for name in self.features),
            class_names=tuple(str(group) for group in range(self.groups)),
            train_counts=counts,
            feature_names=self.features,
        )

    def digest(self) -> str:
        drawn = {name: getattr(self, name) for name in ("name", "shape", "n", "groups", "noise", "draw")}
        if self.features != _COORDINATES:
            drawn["features"] = self.features
        return hashlib.sha256(json.dumps({**drawn, "revision": self.revision}, sort_keys=True).encode()).hexdigest()

    def test_share(self) -> int | float:
        return _TEST if self.test is None else self.test

    def official(self, places: Places) -> Official:
        import numpy as np

        from dlx.datasets import _made
        from dlx.sources import Official

        groups = np.arange(self.n, dtype=np.float64) % self.groups
        first, second = _made.uniform(self.draw, f"points/{self.shape}", 2 * self.n).reshape(2, self.n)
        noise = _made.normal(self.draw, f"points/{self.shape}/noise", 2 * self.n).reshape(self.n, 2)
        clean = _SHAPES[self.shape](groups, self.groups, first, second)
        return Official(self.lifted(_made.rounded(clean + self.noise * noise)), groups.astype(np.int32))

    def plane(self) -> Spec:
        return self.model_copy(update={"features": _COORDINATES})

    def lifted(self, points: np.ndarray) -> np.ndarray:
        """The features of points of the plane (n, 2): float32 (n, features)."""
        import numpy as np

        from dlx.datasets import _made

        if self.features == _COORDINATES:
            return points
        x, y = points.astype(np.float64).T
        made = {
            "x": x,
            "y": y,
            "x2": x * x,
            "y2": y * y,
            "xy": x * y,
            "r": np.sqrt(x * x + y * y),
            "sin_x": np.sin(np.pi * x),
            "sin_y": np.sin(np.pi * y),
        }
        return _made.rounded(np.stack([made[name] for name in self.features], axis=1))


def _largest(feature: Feature, reach: float) -> float:
    """The largest value of a feature of points whose coordinates are at most ``reach``."""
    return {"x2": reach**2, "y2": reach**2, "xy": reach**2, "r": 2**0.5 * reach, "sin_x": 1.0, "sin_y": 1.0}.get(
        feature, reach
    )


def _xor(groups: Values, number: int, first: Values, second: Values) -> Values:
    import numpy as np

    # The sign of the one coordinate is drawn with its size, and decides with the class that of the other.
    x = 2.0 * first - 1.0
    side = np.where((x > 0) == (groups == 0), 1.0, -1.0)
    return np.stack([x, side * second], axis=1)


def _circles(groups: Values, number: int, first: Values, second: Values) -> Values:
    return _polar((groups + 1.0) / number, first)


def _spiral(groups: Values, number: int, first: Values, second: Values) -> Values:
    return _polar(first, _TURNS * first + groups / number)


def _gaussians(groups: Values, number: int, first: Values, second: Values) -> Values:
    return _polar(0.7 + 0.0 * first, groups / number)


def _moons(groups: Values, number: int, first: Values, second: Values) -> Values:
    import numpy as np

    arc = _polar(0.6 + 0.0 * first, 0.5 * first)
    centre = np.array([-0.3, -0.15])
    sign = np.where(groups == 0, 1.0, -1.0)[:, None]
    found: Values = sign * (arc + centre)
    return found


def _polar(radius: Values, turns: Values) -> Values:
    import numpy as np

    return np.stack([radius * np.cos(2.0 * np.pi * turns), radius * np.sin(2.0 * np.pi * turns)], axis=1)


_SHAPES = {"xor": _xor, "circles": _circles, "spiral": _spiral, "gaussians": _gaussians, "moons": _moons}
_REACH = {"xor": 1.0, "circles": 1.0, "spiral": 1.0, "gaussians": 0.7, "moons": 0.9}
