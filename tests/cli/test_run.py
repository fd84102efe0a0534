"""``dlx run``: flags, refusals before anything is created, the object for scripts."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlx.cli.amounts import parse_duration
from dlx.cli.main import main
from dlx.datasets import Places
from dlx.errors import UsageError

SPEC = """\
name: tiny
model: {name: mlp, depth: 1, width: 4, activation: sigmoid}
training: {epochs: 2}
sweep: {model.depth: [1, 2]}
"""

Dlx = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec in a directory of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLX_RESULTS", raising=False)
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@pytest.fixture
def untouched(spec: Path) -> Iterator[None]:
    """Nothing is created by what the test does."""
    before = sorted(spec.parent.rglob("*"))
    yield
    assert sorted(spec.parent.rglob("*")) == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20m", 1200), ("90s", 90), ("90", 90), ("1h30m", 5400), ("1.5h", 5400), ("1h 2m 3s", 3723), ("5min", 300)],
)
def test_lengths_of_time(text: str, expected: float) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "-5m", "5x", "m", "0s", "1m1h"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="--max-time"):
        parse_duration(text)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.yaml"], "absent.yaml"),
        (["tiny.yaml", "absent.yaml"], "absent.yaml"),
        (["tiny.yaml", "--set", "model.deph=3"], "did you mean 'depth'?"),
        (["tiny.yaml", "--seeds", "many"], "--seeds many"),
        (["tiny.yaml", "--max-time", "soon"], "--max-time 'soon'"),
        (["tiny.yaml", "--threads", "0"], "--threads"),
        (["tiny.yaml", "--engine", "torch"], "--engine"),
        (["tiny.yaml", "--allow", "failed"], "--allow"),
        (["tiny.yaml", "--results", "tiny.yaml"], "tiny.yaml"),
    ],
)
def test_refused_before_anything_is_created(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


@pytest.mark.usefixtures("untouched")
def test_data_that_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = Places(download=True)  # no folder to look in, none to put a download in

    monkeypatch.setattr(Places, "here", lambda *_args, **_options: nowhere)
    assert main(["run", "tiny.yaml", "--set", "dataset=mnist"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dlx: ")
    assert error.count("\n") == 1


@pytest.mark.usefixtures("untouched")
def test_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "tiny.yaml", "--seeds", "2", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tiny.yaml: would run 4 of 4 trials"
    assert [line.split()[1:4] for line in lines[1:]] == [
        ["run", f"depth={depth},", f"seed={seed}"] for depth in (1, 2) for seed in (0, 1)
    ]
    assert main(["run", "tiny.yaml", "--dry-run", "--json"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["schema"] == "dlx.run/1"
    assert [trial["parameters"] for trial in given["experiments"][0]["trials"]] == [
        {"model.depth": 1},
        {"model.depth": 2},
    ]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs permissions that hold for this user")
def test_results_that_cannot_be_written(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = spec.parent / "closed"
    closed.mkdir(mode=0o500)
    assert main(["run", "tiny.yaml", "--results", str(closed / "results")]) == 2
    assert str(closed) in capsys.readouterr().err


def test_for_scripts(spec: Path, dlx: Dlx) -> None:
    """One object on stdout, progress on stderr, and the object says what the tables say."""
    ended = dlx("run", "tiny.yaml", "--json", "--executor", "inline", cwd=spec.parent)
    assert ended.returncode == 0, ended.stderr
    (experiment,) = json.loads(ended.stdout)["experiments"]
    assert experiment["experiment"] == "tiny"
    ends = [line for line in ended.stderr.splitlines() if ": done: " in line]
    assert [line.split()[0] for line in ends] == ["[1/2]", "[2/2]"]
    assert sorted(line.split()[1] for line in ends) == ["depth=1,", "depth=2,"]

    with (spec.parent / experiment["results"] / "trials.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [trial["id"] for trial in experiment["trials"]] == [row["trial"] for row in rows]
    for trial, row in zip(experiment["trials"], rows, strict=True):
        assert trial["state"] == row["state"] == "done"
        assert trial["metrics"]["test_accuracy"] == pytest.approx(float(row["test_accuracy"]), rel=1e-6)
        layers = len(trial["gradients"]["bias"]["first"])
        assert layers == trial["parameters"]["model.depth"] + 1
        norms = [float(row[f"grad_bias_last_{layer}"]) for layer in range(1, layers + 1)]
        assert trial["gradients"]["bias"]["last"] == pytest.approx(norms, rel=1e-6)
        assert (spec.parent / trial["directory"] / "metrics.csv").exists()

    again = dlx("run", "tiny.yaml", cwd=spec.parent)
    assert again.returncode == 0
    assert again.stderr.splitlines() == ["note: 2 of 2 trials were done before"]
    assert "depth" in again.stdout.splitlines()[0]

    silent = dlx("run", "tiny.yaml", "--quiet", cwd=spec.parent)
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, "", "")


def test_divergence_counts_unless_it_is_expected(spec: Path, dlx: Dlx) -> None:
    diverging = ["run", "tiny.yaml", "--executor", "inline", "--set", "model={name: mlp, activation: linear, depth: 3}"]
    diverging += ["--set", "training.optimizer={name: sgd, learning_rate: 1e30}"]
    ended = dlx(*diverging, cwd=spec.parent)
    assert ended.returncode == 1, ended.stderr
    assert "diverged" in ended.stdout
    assert "Traceback" not in ended.stderr
    expected = dlx(*diverging, "--allow", "diverged", cwd=spec.parent)
    assert expected.returncode == 0
    assert "--retry runs it again" in expected.stderr
