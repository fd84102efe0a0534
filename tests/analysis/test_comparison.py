"""Every number of a comparison, traced to rows of the trials' CSVs by pandas and SciPy."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
from made import depth, make
from scipy import stats
from statsmodels.stats.multitest import multipletests

from dlx import objects
from dlx.analysis.comparison import Comparison, compare
from dlx.analysis.export import as_csv, as_json
from dlx.analysis.metrics import parse
from dlx.analysis.rows import NOT_DONE
from dlx.analysis.selectors import find
from dlx.analysis.sentences import sentences
from dlx.analysis.summaries import Summaries
from dlx.analysis.tabulate import diary, pivot_grid, settings_grid, trials_grid
from dlx.errors import UsageError
from dlx.records.status import STATES

SPEC = """
model: {name: mlp, width: 4}
training: {epochs: 4, optimizer: {name: sgd}}
sweep: {model.depth: [1, 2, 3], training.optimizer.learning_rate: [0.01, 0.1]}
seeds: 5
"""


def rate(trial: Any) -> float:
    return float(trial.setting.training.optimizer.learning_rate)


def noisy(trial: Any, epoch: int) -> dict[str, float]:
    rng = random.Random(f"{depth(trial)} {rate(trial)} {trial.seed.init} {epoch}")
    test = 0.8 + 0.01 * depth(trial) + 0.002 * epoch + 0.05 * rate(trial) + rng.gauss(0, 0.004)
    val = test + rng.gauss(0, 0.01)
    return {
        "train_loss": 1 - test, "train_accuracy": test, "val_loss": 1 - val, "val_accuracy": val,
        "test_loss": 1 - test, "test_accuracy": test, "learning_rate": rate(trial),
    }  # fmt: skip


def norm(trial: Any, epoch: int, layer: int, parameter: str) -> float:
    return random.Random(f"{trial.id} {epoch} {layer} {parameter}").lognormvariate(layer, 0.5)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("comparison") / "results"
    state = lambda trial: (  # noqa: E731
        "diverged" if depth(trial) == 3 and rate(trial) == 0.1 and trial.seed.init == 4
        else "failed" if depth(trial) == 2 and trial.seed.init == 0
        else "interrupted" if depth(trial) == 2 and trial.seed.init == 1 and rate(trial) == 0.01
        else "done"
    )  # fmt: skip
    make(place, SPEC, noisy, epochs=4, gradient=norm, state=state)
    return place


@pytest.fixture(scope="module")
def frame(results: Path) -> pandas.DataFrame:
    """All trials' metrics, read without dlx: one row per trial and epoch, with state, seed and swept parameters."""
    frames = []
    for place in sorted((results / "depth" / "trials").iterdir()):
        status = json.loads((place / "status.json").read_text())
        listing = status["listing"]
        metrics = pandas.read_csv(place / "metrics.csv")
        gradients = pandas.read_csv(place / "gradients.csv").query("epoch==0 and source=='probe' and parameter=='bias'")
        norms = gradients.set_index("layer")["grad_norm"]
        frames.append(
            metrics.assign(
                id=place.name,
                state=status["state"] if status["state"] != "running" else "interrupted",
                seed=listing["seed"],
                depth=listing["parameters"]["model.depth"],
                rate=listing["parameters"]["training.optimizer.learning_rate"],
                first_norm=norms[1],
                ratio=norms[1] / norms[listing["parameters"]["model.depth"]],
            )
        )
    return pandas.concat(frames)


def compared(results: Path, *metrics: str, **options: Any) -> Comparison:
    summaries = Summaries()
    return compare(find([results], reader=summaries).trials, [parse(text) for text in metrics], summaries, **options)


def values(
    frame: pandas.DataFrame, depth: int, rate: float, measure: Callable[[pandas.DataFrame], float]
) -> pandas.Series:
    """One number per finished trial of a setting, by seed."""
    chosen = frame.query("depth==@depth and rate==@rate and state=='done'")
    return pandas.Series({seed: measure(trial.set_index("epoch")) for seed, trial in chosen.groupby("seed")})


