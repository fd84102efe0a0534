"""Multiply-adds of plain Python against a count over the traced program, to the unit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dlx.applications import application, names
from dlx.models import registry

ROOT = Path(__file__).resolve().parents[2]
Case = tuple[str, dict[str, Any], tuple[int, int, int], int]
# Each family at its published size; odd sizes too, where padding is not the same on all sides.
CASES: list[Case] = [
    ("alexnet", {}, (224, 224, 3), 1000),
    ("alexnet", {"variant": "grouped"}, (227, 227, 3), 1000),
    ("cifar_resnet", {"depth": 20}, (32, 32, 3), 10),
    ("cifar_resnet", {"depth": 8, "shortcuts": "projection"}, (33, 31, 3), 10),
    ("cifar_vgg", {}, (32, 32, 3), 10),
    ("cnn", {}, (28, 28, 1), 10),
    ("googlenet", {}, (224, 224, 3), 1000),
    ("lenet5", {}, (28, 28, 1), 10),
    ("mobilenet", {}, (224, 224, 3), 1000),
    ("mobilenet", {}, (33, 47, 3), 10),
    ("resnet", {"depth": 50}, (224, 224, 3), 1000),
    ("squeezenet", {}, (224, 224, 3), 1000),
    ("squeezenet", {"version": "1.1"}, (224, 224, 3), 1000),
    ("svhn", {"depth": 11}, (54, 54, 3), 10),
    ("svhn", {"depth": 3}, (32, 32, 3), 10),
    ("vgg", {"depth": 16}, (224, 224, 3), 1000),
    ("application", {"net": "MobileNetV3Small"}, (225, 224, 3), 1000),
]
GIANTS: list[Case] = [
    ("cifar_resnet", {"depth": 110}, (32, 32, 3), 10),
    ("inception_v3", {}, (299, 299, 3), 1000),
    ("resnet", {"depth": 101}, (224, 224, 3), 1000),
    ("resnet", {"depth": 152}, (224, 224, 3), 1000),
    ("vgg", {"depth": 19}, (224, 224, 3), 1000),
    ("xception", {}, (299, 299, 3), 1000),
]
OTHERS: list[Case] = [
    ("application", {"net": name}, (application(name).size,) * 2 + (3,), 1000) for name in names()
]  # fmt: skip


def agree(cases: list[Case]) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "tests.models.traced", json.dumps(cases)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = [
        registry.get(name)(**rest).network(shape, outputs).multiply_adds for name, rest, shape, outputs in cases
    ]
    counted = json.loads(done.stdout)
    assert [(*case[:3], count) for case, count in zip(cases, counted, strict=True)] == [
        (*case[:3], count) for case, count in zip(cases, expected, strict=True)
    ]


def test_every_family() -> None:
    agree(CASES)


@pytest.mark.slow
def test_the_giants() -> None:
    agree(GIANTS)


@pytest.mark.slow
def test_every_net_of_keras_applications() -> None:
    agree(OTHERS)
