"""The tables that come with dlx are those of today's specs, whole, small, and say nothing of any machine."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dlx import shipped
from dlx.analysis.selectors import find
from dlx.cli.main import main
from dlx.errors import UsageError
from dlx.spec import load, load_trial

ROOT = Path(__file__).resolve().parents[2]
NAMES = shipped.finished()
DEPTH = "experiment:vanishing-gradient/depth"
MOST = 10_000_000
"""Bytes of all of them, five of which a package stores in one."""

_PLACES = re.compile(r"(?:^|[\s\"'=:])(?:/[a-z]+/|[A-Za-z]:\\|~/)")


def script(name: str) -> ModuleType:
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their fields' types up
    spec.loader.exec_module(module)
    return module


def test_the_course_has_some() -> None:
    assert {"vanishing-gradient/depth", "representations/semeion-folds"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_what_todays_spec_gives(name: str) -> None:
    expected = load(shipped.get(name))
    found = find([f"experiment:{name}"]).trials
    assert [trial.id for trial in found] == [trial.id for trial in expected.trials], "run docs/finished.py"
    assert {trial.state for trial in found} == {"done"}
    for trial in found:
        assert load_trial(trial.path / "trial.yaml").id == trial.id
        assert (trial.path / "metrics.csv").stat().st_size


def test_they_are_small_and_name_no_machine() -> None:
    files = [path for path in shipped.finished_folder().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MOST
    assert {path.suffix for path in files} <= {".csv", ".yaml", ".json"}
    for path in files:
        if path.suffix == ".json":
            content = json.loads(path.read_bytes())
            assert not content.keys() & {"host", "command", "directory", "platform", "git"}
            assert all(one["host"] == "" and one["pid"] == 0 for one in content.get("attempts", ()))
        if path.name != "experiment.yaml":  # whose comments tell commands
            assert not _PLACES.search(path.read_text(encoding="utf-8")), path


def test_commands_work_on_them_and_leave_them_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in shipped.finished_folder().rglob("*")}
    monkeypatch.chdir(tmp_path)
    assert main(["compare", DEPTH, "--metric", "val_accuracy@last"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:6]]
    assert [row[:2] for row in rows] == [[str(depth), "3"] for depth in (1, 2, 3, 4)]
    assert main(["compare", f"{DEPTH}:depth=2", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"][0]["trials"]) == 3
    assert main(["diagnose", DEPTH]) == 0
    assert "vanishing" in capsys.readouterr().out
    assert main(["plot", "learning-speed", f"{DEPTH}:depth=4", "-o", "speed.svg"]) == 0
    assert main(["report", DEPTH, "-o", "report.html"]) == 0
    assert (tmp_path / "speed.svg").stat().st_size > 1000
    assert "vanishing" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert {path: path.stat().st_mtime_ns for path in shipped.finished_folder().rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vanishing-gradient/dept", "no experiment 'vanishing-gradient/dept' comes with dlx (did you mean"),
        ("quickstart", "'quickstart' comes without finished tables (dlx run quickstart; with tables:"),
    ],
)
def test_others_are_told(name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", f"experiment:{name}"]) == 2
    assert message in capsys.readouterr().err
    with pytest.raises(UsageError):
        shipped.tables(name)


def test_what_is_reproduced_is_current() -> None:
    reproduced = script("reproduced")
    assert reproduced.PAGE.read_text(encoding="utf-8") == reproduced.page(), "run python docs/reproduced.py"


def test_its_numbers_are_those_of_the_tables() -> None:
    """Mean and prediction interval of a figure by another route: trials.csv, NumPy and scipy's t-distribution."""
    import numpy as np
    import pandas as pd
    from scipy import stats

    reproduced = script("reproduced")
    for name, at, column, metric, log in [
        ("vanishing-gradient/depth", 2, "val_accuracy", "val_accuracy@last", False),
        ("vanishing-gradient/speeds", 4, "grad_bias_first_1", "grad_norm[1]", True),
    ]:
        frame = pd.read_csv(shipped.tables(name) / "trials.csv")
        one = {"what": "", "metric": metric, "at": f"depth={at}", "value": 0.5, "runs": 4, "source": ""}
        (figure,) = reproduced.figures({"experiment": name, "figures": [one]})
        values = frame.loc[frame["model.depth"] == at, column].to_numpy()
        assert figure.mean == pytest.approx(values.mean(), rel=1e-6)
        numbers = np.log(values) if log else values
        n = len(numbers)
        scatter = numbers.std(ddof=1) * np.sqrt(1 / n + 1 / 4)
        expected = np.array(stats.t.interval(0.95, n - 1, loc=numbers.mean(), scale=scatter))
        assert figure.interval() == pytest.approx(tuple(np.exp(expected) if log else expected), rel=1e-6)
        assert not figure.inside


def test_trials_that_are_not_done_are_not_taken(tmp_path: Path) -> None:
    finished = script("finished")
    with pytest.raises(SystemExit, match="4 of 4 trials are not done"):
        finished.take("quickstart", tmp_path / "nothing", tmp_path / "into")
    assert not (tmp_path / "into").exists()
