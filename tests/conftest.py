"""What all tests share: where the real data are, and a way to call the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
BUILDS_MODELS = {"experiments", "models", "stages", "training", "test_optimizers.py", "test_pages.py"}

# how long an example takes says more about what else the machine does than about dlx; the same examples each time
# where a change is judged (HYPOTHESIS_PROFILE=same), new ones wherever somebody can look at what they find
settings.register_profile("dlx", deadline=None)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dlx"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``data`` are skipped where no folder with the real data sets is named."""
    if os.environ.get("DLX_DATA"):
        return
    skip = pytest.mark.skip(reason="needs the real data sets: set DLX_DATA")
    for item in items:
        if item.get_closest_marker("data"):  # not a keyword: those have the names of folders among them
            item.add_marker(skip)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the engine before the first Keras operation of the process, whichever test that is in: TensorFlow takes
    the number of its threads only then."""
    if item.path.relative_to(ROOT / "tests").parts[0] in BUILDS_MODELS:
        from dlx.training.engine import load_engine

        load_engine(os.environ.get("DLX_ENGINE", "tensorflow"), 2)


def run_dlx(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``dlx`` as a user does, in a process of its own, by default from the top of the repository.

    The process is a fork where that can be, since a fresh one spends seconds on importing TensorFlow.
    """
    environment = {"COLUMNS": "80", "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    if sys.platform == "linux" and "jax" not in {*arguments, env.get("DLX_ENGINE"), env.get("KERAS_BACKEND")}:
        from tests.forks import run

        return run(arguments, cwd, environment)
    command = [sys.executable, "-m", "dlx", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, encoding="utf-8", timeout=PATIENCE, check=False
    )


@pytest.fixture
def dlx() -> Callable[..., subprocess.CompletedProcess[str]]:
    """:func:`run_dlx`."""
    return run_dlx
