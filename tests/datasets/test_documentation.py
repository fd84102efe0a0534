"""The specs of docs/data.md are checked as they stand, with files as the page describes them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from dlx.datasets import registry
from dlx.spec import load

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
SPECS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the page speaks of."""
    iris = [f"{n % 9},{n % 7},{('setosa', 'versicolor', 'virginica')[n % 3]}" for n in range(150)]
    (tmp_path / "iris.csv").write_text("\n".join(["length,width,species", *iris]))
    houses = [f"{n},{n % 5},{n % 50 or ''},{('flat', 'house')[n % 2]},{48000 + n % 3},{n * 1000}" for n in range(200)]
    (tmp_path / "houses.csv").write_text("\n".join(["id,rooms,age,kind,zip,price", *houses]))
    np.savez(tmp_path / "mine.npz", x=np.zeros((60, 4, 4), np.uint8), y=np.arange(60) % 3)
    return tmp_path


def test_there_are_specs() -> None:
    assert len(SPECS) >= 8


@pytest.mark.parametrize("text", SPECS)
def test_specs_of_the_page(text: str, folder: Path) -> None:
    (folder / "spec.yaml").write_text(text)
    (trial,) = load(folder / "spec.yaml").trials
    assert trial.setting.dataset.sizes()["train"] > 0


def test_every_way_of_making_data_is_named() -> None:
    for member, field in (("points", "shape"), ("function", "function")):
        for name in registry.get(member).model_fields[field].annotation.__args__:
            assert f"`{name}`" in PAGE
