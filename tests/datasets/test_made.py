"""Data that are drawn: where points lie, what functions are, and that both are the same on every machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dlx.datasets import Places, _made, registry
from dlx.errors import FieldError

NOWHERE = Places(download=False)
Points, Function = registry.get("points"), registry.get("function")
SHAPES = ("xor", "circles", "spiral", "gaussians", "moons")
FUNCTIONS = Function.model_fields["function"].annotation.__args__


def all_of(spec: Any) -> tuple[np.ndarray, np.ndarray]:
    official = spec.official(NOWHERE)
    return official.train_inputs, official.train_targets


# The digests of what is drawn: another one on another machine or with another NumPy is a defect.
GOLDEN = {
    "xor": "340b82b00dbe",
    "circles": "045ecd55f1eb",
    "spiral": "3a227d8d7bb3",
    "gaussians": "0b408e2fe7d8",
    "moons": "e26d76d15e79",
    "sine": "c2f2e4b3125a",
    "parabola": "eb649b3cc9e8",
    "cubic": "d0833c7a7047",
    "absolute": "a8925eaa8919",
    "step": "43ba8bfe9239",
    "sinc": "25f6d9841126",
    "bump": "41136dc83ded",
    "runge": "5c5fd7bb8e29",
    "sawtooth": "626043e14d9b",
    "chirp": "db50f2209d23",
    "linear": "b792418c66da",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_same_on_every_machine(name: str) -> None:
    if name in SHAPES:
        spec = Points(shape=name, groups=2 if name in ("xor", "moons") else 3)
    else:
        spec = Function(function=name)
    assert spec.official(NOWHERE).digest()[:12] == GOLDEN[name]


def test_every_kind_has_a_golden_digest() -> None:
    assert set(GOLDEN) == {*SHAPES, *FUNCTIONS}


@pytest.mark.parametrize("shape", SHAPES)
def test_points_without_noise_lie_where_they_should(shape: str) -> None:
    groups = 2 if shape in ("xor", "moons") else 5
    points, labels = all_of(Points(shape=shape, groups=groups, noise=0.0, n=1003))
    assert np.array_equal(np.bincount(labels), Points(shape=shape, groups=groups, n=1003).whole().train_counts)
    x, y = points.astype(float).T
    radius, turns = np.hypot(x, y), np.arctan2(y, x) / (2 * math.pi)
    if shape == "xor":
        assert np.array_equal(labels, (x > 0) != (y > 0))
        quadrants = np.bincount(2 * (x > 0) + (y > 0))
        assert quadrants.min() > 200
    elif shape == "circles":
        assert np.allclose(radius, (labels + 1) / groups, atol=1e-5)
        assert np.histogram(turns, 4, (-0.5, 0.5))[0].min() > 200
    elif shape == "spiral":
        behind = (radius + labels / groups - turns + 0.5) % 1 - 0.5  # in whole turns
        assert np.abs(behind[radius > 0.01]).max() < 1e-4
    elif shape == "gaussians":
        assert np.allclose(radius, 0.7, atol=1e-5)
        assert len(np.unique(points, axis=0)) == groups
    else:
        centre = np.where(labels == 0, -1, 1)[:, None] * [0.3, 0.15]
        from_centre = points - centre
        assert np.allclose(np.hypot(*from_centre.T), 0.6, atol=1e-5)
        assert (np.where(labels == 0, 1, -1) * from_centre[:, 1] > -1e-5).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_noise_is_normal_and_of_its_size(shape: str) -> None:
    clean, _ = all_of(Points(shape=shape, noise=0.0, n=20_000))
    noisy, _ = all_of(Points(shape=shape, noise=0.2, n=20_000))
    added = (noisy.astype(float) - clean) / 0.2
    assert abs(added.mean()) < 4 / math.sqrt(added.size)
    assert abs(added.std() - 1) < 4 / math.sqrt(2 * added.size)
    inside = (np.abs(added) < 1).mean()
    assert abs(inside - math.erf(1 / math.sqrt(2))) < 4 * math.sqrt(0.25 / added.size)
    assert np.abs(noisy).max() <= Points(shape=shape, noise=0.2).whole().largest


def test_functions_without_noise() -> None:
    by_hand = {
        "sine": lambda x: math.sin(2 * math.pi * x),
        "parabola": lambda x: x * x,
        "cubic": lambda x: math.cos(3 * math.acos(x)),
        "absolute": abs,
        "step": lambda x: 1.0 if x > 0 else 0.0,
        "sinc": lambda x: math.sin(10 * x) / (10 * x) if x else 1.0,
        "bump": lambda x: math.exp(-25 * x * x),
        "runge": lambda x: 1 / (1 + 25 * x * x),
        "sawtooth": lambda x: math.fmod(3 * x + 30, 1.0),
        "chirp": lambda x: math.sin(10 * math.pi * x * x),
        "linear": lambda x: x,
    }
    for name in FUNCTIONS:
        x, y = all_of(Function(function=name, noise=0.0, n=500))
        assert x.dtype == y.dtype == np.float32
        assert x.shape == y.shape == (500, 1)
        assert x.min() < -0.9 < 0.9 < x.max()
        # x was rounded to 2⁻²⁰ after f was taken: |f'| is at most 32 here
        expected = [by_hand[name](float(value)) for value in x[:, 0]]
        assert np.allclose(y[:, 0], expected, atol=4e-5), name


def test_the_range_and_the_noise_of_a_function() -> None:
    x, clean = all_of(Function(function="parabola", low=2.0, high=5.0, noise=0.0, n=5000))
    _, noisy = all_of(Function(function="parabola", low=2.0, high=5.0, noise=0.5, n=5000))
    assert 2.0 <= x.min() < 2.01 < 4.99 < x.max() <= 5.0
    assert abs((noisy - clean).std() - 0.5) < 4 * 0.5 / math.sqrt(10_000)
    assert Function(low=-3.0, high=2.0).whole().largest == 3.0


def test_a_draw_is_a_pure_function_of_the_settings() -> None:
    first, again = all_of(Points(draw=1)), all_of(Points(draw=1))
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], all_of(Points(draw=2))[0])
    specs = [Points(), Points(draw=1), Points(noise=0.2), Points(n=999), Points(shape="moons"), Points(shape="circles")]
    assert len({spec.digest() for spec in specs}) == len(specs)
    assert Points().digest() == Points(validation=0.5, scaling="standardize", test=10).digest()
    others = [Function(), Function(function="step"), Function(low=0.0), Function(n=100), Function(draw=5)]
    assert len({spec.digest() for spec in others}) == len(others)


def test_uniform_numbers_fill_the_interval() -> None:
    values = _made.uniform(3, "a", 100_000)
    assert 0 < values.min() < 1e-3 < 1 - 1e-3 < values.max() <= 1
    assert np.abs(np.histogram(values, 10, (0, 1))[0] / 10_000 - 1).max() < 0.05


def test_parts() -> None:
    assert Points(n=1000).sizes() == {"train": 720, "validation": 80, "test": 200}
    splits = Points(n=100, test=0.4, validation=10).load(NOWHERE)
    assert np.bincount(splits.test.arrays[1]).tolist() == [20, 20]
    assert Function().sizes() == {"train": 144, "validation": 16, "test": 40}
    assert Points(groups=5, shape="spiral", classes=[4, 0]).info().train == round(1000 * 2 / 5 * 0.8)


@pytest.mark.parametrize(
    ("member", "settings", "says"),
    [
        (Points, {"shape": "xor", "groups": 3}, "xor has two groups"),
        (Points, {"shape": "spiral", "groups": 4, "n": 7}, "too few for 4 groups"),
        (Points, {"groups": 1}, "greater than or equal to 2"),
        (Points, {"noise": -1.0}, "greater than or equal to 0"),
        (Points, {"shape": "square"}, "Input should be 'xor'"),
        (Function, {"low": 1.0, "high": 1.0}, "low must be below high"),
        (Function, {"function": "step", "low": 1.0, "high": 2.0, "noise": 0.0}, "nothing to learn"),
        (Function, {"function": "sin"}, "Input should be 'sine'"),
    ],
)
def test_impossible_settings(member: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        member(**settings)


def test_classes_are_for_classification() -> None:
    with pytest.raises(FieldError, match="this is a regression") as caught:
        Function(classes=[0, 1]).sizes()
    assert caught.value.path == ("classes",)


def test_features_are_functions_of_the_coordinates() -> None:
    names = ["x", "y", "x2", "y2", "xy", "r", "sin_x", "sin_y"]
    plain, labels = all_of(Points(shape="spiral", n=50))
    made, same = all_of(Points(shape="spiral", n=50, features=names))
    assert np.array_equal(labels, same)
    for (x, y), row in zip(plain.tolist(), made.tolist(), strict=True):
        expected = [x, y, x**2, y**2, x * y, math.hypot(x, y), math.sin(math.pi * x), math.sin(math.pi * y)]
        assert row == pytest.approx(expected, abs=2**-20)
    info = Points(features=["r"], shape="circles").info()
    assert (info.input_shape, info.feature_names) == ((1,), ("r",))
    assert (
        all_of(Points(features=["r"], shape="circles", noise=3.0))[0].max()
        <= Points(features=["r"], shape="circles", noise=3.0).whole().largest
    )


def test_features_are_in_the_digest_where_they_are_not_the_coordinates() -> None:
    assert Points().digest() == Points(features=["x", "y"]).digest() != Points(features=["y", "x"]).digest()
    with pytest.raises(ValidationError, match="features"):
        Points(features=["z"])
    with pytest.raises(ValidationError, match="features"):
        Points(features=[])
