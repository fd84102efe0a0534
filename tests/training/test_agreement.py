"""TensorFlow and JAX, from the same weights and the same order of the data, take the same hundred steps."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.photographs import fill

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


SPEC = """
name: photographs
dataset: {{name: image_folder, path: {path}, resize: {size}, train_limit: 24}}
model: {model}
training:
  augmentation: [{{name: resized_crop, of: picture, smallest: 0.3}}]
  optimizer: {{name: sgd, learning_rate: {rate}, momentum: 0.9}}
  batch_size: 8
  epochs: {epochs}
probes: {{gradients: {{every: 1 epoch, sample: 8, sources: [probe, train]}}, activations: null}}
"""
NETS = {
    "cnn": (
        "{name: cnn, blocks: [{filters: 8, pool: max}, {filters: 8}], dense: [], normalization: batch}",
        32,
        4,
        0.01,
    ),
    # Dropout draws other masks on each engine.
    "googlenet": ("{name: googlenet, dropout: 0.0, auxiliary_dropout: 0.0, initializer: he_normal}", 65, 1, 0.0003),
}


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
def test_engines_agree_on_photographs(net: str, tmp_path: Path) -> None:
    """A folder of photographs, of which each epoch sees other parts; one of the nets has auxiliary classifiers."""
    model, size, epochs, rate = NETS[net]
    fill(tmp_path / "photos", 12)
    spec = tmp_path / "photographs.yaml"
    spec.write_text(
        SPEC.format(path=tmp_path / "photos", size=size, model=model, epochs=epochs, rate=rate), encoding="utf-8"
    )
    tables: dict[str, dict[str, list[dict[str, str]]]] = {}
    for engine in ("tensorflow", "jax"):
        options = ["--engine", engine, "--results", str(tmp_path / engine), "--executor", "inline", "--quiet"]
        command = [sys.executable, "-m", "dlx", "run", str(spec), *options]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=1800)
        (trial,) = (tmp_path / engine / "photographs" / "trials").iterdir()
        tables[engine] = {}
        for table in ("metrics", "gradients"):
            with (trial / f"{table}.csv").open(encoding="utf-8", newline="") as file:
                tables[engine][table] = list(csv.DictReader(file))
    for table, columns in (("metrics", ("train_loss", "val_loss", "test_loss")), ("gradients", ("grad_norm",))):
        one, two = tables["tensorflow"][table], tables["jax"][table]
        assert len(one) == len(two) > epochs
        for column in columns:
            expected = np.array([float(row[column]) for row in one])
            found = np.array([float(row[column]) for row in two])
            atol = 0.0
            if table == "gradients":
                atol = 1e-5 * expected.max()
                if net == "googlenet":
                    # From the same weights they are the same. After a few steps rounding has decided ties of
                    # its poolings and rectifiers, where gradients jump: there the losses tell.
                    same = np.array([row["epoch"] == "0" for row in one])
                    expected, found = expected[same], found[same]
                    assert len(expected) == 192  # kernel, bias and both, of 58 layers and of six auxiliary ones
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=atol, err_msg=f"{net}: {column}")
