"""The specs of docs/pretraining.md are checked as they stand, and are what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlx.spec import load_text

PAGE = (Path(__file__).parents[2] / "docs/pretraining.md").read_text(encoding="utf-8")
SPECS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_specs() -> None:
    assert len(SPECS) >= 5


@pytest.mark.parametrize("text", SPECS)
def test_specs_of_the_page(text: str) -> None:
    (trial,) = load_text(text).trials
    assert trial.setting.pipeline[-1].epochs > 0
