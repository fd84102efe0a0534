"""Where two trials part: checked against a second reading of their CSVs."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from dlx.analysis.diff import diff
from dlx.analysis.selectors import one
from dlx.cli.main import main


@pytest.fixture
def pair(results: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A trial of depth 3 and its copy in another results directory, to be changed."""
    trial = one("depth:depth=3,seed=1", results).path
    copy = tmp_path / "results" / "depth" / "trials" / trial.name
    shutil.copytree(trial, copy)
    return trial, copy


def change(path: Path, column: str, to: str, **where: str) -> None:
    """One number of a table, of the first row of which all of ``where`` holds."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(row for row in rows if all(row[name] == cell for name, cell in where.items()))
    assert row[column] != to
    row[column] = to
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def compared(a: Path, b: Path, tolerance: float = 0.0):
    found = diff(one(a), one(b), tolerance)
    return found, {table.name: table for table in found.tables}


def test_a_copy_is_the_same(pair: tuple[Path, Path]) -> None:
    found, tables = compared(*pair)
    assert (found.setting, found.environment) == ((), ())
    assert set(tables) == {"metrics", "gradients", "activations"}
    assert all(table.same for table in tables.values())


def test_the_first_epoch_and_the_numbers(pair: tuple[Path, Path]) -> None:
    change(pair[1] / "metrics.csv", "val_accuracy", "0.125", epoch="2")
    change(pair[1] / "metrics.csv", "train_loss", "9", epoch="3")
    found, tables = compared(*pair)
    parting = tables["metrics"].parting
    assert parting is not None
    assert (parting.epoch, parting.step, [gap.column for gap in parting.gaps]) == (2, 20, ["val_accuracy"])
    assert parting.gaps[0].b == 0.125
    assert parting.gaps[0].relative == pytest.approx((parting.gaps[0].a - 0.125) / parting.gaps[0].a)
    assert [gap.b for gap in tables["metrics"].last if gap.column == "train_loss"] == [9.0]
    assert tables["gradients"].same
    assert found.damaged == ()


def test_the_layer(pair: tuple[Path, Path]) -> None:
    where = {"epoch": "1", "name": "dense_2", "parameter": "bias", "source": "train"}
    change(pair[1] / "gradients.csv", "grad_norm", "77", **where)
    change(pair[1] / "gradients.csv", "grad_norm", "1", epoch="2", name="dense_1", parameter="kernel", source="probe")
    parting = compared(*pair)[1]["gradients"].parting
    assert parting is not None
    assert (parting.epoch, parting.layers) == (1, ("dense_2",))
    assert parting.widest.where == {"layer": "2", "name": "dense_2", "parameter": "bias", "source": "train"}


@pytest.mark.parametrize(("tolerance", "same"), [(0.0, False), (1e-6, False), (1e-4, True)])
def test_tolerance(pair: tuple[Path, Path], tolerance: float, same: bool) -> None:
    with (pair[0] / "metrics.csv").open(encoding="utf-8", newline="") as file:
        loss = float(next(row for row in csv.DictReader(file) if row["epoch"] == "1")["train_loss"])
    change(pair[1] / "metrics.csv", "train_loss", repr(loss * (1 + 1e-5)), epoch="1")
    assert compared(*pair, tolerance)[1]["metrics"].same == same


@pytest.mark.parametrize(("to", "parts"), [("nan", True), ("", True), ("inf", True)])
def test_what_is_no_number_differs_from_one(pair: tuple[Path, Path], to: str, parts: bool) -> None:
    change(pair[1] / "metrics.csv", "train_loss", to, epoch="2")
    assert (compared(*pair, 0.5)[1]["metrics"].parting is not None) == parts


def test_a_trial_that_went_on(pair: tuple[Path, Path]) -> None:
    path = pair[1] / "metrics.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:3]), encoding="utf-8")  # the header, epochs 0 and 1
    table = compared(*pair)[1]["metrics"]
    assert (table.parting, table.shared, table.only_a, table.only_b) == (None, 2, 2, 0)
    assert not table.same


def test_settings_path_by_path(results: Path) -> None:
    a, b = one("depth:depth=1,seed=0", results), one("depth:depth=2,seed=1", results)
    assert {d.path: (d.a, d.b) for d in diff(a, b).setting} == {"seed": (0, 1), "model.depth": (1, 2)}


def test_probes_do_not_decide_what_is_trained(pair: tuple[Path, Path]) -> None:
    spec = pair[1] / "trial.yaml"
    text = spec.read_text(encoding="utf-8")
    assert "sample: 1000" in text
    spec.write_text(text.replace("sample: 1000", "sample: 500", 1), encoding="utf-8")
    (different,) = compared(*pair)[0].setting
    assert different.path.startswith("probes.") and different.path.endswith(".sample")
    assert (different.a, different.b, different.decides) == (1000, 500, False)


def test_environments(pair: tuple[Path, Path]) -> None:
    path = pair[1] / "environment.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["versions"]["keras"] = "0.1"
    content["host"] = "elsewhere"
    path.write_text(json.dumps(content), encoding="utf-8")
    found = {d.path: d.decides for d in compared(*pair)[0].environment}
    assert found == {"versions.keras": True, "host": False}


def test_a_damaged_table_is_named_and_the_rest_compared(pair: tuple[Path, Path]) -> None:
    (pair[1] / "gradients.csv").write_bytes(b"stage,epoch\ntrain\n")
    found, tables = compared(*pair)
    assert tables["metrics"].same
    assert "gradients" not in tables
    assert found.only_a == ()
    (sentence,) = found.damaged
    assert str(pair[1] / "gradients.csv") in sentence


def test_as_told_and_as_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["depth:depth=1,seed=0", "depth:depth=2,seed=0", "--results", str(results)]
    assert main(["diff", *arguments]) == 0
    output = capsys.readouterr().out
    assert "model.depth  1 → 2" in output
    assert "environment: the same" in output
    assert "metrics: parts before training" in output
    assert main(["diff", *arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "dlx.diff/1"
    assert told["setting"] == [{"path": "model.depth", "a": 1, "b": 2, "decides": True}]
    metrics = next(table for table in told["tables"] if table["table"] == "metrics")
    assert metrics["parting"]["epoch"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("depth", "depth:depth=1,seed=0"), "names 9 trials and one is wanted"),
        (("depth:depth=1,seed=0", "dephth"), "did you mean 'depth'?"),
        (("depth:depth=1,seed=0",), "missing argument"),
        (("depth:depth=1,seed=0", "depth:depth=2,seed=0", "--tolerance", "-1"), "tolerance"),
    ],
)
def test_bad_usage(results: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert main(["diff", *arguments, "--results", str(results)]) == 2
    assert message in capsys.readouterr().err
