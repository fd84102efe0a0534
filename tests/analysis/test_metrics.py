"""The metric language: every form against the tables read by hand, and what is said of what it cannot be."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pandas
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dlx.analysis.metrics import At, parse
from dlx.analysis.selectors import find
from dlx.analysis.trials import Tables
from dlx.errors import ResultsError, UsageError


def evaluate(metric: str, trial: Path) -> float:
    """A metric of the trial in a directory; nan where it does not have it."""
    return parse(metric).measure(Tables(trial)).value


@pytest.fixture(scope="module")
def trial(results: Path) -> Path:
    return find(["depth:depth=3,seed=1"], results).trials[0].path


@pytest.fixture(scope="module")
def metrics(trial: Path) -> pandas.DataFrame:
    return pandas.read_csv(trial / "metrics.csv").set_index("epoch")


def test_points_of_training(trial: Path, metrics: pandas.DataFrame) -> None:
    test = metrics["test_accuracy"]
    assert evaluate("test_accuracy", trial) == evaluate("test_accuracy@last", trial) == test.loc[3]
    assert evaluate("test_accuracy@init", trial) == evaluate("test_accuracy@epoch:0", trial) == test.loc[0]
    assert evaluate("test_accuracy@epoch:1", trial) == test.loc[1]
    assert evaluate("test_accuracy@mean:2", trial) == pytest.approx(test.loc[[2, 3]].mean(), rel=1e-12)
    assert metrics["val_accuracy"].idxmax() == 2
    assert evaluate("test_accuracy@best", trial) == test.loc[2]
    assert evaluate("test_loss@best", trial) == metrics["test_loss"].loc[metrics["val_loss"].idxmin()]
    assert evaluate("gradients.grad_norm[1]@best", trial) == pytest.approx(5 / 3)


def test_thresholds(trial: Path, metrics: pandas.DataFrame) -> None:
    reached = metrics.index[metrics["val_accuracy"] >= 0.79][0]
    assert evaluate("epochs_to(val_accuracy>=0.79)", trial) == reached
    never = parse("epochs_to( val_accuracy >= 0.99 )").measure(Tables(trial))
    assert math.isnan(never.value) and never.why == "never"
    assert evaluate("share(train_accuracy@last>=1)", trial) == 1.0
    assert evaluate("share(train_accuracy@epoch:1>=1)", trial) == 0.0
    assert evaluate("share(epochs_to(val_accuracy>=0.99)<=3)", trial) == 0.0


def test_a_block_is_the_geometric_mean_of_its_layers(tmp_path: Path) -> None:
    lines = ["stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio"]
    norms = {
        "conv_1": 5.0,
        "stage_1_block_1_conv_1": 4.0,
        "stage_1_block_1_conv_2": 1.0,
        "stage_1_block_2_conv_1": 0.25,
    }
    for epoch in (0, 1):
        lines += [
            f"train,{epoch},{epoch},{layer},{name},{parameter},probe,{value * (1 + epoch)},1,"
            for layer, (name, value) in enumerate(norms.items(), start=1)
            for parameter in ("kernel", "all")
        ]
    (tmp_path / "gradients.csv").write_text("\n".join(lines) + "\n")
    assert evaluate("grad_norm[block=stage_1, kernel]", tmp_path) == pytest.approx(1.0)
    assert evaluate("grad_norm[block=stage_1/block_1, kernel]@last", tmp_path) == pytest.approx(4.0)
    assert evaluate("grad_norm[block=stage_1/block_2, all]", tmp_path) == 0.25
    assert evaluate("grad_norm[block=stage_1]@last", tmp_path) == pytest.approx(2.0)
    assert "no row" in str(parse("grad_norm[block=stage_7]").measure(Tables(tmp_path)).why)


def test_rows_of_probes(trial: Path) -> None:
    gradients = pandas.read_csv(trial / "gradients.csv")
    activations = pandas.read_csv(trial / "activations.csv")

    def norm(epoch: int, layer: int, parameter: str, source: str, column: str = "grad_norm") -> float:
        rows = gradients.query("epoch==@epoch and layer==@layer and parameter==@parameter and source==@source")
        assert len(rows) == 1
        return float(rows[column].iloc[0])

    assert evaluate("grad_norm[1]", trial) == norm(0, 1, "bias", "probe")
    assert evaluate("gradients.grad_norm[1]", trial) == norm(3, 1, "bias", "probe")
    assert evaluate("grad_norm[2, kernel]@last", trial) == norm(3, 2, "kernel", "probe")
    assert evaluate("grad_norm[dense_2,parameter=all,source=train]@epoch:2", trial) == norm(2, 2, "all", "train")
    assert evaluate("grad_norm[-1,train]@last", trial) == norm(3, 4, "bias", "train")
    assert evaluate("gradients.update_ratio[2,kernel]", trial) == norm(3, 2, "kernel", "train", "update_ratio")
    assert evaluate("grad_ratio", trial) == norm(0, 1, "bias", "probe") / norm(0, 3, "bias", "probe") == 1 / 25
    assert evaluate("grad_ratio@last", trial) == norm(3, 1, "bias", "probe") / norm(3, 3, "bias", "probe")
    saturated = activations.query("epoch==3 and layer==2")["saturated"].iloc[0]
    assert evaluate("saturated[2]", trial) == evaluate("activations.saturated[dense_2]@last", trial) == saturated


def test_numbers_of_the_whole_trial(trial: Path) -> None:
    assert evaluate("parameters", trial) == 100
    assert evaluate("multiply_adds", trial) == 90
    assert evaluate("seconds", trial) == pandas.read_csv(trial / "timing.csv")["seconds"].sum() == 1.5


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("test_acuracy", "no column 'test_acuracy'"),
        ("test_accuracy@epoch:7", "not recorded after epoch 7"),
        ("test_accuracy@mean:4", "has 3 of 4 epochs"),
        ("probe.column[1]", "no probe.csv"),
        ("grad_norm[9]", "no row of 9"),
        ("gradients.update_ratio[1]@init", "not recorded before training"),
        ("epochs_to(vall_accuracy>1)", "no column 'vall_accuracy'"),
        ("gradients.weight_norm[1,train]@last", "was not measured"),
    ],
)
def test_what_a_trial_does_not_have_says_why(trial: Path, text: str, why: str) -> None:
    measured = parse(text).measure(Tables(trial))
    assert math.isnan(measured.value) and measured.missing
    assert why in (measured.why or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a metric"),
        ("test accuracy", "is not a metric"),
        ("test_accuracy@lst", "no point of training 'lst'.*did you mean 'last'"),
        ("test_accuracy@epoch", "write @epoch:10"),
        ("test_accuracy@last:3", "write @last"),
        ("test_accuracy@mean:0", "mean of no epochs"),
        ("epoch_to(val_accuracy>=0.9)", "no function 'epoch_to'.*did you mean 'epochs_to'"),
        ("epochs_to(val_accuracy)", "takes a metric.*as in epochs_to"),
        ("epochs_to(val_accuracy@best>=0.9)", "takes no @"),
        ("share(train_accuracy=1)", "as in share"),
        ("share(share(train_accuracy>=1)>=1)", "share of shares"),
        ("grad_norm[1,]", "an empty place"),
        ("grad_norm[layer=1,2]", "picked twice"),
        ("x" * 2000, "2,000 characters"),
    ],
)
def test_what_is_no_metric_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


@pytest.mark.parametrize("text", ["grad_norm", "gradients.grad_norm[1, train, parameter=kernel, stage=train]@last"])
def test_several_rows_must_be_told_apart(trial: Path, text: str) -> None:
    if "[" in text:
        assert evaluate(text, trial) > 0
    else:
        with pytest.raises(UsageError, match=r"names several rows.*say which layer.*gradients\.grad_norm\[layer=1\]"):
            evaluate(text, trial)


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ("test_accuracy", 1),
        ("val_top5_accuracy@best", 1),
        ("test_r2", 1),
        ("test_loss", -1),
        ("test_mae", -1),
        ("test_rmse@best", -1),
        ("epochs_to(val_accuracy>=0.9)", -1),
        ("share(train_accuracy>=1)", 1),
        ("share(test_loss<0.1)", 1),
        ("share(test_loss>0.1)", -1),
        ("grad_norm[1]", 0),
        ("grad_ratio", 0),
        ("seconds", -1),
        ("parameters", 0),
    ],
)
def test_which_way_is_better(text: str, better: int) -> None:
    assert parse(text).better == better


def test_without_validation_there_is_no_best(trial: Path, tmp_path: Path) -> None:
    rows = pandas.read_csv(trial / "metrics.csv").drop(columns=["val_loss", "val_accuracy"])
    rows.to_csv(tmp_path / "metrics.csv", index=False)
    assert "@last is what there is" in (parse("test_accuracy@best").measure(Tables(tmp_path)).why or "")


def test_the_last_stage_is_meant_unless_said(trial: Path, tmp_path: Path) -> None:
    rows = pandas.read_csv(trial / "metrics.csv")
    before = rows.assign(stage="layer1", test_accuracy=0.25)
    pandas.concat([before, rows.assign(stage="finetune")]).to_csv(tmp_path / "metrics.csv", index=False)
    assert evaluate("test_accuracy", tmp_path) == rows["test_accuracy"].iloc[-1]
    assert evaluate("test_accuracy[stage=layer1]", tmp_path) == 0.25
    assert evaluate("test_accuracy[layer1]@init", tmp_path) == 0.25


def test_nan_is_a_value_and_not_missing(trial: Path, tmp_path: Path) -> None:
    text = (trial / "metrics.csv").read_text().splitlines()
    cells = text[-1].split(",")
    cells[text[0].split(",").index("test_accuracy")] = "nan"
    (tmp_path / "metrics.csv").write_text("\n".join([*text[:-1], ",".join(cells)]) + "\n")
    measured = parse("test_accuracy").measure(Tables(tmp_path))
    assert math.isnan(measured.value) and not measured.missing
    assert evaluate("share(test_accuracy>=0.5)", tmp_path) == 0.0


def test_a_damaged_table_is_an_error(trial: Path, tmp_path: Path) -> None:
    copy = tmp_path / "trial"
    shutil.copytree(trial, copy)
    (copy / "metrics.csv").write_bytes(b"stage,epoch\n1,2,3\n")
    with pytest.raises(ResultsError, match="metrics.csv, row 1: 3 cells for 2 columns"):
        evaluate("test_accuracy", copy)


NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("parameters", "multiply_adds", "seconds", "grad_ratio")
)
PICKS = st.one_of(
    st.integers(-20, 20).map(str),
    NAMES,
    st.tuples(
        NAMES, st.text(st.characters(codec="ascii", exclude_characters='"\n'), min_size=1).map(str.strip).filter(bool)
    ).map(lambda pair: f'{pair[0]}="{pair[1]}"'),
)
WHENS = st.sampled_from(["", "@last", "@best", "@init", "@epoch:3", "@mean:5"])


@example((None, "a", ['b="@"', 'c="x>=1"', '"f(1)"'], "@best"))
@given(
    st.tuples(
        st.none() | NAMES, NAMES, st.lists(PICKS, max_size=3, unique_by=lambda pick: pick.partition("=")[0]), WHENS
    )
)
def test_a_metric_in_full_names_the_same_metric(parts: tuple[str | None, str, list[str], str]) -> None:
    table, column, picks, when = parts
    if (
        sum(not pick.partition("=")[1] and pick.lstrip("-").isdecimal() for pick in picks)
        + (any(pick.startswith("layer=") for pick in picks))
        > 1
    ):
        return
    text = f"{table}." * bool(table) + column + (f"[{','.join(picks)}]" if picks else "") + when
    metric = parse(text)
    assert parse(metric.text) == metric
    assert isinstance(metric, At)
    share = parse(f"share({metric.text}>=0.5)")
    assert parse(share.text) == share


@given(st.text(st.sampled_from('abt_.@:[](),=<>!0123456789- "x'), max_size=40))
def test_any_text_is_a_metric_or_a_clear_refusal(text: str) -> None:
    try:
        assert parse(parse(text).text).text == parse(text).text
    except UsageError as error:
        assert error.message
