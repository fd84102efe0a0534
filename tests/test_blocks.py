"""Which layers of deep nets are shown together."""

from __future__ import annotations

import math

import pytest

from dlx.blocks import Together, block_of, grouped, within
from dlx.models import registry


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("stage_2_block_3_conv_1", "stage_2/block_3"),
        ("stage_2_block_3_add", "stage_2/block_3"),
        ("stage_4_conv_2_normalization", "stage_4"),
        ("conv4_block23_2_conv", "conv4/block23"),
        ("convnext_tiny_stage_2_block_5_depthwise_conv", "stage_2/block_5"),
        ("fire_5_expand_1x1", "fire_5"),
        ("inception_4c_3x3_reduce", "inception_4/c"),
        ("block2_conv1", "block2"),
        ("block6d_expand_conv", "block6/d"),
        ("block_13_project", "block_13"),
        ("conv_dw_7", "conv/7"),
        ("conv_1", ""),
        ("conv1_conv", ""),
        ("dense_12", ""),
        ("output", ""),
    ],
)
def test_a_layer_says_where_it_stands(name: str, block: str) -> None:
    assert block_of(name) == block


def test_a_block_is_within_itself_and_its_stage() -> None:
    name = "stage_1_block_10_conv_1"
    assert within(name, "stage_1") and within(name, "stage_1/block_10")
    assert not within(name, "stage_1/block_1") and not within(name, "stage_10") and not within("output", "")


def names(depth: int) -> list[str]:
    model = registry.get("cifar_resnet")(name="cifar_resnet", depth=depth)
    return [node.layer.name for node in model.network((32, 32, 3), 10).kernel_layers() if node.layer]


def test_layers_are_grouped_as_finely_as_there_is_room() -> None:
    assert [group.name for group in grouped(names(20), 20)] == names(20)
    assert len(grouped(names(20), 16)) == 2 + 3 * 3
    deep = grouped(names(110), 16)
    assert [group.name for group in deep] == ["conv_1", "stage_1", "stage_2", "stage_3", "output"]
    assert [len(group.positions) for group in deep] == [1, 36, 36, 36, 1]
    assert [position for group in deep for position in group.positions] == list(range(110))


def test_layers_in_no_block_stay_by_themselves() -> None:
    dense = [f"dense_{number}" for number in range(1, 40)]
    assert [group.name for group in grouped(dense, 10)] == dense


def test_the_mean_of_a_group() -> None:
    values = [1.0, 1e-4, 1e-2, 0.0, math.nan, math.inf]
    assert Together("", (0, 1, 2)).mean(values) == pytest.approx(1e-2)
    assert Together("", (0, 3)).mean(values) == 0.0
    assert math.isnan(Together("", (0, 3, 4)).mean(values))
    assert Together("", (1, 5)).mean(values) == math.inf
