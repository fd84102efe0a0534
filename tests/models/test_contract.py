"""One suite for every model: what plain Python says of a network is what Keras builds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlx.errors import FieldError
from dlx.initializers import initial_values
from dlx.members import plain
from dlx.models import ModelSpec, registry
from tests.models.agreement import assert_same

ROOT = Path(__file__).resolve().parents[2]

# Every member as it stands, then settings that take another way through its code.
PLAIN = ["cnn", "lenet5", "mlp"]
CASES: list[tuple[str, dict[str, Any], tuple[int, ...], int]] = [
    *((name, {}, (28, 28, 1), 10) for name in PLAIN),
    *((name, {}, (32, 32, 3), 100) for name in PLAIN),
    ("autoencoder", {"hidden": [20, 5]}, (8, 8, 1), 64),
    ("autoencoder", {"filters": [4], "hidden": [6]}, (8, 8, 2), 128),
    ("alexnet", {"dense": 12}, (63, 64, 3), 10),
    ("alexnet", {"dense": 12, "variant": "grouped", "local_response_normalization": True}, (67, 67, 3), 10),
    ("cifar_resnet", {"depth": 8, "width": 4}, (8, 9, 1), 10),
    ("cifar_resnet", {"depth": 14, "width": 2, "shortcuts": "projection"}, (32, 32, 3), 10),
    ("cifar_resnet", {"depth": 8, "width": 2, "shortcuts": "none"}, (16, 16, 3), 4),
    ("cifar_vgg", {"depth": 11, "width": 2, "dense": [8]}, (32, 33, 3), 10),
    ("cifar_vgg", {"depth": 19, "width": 2, "dense": [], "normalization": "none"}, (32, 32, 1), 10),
    ("squeezenet", {}, (21, 24, 3), 10),
    ("squeezenet", {"version": "1.1"}, (17, 17, 1), 10),
    ("svhn", {"depth": 11, "maps": 6, "dense": 8}, (17, 16, 1), 10),
    ("svhn", {"depth": 1, "maps": 2}, (8, 8, 3), 10),
    ("mlp", {"depth": 0}, (64,), 10),
    ("mlp", {"hidden": [7, 5], "normalization": "batch", "dropout": 0.5, "input_dropout": 0.2}, (8, 8, 1), 1),
    ("mlp", {"depth": 3, "width": 4, "normalization": "layer", "use_bias": False}, (20,), 3),
    ("cnn", {"dense": []}, (8, 8, 1), 10),
    (
        "cnn",
        {"blocks": [{"filters": 4, "pool": "global_average"}], "dense": [], "normalization": "batch"},
        (9, 7, 2),
        4,
    ),
    ("cnn", {"blocks": [], "dense": [5], "normalization": "layer", "dropout": 0.3}, (5, 5, 1), 2),
    ("mlp", {"depth": 3, "parameters": 25_000, "normalization": "batch"}, (28, 28, 1), 10),
    ("cnn", {"parameters": 25_000}, (28, 28, 1), 10),
    ("cnn", {"blocks": [{"filters": 4}, {"filters": 4}, {"filters": 4, "skip": 2}]}, (8, 8, 1), 10),
    (
        "cnn",
        {
            "blocks": [
                {"filters": 3, "skip": 1},
                {"filters": 6, "stride": 2, "pool": "max"},
                {"filters": 6, "skip": 3, "normalization": "layer"},
                {"filters": 6, "skip": 1},
            ],
            "normalization": "batch",
        },
        (9, 7, 2),
        4,
    ),
    ("lenet5", {"variant": "original"}, (28, 28, 1), 10),
    ("lenet5", {"variant": "original"}, (32, 32, 1), 7),
    ("lenet5", {"pooling": "average", "activation": "tanh"}, (12, 15, 2), 10),
]


def identify(case: Any) -> str:
    return "-".join(str(part) for part in case if part != {}).replace(" ", "")


@pytest.fixture(params=CASES, ids=map(identify, CASES))
def case(request: pytest.FixtureRequest) -> tuple[ModelSpec, tuple[int, ...], int]:
    name, fields, shape, outputs = request.param
    return registry.get(name)(**fields), shape, outputs


def test_counts_are_those_of_the_built_model(case: Any) -> None:
    assert_same(*case)


def test_forward_is_finite_and_the_last_layer_linear(case: Any, images: Any, generator_for: Any) -> None:
    spec, shape, outputs = case
    model = spec.build(shape, outputs)
    for variable, value in initial_values(model, generator_for).items():
        next(weight for weight in model.weights if weight.path == variable).assign(value)
    logits = np.asarray(model(images(5, *shape)))
    assert logits.shape == (5, outputs)
    assert np.isfinite(logits).all()
    assert getattr(model.layers[-1], "activation", keras.activations.linear) is keras.activations.linear


def test_every_weight_gets_a_value_that_depends_on_its_name_alone(case: Any, generator_for: Any) -> None:
    model = case[0].build(*case[1:])
    values = initial_values(model, generator_for)
    assert {path: value.shape for path, value in values.items()} == {w.path: tuple(w.shape) for w in model.weights}
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in values.values())
    again = initial_values(case[0].build(*case[1:]), generator_for)
    assert all((values[path] == again[path]).all() for path in values)


def test_saved_models_load(case: Any, images: Any, tmp_path: Path) -> None:
    spec, shape, outputs = case
    model = spec.build(shape, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(images(2, *shape)), model(images(2, *shape)), rtol=1e-6)


def test_settings_survive_being_written(case: Any) -> None:
    spec = case[0]
    assert type(spec).model_validate(json.loads(json.dumps(plain(spec)))) == spec


def test_every_field_says_what_it_means() -> None:
    for name in registry.names():
        spec = registry.get(name)
        assert spec.summary
        assert spec.source
        unexplained = [key for key, field in spec.model_fields.items() if not field.description and key != "name"]
        assert unexplained == []


sizes = st.integers(1, 4)
activations = st.sampled_from(["relu", "tanh", "softsign", "scaled_tanh"])
normalizations = st.sampled_from(["none", "batch", "layer"])
mlps = st.fixed_dictionaries(
    {},
    optional={
        "hidden": st.lists(st.integers(1, 9), max_size=3),
        "activation": activations,
        "normalization": normalizations,
        "dropout": st.sampled_from([0.0, 0.5]),
        "use_bias": st.booleans(),
    },
)
convolutions = st.fixed_dictionaries(
    {"filters": st.integers(1, 5)},
    optional={
        "kernel": sizes | st.tuples(sizes, sizes),
        "stride": sizes | st.tuples(sizes, sizes),
        "padding": st.sampled_from(["same", "valid"]),
        "activation": activations,
        "normalization": normalizations,
        "dropout": st.sampled_from([0.0, 0.5]),
        "skip": st.integers(1, 3),
    },
)
pools = st.fixed_dictionaries(
    {"type": st.sampled_from(["max", "average"])},
    optional={
        "size": sizes | st.tuples(sizes, sizes),
        "stride": sizes | st.tuples(sizes, sizes),
        "padding": st.sampled_from(["same", "valid"]),
    },
) | st.just({"type": "global_average"})
blocks = convolutions | st.builds(lambda block, pool: {**block, "pool": pool}, convolutions | st.just({}), pools)
cnns = st.fixed_dictionaries({"blocks": st.lists(blocks, max_size=3)}, optional={"dense": st.lists(sizes, max_size=2)})

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few
@given(mlps, st.lists(st.integers(1, 5), min_size=1, max_size=3), sizes)
def test_random_mlps(fields: dict[str, Any], shape: list[int], outputs: int) -> None:
    assert_same(registry.get("mlp")(**fields), tuple(shape), outputs)


@few
@given(cnns, st.tuples(st.integers(1, 14), st.integers(1, 14), st.integers(1, 3)), sizes)
def test_random_cnns(fields: dict[str, Any], shape: tuple[int, int, int], outputs: int) -> None:
    spec = registry.get("cnn")(**fields)
    try:
        spec.network(shape, outputs)
    except FieldError as error:
        assert error.path[0] == "blocks"
        return
    assert_same(spec, shape, outputs)


def run(code: str, **environment: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_networks_need_no_backend() -> None:
    code = """
