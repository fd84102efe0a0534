"""A spec file becomes an experiment: names, defaults, probes, and how little that needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.errors import SpecError
from dlx.every import Every
from dlx.spec import load, load_text

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("file", "expected"),
    [("vanishing.yaml", "vanishing"), ("my spec (2).yaml", "my-spec-2"), ("….yaml", "experiment"), ("a.b.yml", "a.b")],
)
def test_the_name_is_the_files_stem_where_the_spec_has_none(tmp_path: Path, file: str, expected: str) -> None:
    path = tmp_path / file
    path.write_text("model: mlp\n", encoding="utf-8")
    experiment = load(path)
    assert (experiment.name, experiment.path, experiment.source) == (expected, path, "model: mlp\n")


def test_the_shortest_spec_has_what_a_textbook_would_choose() -> None:
    setting = load_text("model: mlp").trials[0].setting
    assert setting.dataset.name == "digits"
    assert (setting.training.loss, setting.training.optimizer.name) == ("cross_entropy", "adam")
    assert (setting.training.batch_size, setting.training.epochs) == (32, 10)
    assert setting.model.output_activation == "softmax"
    assert list(setting.probes) == ["activations", "gradients"]
    assert (setting.records.model, setting.records.checkpoints) == ("none", "until_done")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ["activations", "gradients"]),
        ("null", []),
        ("{gradients: null}", ["activations"]),
        ("{gradients: null, activations: null}", []),
        ("{gradients: {sample: 7}}", ["activations", "gradients"]),
    ],
)
def test_probes_are_on_unless_switched_off(text: str, expected: list[str]) -> None:
    assert list(load_text(f"model: mlp\nprobes: {text}").trials[0].setting.probes) == expected


def test_a_probe_keeps_the_defaults_it_is_not_told_to_change() -> None:
    probe = load_text("model: mlp\nprobes: {gradients: {every: 100 steps}}").trials[0].setting.probes["gradients"]
    assert (probe.every, probe.sample) == (Every(100, "steps"), 1000)


def test_sections_without_content_are_defaults() -> None:
    assert (
        load_text("model: mlp\ntraining:\ndataset:\nrecords:\nsweep:\nseeds:\n").trials
        == load_text("model: mlp").trials
    )


@pytest.mark.parametrize(
    ("loss", "activation"),
    [("logistic", "linear"), ("sigmoid_cross_entropy", "sigmoid"), ("quadratic", "sigmoid")],
)
def test_the_output_activation_follows_the_loss(loss: str, activation: str) -> None:
    setting = load_text("model: mlp", [f"training.loss={loss}"]).trials[0].setting
    assert setting.model.output_activation == activation
    assert setting.outputs == 10


def test_settings_do_not_change() -> None:
    trial = load_text("model: mlp").trials[0]
    with pytest.raises(AttributeError):
        trial.id = "x"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        trial.setting.training.epochs = 3


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"absent\.yaml: cannot be read: No such file"):
        load(tmp_path / "absent.yaml")


def test_loading_imports_only_what_the_spec_names() -> None:
    script = (
        "import sys, dlx.spec; dlx.spec.load_text('model: mlp', axes={'depth': '1..3'});"
        "heavy = {'numpy', 'keras', 'tensorflow', 'sklearn', 'scipy', 'pandas', 'jax'};"
        "others = {'dlx.models.cnn', 'dlx.models.lenet5', 'dlx.datasets.mnist'};"
        "print(*[m for m in sys.modules if m.partition('.')[0] in heavy or m in others])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""
