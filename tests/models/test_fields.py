"""The settings of mlp and cnn: defaults, what contradicts, and where errors point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from dlx.errors import FieldError
from dlx.initializers import initial_values
from dlx.members import canonical, plain
from dlx.models import cnn, mlp


def units(spec: mlp.Spec) -> list[int]:
    return [row.output_shape[0] for row in spec.network((4,), 2).rows() if row.type == "Dense"]


def test_mlp_by_depth_and_width_or_by_hidden() -> None:
    assert units(mlp.Spec()) == [30, 2]
    assert units(mlp.Spec(depth=3, width=7)) == [7, 7, 7, 2]
    assert units(mlp.Spec(hidden=[5, 6])) == [5, 6, 2]
    assert units(mlp.Spec(depth=0)) == units(mlp.Spec(hidden=[])) == [2]


@pytest.mark.parametrize("given", [{"depth": 2}, {"width": 3}, {"depth": 1, "width": 30}])
def test_mlp_refuses_hidden_with_depth_or_width(given: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="hidden and .*" + " and ".join(given)):
        mlp.Spec(hidden=[3], **given)
    with pytest.raises(ValidationError, match="give hidden, or depth and width"):
        mlp.Spec(**dict.fromkeys(given))


def test_mlp_default_depth_written_out_is_the_same_setting() -> None:
    assert canonical(mlp.Spec(depth=1, width=30)) == canonical(mlp.Spec()) == {"revision": 1, "name": "mlp"}
    assert mlp.Spec.model_validate(plain(mlp.Spec(hidden=[3, 4]))) == mlp.Spec(hidden=[3, 4])


def test_order_of_what_follows_a_layer() -> None:
    names = [
        row.name for row in mlp.Spec(normalization="batch", dropout=0.1, input_dropout=0.2).network((2, 2), 1).rows()
    ]
    after = ["dense_1_normalization", "dense_1_activation", "dense_1_dropout"]
    assert names == ["flatten", "input_dropout", "dense_1", *after, "output"]
    block = {"filters": 2, "normalization": "layer", "pool": "max", "dropout": 0.5}
    names = [row.name for row in cnn.Spec(blocks=[block], dense=[]).network((4, 4, 1), 1).rows()]
    assert names == ["conv_1", "conv_1_normalization", "conv_1_activation", "pool_1", "dropout_1", "flatten", "output"]


def test_a_blocks_settings_come_before_the_models() -> None:
    spec = cnn.Spec(
        activation="tanh",
        normalization="batch",
        blocks=[{"filters": 1}, {"filters": 1, "activation": "elu", "normalization": "none"}],
    )
    rows = spec.network((4, 4, 1), 1).nodes
    functions = {node.layer.name: getattr(node.layer, "function", None) for node in rows}
    assert functions["conv_1_activation"] == functions["dense_1_activation"] == "tanh"
    assert functions["conv_2_activation"] == "elu"
    assert "conv_1_normalization" in functions
    assert "conv_2_normalization" not in functions


def test_default_cnn_suits_small_and_large_images() -> None:
    for shape in ((8, 8, 1), (28, 28, 1), (32, 32, 3)):
        cnn.Spec().check(shape, 10)


@pytest.mark.parametrize(
    ("blocks", "path", "says"),
    [
        ([{"filters": 1}, {"pool": {"type": "max", "size": 9}}], ("blocks", 1, "pool"), "nothing is left.*9x9.*8x8"),
        ([{"filters": 1, "pool": "max"}] * 4, ("blocks", 3, "pool"), "nothing is left.*2x2.*1x1"),
        ([{"filters": 1, "kernel": [3, 9], "padding": "valid"}], ("blocks", 0, "kernel"), "nothing is left.*3x9"),
        ([{"pool": "global_average"}, {"filters": 1}], ("blocks", 1), "global_average"),
    ],
)
def test_impossible_shapes(blocks: Any, path: Any, says: str) -> None:
    with pytest.raises(FieldError, match=says) as caught:
        cnn.Spec(blocks=blocks).check((8, 8, 1), 10)
    assert caught.value.path == path


def test_cnn_needs_images() -> None:
    with pytest.raises(FieldError, match="images") as caught:
        cnn.Spec().check((64,), 10)
    assert caught.value.path == ()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"blocks": [{}]}, "filters, a pool or both"),
        ({"blocks": [{"kernel": 3, "activation": "relu", "pool": "max"}]}, "activation without filters"),
        ({"blocks": [{"pool": {"type": "global_average", "size": 2}}]}, "no size"),
        ({"blocks": [{"pool": {"type": "global_average", "padding": "same"}}]}, "no padding"),
        ({"blocks": [{"pool": {"size": 2}}]}, "type"),
        ({"blocks": [{"pool": "mean"}]}, "unknown pooling 'mean'"),
        ({"blocks": [{"filters": 0}]}, "greater than or equal to 1"),
        ({"blocks": [{"filters": 1, "kernel": [3, 3, 3]}]}, "at most 2"),
        ({"blocks": [{"filters": 2, "kernal": 3}]}, "kernal"),
        ({"dense": [0]}, "greater than or equal to 1"),
        ({"dropout": 1.0}, "less than 1"),
        ({"activation": "rellu"}, "activation"),
    ],
)
def test_impossible_settings(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        cnn.Spec(**fields)


def test_explicit_weights_of_the_worked_example(generator_for: Any) -> None:
    """FACTS: two inputs, two hidden, one output, all linear, no biases; forward 0.85, 0.48 → 0.191."""
    spec = mlp.Spec(
        hidden=[2],
        activation="linear",
        use_bias=False,
        initial_weights=[{"kernel": [[0.11, 0.12], [0.21, 0.08]]}, {"kernel": [[0.14], [0.15]]}],
    )
    explicit = spec.initial_weights_by_variable((2,), 1)
    assert list(explicit) == [("dense_1", "kernel"), ("output", "kernel")]
    model = spec.build((2,), 1)
    for path, value in initial_values(model, generator_for, explicit).items():
        next(weight for weight in model.weights if weight.path == path).assign(value)
    assert np.asarray(model(np.array([[2.0, 3.0]]))).item() == pytest.approx(0.191)


def test_convolution_by_hand(generator_for: Any) -> None:
    """FACTS: 5×5 image, 3×3 kernel → 4 3 4 / 2 4 3 / 2 3 4."""
    image = [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]]
    kernel = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]).reshape(3, 3, 1, 1).tolist()
    spec = cnn.Spec(
        blocks=[{"filters": 1, "padding": "valid", "activation": "linear"}],
        dense=[],
        initial_weights=[{"kernel": kernel}, {"kernel": np.eye(9).tolist()}],
    )
    explicit = spec.initial_weights_by_variable((5, 5, 1), 9)
    model = spec.build((5, 5, 1), 9)
    for path, value in initial_values(model, generator_for, explicit).items():
        next(weight for weight in model.weights if weight.path == path).assign(value)
    outputs = np.asarray(model(np.array(image, "float32").reshape(1, 5, 5, 1)))
    assert outputs.reshape(3, 3).tolist() == [[4, 3, 4], [2, 4, 3], [2, 3, 4]]


GOOD = {"kernel": [[1, 2], [3, 4]], "bias": [0, 0]}


@pytest.mark.parametrize(
    ("weights", "path", "says"),
    [
        ([GOOD], (), "1 entries for 2 layers: dense_1, output"),
        ([{"kernel": [[1, 2]]}, None], (0, "kernel"), "has 1 entries, needed 2 of shape 2x2"),
        ([{"kernel": [[1, 2], [3]]}, None], (0, "kernel", 1), "has 1 entries, needed 2"),
        ([None, {"bias": [1]}], (1, "bias"), "has 1 entries"),
        ([{"kernel": [1, 2]}, None], (0, "kernel", 0), "must be a list of shape 2"),
        ([{"bias": [1, "x"]}, None], (0, "bias", 1), "finite number, not 'x'"),
        ([{"bias": [1, float("nan")]}, None], (0, "bias", 1), "finite number"),
        ([{"bias": [1, True]}, None], (0, "bias", 1), "finite number"),
        ([{"bias": [1, [2]]}, None], (0, "bias", 1), "finite number"),
    ],
)
def test_explicit_weights_that_do_not_fit(weights: Any, path: Any, says: str) -> None:
    spec = mlp.Spec(hidden=[2], initial_weights=weights)
    with pytest.raises(FieldError, match=says) as caught:
        spec.check((2,), 2)
    assert caught.value.path == ("initial_weights", *path)


def test_explicit_weights_of_a_missing_bias() -> None:
    spec = mlp.Spec(hidden=[2], use_bias=False, initial_weights=[GOOD, None])
    with pytest.raises(FieldError, match="'dense_1' has no bias") as caught:
        spec.check((2,), 2)
    assert caught.value.path == ("initial_weights", 0, "bias")


def test_unknown_keys_of_explicit_weights() -> None:
    with pytest.raises(ValidationError, match="kernal"):
        mlp.Spec(initial_weights=[{"kernal": [1]}])
