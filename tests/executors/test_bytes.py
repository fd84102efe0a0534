"""The same tables whichever executor trained them, in whatever order, beside whatever else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.spec import load
from tests.conftest import ROOT, run_dlx
from tests.waiting import PATIENCE

SPEC = """\
name: tiny
dataset: {name: digits, train_limit: 300}
model: {name: mlp, width: 8, dropout: 0.2}
training: {epochs: 2, batch_size: 16, optimizer: adam}
sweep: {model.depth: [1, 2]}
seeds: 2
"""
# What a process leaves to its next trial (compiled programs, Keras' counters of names) must not show.
SCRIPT = """
import sys
from pathlib import Path
from dlx.events import ignore
from dlx.interruption import Stop
from dlx.schedule import Options, run
from dlx.spec import load
from dlx.worker import Runtime

if __name__ == "__main__":
    spec, results, name, options, engine = sys.argv[1:]
    options = Options(Path(results), Runtime(engine, threads=1), executor=name, executor_options=eval(options))
    sys.exit(run(load(spec), options, ignore, Stop()).exit_code())
"""
OTHERS = {"local": "{'jobs': 2}"}


def tables(results: Path) -> dict[str, bytes]:
    """Every table that is a function of the spec, and the weights, by trial."""
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in results.glob("tiny/trials/*/*")
        if path.name == "weights.npz" or (path.suffix == ".csv" and path.name != "timing.csv")
    } | {"trials.csv": (results / "tiny" / "trials.csv").read_bytes()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("bytes")
    (place / "tiny.yaml").write_text(SPEC)
    (place / "script.py").write_text(SCRIPT)
    return place


def trained(place: Path, executor: str, options: str, engine: str = "tensorflow") -> dict[str, bytes]:
    results = place / engine / executor
    if executor == "inline":
        where = ["--executor", "inline", "--threads", "1", "--results", str(results), "--engine", engine]
        assert run_dlx("run", str(place / "tiny.yaml"), *where).returncode == 0
        return tables(results)
    command = [sys.executable, place / "script.py", place / "tiny.yaml", results, executor, options, engine]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=PATIENCE)
    return tables(results)


@pytest.fixture(scope="module")
def inline(place: Path) -> dict[str, bytes]:
    found = trained(place, "inline", "{}")
    assert len(found) == 1 + len(load(place / "tiny.yaml").trials) * 5
    return found


@pytest.mark.parametrize("executor", OTHERS)
def test_same_bytes_as_inline(place: Path, inline: dict[str, bytes], executor: str) -> None:
    found = trained(place, executor, OTHERS[executor])
    assert found.keys() == inline.keys()
    assert [name for name in found if found[name] != inline[name]] == []


@pytest.mark.slow
def test_same_bytes_on_jax(place: Path) -> None:
    found = [trained(place, executor, options, "jax") for executor, options in [("inline", "{}"), *OTHERS.items()]]
    assert found[0] == found[1]