METRICS: dict[str, Callable[[pandas.DataFrame], float]] = {
    "test_accuracy@last": lambda trial: trial["test_accuracy"].iloc[-1],
    "test_accuracy@best": lambda trial: trial["test_accuracy"].loc[trial["val_accuracy"].idxmax()],
    "test_loss@mean:3": lambda trial: trial["test_loss"].iloc[-3:].mean(),
    "grad_norm[1]@init": lambda trial: trial["first_norm"].iloc[0],
    "grad_ratio@init": lambda trial: trial["ratio"].iloc[0],
    "epochs_to(train_accuracy>=0.5)": lambda trial: trial.index[trial["train_accuracy"] >= 0.5][0],
}
SETTINGS = [(1, 0.01), (1, 0.1), (2, 0.01), (2, 0.1), (3, 0.01), (3, 0.1)]


@pytest.mark.parametrize("text", METRICS)
def test_every_estimate(results: Path, frame: pandas.DataFrame, text: str) -> None:
    comparison = compared(results, text)
    rows = as_json(comparison)["rows"]
    assert [tuple(row["parameters"].values()) for row in rows] == SETTINGS
    for row, setting in zip(rows, SETTINGS, strict=True):
        expected = values(frame, *setting, METRICS[text])
        cell = row["metrics"][text]
        assert cell["n"] == len(expected)
        assert cell["mean"] == pytest.approx(expected.mean(), rel=1e-9)
        assert cell["std"] == pytest.approx(expected.std(), rel=1e-9, abs=1e-12)
        if cell["std"]:
            low, high = stats.t.interval(0.95, len(expected) - 1, loc=expected.mean(), scale=stats.sem(expected))
            assert (cell["low"], cell["high"]) == pytest.approx((low, high), rel=1e-9)
        for trial in row["trials"]:
            if trial["state"] == "done":
                assert trial["values"][text] == pytest.approx(expected[trial["seed"]], rel=1e-12)
            else:
                assert trial["values"][text] is None


def test_failed_and_unfinished_trials_are_counted(results: Path, frame: pandas.DataFrame) -> None:
    states = frame.groupby(["depth", "rate"]).apply(
        lambda some: some.groupby("id")["state"].first().value_counts().to_dict()
    )
    rows = compared(results, "test_accuracy").rows
    assert [row.pooled.counts for row in rows] == [states[setting] for setting in SETTINGS]
    grid = settings_grid(compared(results, "test_accuracy"))
    counted = [[row[at].text for at in (2, 3)] for row in grid.rows]
    assert counted == [
        ["5", ""], ["5", ""], ["3/5", "1 failed, 1 interrupted"], ["4/5", "1 failed"], ["5", ""], ["4/5", "1 diverged"],
    ]  # fmt: skip


@pytest.mark.parametrize("baseline", [None, "depth=1,learning_rate=0.01"])
def test_every_difference(results: Path, frame: pandas.DataFrame, baseline: str | None) -> None:
    measure = METRICS["test_accuracy@last"]
    numbers = {setting: values(frame, *setting, measure) for setting in SETTINGS}
    base = (1, 0.01) if baseline else max(SETTINGS, key=lambda setting: numbers[setting].mean())
    found = as_json(compared(results, "test_accuracy", baseline=baseline))["differences"]
    others = [setting for setting in SETTINGS if setting != base]
    pairs = [pandas.concat([numbers[one], numbers[base]], axis=1).dropna() for one in others]
    theirs = [stats.ttest_rel(pair[0], pair[1]) for pair in pairs]
    corrected = multipletests([one.pvalue for one in theirs], method="holm")[1]
    assert len(found) == len(others)
    for one, pair, their, holm in zip(found, pairs, theirs, corrected, strict=True):
        assert (one["kind"], one["n"]) == ("paired", [len(pair)] * 2)
        moved = pair[0] - pair[1]
        assert one["difference"] == pytest.approx(moved.mean(), rel=1e-9)
        interval = their.confidence_interval()
        assert (one["low"], one["high"]) == pytest.approx((interval.low, interval.high), rel=1e-9)
        assert (one["p"], one["p_holm"]) == pytest.approx((their.pvalue, holm), rel=1e-7)
        assert one["effect"] == pytest.approx(moved.mean() / moved.std(), rel=1e-9)
        assert one["detected"] == (holm < 0.05)


