"""``dlx.read``: the tables as DataFrames, cell for cell what pandas reads from the files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
from made import make

import dlx
from dlx.analysis.frames import DamagedResultsWarning
from dlx.errors import ResultsError


@pytest.mark.parametrize("name", ["metrics", "gradients", "activations", "layers", "timing"])
def test_a_table_has_the_rows_of_every_trial(results: Path, name: str) -> None:
    table = getattr(dlx.read(results), name)
    assert list(table.columns[:4]) == ["experiment", "trial", "seed", "depth"]
    for (trial, depth), rows in table.groupby(["trial", "depth"], sort=False):
        expected = pandas.read_csv(results / "depth" / "trials" / trial / f"{name}.csv")
        pandas.testing.assert_frame_equal(rows.iloc[:, 4:].reset_index(drop=True), expected, check_dtype=False)
        assert f"depth: {depth}\n" in (results / "depth" / "trials" / trial / "trial.yaml").read_text()
    assert table["trial"].nunique() == 9


def test_trials_have_their_last_metrics(results: Path) -> None:
    tables = dlx.read(results)
    assert tables.trials["trial"].is_unique and len(tables.trials) == 9
    last = tables.metrics.groupby("trial").last()["test_accuracy"]
    assert tables.trials.set_index("trial")["test_accuracy"].to_dict() == last.to_dict()
    assert set(tables.trials["state"]) == {"done"}
    assert tables.parameters == {"model.depth": "depth"}


def test_any_selector(results: Path) -> None:
    assert dlx.read("depth:depth=2,seed=1", directory=results).trials[["depth", "seed"]].values.tolist() == [[2, 1]]
    assert len(dlx.read("depth:depth=1", "depth:depth=3", directory=results).trials) == 6
    with pytest.raises(ResultsError, match="did you mean 'depth'"):
        dlx.read("dpth", directory=results)


def test_it_is_a_mapping_of_names(results: Path) -> None:
    tables = dlx.read(results)
    assert sorted(tables) == ["activations", "gradients", "layers", "metrics", "timing", "trials"]
    assert tables["metrics"] is tables.metrics
    with pytest.raises(KeyError, match="did you mean 'metrics'"):
        tables["metric"]
    assert repr(tables).startswith("<dlx results: 9 trials; trials, ")


def test_damage_is_left_out_with_a_warning(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    trials = sorted((copy / "depth" / "trials").iterdir())
    (trials[0] / "metrics.csv").write_bytes(b"a,b\n1\n")
    torn = (trials[1] / "metrics.csv").read_bytes()
    (trials[1] / "metrics.csv").write_bytes(torn[:-5])
    (trials[2] / "mine.csv").write_bytes(b"\xff")
    (trials[3] / "trial.yaml").write_text("")
    with pytest.warns(DamagedResultsWarning, match=trials[3].name):
        tables = dlx.read(copy)
    with pytest.warns(DamagedResultsWarning, match=trials[0].name):
        counts = tables.metrics["trial"].value_counts().to_dict()
    assert counts == {trial.name: 4 - (trial == trials[1]) for trial in trials if trial not in (trials[0], trials[3])}
    assert "mine" not in tables


def test_numbers_that_are_none(results: Path, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    path = sorted((copy / "depth" / "trials").iterdir())[0] / "metrics.csv"
    lines = path.read_text().splitlines()
    place, *cells = lines[-1].rsplit(",", 4)
    path.write_text("\n".join([*lines[:-1], ",".join([place, "nan", "inf", "", cells[-1]])]) + "\n")
    last = dlx.read(copy).metrics.query("trial == @path.parent.name").iloc[-1]
    assert (
        pandas.isna(last["val_accuracy"]) and last["test_loss"] == float("inf") and pandas.isna(last["test_accuracy"])
    )
    assert dlx.read(copy).metrics["test_loss"].dtype == "float64"


def test_importing_dlx_imports_no_pandas() -> None:
    code = "import dlx, sys; assert 'pandas' not in sys.modules and 'numpy' not in sys.modules"
    root = Path(__file__).resolve().parent.parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_a_parameter_called_like_a_column_keeps_its_path_there(tmp_path: Path) -> None:
    spec = "model: {name: mlp, width: 4}\nsweep: {training.optimizer.learning_rate: [0.1, 0.2]}"
    make(tmp_path, spec, lambda trial, epoch: {"learning_rate": 0.5, "val_accuracy": 0.1}, epochs=1)
    tables = dlx.read(tmp_path)
    assert tables.trials["learning_rate"].tolist() == [0.1, 0.2]
    assert "training.optimizer.learning_rate" not in tables.trials
    assert tables.metrics["learning_rate"].unique().tolist() == [0.5]
    assert tables.metrics["training.optimizer.learning_rate"].unique().tolist() == [0.1, 0.2]
    assert tables.gradients.empty
