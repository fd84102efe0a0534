"""The nets of the papers: counts as published, to the unit; sizes they refuse; a gradient in every layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dlx.errors import FieldError
from dlx.models import registry
from dlx.network import Network

IMAGENET, CIFAR = (224, 224, 3), (32, 32, 3)
# Net, settings, input, parameters (trainable ones), multiply-adds: the tables of the papers and of torchvision.
COUNTS: list[tuple[str, dict[str, Any], tuple[int, int, int], int, int, int]] = [
    ("alexnet", {}, IMAGENET, 1000, 61_100_840, 714_188_480),
    ("alexnet", {"variant": "grouped"}, (227, 227, 3), 1000, 60_965_224, 724_406_816),
    ("squeezenet", {}, IMAGENET, 1000, 1_248_424, 818_924_576),
    ("squeezenet", {"version": "1.1"}, IMAGENET, 1000, 1_235_496, 349_151_936),
    ("cifar_resnet", {"depth": 20}, CIFAR, 10, 269_722, 40_551_040),
    ("cifar_resnet", {"depth": 32}, CIFAR, 10, 464_154, 68_862_592),
    ("cifar_resnet", {"depth": 44}, CIFAR, 10, 658_586, 97_174_144),
    ("cifar_resnet", {"depth": 56}, CIFAR, 10, 853_018, 125_485_696),
    ("cifar_resnet", {"depth": 110}, CIFAR, 10, 1_727_962, 252_887_680),
]


def network(name: str, shape: tuple[int, int, int], outputs: int, **settings: Any) -> Network:
    return registry.get(name)(**settings).network(shape, outputs)


@pytest.mark.parametrize(("name", "settings", "shape", "outputs", "parameters", "multiply_adds"), COUNTS)
def test_counts_are_the_published_ones(
    name: str, settings: dict[str, Any], shape: tuple[int, int, int], outputs: int, parameters: int, multiply_adds: int
) -> None:
    found = network(name, shape, outputs, **settings)
    assert found.trainable_parameters == parameters
    assert found.multiply_adds == multiply_adds


def test_a_plain_net_has_the_weights_of_its_residual_twin() -> None:
    plain, residual = (network("cifar_resnet", CIFAR, 10, shortcuts=kind) for kind in ("none", "identity"))
    assert plain.trainable_parameters == residual.trainable_parameters
    assert plain.multiply_adds == residual.multiply_adds


@pytest.mark.parametrize(
    ("name", "settings", "smallest"),
    [
        ("alexnet", {}, 63),
        ("alexnet", {"variant": "grouped"}, 67),
        ("squeezenet", {}, 21),
        ("squeezenet", {"version": "1.1"}, 17),
        ("cifar_resnet", {}, 8),
        ("cifar_vgg", {}, 32),
        ("svhn", {}, 8),
    ],
)
def test_the_smallest_image_is_the_smallest(name: str, settings: dict[str, Any], smallest: int) -> None:
    network(name, (smallest, smallest, 3), 10, **settings)
    with pytest.raises(FieldError, match=f"needs images of at least {smallest}x{smallest}"):
        network(name, (smallest, smallest - 1, 3), 10, **settings)
    with pytest.raises(FieldError, match="needs images"):
        network(name, (64,), 10, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("depth", [7, 19, 21, 2])
def test_a_depth_that_is_not_6n_plus_2(depth: int) -> None:
    with pytest.raises(ValueError, match="6n"):
        registry.get("cifar_resnet")(depth=depth)


SMALL: list[tuple[str, dict[str, Any], tuple[int, int, int]]] = [
    ("alexnet", {"dense": 16}, (63, 63, 3)),
    ("alexnet", {"dense": 16, "variant": "grouped", "local_response_normalization": True}, (67, 67, 3)),
    ("squeezenet", {}, (35, 35, 3)),
    ("cifar_resnet", {"depth": 20}, (16, 16, 3)),
    ("cifar_resnet", {"depth": 14, "shortcuts": "projection"}, (16, 16, 3)),
    ("cifar_vgg", {"width": 4}, (32, 32, 3)),
    ("svhn", {"maps": 6, "dense": 16}, (16, 16, 3)),
    ("svhn", {"depth": 2, "maps": 6, "dense": 16}, (16, 16, 3)),
]


@pytest.mark.parametrize(("name", "settings", "shape"), SMALL)
def test_every_weight_has_a_finite_gradient(name: str, settings: dict[str, Any], shape: tuple[int, int, int]) -> None:
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    model = registry.get(name)(**settings).build(shape, 10)
    rng = np.random.default_rng(0)
    inputs, labels = rng.random((8, *shape), dtype=np.float32), rng.integers(0, 10, 8)
    with tf.GradientTape() as tape:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, model(inputs, training=True))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        norm = float(tf.norm(gradient))
        assert np.isfinite(norm), variable.path
        # Biases in front of a normalisation have none but rounding; every kernel has one.
        assert norm > 0 or not variable.path.endswith("kernel"), variable.path


def test_the_depth_of_a_net_for_house_numbers() -> None:
    for depth in range(1, 12):
        layers = [node.layer for node in network("svhn", CIFAR, 10, depth=depth).kernel_layers() if node.layer]
        assert len(layers) == depth + 1  # and the outputs
    # Section 5.1: eight convolutions, one layer that shares no weights, two dense ones, 48, 64, 128, 160, 192, … maps.
    assert [layer.name for layer in layers] == [
        *(f"conv_{number}" for number in range(1, 9)), "local", "dense_1", "dense_2", "output"
    ]  # fmt: skip
    found = network("svhn", (54, 54, 3), 10)
    shapes = {row.name: row.output_shape for row in found.rows()}
    maps = [shapes["conv_1_maxout"][-1], *(shapes[f"conv_{number}"][-1] for number in range(2, 9)), shapes["local"][-1]]
    assert maps == [48, 64, 128, 160, 192, 192, 192, 192, 192]
    assert [shapes[f"conv_{number}_pool"][0] for number in range(1, 9)] == [27, 27, 14, 14, 7, 7, 4, 4]
    assert shapes["dense_2"] == (3072,)


# The layers that only they have, in NumPy


def test_a_locally_connected_layer_has_a_kernel_at_every_position() -> None:
    from dlx.keras_layers.images import LocallyConnected2D

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(2, 4, 3, 2)).astype(np.float32)
    layer = LocallyConnected2D(5, (3, 3))
    layer.build(inputs.shape)
    layer.bias.assign(rng.normal(size=layer.bias.shape))
    kernel, padded = np.asarray(layer.kernel), np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = np.empty((2, 4, 3, 5), np.float32)
    for row in range(4):
        for column in range(3):
            window = padded[:, row : row + 3, column : column + 3].reshape(2, -1)
            expected[:, row, column] = window @ kernel[row, column] + np.asarray(layer.bias)[row, column]
    np.testing.assert_allclose(np.asarray(layer(inputs)), expected, rtol=1e-4, atol=1e-5)


def test_maxout_takes_the_largest_of_neighbouring_maps() -> None:
    from dlx.keras_layers.images import Maxout

    maps = np.random.default_rng(0).normal(size=(2, 3, 3, 6)).astype(np.float32)
    expected = np.stack([maps[..., 0:3].max(-1), maps[..., 3:6].max(-1)], axis=-1)
    np.testing.assert_array_equal(np.asarray(Maxout(3)(maps)), expected)


def test_subtractive_normalization() -> None:
    from dlx.keras_layers.images import SubtractiveNormalization

    maps = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
    expected = np.empty_like(maps)
    for row in range(4):
        for column in range(5):
            around = maps[:, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            expected[:, row, column] = maps[:, row, column] - around.mean(axis=(1, 2, 3))[:, None]
    np.testing.assert_allclose(np.asarray(SubtractiveNormalization()(maps)), expected, rtol=1e-4, atol=1e-5)


def test_local_response_normalization() -> None:
    from dlx.keras_layers.images import LocalResponseNormalization

    maps = np.random.default_rng(0).normal(size=(2, 3, 3, 7)).astype(np.float32)
    expected = np.empty_like(maps)
    for channel in range(7):
        window = maps[..., max(0, channel - 2) : channel + 3]
        expected[..., channel] = maps[..., channel] / (2 + 1e-1 * (window**2).sum(-1)) ** 0.75
    found = LocalResponseNormalization(5, 2.0, 1e-1, 0.75)(maps)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-5)


def test_each_group_sees_its_own_maps() -> None:
    import keras

    from dlx.keras_layers.images import GroupedConv2D

    inputs = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype(np.float32)
    layer = GroupedConv2D(6, (3, 3), 2, padding="same", bias_initializer="ones")
    found = np.asarray(layer(inputs))
    for group in range(2):
        own = keras.layers.Conv2D(3, 3, padding="same", bias_initializer="ones")
        own.build((2, 6, 6, 2))
        own.kernel.assign(layer.kernel[..., 3 * group : 3 * group + 3])
        expected = np.asarray(own(inputs[..., 2 * group : 2 * group + 2]))
        np.testing.assert_allclose(found[..., 3 * group : 3 * group + 3], expected, rtol=1e-5, atol=1e-6)


def test_an_identity_shortcut_takes_positions_and_adds_zeros() -> None:
    from dlx.keras_layers.images import IdentityShortcut

    inputs = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype(np.float32)
    found = np.asarray(IdentityShortcut(5, (2, 2))(inputs))
    assert found.shape == (2, 3, 2, 5)
    np.testing.assert_array_equal(found[..., :3], inputs[:, ::2, ::2])
    assert not found[..., 3:].any()
