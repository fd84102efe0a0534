"""Specs to start from are valid for every model and data set that go together; skeletons pass their own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx import datasets, models, spec
from dlx.cli.main import main
from dlx.errors import SpecError
from dlx.members import plain
from dlx.spec.template import template

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
CSV = "a,b,kind\n" + "".join(f"{i % 7},{i % 5},{'xy'[i % 2]}\n" for i in range(60))
NEEDED = {
    "csv": ["dataset.path=some.csv", "dataset.label=kind"],
    "npz": ["dataset.path=some.npz"],
    "arrays": [
        "dataset.inputs=[[0, 0], [0, 1], [1, 0], [1, 1]]", "dataset.labels=[0, 1, 1, 0]", "dataset.validation=0",
        "training.batch_size=2",
    ],
}  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import numpy as np

    (tmp_path / "some.csv").write_text(CSV, "utf-8")
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "some.npz", x=rng.integers(0, 256, (60, 32, 32, 3)).astype(np.uint8), y=np.arange(60) % 3)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("dataset", datasets.registry.names())
@pytest.mark.parametrize("model", models.registry.names())
def test_a_spec_is_valid_and_says_what_the_shortest_would(model: str, dataset: str, files: Path) -> None:
    needed = NEEDED.get(dataset, [])
    short = f"{{dataset: {dataset}, model: {model}}}"
    try:
        expected = spec.load_text(short, needed).trials[0].setting
    except SpecError:
        with pytest.raises(SpecError):  # they do not go together
            template(model, dataset, needed, Path())
        return
    text = template(model, dataset, needed, Path())
    (trial,) = spec.load_text(text).trials
    assert plain(trial.setting.model) == plain(expected.model)
    assert plain(trial.setting.dataset) == plain(expected.dataset)
    assert list(trial.setting.probes) == list(expected.probes)
    suited = {"augmentation", "batch_size", "epochs"}
    for field in type(expected.training).model_fields:
        if field not in suited:
            assert plain(getattr(trial.setting.training, field)) == plain(getattr(expected.training, field)), field


def test_every_setting_stands_there_with_its_meaning(files: Path) -> None:
    text = template("mlp", "digits", [], Path())
    for member in (models.registry.get("mlp"), datasets.registry.get("digits")):
        for name, field in member.model_fields.items():
            assert re.search(rf"^  (# )?{name}: ", text, re.MULTILINE), name
            first = " ".join((field.description or "").split()[:3])
            assert name == "name" or first in text
    assert max(map(len, text.splitlines())) <= 130


def test_what_is_commented_out_is_valid_too(files: Path) -> None:
    text = template("mlp", "digits", [], Path())
    for section in ("search", "sweep"):
        found = re.search(rf"^# {section}:\n(#   .*\n)+", text, re.MULTILINE)
        assert found is not None
        opened = text.replace(found[0], re.sub(r"^# ?", "", found[0], flags=re.MULTILINE))
        assert len(spec.load_text(opened).trials) == (4 if section == "sweep" else 1)


def test_photographs_are_augmented(run: Run) -> None:
    code, out, _ = run("new", "--model", "cnn", "--dataset", "cifar10")
    assert code == 0
    training = spec.load_text(out).trials[0].setting.training
    assert [one.name for one in training.augmentation] == ["flip", "crop"]
    code, out, _ = run("new", "--dataset", "cifar10", "--set", "training.augmentation=[]", "--set", "training.epochs=2")
    training = spec.load_text(out).trials[0].setting.training
    assert training.augmentation == () and training.epochs == 2


def test_a_file_of_ones_own_is_named_from_where_the_spec_is(run: Run, files: Path) -> None:
    (files / "specs").mkdir()
    command = "new", "--dataset", "some.csv", "--set", "dataset.label=kind", "-o", "specs/mine.yaml"
    code, out, err = run(*command)
    assert (code, out) == (0, "") and "written: specs" in err
    text = (files / "specs" / "mine.yaml").read_text("utf-8")
    assert "  path: ../some.csv\n" in text.replace('"', "") and "label: kind" in text
    assert spec.load(files / "specs" / "mine.yaml").trials[0].setting.dataset.info().outputs == 2
    code, _, err = run(*command)
    assert code == 2 and "is there already (--force overwrites it)" in err
    assert run(*command, "--force")[0] == 0
    code, _, err = run("new", "--dataset", "some.csv")
    assert code == 2 and "label" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "mlpp"], "unknown model 'mlpp'"),
        (["--dataset", "digit"], "unknown dataset 'digit'"),
        (["--dataset", "nowhere.csv", "--set", "dataset.label=a"], "nowhere.csv"),
        (["--model", "lenet5", "--dataset", "points"], "lenet5 needs images"),
        (["--set", "model.dept=3"], "unknown key"),
        (["modell", "mine"], "no skeleton of a 'modell' (did you mean 'model'?)"),
        (["model"], "what is the model to be called?"),
        (["model", "Mine"], "'Mine' cannot name a model"),
        (["model", "mlp"], "there is a model 'mlp' already"),
        (["model", "test_it"], "would be taken for a test"),
        (["probe", "mine", "--model", "mlp"], "are for a spec"),
    ],
)
def test_what_cannot_be_written(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, err = run("new", *arguments)
    assert code == 2 and message in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_skeletons_pass_their_own_tests_as_generated(run: Run, tmp_path: Path) -> None:
    for kind in ("model", "dataset", "probe"):
        code, _, err = run("new", kind, f"my_{kind}", "-o", "mine")
        assert code == 0, err
        assert "--plugins mine" in err
    code, _, err = run("new", "model", "my_model", "-o", "mine")
    assert code == 2 and "is there already" in err
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "mine"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "10 passed" in tested.stdout