import sys
from dlx.models import registry
for name in registry.names():
    registry.get(name)().network((224, 224, 3), 10).rows()
print(*sorted({"keras", "tensorflow", "jax", "numpy"} & set(sys.modules)))
"""
    assert run(code).split() == []


SMALL = ["cnn", "lenet5", "mlp"]
DEEP = ["googlenet", "inception_v3", "resnet", "vgg", "xception"]
"""Of keras.applications: many layers of the few kinds that ``application`` and ``mobilenet`` have too."""
LARGE = sorted(set(registry.names()) - {*SMALL, *DEEP})
OUTPUTS = """
import keras, numpy as np
from functools import partial
from dlx.initializers import initial_values
from dlx.models import registry
from dlx.randomness import generator
outputs = [keras.backend.backend()]
settings = {
    "application": [{"net": "MobileNetV3Small"}],
    "autoencoder": [{"hidden": [20, 5]}],
    "alexnet": [{"dense": 12, "variant": "grouped", "local_response_normalization": True}],
    "cifar_resnet": [{"depth": 8}],
    "cifar_vgg": [{"width": 4}],
    "lenet5": [{}, {"variant": "original"}],
    "mobilenet": [{}],
    "squeezenet": [{}],
    "svhn": [{"maps": 6, "dense": 8}],
}
sizes = {"alexnet": 67, "application": 32, "cifar_vgg": 32, "mobilenet": 32}
colours = ("application",)
for name in names:
    for fields in settings.get(name, [{"normalization": "batch"}]):
        size = sizes.get(name, 28)
        shape = size, size, 3 if name in colours else 1
        inputs = np.random.default_rng(0).random((2, *shape), dtype="float32")
        model = registry.get(name)(**fields).build(shape, 10)
        values = initial_values(model, partial(generator, 0))
        for weight in model.weights:
            weight.assign(values[weight.path])
        outputs.append(model.predict(inputs, verbose=0).tolist())
"""


@pytest.mark.parametrize("names", [SMALL, pytest.param(LARGE, marks=pytest.mark.slow)], ids=["small", "large"])
def test_every_backend_gives_the_same_outputs(names: list[str]) -> None:
    code = f"names = {names}\n{OUTPUTS}"
    here: dict[str, Any] = {}
    exec(code, here)
    other = {"tensorflow": "jax", "jax": "tensorflow"}[here["outputs"][0]]
    there = json.loads(run(f"{code}\nimport json; print(json.dumps(outputs))", KERAS_BACKEND=other).splitlines()[-1])
    assert there[0] == other
    assert len(there) == 1 + len(names) + names.count("lenet5")
    for one, two in zip(here["outputs"][1:], there[1:], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
