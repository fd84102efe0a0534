"""The table of faults names tests that exist, and no test of durability is missing from it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "durability.md").read_text("utf-8")
NAMED = set(re.findall(r"`(tests/\w+/test_\w+\.py)::(test_\w+)`", PAGE))
NOT_FAULTS = {"test_the_proof_can_fail", "test_the_early_stopped_trial_is_one"}


def names_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    missing = [f"{path}::{name}" for path, name in NAMED if name not in names_of(ROOT / path)]
    assert missing == []


def test_every_fault_names_a_test() -> None:
    table = PAGE.partition("## Faults")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    assert [row for row in rows if "::test_" not in row] == []


def test_every_test_of_durability_is_named() -> None:
    here = Path(__file__).parent
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in here.glob("test_*.py")
        if path != Path(__file__)
        for name in names_of(path) - NOT_FAULTS
    }
    assert found - NAMED == set()
