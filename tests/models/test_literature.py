"""``dlx models --table``: the classic nets, exactly, at once, and with nothing built for it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.cli.main import main
from dlx.literature import HEADINGS, entries, grid, lines, table

# Net: parameters (trainable ones where moving statistics are told apart), multiply-adds, top-1, top-5.
FIGURES = {
    "LeNet-5": (60_000, None, 99.05, None),
    "AlexNet, one tower": (61_100_840, 714_188_480, 56.5, 79.1),
    "AlexNet": (60_965_224, 724_406_816, 58.2, 80.8),
    "VGG-16": (138_357_544, 15_470_264_320, 71.3, 90.1),
    "VGG-19": (143_667_240, 19_632_062_464, 71.3, 90.0),
    "GoogLeNet": (6_998_552, 1_582_671_872, 65.8, 87.1),
    "Inception v3": (23_851_784, 5_713_216_096, 77.9, 93.7),
    "ResNet-50": (25_636_712, 3_857_973_248, 74.9, 92.1),
    "ResNet-101": (44_707_176, 7_570_194_432, 76.4, 92.8),
    "ResNet-152": (60_419_944, 11_282_415_616, 76.6, 93.1),
    "MobileNet": (4_253_864, 568_740_352, 70.4, 89.5),
    "SqueezeNet 1.0": (1_248_424, 818_924_576, 58.1, 80.4),
    "SqueezeNet 1.1": (1_235_496, 349_151_936, 58.2, 80.6),
    "Xception": (22_910_480, 8_357_403_496, 79.0, 94.5),
}
CIFAR = {
    "ResNet-20": (269_722, 40_551_040, 91.25),
    "ResNet-32": (464_154, 68_862_592, 92.49),
    "ResNet-44": (658_586, 97_174_144, 92.83),
    "ResNet-56": (853_018, 125_485_696, 93.03),
    "ResNet-110": (1_727_962, 252_887_680, 93.57),
}


def test_the_table_is_what_the_nets_give() -> None:
    assert table() == json.loads(json.dumps([entry.plain() for entry in entries()]))


def test_figures_are_the_published_ones() -> None:
    found = {entry["net"]: entry for entry in table()}
    assert set(found) == FIGURES.keys() | CIFAR.keys() | {"SVHN net"}
    for net, (parameters, multiply_adds, top1, top5) in FIGURES.items():
        assert found[net]["parameters"] == parameters
        assert multiply_adds in (None, found[net]["multiply_adds"])
        assert (found[net]["top1"], found[net]["top5"]) == (top1, top5)
        assert found[net]["accuracy_source"]
    for net, (trainable, multiply_adds, top1) in CIFAR.items():
        assert (found[net]["trainable_parameters"], found[net]["multiply_adds"]) == (trainable, multiply_adds)
        assert found[net]["top1"] == top1
    assert all(entry["flops"] == 2 * entry["multiply_adds"] for entry in table())


def test_nothing_is_built_or_imported_for_it() -> None:
    code = """
import sys
from dlx.cli.main import main
main(["models", "--table"])
heavy = {"keras", "tensorflow", "jax", "pandas", "scipy", "numpy"}
print(*sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stderr.split() == []
    assert "3,857,973,248" in done.stdout


def test_forms(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--table", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "dlx.models/1"
    assert found["table"] == table()
    assert main(["models", "--table", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["net"] for row in rows] == [entry["net"] for entry in table()]
    assert main(["models", "resnet", "--table", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3
    assert all(line.startswith("| ") for line in lines)


@pytest.mark.parametrize("width", [80, 100, 140, 200])
def test_a_terminal_has_what_fits_in_columns_and_the_rest_in_words(width: int) -> None:
    found = lines(table(), width)
    assert max(map(len, found)) <= width
    assert len(found) <= 2 + 4 * len(table())
    words = " ".join(" ".join(found).split())
    whole = grid(table())
    for row in whole.rows:
        for heading, cell in zip(HEADINGS.values(), row, strict=True):
            # who trains all of the parameters need not be told how many
            assert " ".join(cell.text.split()) in words, heading


def test_a_wide_terminal_and_a_pipe_have_a_line_for_each_net(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(table(), 10**6) == grid(table()).lines()
    assert main(["models", "--table"]) == 0
    assert capsys.readouterr().out.splitlines() == lines(table(), 10**6)


def test_what_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "mlp", "--table"]) == 2
    assert "cifar_resnet" in capsys.readouterr().err
    assert main(["models", "--format", "csv"]) == 2
    assert "--table" in capsys.readouterr().err
