"""Pictures of nets of a hundred layers: by block or by stage, and each layer only where somebody asks for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dlx.analysis.trials import Tables
from dlx.drawing.subjects import Group, Run
from dlx.drawing.text import lines
from dlx.drawing.tidy import Tidy
from dlx.models import registry
from dlx.plot import chart_of

EPOCHS, SEEDS = (0, 1, 2), (0, 1, 2)
HEAD = "stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio"


def names_of(model: str, size: int = 32, **settings: object) -> list[str]:
    network = registry.get(model)(name=model, **settings).network((size, size, 3), 10)
    return [node.layer.name for node in network.kernel_layers() if node.layer]


def norm(epoch: int, layer: int, seed: int) -> float:
    return float(10.0 ** (math.sin(7 * layer + 3 * epoch + seed) - layer / 40))


def group(place: Path, label: str, names: Sequence[str]) -> Group:
    runs = []
    for seed in SEEDS:
        folder = place / label / str(seed)
        folder.mkdir(parents=True)
        rows = [
            f"train,{epoch},{10 * epoch},{layer},{name}{suffix},{kind},probe,{factor * norm(epoch, layer, seed)!r},1,"
            for epoch in EPOCHS
            for layer, name in enumerate(names, start=1)
            for suffix, kind, factor in (("", "kernel", 1.0), ("_normalization", "gamma", 99.0))
        ]
        (folder / "gradients.csv").write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
        runs.append(Run(f"{label}, seed {seed}", seed, Tables(folder)))
    return Group(label, tuple(runs), {"net": label})


def meant(names: Sequence[str], members: set[str], epoch: int) -> list[float]:
    """Per seed, the geometric mean of some layers, by NumPy."""
    numbers = [number for number, name in enumerate(names, start=1) if name in members]
    return [float(np.exp(np.mean([np.log(norm(epoch, number, seed)) for number in numbers]))) for seed in SEEDS]


def check(tidy: Tidy, label: str, names: Sequence[str], prefix: str, layer: str) -> None:
    members = {name for name in names if name.startswith(prefix)}
    rows = [row for row in tidy.rows if row["net"] == label and row["layer"] == layer]
    assert len(rows) == len(EPOCHS)
    for row, epoch in zip(rows, EPOCHS, strict=True):
        each = meant(names, members, epoch)
        assert row["mean"] == pytest.approx(float(np.exp(np.mean(np.log(each)))), rel=1e-9)
        assert (row["low"], row["high"]) == pytest.approx((min(each), max(each)), rel=1e-9)


@pytest.mark.parametrize("kind", ["learning-speed", "gradients"])
def test_a_deep_net_by_stage_beside_a_shallow_one(tmp_path: Path, kind: str) -> None:
    nets = {label: names_of("cifar_resnet", depth=int(label)) for label in ("20", "110")}
    groups = [group(tmp_path, label, names) for label, names in nets.items()]
    tidy = chart_of(kind, {}).data(groups)
    assert tidy.distinct("layer") == ["conv_1", "stage_1", "stage_2", "stage_3", "output"]
    for label, names in nets.items():
        for stage in ("stage_1", "stage_2", "stage_3"):
            check(tidy, label, names, f"{stage}_", stage)
        check(tidy, label, names, "output", "output")
    assert any("of 110 layers" in note and "--every-layer" in note for note in tidy.notes)
    assert "geometric mean" in tidy.caption


@pytest.mark.parametrize("kind", ["learning-speed", "gradients"])
def test_by_block_where_there_is_room(tmp_path: Path, kind: str) -> None:
    tidy = chart_of(kind, {}).data([group(tmp_path, "32", names_of("cifar_resnet", depth=32))])
    assert tidy.distinct("layer") == ["conv_1", "stage_1", "stage_2", "stage_3", "output"]
    shallow = names_of("cifar_resnet", depth=20)
    tidy = chart_of(kind, {}).data([group(tmp_path, "20", shallow)])
    blocks = [f"stage_{stage}/block_{block}" for stage in (1, 2, 3) for block in (1, 2, 3)]
    assert tidy.distinct("layer") == ["conv_1", *blocks, "output"]
    check(tidy, "20", shallow, "stage_2_block_3_", "stage_2/block_3")


def test_blocks_of_nets_of_two_depths_stand_in_the_order_of_the_layers(tmp_path: Path) -> None:
    nets = {label: names_of("cifar_resnet", depth=int(label)) for label in ("14", "20")}
    groups = [group(tmp_path, label, names) for label, names in nets.items()]
    found = chart_of("gradients", {}).data(groups).distinct("layer")
    assert found[0] == "conv_1" and found[-1] == "output"
    assert found[1:-1] == sorted(found[1:-1])


@pytest.mark.parametrize("kind", ["learning-speed", "gradients"])
def test_every_layer_where_somebody_asks_and_where_there_are_no_blocks(tmp_path: Path, kind: str) -> None:
    deep = group(tmp_path, "56", names_of("cifar_resnet", depth=56))
    found = chart_of(kind, {"every_layer": "true"}).data([deep])
    assert found.distinct("layer") == list(range(1, 57))
    assert not found.notes
    dense = group(tmp_path, "dense", [f"dense_{number}" for number in range(1, 40)])
    assert chart_of(kind, {}).data([dense]).distinct("layer") == list(range(1, 40))
    few = group(tmp_path, "8", names_of("cifar_resnet", depth=14))
    assert chart_of(kind, {}).data([few]).distinct("layer") == list(range(1, 15))


def test_activations_of_a_deep_net_by_stage(tmp_path: Path) -> None:
    names = names_of("cifar_resnet", depth=56)
    head = "stage,epoch,step,layer,name,mean,std,saturated,dead"
    rows = [
        f"train,{epoch},{epoch},{layer},{name},0,1,,{(layer + epoch) / 100}"
        for epoch in EPOCHS
        for layer, name in enumerate(names, start=1)
    ]
    (tmp_path / "activations.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    deep = Group("one", (Run("a trial", 0, Tables(tmp_path)),))
    tidy = chart_of("activations", {}).data([deep])
    assert tidy.distinct("layer") == ["conv_1", "stage_1", "stage_2", "stage_3"]
    # layers 2 to 19, 20 to 37, 38 to 55: the mean of numbers in a row is that of the first and the last
    found = {(row["layer"], row["epoch"]): row["mean"] for row in tidy.rows}
    for stage, middle in (("stage_1", 10.5), ("stage_2", 28.5), ("stage_3", 46.5)):
        assert [found[stage, epoch] for epoch in EPOCHS] == pytest.approx([(middle + at) / 100 for at in EPOCHS])
    assert "mean" in tidy.caption and any("of 55 layers" in note for note in tidy.notes)
    assert chart_of("activations", {"every_layer": "true"}).data([deep]).distinct("layer") == list(range(1, 56))


@pytest.mark.parametrize("kind", ["learning-speed", "gradients"])
def test_a_terminal_says_which_block_is_which(tmp_path: Path, kind: str) -> None:
    chart = chart_of(kind, {})
    tidy = chart.data([group(tmp_path, "110", names_of("cifar_resnet", depth=110))])
    curves = chart.curves(tidy)
    assert curves is not None
    drawn = "\n".join(lines(tidy, curves, 80, coloured=False))
    equals = " = " if kind == "learning-speed" else " "
    for number, name in enumerate(("conv_1", "stage_1", "stage_2", "stage_3", "output"), start=1):
        assert f"{number}{equals}{name}" in drawn
