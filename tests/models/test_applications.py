"""The nets of ``keras.applications``: counts to the unit, the net that is built, a gradient in every layer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("DLX_ENGINE", "tensorflow")
os.environ["KERAS_BACKEND"] = os.environ["DLX_ENGINE"]

import keras

from dlx.applications import application, names
from dlx.errors import FieldError
from dlx.initializers import initial_values
from dlx.layers.images import Preprocessing
from dlx.models import registry
from dlx.randomness import generator
from tests.models.agreement import assert_same

# Parameters with moving statistics, and multiply-adds: those of Keras' own documentation, and counted independently.
COUNTS: list[tuple[str, dict[str, Any], int, int, int]] = [
    ("vgg", {"depth": 16}, 224, 138_357_544, 15_470_264_320),
    ("vgg", {"depth": 19}, 224, 143_667_240, 19_632_062_464),
    ("inception_v3", {}, 299, 23_851_784, 5_713_216_096),
    ("resnet", {"depth": 50}, 224, 25_636_712, 3_857_973_248),
    ("resnet", {"depth": 101}, 224, 44_707_176, 7_570_194_432),
    ("resnet", {"depth": 152}, 224, 60_419_944, 11_282_415_616),
    ("mobilenet", {}, 224, 4_253_864, 568_740_352),
    ("xception", {}, 299, 22_910_480, 8_357_403_496),
]
SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
BY_MEMBERS = ("InceptionV3", "MobileNet", "ResNet50", "VGG16", "Xception")
QUICK = ("MobileNetV3Small",)
# Each at the smallest image that it takes; the many others when asked for.
SMALL: list[Any] = [
    pytest.param(("resnet", {"depth": 50}, 32), id="resnet"),
    pytest.param(("vgg", {}, 32), id="vgg"),
    pytest.param(("inception_v3", {}, 75), id="inception_v3"),
    pytest.param(("mobilenet", {}, 32), id="mobilenet"),
    pytest.param(("xception", {}, 71), id="xception"),
    *(
        pytest.param(
            ("application", {"net": name}, SMALLEST.get(name, 32)),
            id=name,
            marks=[] if name in QUICK else [pytest.mark.slow],
        )
        for name in names()
        if name not in BY_MEMBERS
    ),
]


@pytest.mark.parametrize(("name", "settings", "size", "parameters", "multiply_adds"), COUNTS)
def test_counts_are_the_published_ones(
    name: str, settings: dict[str, Any], size: int, parameters: int, multiply_adds: int
) -> None:
    found = registry.get(name)(**settings).network((size, size, 3), 1000)
    assert found.parameters == parameters
    assert found.multiply_adds == multiply_adds


@pytest.fixture(scope="module", params=SMALL)
def net(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One build of each: the settings, the size, and the model with the weights of seed 0."""
    name, settings, size = request.param
    spec = registry.get(name)(**settings)
    model = assert_same(spec, (size, size, 3), 10)
    values = initial_values(model, partial(generator, 0))
    assert {path: value.shape for path, value in values.items()} == {w.path: tuple(w.shape) for w in model.weights}
    for weight in model.weights:
        weight.assign(values[weight.path])
    yield spec, size, model


def gradients_of(model: Any, inputs: Any, labels: Any) -> Sequence[Any]:
    """Those of the mean cross-entropy with respect to every trained weight, in training, on the engine under test."""
    crossed = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if keras.backend.backend() == "jax":
        import jax

        state = [variable.value for variable in model.non_trainable_variables]

        def loss(weights: Any, inputs: Any) -> Any:
            logits, _ = model.stateless_call(weights, state, inputs, training=True)
            return crossed(labels, logits)

        weights = [variable.value for variable in model.trainable_variables]
        found: Sequence[Any] = jax.jit(jax.grad(loss))(weights, inputs)
        return found
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = crossed(labels, model(inputs, training=True))
    taken: Sequence[Any] = tape.gradient(value, [variable.value for variable in model.trainable_variables])
    return taken


