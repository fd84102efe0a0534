"""The studies that come with dlx show what they are there for."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Dlx = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.slow
def test_depth(dlx: Dlx, tmp_path: Path) -> None:
    """Without a spec: accuracy and gradient norms by depth, seeds pooled; the sigmoid's vanishing gradient is seen."""
    ended = dlx("sweep", "depth", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert re.findall(r"^ +(\d)   3/3  +[\d.]+ ± [\d.]+ %", ended.stdout, re.MULTILINE) == list("12345")
    assert len(re.findall(r"^ +\d  before training(?:  \d\.\de-\d\d)+$", ended.stdout, re.MULTILINE)) == 5

    again = dlx("sweep", "depth", "--json", cwd=tmp_path)
    assert again.stderr == "note: 15 of 15 trials were done before\n"
    (experiment,) = json.loads(again.stdout)["experiments"]
    trials = experiment["trials"]
    assert len(trials) == 15
    for trial in trials:
        norms = trial["gradients"]["bias"]["first"]
        assert len(norms) == trial["parameters"]["model.depth"] + 1
        assert all(behind > 2 * before for before, behind in itertools.pairwise(norms))
    reached = {depth: [t["metrics"]["test_accuracy"] for t in trials if t["parameters"]["model.depth"] == depth]
               for depth in (1, 5)}  # fmt: skip
    assert min(reached[1]) > 0.94
    assert max(reached[5]) < 0.3, "in so few epochs the deepest net does not get off the ground"