def test_every_number_of_a_sentence(results: Path, frame: pandas.DataFrame) -> None:
    measure = METRICS["test_accuracy@last"]
    comparison = compared(results, "test_accuracy", where=["learning_rate=0.01"], baseline="depth=1")
    one, base = values(frame, 3, 0.01, measure), values(frame, 1, 0.01, measure)
    theirs = stats.ttest_rel(one, base)
    interval = theirs.confidence_interval()
    effect = (one - base).mean() / (one - base).std()
    p = multipletests(
        [
            stats.ttest_rel(pair[0], pair[1]).pvalue
            for pair in (
                pandas.concat([values(frame, other, 0.01, measure), base], axis=1).dropna() for other in (2, 3)
            )
        ],
        method="holm",
    )[1][1]
    assert sentences(comparison, 0)[1] == (
        f"depth 3 beats depth 1 by {100 * (one.mean() - base.mean()):.2f} points (95 % CI {100 * interval.low:.2f} to "
        f"{100 * interval.high:.2f}, p = {p:.2g}, 5 paired seeds, d_z = {effect:.2g})"
    )


def test_best_over_chooses_by_validation(results: Path, frame: pandas.DataFrame) -> None:
    comparison = compared(results, "test_accuracy", best_over=["learning_rate"], select=parse("val_accuracy@last"))
    val = METRICS["test_accuracy@last"]
    for row, number in zip(comparison.rows, (1, 2, 3), strict=True):
        rates = {
            rate: values(frame, number, rate, lambda trial: trial["val_accuracy"].iloc[-1]).mean()
            for rate in (0.01, 0.1)
        }
        whole = [rate for rate in rates if not row_states(frame, number, rate) - {"done"}] or list(rates)
        chosen = max(whole, key=lambda rate: rates[rate])
        assert row.value("training.optimizer.learning_rate") == chosen
        assert row.cells[0].mean == pytest.approx(values(frame, number, chosen, val).mean(), rel=1e-9)


def row_states(frame: pandas.DataFrame, depth: int, rate: float) -> set[str]:
    return set(frame.query("depth==@depth and rate==@rate")["state"])


def test_the_test_set_never_chooses(results: Path) -> None:
    with pytest.raises(UsageError, match="only a validation metric may choose"):
        compared(results, "test_accuracy", best_over=["learning_rate"], select=parse("test_accuracy@last"))


def test_by_a_parameter_pairs_within_the_others(results: Path, frame: pandas.DataFrame) -> None:
    comparison = compared(results, "test_accuracy", by=["depth"], baseline="depth=1")
    done = frame.query("state=='done'").groupby(["depth", "rate", "seed"])["test_accuracy"].last()
    for row, number in zip(comparison.rows, (1, 2, 3), strict=True):
        assert row.cells[0].mean == pytest.approx(done[number].mean(), rel=1e-9)
    pair = pandas.concat([done[2], done[1]], axis=1, keys=["a", "b"]).dropna()
    found = comparison.against[0].difference
    assert found is not None and found.n == (len(pair), len(pair))
    assert found.p == pytest.approx(stats.ttest_rel(pair["a"], pair["b"]).pvalue, rel=1e-7)
    assert "7 pairs of the same seed, learning_rate" in sentences(comparison, 0)[0]


def test_pivot_each_seed_and_csv_say_the_same(results: Path) -> None:
    comparison = compared(results, "test_accuracy")
    pivot = pivot_grid(comparison, "learning_rate")
    assert [row[0].text for row in pivot.rows] == ["1", "2", "3"]
    assert pivot.headings == ["depth", "learning_rate 0.01", "learning_rate 0.1"]
    spread = [cell.text for row in pivot.rows for cell in row[1:]]
    assert spread == [row[-2].text for row in settings_grid(comparison).rows]
    trials = trials_grid(comparison)
    assert len(trials.rows) == 30
    import io

    table = pandas.read_csv(io.StringIO(as_csv(comparison)))
    assert table["test_accuracy@last"].tolist() == pytest.approx(
        [row.cells[0].mean for row in comparison.rows], rel=1e-9
    )
    german = pandas.read_csv(io.StringIO(as_csv(comparison, ",")), sep=";", decimal=",")
    pandas.testing.assert_frame_equal(table, german)


