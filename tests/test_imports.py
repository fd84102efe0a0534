"""Light commands stay light: what they import, and how long they take to start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"tensorflow", "keras", "jax", "pandas", "scipy", "sklearn", "altair", "torch", "ray"}
LIGHT = [
    ("--help",),
    ("--version",),
    ("run", "--help"),
    ("plot", "--help"),
    ("plot", "kinds"),
    ("check", "experiments/quickstart.yaml"),
    ("models",),
    ("models", "lenet5"),
    ("datasets",),
    ("experiments",),
    ("show", "mlp"),
    ("show", "experiments/quickstart.yaml"),
    ("schema",),
    ("diagnose", "--rules"),
    ("doctor",),
]

REPORT = """
import json, sys
from dlx.cli.main import main
code = main({arguments!r})
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})), file=sys.stderr)
sys.exit(code)
"""


def imported(arguments: tuple[str, ...]) -> set[str]:
    """The top-level packages that a command leaves in ``sys.modules``."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    script = REPORT.format(arguments=list(arguments))
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_commands_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not imported(arguments) & HEAVY


def test_help_imports_next_to_nothing() -> None:
    assert not imported(("--help",)) & {"pydantic", "pydantic_core", "numpy", "rich", "yaml", "platformdirs"}


def test_check_imports_no_numpy() -> None:
    assert "numpy" not in imported(("check", "experiments/quickstart.yaml"))
