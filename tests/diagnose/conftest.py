"""Trials written by hand, read back from their files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx.records.history import History, read_history

sys.path.insert(0, str(Path(__file__).parent))

from handwritten import Trial  # found only now


@pytest.fixture
def history(tmp_path: Path) -> Callable[[Trial], History]:
    """The history of a trial written by hand, read back from its files."""

    def read(trial: Trial) -> History:
        found, damaged = read_history(trial.write(tmp_path / "results" / "made" / "trials"))
        assert damaged == []
        return found

    return read