def test_the_diary_tells_what_was_changed_and_what_it_did(tmp_path: Path) -> None:
    tries = ["learning_rate: 0.01", "learning_rate: 0.1", "learning_rate: 0.1, momentum: 0.9"]
    for number, settings in enumerate(tries):
        spec = (
            SPEC.partition("training")[0] + f"training: {{epochs: 1, optimizer: {{name: sgd, {settings}}}}}\nseeds: 2"
        )
        made = make(
            tmp_path, spec, lambda trial, epoch, up=number: {"val_accuracy": 0.5 + 0.1 * up}, epochs=1, name="tries"
        )
        for trial in made:
            status = tmp_path / "tries" / "trials" / trial.id / "status.json"
            content = json.loads(status.read_text())
            content["attempts"][0]["started"] = f"2026-01-0{3 - number}T10:00:00Z"
            status.write_text(json.dumps(content))
    rows = [[cell.text for cell in row] for row in diary(compared(tmp_path, "val_accuracy")).rows]
    told = as_json(compared(tmp_path, "val_accuracy"), changes=True)["changes"]
    assert told[1]["changed"] == {"momentum": {"from": 0.9, "to": 0.0}}
    assert told[1]["metrics"]["val_accuracy@last"]["change"] == pytest.approx(-0.1)
    assert rows == [
        ["2026-01-01 10:00", "2", "learning_rate 0.1, momentum 0.9", "70.00 ± 0.00", ""],
        ["2026-01-02 10:00", "2", "momentum 0.9 → 0", "60.00 ± 0.00", "−10.00"],
        ["2026-01-03 10:00", "2", "learning_rate 0.1 → 0.01", "50.00 ± 0.00", "−10.00"],
    ]


def test_engines_stay_apart_unless_asked(tmp_path: Path) -> None:
    spec = "model: {name: mlp, width: 4}\ntraining: {epochs: 1}\nseeds: 3\n"
    for engine, more in (("tensorflow", 0.0), ("jax", 0.1)):
        make(
            tmp_path,
            spec,
            lambda t, e, m=more: {"val_accuracy": 0.5 + m + 0.01 * t.seed.init},
            name=engine,
            engine=engine,
            epochs=1,
        )
    apart = compared(tmp_path, "val_accuracy")
    assert [row.label for row in apart.rows] == ["the only setting, jax", "the only setting, tensorflow"]
    assert apart.rows[0].cells[0].mean == pytest.approx(0.61)
    pooled = compared(tmp_path, "val_accuracy", pool_engines=True)
    estimate = pooled.rows[0].cells[0].estimate
    assert estimate is not None
    assert (len(pooled.rows), estimate.n) == (1, 3)  # a seed on two engines is not two seeds
    assert estimate.mean == pytest.approx(0.56)


def test_different_data_are_not_compared_with_each_other(tmp_path: Path) -> None:
    for name in ("digits", "semeion"):
        spec = f"dataset: {name}\nmodel: {{name: mlp, width: 4}}\nseeds: 2\nsweep: {{model.depth: [1, 2]}}"
        make(tmp_path, spec, noisy_by_seed, name=name, epochs=1)
    comparison = compared(tmp_path, "val_accuracy")
    assert "different data (digits, semeion)" in comparison.warnings[0]
    assert len(comparison.against) == 2
    for one in comparison.against:
        assert one.row.pooled.setting["dataset.name"] == one.baseline.pooled.setting["dataset.name"]


def noisy_by_seed(trial: Any, epoch: int) -> dict[str, float]:
    return {"val_accuracy": random.Random(f"{trial.id} {epoch}").uniform(0.4, 0.6)}


