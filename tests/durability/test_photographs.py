"""Trials on photographs, killed with SIGKILL at random instants: the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.durability.proof import ROOT, prove, trials
from tests.photographs import fill

SPEC = """\
dataset: {{name: image_folder, path: {path}, resize: 32, scaling: standardize}}
model: {{name: cnn, blocks: [{{filters: 8, pool: max}}, {{filters: 16, pool: max}}], dense: [], normalization: batch}}
training:
  optimizer: adam
  batch_size: 20
  epochs: {epochs}
  augmentation: [{{name: resized_crop, smallest: 0.3, of: {of}}}, flip, color_jitter]
  checkpoint: {{every: 5 steps}}
"""


@pytest.fixture(autouse=True)
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the photographs did not fit in memory."""
    monkeypatch.setenv("DLX_RESIDENT_BYTES", "0")


@pytest.mark.slow
@pytest.mark.parametrize("of", ["image", "picture"])
def test_made_photographs(of: str, tmp_path: Path) -> None:
    fill(tmp_path / "photos", 40, suffix="jpg")
    spec = tmp_path / "made.yaml"
    spec.write_text(SPEC.format(path=tmp_path / "photos", epochs=8, of=of))
    verdict = prove(spec, kills=4, seed=0, place=tmp_path)
    assert verdict.problems == []
    assert verdict.kills.total() >= 4


@pytest.mark.slow
@pytest.mark.data
def test_real_photographs_train_are_killed_go_on_and_predict(tmp_path: Path) -> None:
    """Five kinds of flowers: better than chance, and the same after kills."""
    flowers = Path(os.environ["DLX_DATA"]) / "flowers"
    spec = tmp_path / "flowers.yaml"
    spec.write_text(SPEC.format(path=flowers, epochs=12, of="image"))
    verdict = prove(spec, kills=4, seed=0, place=tmp_path)
    assert verdict.problems == []
    assert verdict.kills.total() >= 4
    (trial,) = trials(tmp_path / "undisturbed").values()
    photographs = [str(sorted((flowers / "val" / kind).iterdir())[0]) for kind in ("roses", "tulips")]
    for arguments in (["predict", str(trial), *photographs], ["evaluate", str(trial), str(flowers / "val")]):
        command = [sys.executable, "-m", "dlx", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
    accuracy = float(done.stdout.split("balanced accuracy")[1].split()[1].rstrip("%"))
    assert accuracy > 35  # one in five by chance
