"""What a fork server imports once: all that ``dlx run`` imports."""

from __future__ import annotations

import sys
from pathlib import Path

import dlx.training.tensorflow  # isort: skip  # first, since it silences the backend while that loads
import sklearn.datasets  # noqa: F401

import dlx.cli.display
import dlx.cli.loading
import dlx.cli.main
import dlx.cli.run
import dlx.cli.summary
import dlx.initializers
import dlx.keras_graph
import dlx.schedule
import dlx.stages.supervised
import dlx.trial  # noqa: F401

THREADS = len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 1
