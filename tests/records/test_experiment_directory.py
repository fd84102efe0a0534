"""An experiment's directory: names that stay inside, trials.csv as documented, and cheap."""

from __future__ import annotations

import csv
import os
import shutil
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.errors import ResultsError
from dlx.records.experiment_directory import ExperimentDirectory, check_name, check_writable
from dlx.records.reader import read_table
from dlx.records.status import Listing
from dlx.records.tables import GRADIENTS, METRICS, metrics_table
from tests.records.faults import in_child


def listing(number: int, **parameters: object) -> Listing:
    return Listing(f"{number:012x}", seed=number % 3, repeat=0, parameters=parameters)


def train(experiment: ExperimentDirectory, trial: Listing, layers: int = 1, loss: float = 0.5) -> None:
    directory = experiment.trial(trial.trial)
    directory.create("model: mlp\n", trial)
    with directory.claim() as attempt:
        recorder = attempt.record([METRICS, GRADIENTS])
        recorder.append(METRICS, [{"stage": "train", "epoch": 3, "train_loss": loss, "val_accuracy": 0.25}])
        for epoch in (0, 3):
            for layer in range(1, layers + 1):
                common = {"stage": "train", "epoch": epoch, "step": epoch, "layer": layer, "source": "probe"}
                recorder.append(GRADIENTS, [{**common, "parameter": "bias", "grad_norm": epoch + layer / 8}])
        attempt.end("done", summary={"parameters": 10, "multiply_adds": 8, "engine": "tensorflow"})


def rows(experiment: ExperimentDirectory) -> list[dict[str, str]]:
    with experiment.table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_and_rows(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "depth")
    trials = [
        listing(2, **{"model.depth": 2, "model.width": 30, "training.optimizer.learning_rate": 1 / 3}),
        listing(
            1, **{"model.depth": 1, "model.width": 30, "training.optimizer.learning_rate": 1 / 3, "training.l2": 0.1}
        ),
        listing(3, **{"model.depth": 3, "model.width": 30, "training.optimizer.learning_rate": 0.1}),
    ]
    experiment.submit("model: mlp\n", trials)
    train(experiment, trials[0], layers=2)
    train(experiment, trials[1], layers=1, loss=float("nan"))
    experiment.renew()
    assert experiment.table.read_text() == (
        "trial,state,seed,repeat,fold,model.depth,training.optimizer.learning_rate,training.l2,"
        "parameters,multiply_adds,epochs,engine,"
        "train_loss,train_accuracy,val_loss,val_accuracy,test_loss,test_accuracy,"
        "grad_bias_first_1,grad_bias_first_2,grad_bias_last_1,grad_bias_last_2,reason\n"
        "000000000002,done,2,0,,2,0.3333333333333333,,10,8,3,tensorflow,0.5,,,0.25,,,0.125,0.25,3.125,3.25,\n"
        "000000000001,done,1,0,,1,0.3333333333333333,0.1,10,8,3,tensorflow,nan,,,0.25,,,0.125,,3.125,,\n"
        "000000000003,pending,0,0,,3,0.1,,,,,,,,,,,,,,,,\n"
    )
    assert read_table(experiment.table).ints("model.depth") == [2, 1, 3]


def test_trials_that_the_spec_no_longer_lists_stay(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "depth")
    old, new = listing(1, **{"model.depth": 1}), listing(2, **{"model.depth": 5})
    experiment.submit("first", [old])
    train(experiment, old)
    experiment = ExperimentDirectory(tmp_path, "depth")
    experiment.submit("second", [new])
    experiment.renew()
    assert [(row["trial"], row["state"], row["model.depth"]) for row in rows(experiment)] == [
        (new.trial, "pending", "5"),
        (old.trial, "done", "1"),
    ]
    assert sorted(path.read_text() for path in (experiment.path / "specs").iterdir()) == ["first", "second"]
    assert (experiment.path / "experiment.yaml").read_text() == "second"


def test_a_rerun_stands_beside_the_one_moved_aside(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "depth")
    trial = listing(1)
    experiment.submit("", [trial])
    train(experiment, trial)
    experiment.trial(trial.trial).move_aside()
    train(experiment, trial)
    experiment.renew()
    assert [row["trial"] for row in rows(experiment)] == [trial.trial, f"{trial.trial}.1"]


def test_order_of_metrics(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "x")
    trial = listing(1)
    experiment.submit("", [trial])
    directory = experiment.trial(trial.trial)
    directory.create("", trial)
    many = metrics_table("classification", 100)
    with directory.claim() as attempt:
        attempt.record([many]).append(many, [{"stage": "train", "epoch": 1}])
        attempt.end("done", summary={"best_epoch": 4})
    experiment.renew()
    columns = experiment.table.read_text().splitlines()[0].split(",")
    first = columns.index("train_loss")
    assert columns[first:] == [
        *("train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy"),
        *("train_top5_accuracy", "val_top5_accuracy", "test_top5_accuracy", "best_epoch", "reason"),
    ]


