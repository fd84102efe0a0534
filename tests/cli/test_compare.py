"""``dlx compare`` as it is typed: its forms of output, and what it says of bad input."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlx.cli.main import main

ANALYSIS = Path(__file__).resolve().parent.parent / "analysis"


def _made() -> Any:
    spec = importlib.util.spec_from_file_location("made", ANALYSIS / "made.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made = _made()
SPEC = "model: {name: mlp, width: 4}\ntraining: {epochs: 2}\nsweep: {model.depth: [1, 2]}\nseeds: 3\n"
Said = tuple[int, str, str]
Command = Callable[..., Said]


def accuracy(trial: Any, epoch: int) -> dict[str, float]:
    value = 0.5 + 0.1 * made.depth(trial) + 0.01 * trial.seed.init**2 + 0.001 * made.depth(trial) * trial.seed.init
    return {"val_accuracy": value - 0.02, "test_accuracy": value, "val_loss": 1 - value, "test_loss": 1 - value}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLX_RESULTS", raising=False)
    made.make(tmp_path / "results", SPEC, accuracy, epochs=2)
    return tmp_path / "results"


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Command:
    def call(*arguments: str) -> Said:
        code = main(["compare", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_table_and_what_it_shows(results: Path, compare: Command) -> None:
    assert compare() == (
        0,
        "depth  n  test_accuracy@last (%)         95 % CI\n"
        "────────────────────────────────────────────────\n"
        "    1  3            61.77 ± 2.18  [56.36, 67.18]\n"
        "    2  3            71.87 ± 2.27  [66.22, 77.52]\n"
        "\n"
        "• depth 2 beats depth 1 by 10.10 points (95 % CI 9.85 to 10.35, p < 0.001, 3 paired seeds, d_z = 101)\n",
        "",
    )  # fmt: skip


def test_one_object(results: Path, compare: Command) -> None:
    code, out, err = compare("--json", "--metric", "test_accuracy@best,val_loss")
    found = json.loads(out)
    assert (code, err, found["schema"]) == (0, "", "dlx.compare/1")
    assert [metric["metric"] for metric in found["metrics"]] == ["test_accuracy@best", "val_loss@last"]
    assert json.loads(compare("--format", "json")[1])["schema"] == "dlx.compare/1"


def test_markdown_latex_and_csv(results: Path, compare: Command) -> None:
    markdown = compare("--format", "markdown")[1]
    assert "| 2 | 3 | **71.87 ± 2.27** | [66.22, 77.52] |\n" in markdown
    latex = compare("--format", "latex")[1]
    assert r"2 & 3 & \textbf{71.87 $\pm$ 2.27} & [66.22, 77.52] \\" in latex
    assert latex.startswith("\\begin{tabular}{rrrr}\n\\toprule\n") and r"test\_accuracy@last (\%)" in latex
    german = compare("--format", "csv", "--decimal", ",")[1]
    assert german.splitlines()[1].startswith("1;tensorflow;3;3;;0,6176666667;3;")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "test_acuracy"], "did you mean 'test_accuracy'"),
        (["--metric", "activations.saturatd[1]"], "did you mean 'saturated'"),
        (["--metric", "grad_nrm[1]"], "no column 'grad_nrm'"),
        (["--metric", "test_accuracy@lst"], "no point of training 'lst'"),
        (["--where", "depth=7"], "no trial has depth=7 (depth is 1, 2)"),
        (["--where", "dpth=1"], "no parameter 'dpth' (did you mean 'depth'"),
        (["--where", "depth"], "'depth' is not a condition"),
        (["--by", "dpth"], "no parameter 'dpth'"),
        (["--sort", "dpth"], "cannot sort by 'dpth' (did you mean 'depth'?)"),
        (["--baseline", "depth=7"], "--baseline depth=7 names no row (rows: depth 1; depth 2)"),
        (["--baseline", "seed>=0"], "--baseline names 2 rows"),
        (["--best-over", "seed"], "no parameter of the spec"),
        (["--best-over", "depth", "--select", "test_accuracy"], "only a validation metric may choose"),
        (["--select", "val_accuracy"], "--select says by what --best-over chooses"),
        (["--changes", "--sort", "depth"], "it cannot be sorted"),
        (["--each-seed", "--baseline", "depth=1"], "--each-seed compares with no baseline"),
        (["--pivot", "depth", "--each-seed"], "cannot be had together"),
        (["--pivot", "depth", "-m", "test_loss,val_loss"], "--pivot shows one metric, and 2 are asked for"),
        (["--decimal", ","], "--decimal is about CSV"),
        (["nothing"], "no experiment, trial or directory 'nothing'"),
    ],
)
def test_bad_usage(results: Path, compare: Command, arguments: list[str], message: str) -> None:
    code, out, err = compare(*arguments)
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1


def test_an_empty_directory(tmp_path: Path, compare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLX_RESULTS", raising=False)
    (tmp_path / "empty").mkdir()
    assert compare("empty")[0] == 2
    assert "holds no results of dlx" in compare("empty")[2]
    assert "no results directory" in compare()[2]


def test_damaged_trials_are_named_and_the_rest_compared(results: Path, compare: Command) -> None:
    trials = sorted((results / "depth" / "trials").iterdir())
    (trials[0] / "metrics.csv").write_bytes(b"\x00\xff")
    (trials[1] / "trial.yaml").write_text("model: [")
    code, out, err = compare()
    assert code == 0
    assert f"left out: results/depth/trials/{trials[0].name}/metrics.csv" in err
    assert f"left out: results/depth/trials/{trials[1].name}/trial.yaml is damaged" in err
    rows = json.loads(compare("--json")[1])["rows"]
    assert sum(len(row["trials"]) for row in rows) == 4
    assert "depth 2" in out


def test_other_peoples_files_in_the_way(results: Path, compare: Command) -> None:
    before = compare()
    for place in (results, results / "depth", results / "depth" / "trials", *(results / "depth" / "trials").iterdir()):
        (place / "mine.csv").write_bytes(b"a;b\n\xff\xfe,1,2,3")
        (place / "notes").mkdir(exist_ok=True)
    assert compare() == before


def test_nothing_is_done_yet(tmp_path: Path, compare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made.make(tmp_path / "results", SPEC, accuracy, state=lambda trial: "pending" if trial.seed.init else "failed")
    code, out, _ = compare("results")
    assert code == 0
    assert "0/3  1 failed, 2 pending" in out and "–" in out


def test_a_mean_says_of_how_many_it_is(tmp_path: Path, compare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """n counts trials; of a metric that some of them lack, its own number stands beside the mean."""
    monkeypatch.chdir(tmp_path)

    def numbers(trial: Any, epoch: int) -> dict[str, float | None]:
        lacks = made.depth(trial) == 1 and trial.seed.init == 0
        return accuracy(trial, epoch) | ({"test_accuracy": None} if lacks else {})

    made.make(tmp_path / "results", SPEC, numbers, epochs=2)
    code, out, err = compare("--metric", "test_accuracy,val_accuracy")
    assert code == 0
    first, second = out.splitlines()[2:4]
    assert first.split()[:8] == ["1", "3", "62.65", "±", "2.19", "(1", "of", "3"]
    assert "(1 of 3 have none)" in first and first.count("none") == 1 and "none" not in second
    assert "none in 1 of 6 finished trials (depth): test_accuracy was not measured" in err


def test_a_table_cut_to_its_header(results: Path, compare: Command) -> None:
    first, *others = sorted((results / "depth" / "trials").iterdir())
    header = (first / "metrics.csv").read_text().splitlines(keepends=True)[0]
    (first / "metrics.csv").write_text(header)
    code, out, err = compare()
    assert code == 0
    assert "none in 1 of 6 finished trials (depth): metrics.csv has no rows, only its header" in err
    for trial in others:
        (trial / "metrics.csv").write_text(header)
    code, out, err = compare()
    assert (code, out) == (2, "")
    assert err == "dlx: no trial has test_accuracy@last: metrics.csv has no rows, only its header\n"


def test_one_seed_invents_nothing(tmp_path: Path, compare: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made.make(tmp_path / "results", SPEC.replace("seeds: 3", "seeds: 1"), accuracy)
    _, out, _ = compare("results")
    assert "CI" not in out and "±" not in out
    assert "depth 2 is 10.00 points above depth 1 with one seed to go by" in out


def test_damaged_only_ends_with_an_error(results: Path, compare: Command) -> None:
    for trial in (results / "depth" / "trials").iterdir():
        shutil.rmtree(trial)
        trial.mkdir()
        (trial / "trial.yaml").write_text("")
    code, out, err = compare()
    assert (code, out) == (2, "")
    assert "none of its 6 trials can be read" in err


def test_nothing_heavy_is_imported(results: Path, dlx: Callable[..., Any]) -> None:
    script = (
        "import sys; from dlx.cli.main import main; main(['compare', sys.argv[1], '-m', 'test_accuracy,grad_ratio'])\n"
        "print([m for m in ('tensorflow', 'keras', 'jax', 'pandas', 'scipy.stats', 'sklearn', 'yaml') "
        "if m in sys.modules], file=sys.stderr)"
    )
    import subprocess

    root = Path(__file__).resolve().parent.parent.parent
    made.make(results, SPEC, accuracy, name="norms", gradient=lambda trial, epoch, layer, parameter: float(layer))
    env = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", script, str(results / "norms")]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert "grad_ratio@init" in ended.stdout
    assert ended.stderr.splitlines()[-1] == "[]"


def test_trials_of_an_earlier_version_are_the_same_setting(results: Path, compare: Command) -> None:
    """Its files lack the fields that were added since: they stand at what they are by default, not apart."""
    before = compare()
    later = 0
    for number, trial in enumerate(sorted((results / "depth" / "trials").iterdir())):
        lines = (trial / "trial.yaml").read_text().splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(("  precision:", "  use_bias:", "  split:"))]
        later += len(lines) - len(kept)
        if number % 2:
            (trial / "trial.yaml").write_text("".join(kept))
    assert later == 18
    assert compare() == before


def test_what_this_version_would_not_train_alike_stays_apart(results: Path, compare: Command) -> None:
    trial = sorted((results / "depth" / "trials").iterdir())[0]
    text = (trial / "trial.yaml").read_text()
    (trial / "trial.yaml").write_text(text.replace("  use_bias: true\n", "").replace("width: 4", "width: 5"))
    rows = json.loads(compare("--json")[1])["rows"]
    assert sorted(len(row["trials"]) for row in rows) == [1, 2, 3]
