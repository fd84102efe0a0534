"""What all tests share: where the real data are, and a way to call the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``data`` are skipped where no folder with the real data sets is named."""
    if os.environ.get("DLX_DATA"):
        return
    skip = pytest.mark.skip(reason="needs the real data sets: set DLX_DATA")
    for item in items:
        if "data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def dlx() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``dlx`` as a user does, in a process of its own, from the top of the repository."""

    def call(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
        command = [sys.executable, "-m", "dlx", *arguments]
        return subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False
        )

    return call