def test_states_and_reasons(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "x")
    trials = [listing(number) for number in range(4)]
    experiment.submit("", trials)
    for trial in trials:
        experiment.trial(trial.trial).create("", trial)
    with experiment.trial(trials[0].trial).claim() as attempt:
        attempt.end("failed", '=cmd, "quoted"\nsecond line')
    with experiment.trial(trials[1].trial).claim():
        pass
    (experiment.trial(trials[2].trial).status_file).write_bytes(b"torn")
    with experiment.trial(trials[3].trial).claim():
        experiment.renew(force=True)
    found = rows(experiment)
    assert [row["state"] for row in found] == ["failed", "interrupted", "interrupted", "running"]
    assert found[0]["reason"] == '\'=cmd, "quoted"\nsecond line'
    assert read_table(experiment.table).texts("reason")[0] == '=cmd, "quoted"\nsecond line'


def test_a_thousand_trials_are_listed(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "x")
    trials = [listing(number, **{"model.depth": number % 7}) for number in range(1000)]
    experiment.submit("", trials)
    train(experiment, trials[0], layers=5)
    template = experiment.trial(trials[0].trial)
    for trial in trials[1:]:
        directory = experiment.trial(trial.trial)
        directory.path.mkdir()
        shutil.copy(template.status_file, directory.status_file)
    experiment.renew(force=True)
    assert len(rows(experiment)) == 1000
    assert {row["state"] for row in rows(experiment)} == {"done"}


def test_renewing_is_put_off_while_it_would_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = ExperimentDirectory(tmp_path, "x")
    experiment.submit("", [listing(1)])
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock.__setitem__(0, clock[0] + 0.1) or clock[0])
    experiment.renew()  # takes 0.1 s by this clock, a twentieth of 2 s
    experiment.table.unlink()
    experiment.renew()
    assert not experiment.table.exists()
    experiment.renew(force=True)
    assert experiment.table.exists()
    experiment.table.unlink()
    clock[0] += 2.0
    experiment.renew()
    assert experiment.table.exists()


def test_status_changes_are_seen(tmp_path: Path) -> None:
    experiment = ExperimentDirectory(tmp_path, "x")
    trial = listing(1)
    experiment.submit("", [trial])
    experiment.renew(force=True)
    train(experiment, trial)
    experiment.renew(force=True)
    assert rows(experiment)[0]["state"] == "done"


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b'{"state": "done", "summary": {"train_loss": [1]}}',
        b'{"state": "done", "summary": {"grad_bias_first_x": 1, "\\ud800": "=1"}, "reason": "\\udfff"}',
        b'{"state": "done", "listing": {"trial": "../..", "seed": {}}}',
        b'{"state": "done", "listing": {"trial": "../..", "parameters": {"trial": [[1]], "": {"a": 1}}}}',
    ],
)
def test_a_strangers_status_spoils_no_table(tmp_path: Path, content: bytes) -> None:
    experiment = ExperimentDirectory(tmp_path, "x")
    experiment.submit("", [])
    experiment.trial("0" * 12).create("")
    experiment.trial("0" * 12).status_file.write_bytes(content)
    experiment.renew()
    assert [row["trial"] for row in rows(experiment)] == ["0" * 12]
    assert len(read_table(experiment.table)) == 1


@pytest.mark.parametrize("name", ["depth", "vanishing gradient (σ)", "a.b", "x" * 120, "con-trol"])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", "../x", "a/b", "a\\b", "/etc", "C:x", ".hidden", "a.", "a ", "a\0b", "a\nb"),
        *("CON", "nul.txt", "LPT1.yaml", "x" * 121, "~", "-rf", "\ud800"),
    ],
)
def test_bad_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot name a directory"):
        ExperimentDirectory(tmp_path, name)


@given(st.text(max_size=20))
def test_no_name_leads_outside(name: str) -> None:
    try:
        path = ExperimentDirectory(Path("/results"), name).path
    except ResultsError:
        return
    assert path.parent == Path("/results") and os.path.normpath(path) == str(path)


@pytest.mark.parametrize("trial", ["", "..", "x", "0123456789AB", "0123456789ab/..", "0123456789ab."])
def test_bad_ids(tmp_path: Path, trial: str) -> None:
    with pytest.raises(ResultsError, match="not a trial id"):
        ExperimentDirectory(tmp_path, "x").trial(trial)


def test_writable(tmp_path: Path) -> None:
    check_writable(tmp_path / "not" / "yet")
    check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_in_the_place_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    for place in (tmp_path / "results", tmp_path / "results" / "below"):
        with pytest.raises(ResultsError, match=r"results is not a directory") as raised:
            check_writable(place)
        assert raised.value.exit_code == 2
    with pytest.raises(ResultsError, match="Not a directory"):
        ExperimentDirectory(tmp_path / "results", "x").submit("", [])


def as_nobody() -> None:
    """Root may write anywhere: become a user who may not."""
    if hasattr(os, "setuid") and os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def test_read_only_results(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    results.chmod(0o555)
    for parent in (tmp_path, *tmp_path.parents):
        if any(part.startswith("pytest-of-") for part in parent.parts):
            parent.chmod(parent.stat().st_mode | 0o011)  # so that another user gets as far as the results

    def look() -> None:
        as_nobody()
        for place in (results, results / "below"):
            with pytest.raises(ResultsError, match=r"cannot write to .*results.*: Permission denied.*permissions"):
                check_writable(place)
        with pytest.raises(ResultsError, match="Permission denied"):
            ExperimentDirectory(results, "x").submit("", [])

    try:
        assert in_child(look) == 0
    finally:
        results.chmod(0o755)
    assert not list(results.iterdir())
