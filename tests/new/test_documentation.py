"""What docs/ says of tuning is complete, and its way from a CSV to predictions works."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx.models import registry
from dlx.tuning import PRUNERS, SAMPLERS

DOCS = Path(__file__).resolve().parents[2] / "docs"
Dlx = Callable[..., subprocess.CompletedProcess[str]]


def lines(page: str) -> list[list[str]]:
    """The command lines of a page, without what a shell does with their output."""
    found = re.findall(r"^\$ dlx (.*)$", (DOCS / page).read_text("utf-8"), re.MULTILINE)
    return [shlex.split(line.partition(" > ")[0]) for line in found]


def test_the_page_on_tuning_is_complete() -> None:
    text = (DOCS / "tune.md").read_text("utf-8")
    for name in (*SAMPLERS, *PRUNERS):
        assert re.search(rf"^\| `{name}` \|", text, re.MULTILINE), name
    for name in registry.get("mlp").searched:
        assert name.replace("normalization", "normalisation") in text


@pytest.mark.slow
def test_from_a_csv_to_predictions_in_five_commands(dlx: Dlx, tmp_path: Path) -> None:
    from sklearn.datasets import load_wine

    wines = load_wine(as_frame=True).frame.sample(frac=1.0, random_state=0)
    wines["kind"] = wines.pop("target").map({0: "barolo", 1: "grignolino", 2: "barbera"})
    wines.iloc[:150].to_csv(tmp_path / "wines.csv", index=False)
    wines.iloc[150:].drop(columns="kind").to_csv(tmp_path / "new.csv", index=False)
    wines.iloc[150:].to_csv(tmp_path / "labelled.csv", index=False)
    told = lines("own-data.md")
    assert [command for command, *_ in told] == ["new", "check", "tune", "run", "predict"]
    for command, *arguments in told:
        fewer = ["4" if before == "--trials" else one for before, one in zip(["", *arguments], arguments, strict=False)]
        ended = dlx(command, *fewer, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        if command == "tune":
            (tmp_path / "best.yaml").write_text(ended.stdout, "utf-8")
            assert ended.stdout.count("test_accuracy") == 1
    assert len(ended.stdout.splitlines()) == 28
    assert {line.split()[1] for line in ended.stdout.splitlines()} == {"barolo", "grignolino", "barbera"}
    told_again = dlx("evaluate", "best@wines", "labelled.csv", cwd=tmp_path)
    accuracy = re.search(r"([\d.]+)%", told_again.stdout)
    assert accuracy is not None and float(accuracy[1]) > 80
