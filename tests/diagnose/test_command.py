"""``dlx diagnose`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from handwritten import Trial

from dlx.analysis import diagnose
from dlx.cli.main import main
from dlx.errors import UsageError

SPEED = {0: (0.002, 0.3), 1: (0.003, 0.3), 2: (0.0015, 0.3), 3: (0.2, 0.3)}


def speeds(first: float, last: float) -> dict:
    return {("grad_norm", "bias", "probe"): {"dense_1": (first, 0.3), "dense_2": (0.1, 0.3), "dense_3": (last, 0.3)}}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """An experiment ``deep`` of four seeds, three of which show vanishing gradients, and ``wild``, which diverged."""
    for seed, (first, last) in SPEED.items():
        Trial(gradients=speeds(first, last), seed=seed).write(tmp_path / "results" / "deep" / "trials")
    wild = Trial("model: mlp", metrics={"train_loss": (2.3, float("nan"))}, state="diverged")
    wild.write(tmp_path / "results" / "wild" / "trials")
    return tmp_path / "results"


def run(capsys: pytest.CaptureFixture[str], results: Path, *arguments: str) -> tuple[int, str, str]:
    code = main(["diagnose", *arguments, "--results", str(results)])
    output, errors = capsys.readouterr()
    return code, output, errors


def test_seeds_are_told_together(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The numbers are those of the seed in the middle: 0.3 over 0.002, of 100, 150 and 200."""
    code, output, errors = run(capsys, results, "deep")
    assert (code, errors) == (0, "")
    told = " ".join(output.split())
    assert "Before training, dense_1 learns 150 times slower than dense_3" in told
    assert "(gradient norm of the bias 0.002 against 0.3)" in told
    assert "(seed 0; so in 3 of 4 seeds, 100 to 200 times)" in told
    assert "try --set model.activation=relu, or --set model.normalization=batch" in told


def test_each_seed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = run(capsys, results, "deep", "--each-seed")
    assert output.count("slower than dense_3") == 3
    assert "seed 3: nothing found" in output


@pytest.mark.parametrize(
    ("names", "code"),
    [("vanishing", 3), ("vanishing,diverged", 3), ("overfitting", 0), ("learning-rate-high,vanishing", 3), ("dead", 0)],
)
def test_the_gate(results: Path, capsys: pytest.CaptureFixture[str], names: str, code: int) -> None:
    found, _, errors = run(capsys, results, "deep", "--fail-on", names)
    assert found == code
    assert ("--fail-on: vanishing (3 of 4 trials)" in errors) == (code == 3)


def test_the_gate_is_asked_whatever_else_is_looked_at(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, errors = run(capsys, results, "--only", "vanishing", "--fail-on", "diverged")
    assert code == 3
    assert "diverged (1 of 5 trials)" in errors


def test_as_json(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, output, _ = run(capsys, results, "--json", "--fail-on", "vanishing")
    assert code == 3
    told = json.loads(output)
    assert told["schema"] == "dlx.diagnose/1"
    assert told["failed_on"] == ["vanishing"]
    trials = {(trial["experiment"], trial["seed"]): trial for trial in told["trials"]}
    assert len(trials) == 5
    (verdict,) = trials["deep", 1]["verdicts"]
    assert verdict["rule"] == "vanishing"
    assert verdict["numbers"]["slower"] == pytest.approx(100)
    assert verdict["layers"] == ["dense_1", "dense_2", "dense_3"]
    assert verdict["suggestions"][0] == "model.activation=relu"
    assert trials["deep", 3]["verdicts"] == []
    assert trials["deep", 3]["not_judged"]["dead"] == "no activations"
    assert [verdict["rule"] for verdict in trials["wild", 0]["verdicts"]] == ["diverged"]
    (setting,) = [setting for setting in told["settings"] if len(setting["trials"]) == 4]
    (pooled,) = setting["verdicts"]
    assert (len(pooled["trials"]), pooled["of"]) == (3, 4)
    assert (pooled["low"], pooled["high"]) == (pytest.approx(100), pytest.approx(200))
    assert told["rules"]["vanishing"]["thresholds"]["ratio"]["value"] == 0.1


def test_what_follows_from_another_verdict_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A net on a plateau underfits, too: said once, and in full in the JSON."""
    metrics = {"train_loss": [2.3] * 11, "train_accuracy": [0.1] * 11}
    Trial(metrics=metrics).write(tmp_path / "stuck" / "trials")
    _, output, _ = run(capsys, tmp_path, "stuck", "--json")
    (trial,) = json.loads(output)["trials"]
    assert [verdict["rule"] for verdict in trial["verdicts"]] == ["plateau"]
    assert [verdict["rule"] for verdict in trial["explained"]] == ["underfitting"]


def test_thresholds(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = run(capsys, results, "deep", "--threshold", "vanishing.ratio=0.001", "--only", "vanishing")
    assert "nothing found" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fail-on", "vanishin"), "no diagnosis 'vanishin' (did you mean 'vanishing'?)"),
        (("--fail-on", ","), "no diagnosis is named"),
        (("--only", "ded"), "did you mean 'dead'?"),
        (("--threshold", "vanishing"), "must be RULE.NAME=VALUE"),
        (("--threshold", "vanish.ratio=1"), "did you mean 'vanishing'?"),
        (("--threshold", "vanishing.rato=1"), "vanishing has no threshold 'rato' (did you mean 'ratio'?)"),
        (("--threshold", "vanishing.ratio=2"), "threshold vanishing.ratio: input should be less than 1"),
        (("--threshold", "vanishing.ratio=much"), "threshold vanishing.ratio: input should be a valid number"),
        (("absent",), "no experiment, trial or directory 'absent'"),
        (("deep:seed=9",), "no trial of deep has seed=9"),
    ],
)
def test_bad_usage(results: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    code, output, errors = run(capsys, results, *arguments)
    assert (code, output) == (2, "")
    assert message in errors
    assert "Traceback" not in errors


def test_an_empty_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").mkdir()
    code, _, errors = run(capsys, tmp_path / "results", str(tmp_path / "results"))
    assert code == 2
    assert "holds no results of dlx" in errors


def test_a_damaged_table_is_named_and_the_rest_judged(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trial,) = (results / "wild" / "trials").iterdir()
    (trial / "gradients.csv").write_bytes(b"stage,epoch\ntrain,zero\n")
    code, output, errors = run(capsys, results, "wild")
    assert code == 0
    assert "training loss is no longer a finite number" in output
    assert "gradients.csv" in errors


def test_a_damaged_trial_is_left_out(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "wild" / "trials").iterdir().__next__().joinpath("trial.yaml").write_text("{", encoding="utf-8")
    code, output, errors = run(capsys, results)
    assert code == 0
    assert "dense_1 learns" in output
    assert "left out" in errors
    assert run(capsys, results, "wild")[0] == 2


def test_a_trial_that_has_recorded_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (trial,) = (results / "wild" / "trials").iterdir()
    for table in trial.glob("*.csv"):
        table.unlink()
    code, output, _ = run(capsys, results, "wild")
    assert code == 0
    assert "nothing recorded yet" in output


def test_the_rules_are_listed(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, output, _ = run(capsys, results, "--rules")
    assert "ratio 0.1: gradient of the first hidden layer over that of the last" in output
    assert "Nielsen" in output


def test_no_rule_twice() -> None:
    assert [rule.name for rule in diagnose.rules(["dead", "vanishing", "dead"])] == ["dead", "vanishing"]
    with pytest.raises(UsageError):
        diagnose.rules(["nothing"])
