"""TensorFlow and JAX, from the same weights and the same order of the data, take the same hundred steps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_engines_agree_over_a_hundred_steps(tmp_path: Path) -> None:
    runs = []
    for engine in ("tensorflow", "jax"):
        out = tmp_path / f"{engine}.npz"
        command = [sys.executable, "-m", "tests.training.hundred_steps", engine, str(out)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DLX_ENGINE": engine}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=600)
        runs.append(np.load(out))
    tensorflow, jax = runs
    for name in ("mlp", "batchnorm", "cnn"):
        losses = tensorflow[f"{name}/loss"]
        assert losses[:10].mean() > 1.2 * losses[-10:].mean()  # it did train
        np.testing.assert_allclose(jax[f"{name}/loss"], losses, rtol=1e-4, err_msg=name)
        # A bias in front of a normalisation has gradient zero but for rounding: it is compared on the others' scale.
        norms = tensorflow[f"{name}/norms"]
        np.testing.assert_allclose(jax[f"{name}/norms"], norms, rtol=1e-4, atol=1e-5 * norms.max(), err_msg=name)