def test_regression_and_shares_and_censored_epochs(tmp_path: Path) -> None:
    def numbers(trial: Any, epoch: int) -> dict[str, float]:
        error = 1 / (1 + epoch + depth(trial) + 0.1 * trial.seed.init)
        return {
            "train_loss": error,
            "val_loss": error,
            "val_rmse": error,
            "test_loss": error,
            "test_rmse": error,
            "test_r2": 1 - error,
        }

    spec = "model: {name: mlp, width: 4}\nsweep: {model.depth: [1, 2]}\nseeds: 3"
    make(tmp_path, spec, numbers, task="regression")
    usual = compared(tmp_path)
    assert [metric.text for metric in usual.metrics] == ["test_rmse@last"]
    assert usual.best(0) == usual.rows[1].cells[0].mean  # the smaller error
    assert sentences(usual, 0)[0].startswith("depth 2 beats depth 1 by ")
    censored = compared(tmp_path, "epochs_to(val_rmse<=0.2)", "share(val_rmse<=0.19)")
    first, second = (row.cells[0] for row in censored.rows)
    assert (first.never, second.never) == (0, 0) and second.mean == 2.0
    share = censored.rows[1].cells[1].estimate
    assert share is not None and (share.mean, share.std) == (1.0, None) and share.low == pytest.approx(0.4385, abs=5e-5)


def test_values_that_are_not_finite_are_shown_and_not_compared(tmp_path: Path) -> None:
    def numbers(trial: Any, epoch: int) -> dict[str, float]:
        return {"val_loss": math.nan if depth(trial) == 2 else 1.0 + 0.1 * trial.seed.init}

    make(
        tmp_path,
        "model: {name: mlp, width: 4}\ntraining: {epochs: 1}\nsweep: {model.depth: [1, 2]}\nseeds: 2",
        numbers,
        epochs=1,
    )
    comparison = compared(tmp_path, "val_loss")
    assert [row[-2].text for row in settings_grid(comparison).rows][1] == "nan"
    assert "not finite" in sentences(comparison, 0)[0]
    told = json.loads(objects.text("compare", as_json(comparison)))
    assert told["schema"] == "dlx.compare/1" and told["rows"][1]["metrics"]["val_loss@last"]["mean"] == "nan"


def test_trials_are_counted_whatever_their_state(tmp_path: Path) -> None:
    spec = "model: {name: mlp, width: 4}\nseeds: 7"
    states = ["done", "diverged", "failed", "interrupted", "pending", "pruned", "done"]
    make(tmp_path, spec, noisy_by_seed, epochs=1, state=lambda trial: states[trial.seed.init])  # type: ignore[arg-type, return-value]
    row = compared(tmp_path, "val_accuracy").rows[0]
    assert (row.done, len(row.trials)) == (2, 7)
    assert row.not_done == {state: 1 for state in states if state != "done"}
    assert set(NOT_DONE) == set(STATES) - {"done"}


def test_tries_without_a_test_part_are_compared_by_validation(tmp_path: Path) -> None:
    def numbers(trial: Any, epoch: int) -> dict[str, float | None]:
        return {"val_accuracy": 0.5, "test_accuracy": 0.4 if trial.seed.init == 2 else None}

    make(tmp_path, "model: {name: mlp, width: 4}\nseeds: 3", numbers, epochs=1)
    assert [metric.text for metric in compared(tmp_path).metrics] == ["val_accuracy@last"]
    some = compared(tmp_path, "test_accuracy")
    assert "test_accuracy@last: none in 2 of 3 finished trials (depth)" in some.warnings[0]


def test_by_and_best_over_together(results: Path) -> None:
    comparison = compared(results, "test_accuracy", by=["depth"], best_over=["learning_rate"])
    assert [row.value("model.depth") for row in comparison.rows] == [1, 2, 3]
    apart = compared(results, "test_accuracy", best_over=["learning_rate"])
    assert [row.cells[0].mean for row in comparison.rows] == [row.cells[0].mean for row in apart.rows]