def test_every_weight_has_a_finite_gradient(net: Any) -> None:
    _, size, model = net
    rng = np.random.default_rng(0)
    inputs, labels = rng.random((4, size, size, 3), dtype=np.float32), rng.integers(0, 10, 4)
    assert model.output.shape == (None, 10)
    gradients = gradients_of(model, inputs, labels)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert np.isfinite(np.linalg.norm(np.asarray(gradient).ravel())), variable.path


def test_too_small_an_image_is_told_what_enlarges_it(net: Any) -> None:
    spec = net[0]
    smallest = spec.application().smallest
    with pytest.raises(FieldError, match=f"images of at least {smallest}x{smallest}.*dataset.resize: {smallest}"):
        spec.network((smallest, smallest - 1, 3), 10)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow]) for name in names()]
)
def test_the_record_is_what_keras_builds_today(name: str) -> None:
    from dlx.applications.record import record

    fresh = json.loads(json.dumps(record(name)))
    assert {**fresh, "keras": ""} == {**application(name).record, "keras": ""}


def test_every_net_of_keras_is_there() -> None:
    assert list(names()) == sorted(name for name in dir(keras.applications) if name[0].isupper())


def test_borders_follow_the_size_as_they_do_in_keras() -> None:
    keras.utils.clear_session()
    own = keras.applications.MobileNetV2(weights=None, input_shape=(33, 46, 3), classes=10, classifier_activation=None)
    rows = registry.get("application")(net="MobileNetV2").network((33, 46, 3), 10).rows()
    layers = [layer for layer in own.layers if not isinstance(layer, keras.layers.InputLayer)]
    assert [(row.name, row.output_shape) for row in rows] == [
        (layer.name, tuple(layer.output.shape[1:])) for layer in layers
    ]


# As Keras' documentation and its own `count_params` give them.
OTHERS = {
    "ConvNeXtTiny": 28_589_128,
    "ConvNeXtXLarge": 350_196_968,
    "DenseNet121": 8_062_504,
    "EfficientNetB0": 5_330_571,
    "EfficientNetB7": 66_658_687,
    "EfficientNetV2L": 119_027_848,
    "InceptionResNetV2": 55_873_736,
    "MobileNetV2": 3_538_984,
    "MobileNetV3Small": 2_554_968,
    "NASNetLarge": 88_949_818,
    "NASNetMobile": 5_326_716,
    "ResNet152V2": 60_380_648,
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_nets_have_as_many_parameters_as_keras_says(name: str) -> None:
    size = application(name).size
    assert registry.get("application")(net=name).network((size, size, 3), 1000).parameters == OTHERS[name]


def test_an_unknown_net_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'NASNetMobile'"):
        registry.get("application")(net="NASNetMobil")


@pytest.mark.parametrize(
    ("mode", "of_keras"), [("caffe", "vgg16"), ("tf", "xception"), ("torch", "densenet"), ("bytes", "efficientnet")]
)
def test_images_are_brought_to_what_the_weights_were_trained_on(
    mode: Any, of_keras: str, images: Callable[..., Any]
) -> None:
    pixels = images(2, 3, 3, 3)
    expected = getattr(keras.applications, of_keras).preprocess_input(pixels * 255.0)
    found = np.asarray(Preprocessing("preprocessing", mode).build()(pixels))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_layers_before_the_first_trained_one_are_frozen() -> None:
    spec = registry.get("mobilenet")(trainable_from="conv_pw_13")
    network, model = spec.network((32, 32, 3), 10), spec.build((32, 32, 3), 10)
    trained = [layer.name for layer in model.layers if layer.trainable_variables]
    assert trained == ["conv_pw_13", "conv_pw_13_bn", "conv_preds"]
    assert network.trainable_parameters == sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    head = registry.get("mobilenet")(trainable_from="head").network((32, 32, 3), 10)
    assert head.trainable_parameters == 1024 * 10 + 10
    with pytest.raises(FieldError, match="conv_pw_13"):
        registry.get("mobilenet")(trainable_from="conv_pw13").network((32, 32, 3), 10)
