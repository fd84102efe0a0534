"""What is the JAX engine's alone: no TensorFlow in its process, and compiled programs that stay on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.conftest import ENGINE

pytestmark = pytest.mark.skipif(ENGINE != "jax", reason="of the JAX engine")

SCRIPT = """
import sys
from pathlib import Path
import jax
from dlx.events import ignore
from dlx.interruption import Stop
from dlx.schedule import Options, run
from dlx.spec import load_text
from dlx.worker import Runtime

experiment = load_text('''
dataset: {name: digits, train_limit: 200}
model: {name: mlp, width: 8}
training: {epochs: 1}
records: {model: final}
''', name="alone")
hits = []
jax.monitoring.register_event_listener(lambda event, **more: hits.append(event) if event.endswith("cache_hits") else 0)
outcome = run(experiment, Options(Path(sys.argv[1]), Runtime("jax", threads=1), executor="inline"), ignore, Stop())
assert outcome.exit_code() == 0
assert "tensorflow" not in sys.modules
print(len(hits))
"""


def test_no_tensorflow_and_nothing_is_compiled_twice(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    found, tables = [], []
    for name in ("first", "second"):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        found.append(int(done.stdout.split()[-1]))
        (trial,) = (tmp_path / name).glob("*/trials/*")
        assert (trial / "model.keras").stat().st_size > 1000
        tables.append([(trial / f"{table}.csv").read_bytes() for table in ("metrics", "gradients", "activations")])
    assert found[0] == 0
    assert found[1] > 0
    assert tables[0] == tables[1]
