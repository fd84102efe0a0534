"""Which layers of deep nets are shown together."""

from __future__ import annotations

import math

import pytest

from dlx.blocks import Together, block_of, blocks_of, grouped, within
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
        ("block17_20_conv", "block17/20"),
        ("block8_sepconv1", "block8"),
        ("expanded_conv_depthwise", "expanded_conv"),
        ("expanded_conv_10_squeeze_excite_conv_1", "expanded_conv_10"),
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
    block = "stage_1/block_10"
    assert within(block, "stage_1") and within(block, block)
    assert not within(block, "stage_1/block_1") and not within(block, "stage_10") and not within("", "")


MIXED = [f"mixed{number}" for number in range(11)]
RESIDUAL = [f"block{kind}_{number}" for kind, count in ((35, 10), (17, 20), (8, 10)) for number in range(1, count + 1)]


def cells(repeats: int) -> dict[str, str]:
    """What joins the parts of each of NASNet's cells, and the cell."""
    joins = {"reduction_concat_stem_1": "stem/1", "reduction_concat_stem_2": "stem/2"}
    for stage, first in enumerate(range(0, 3 * repeats, repeats)):
        if stage:
            joins[f"reduction_concat_reduce_{first}"] = f"stage_{stage + 1}/reduce_{first}"
        for cell in range(first + bool(stage), first + bool(stage) + repeats):
            joins[f"normal_concat_{cell}"] = f"stage_{stage + 1}/cell_{cell}"
    return joins


JOINS = {
    "NASNetMobile": ("stem_bn1", cells(4)),
    "NASNetLarge": ("stem_bn1", cells(6)),
    "InceptionV3": ("max_pooling2d_1", {name: name for name in MIXED}),
    "InceptionResNetV2": (
        "max_pooling2d_1",
        {
            "mixed_5b": "mixed_5b",
            **{f"{name}_ac": name.replace("_", "/") for name in RESIDUAL[:10]},
            "mixed_6a": "mixed_6a",
            **{f"{name}_ac": name.replace("_", "/") for name in RESIDUAL[10:30]},
            "mixed_7a": "mixed_7a",
            **{f"{name}_ac": name.replace("_", "/") for name in RESIDUAL[30:39]},
            "block8_10_conv": "block8/10",
        },
    ),
}


@pytest.mark.parametrize("net", JOINS)
def test_convolutions_without_words_stand_where_the_graph_has_them(net: str) -> None:
    """A second route: what a module's output depends on, and the one before does not."""
    side = 224 if net == "NASNetMobile" else 331
    network = registry.get("application")(name="application", net=net).network((side, side, 3), 1000)
    nodes = {node.layer.name: node for node in network.nodes if node.layer}

    def needed(name: str) -> set[str]:
        found, waiting = set(), [nodes[name]]
        while waiting:
            node = waiting.pop()
            if node.layer and node.layer.name not in found:
                found.add(node.layer.name)
                waiting += node.inputs
        return found

    before, joins = JOINS[net]
    expected = dict.fromkeys(nodes, "")
    done = needed(before)
    for join, block in joins.items():
        expected |= dict.fromkeys(needed(join) - done, block)
        done = needed(join)
    kernels = [node.layer.name for node in network.kernel_layers() if node.layer]
    found = blocks_of(nodes)
    assert {name: found[name] for name in kernels} == {name: expected[name] for name in kernels}
    if net != "InceptionResNetV2":
        assert found == expected
    # Tables of gradients have the layers with a kernel, of a net that is tuned only the last of them.
    assert blocks_of(kernels) == {name: found[name] for name in kernels}
    assert blocks_of(kernels[-40:]) == {name: found[name] for name in kernels[-40:]}
    assert [row.block for row in network.rows()] == [found[node.layer.name] for node in network.nodes if node.layer]


def test_inception_is_grouped_by_module() -> None:
    network = registry.get("inception_v3")(name="inception_v3").network((299, 299, 3), 1000)
    kernels = [node.layer.name for node in network.kernel_layers() if node.layer]
    stem = ["conv2d", *(f"conv2d_{number}" for number in range(1, 5))]
    assert [group.name for group in grouped(kernels, 20)] == [*stem, *MIXED, "predictions"]


def test_the_cells_of_nasnet_make_stages() -> None:
    network = registry.get("application")(name="application", net="NASNetMobile").network((224, 224, 3), 1000)
    kernels = [node.layer.name for node in network.kernel_layers() if node.layer]
    groups = grouped(kernels, 16)
    assert [group.name for group in groups] == ["stem_conv1", "stem", "stage_1", "stage_2", "stage_3", "predictions"]
    assert len(grouped(kernels, 20)) == 1 + 2 + 3 * 4 + 2 + 1


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
