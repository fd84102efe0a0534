"""The numbers that are drawn, against pandas and SciPy on the same files."""

from __future__ import annotations

import itertools
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from dlx.analysis.metrics import parse
from dlx.analysis.selectors import find
from dlx.analysis.trials import Tables
from dlx.drawing.subjects import Group, Run
from dlx.drawing.tidy import Tidy
from dlx.errors import ResultsError, UsageError
from dlx.plot import chart_of, data_of, groups_of
from tests.charts.conftest import make, numbers


@pytest.fixture
def groups(results: Path) -> list[Group]:
    return groups_of(find([results]).trials)[0]


def drawn(kind: str, groups: list[Group], **options: str) -> Tidy:
    return chart_of(kind, options).data(groups)


def as_frame(tidy: Tidy, index: list[str]) -> pd.DataFrame:
    return pd.DataFrame(list(tidy.rows)).set_index(index).sort_index()


def assert_equal(tidy: Tidy, expected: pd.DataFrame, columns: dict[str, Any]) -> None:
    """``columns``: of the tidy table, and what each is of the values pooled in ``expected`` (a grouped series)."""
    index = list(expected.index.names)
    found = as_frame(tidy, index)
    assert len(found) == len(expected)
    for column in columns:
        np.testing.assert_allclose(
            found[column].to_numpy(float), expected.sort_index()[column].to_numpy(float), rtol=1e-12
        )


def test_settings_are_in_the_order_of_their_values(groups: list[Group]) -> None:
    assert [group.label for group in groups] == [
        f"depth {depth}, activation {name}" for depth in (1, 2, 3) for name in ("relu", "sigmoid")
    ]
    assert {len(group.runs) for group in groups} == {3}


@pytest.mark.parametrize(("parameter", "source"), [("bias", "probe"), ("kernel", "train")])
def test_learning_speed(groups: list[Group], frame: dict[str, pd.DataFrame], parameter: str, source: str) -> None:
    tidy = drawn("learning-speed", groups, parameter=parameter, source_of_norm=source)
    rows = frame["gradients"].query("parameter == @parameter and source == @source")
    grouped = rows.groupby(["depth", "activation", "epoch", "layer"])["grad_norm"]
    expected = pd.DataFrame(
        {"mean": grouped.agg(scipy.stats.gmean), "low": grouped.min(), "high": grouped.max(), "n": grouped.count()}
    )
    assert_equal(tidy, expected, dict.fromkeys(expected))


def test_gradients_at_three_moments(groups: list[Group], frame: dict[str, pd.DataFrame]) -> None:
    tidy = drawn("gradients", groups)
    moments = {0: "before training", 2: "half way", 4: "at the end"}
    rows = frame["gradients"].query("parameter == 'bias' and source == 'probe' and epoch in @moments.keys()")
    grouped = rows.assign(moment=rows["epoch"].map(moments)).groupby(["moment", "depth", "activation", "layer"])
    expected = pd.DataFrame({"mean": grouped["grad_norm"].agg(scipy.stats.gmean), "low": grouped["grad_norm"].min()})
    assert_equal(tidy, expected, dict.fromkeys(expected))
    assert tidy.distinct("moment") == list(moments.values())


def test_gradients_in_epochs_that_were_asked_for(groups: list[Group]) -> None:
    assert drawn("gradients", groups, epoch="1,3").distinct("moment") == ["epoch 1", "epoch 3"]
    with pytest.raises(UsageError, match=r"epoch 9 \(recorded: 0, 1, 2, 3, 4\)"):
        drawn("gradients", groups, epoch="9")


def test_accuracy(groups: list[Group], frame: dict[str, pd.DataFrame]) -> None:
    tidy = drawn("accuracy", groups, parts="train,val,test")
    names = {"train_accuracy": "training", "val_accuracy": "validation", "test_accuracy": "test"}
    long = frame["metrics"].melt(["depth", "activation", "epoch"], list(names), "part").replace({"part": names})
    grouped = long.groupby(["depth", "activation", "part", "epoch"])["value"]
    expected = pd.DataFrame({"mean": grouped.mean(), "low": grouped.min(), "high": grouped.max()})
    assert_equal(tidy, expected, dict.fromkeys(expected))


def test_accuracy_from_an_epoch_on(groups: list[Group]) -> None:
    whole, later = drawn("accuracy", groups), drawn("accuracy", groups, from_epoch="1")
    assert list(later.rows) == [row for row in whole.rows if row["epoch"] >= 1]
    with pytest.raises(UsageError, match="no accuracy was measured on train or val from epoch 5 on"):
        drawn("accuracy", groups, from_epoch="5")


def test_activations_leave_the_output_layer_out(groups: list[Group], frame: dict[str, pd.DataFrame]) -> None:
    tidy = drawn("activations", groups)
    rows = frame["activations"].query("layer <= depth")
    expected = rows.groupby(["depth", "activation", "epoch", "layer"])["saturated"].mean().rename("mean").to_frame()
    assert_equal(tidy, expected, {"mean": None})
    assert tidy.distinct("quantity") == ["saturated activations"]


def test_sweep_has_means_intervals_and_seeds(groups: list[Group], frame: dict[str, pd.DataFrame]) -> None:
    tidy = drawn("sweep", groups, metric="val_accuracy@last")
    last = frame["metrics"].query("epoch == 4")
    for (depth, activation), values in last.groupby(["depth", "activation"])["val_accuracy"]:
        rows = [row for row in tidy.rows if (row["depth"], row["activation"]) == (depth, activation)]
        (mean,) = (row for row in rows if row["part"] == "mean")
        low, high = scipy.stats.t.interval(0.95, 2, values.mean(), scipy.stats.sem(values))
        assert mean["n"] == 3
        np.testing.assert_allclose([mean["value"], mean["low"], mean["high"]], [values.mean(), low, high], rtol=1e-9)
        assert sorted(row["value"] for row in rows if row["part"] == "seed") == pytest.approx(sorted(values))
    assert tidy.axes == ("depth", "activation")
    assert drawn("sweep", groups, x="activation").axes == ("activation", "depth")


def test_sweep_has_no_trial_in_its_means_that_is_not_done(tmp_path: Path) -> None:
    """What diverged or still runs has numbers in its tables too; a share counts what diverged."""
    spec = "model: {name: mlp}\ntraining: {epochs: 4}\nsweep: {model.width: [3, 4]}\nseeds: 3\n"

    def state(trial: Any) -> Any:
        return (
            {1: "diverged", 2: "interrupted"}.get(trial.seed.init, "done") if trial.setting.model.width == 4 else "done"
        )

    make(tmp_path, spec, numbers, name="some", epochs=4, state=state)
    groups, _ = groups_of(find([str(tmp_path)]).trials)
    tidy = drawn("sweep", groups)
    assert {row["width"]: row["n"] for row in tidy.rows if row["part"] == "mean"} == {3: 3, 4: 1}
    assert sum(row["part"] == "seed" for row in tidy.rows) == 4
    assert (
        tidy.subtitle == "mean of 1–3 seeds with 95% confidence interval; left out: 1 diverged, 1 interrupted"
        and tidy.subtitle in tidy.caption
    )
    shares = drawn("sweep", groups, metric="share(test_accuracy@last>=0)")
    assert {row["width"]: row["n"] for row in shares.rows if row["part"] == "mean"} == {3: 3, 4: 2}
    with pytest.raises(UsageError, match=r"@last \(none is done: 1 diverged, 1 interrupted\)"):
        drawn("sweep", [replace(groups[1], runs=groups[1].runs[1:])])


@pytest.mark.parametrize("kind", ["sweep", "accuracy", "learning-speed"])
def test_a_trial_that_is_damaged_is_left_out_and_named(kind: str, results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    damaged = find([tmp_path / "results"]).trials[4].path
    for table in ("metrics", "gradients"):
        (damaged / f"{table}.csv").write_text("stage,epoch\n1,2,3\n")
    groups, _ = groups_of(find([tmp_path / "results"]).trials)
    tidy, notes = data_of(chart_of(kind, {}), groups)
    (note,) = notes
    assert note.startswith("left out: ") and str(damaged) in note
    of_setting = {row["setting"]: row["n"] for row in tidy.rows if row.get("n") is not None}
    assert sorted(of_setting.values()) == [2, 3, 3, 3, 3, 3]
    for trial in find([tmp_path / "results"]).trials:
        for table in ("metrics", "gradients"):
            (trial.path / f"{table}.csv").write_text("stage,epoch\n1,2,3\n")
    with pytest.raises(ResultsError, match="3 cells for 2 columns"):
        data_of(chart_of(kind, {}), groups_of(find([tmp_path / "results"]).trials)[0])


def test_sweep_takes_the_error_of_a_regression(groups: list[Group]) -> None:
    from types import SimpleNamespace

    from dlx.charts import sweep

    assert drawn("sweep", groups).heading == "test accuracy by depth and activation"
    regression = SimpleNamespace(table=lambda name: SimpleNamespace(columns=("epoch", "train_loss", "train_rmse")))
    assert sweep._usual([SimpleNamespace(runs=[regression])]) == "test_rmse"  # type: ignore[list-item]


def test_what_a_member_alone_has_is_no_axis_of_its_own() -> None:
    """Only some kinds of pretraining have an optimizer: which one they have, pretraining says already."""
    made = [
        {"pretraining": "none", "optimizer": "–", "depth": 1},
        {"pretraining": "rbm", "optimizer": "sgd", "depth": 1},
        {"pretraining": "rbm", "optimizer": "sgd", "depth": 2},
    ]
    sweep = chart_of("sweep", {})
    assert sweep._order([Group(str(values), (), values) for values in made]) == ("depth", "pretraining")  # type: ignore[attr-defined]
    made.append({"pretraining": "rbm", "optimizer": "adam", "depth": 2})
    assert "optimizer" in sweep._order([Group(str(values), (), values) for values in made])  # type: ignore[attr-defined]


def test_parameters_that_vary_together_are_no_grid() -> None:
    from dlx.charts.sweep import _zipped

    rows = [{"epochs": epochs, "batch_size": 500 // epochs} for epochs in (1, 5, 50, 500)]
    assert _zipped(Tidy(("epochs", "batch_size"), rows, ("epochs", "batch_size")))
    rows.append({"epochs": 1, "batch_size": 1})
    assert not _zipped(Tidy(("epochs", "batch_size"), rows, ("epochs", "batch_size")))


@pytest.mark.parametrize(("kind", "ordered"), [("log", [1.0, 10.0, 1000.0]), ("linear", [1.0, 2.0, 3.0])])
def test_series_stand_beside_each_other(kind: str, ordered: list[float]) -> None:
    """By the expression that Vega reckons: in the order of the legend, about the value, nearer than half of the way."""
    import altair as alt

    from dlx.charts.sweep import _beside
    from dlx.drawing.panels import Told

    scale = alt.Scale(type="log", domain=[0.9, 1100.0]) if kind == "log" else alt.Scale(domain=[0.9, 3.1])
    text = _beside("depth", ordered, Told("model", ("mlp", "cnn"), None), scale, 0.5)
    places = {
        (value, model): eval(re.sub(r"([^ (]+) === (\S+) \? (\S+) : ", r"\3 if \1 == \2 else ", text),
                             {"datum": {"depth": value, "model": model}})
        for value in ordered for model in ("mlp", "cnn")
    }  # fmt: skip
    position = np.log if kind == "log" else float
    for value in ordered:
        left, right = (position(places[value, model]) for model in ("mlp", "cnn"))
        assert left < position(value) < right
        assert (left + right) / 2 == pytest.approx(position(value), abs=1e-9)
    gaps = [position(after) - position(before) for before, after in itertools.pairwise(ordered)]
    assert position(places[ordered[0], "cnn"]) - position(places[ordered[0], "mlp"]) <= 0.5 * min(gaps)


def test_units_of_one_trial(tmp_path: Path) -> None:
    rows = ["stage,epoch,step,layer,name,unit,bias_grad,kernel_grad_norm"]
    values = {
        (epoch, layer, unit): (-1) ** unit * (epoch + layer / 10)
        for epoch in (0, 1)
        for layer in (1, 2)
        for unit in range(3)
    }
    rows += [
        f"train,{epoch},0,{layer},dense_{layer},{unit},{value},{abs(value)}"
        for (epoch, layer, unit), value in values.items()
    ]
    (tmp_path / "gradient_units.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    run = Run("a trial", 0, Tables(tmp_path))
    for epoch in (0, 1):
        tidy = chart_of("units", {"epoch": str(epoch), "units": "2"}).data(run)
        found = {(epoch, row["layer"], row["unit"]): row["gradient"] for row in tidy.rows}
        assert found == {key: value for key, value in values.items() if key[0] == epoch and key[2] < 2}
        assert tidy.notes == ("2 units beyond the first 2 of their layer are not drawn (--units)",)
    one = chart_of("units", {"layers": "2"}).data(run)
    assert {row["layer"] for row in one.rows} == {2} and len(one.rows) == 3 and not one.notes
    with pytest.raises(UsageError, match=r"a trial has none of these layers \(recorded: 1, 2\)"):
        chart_of("units", {"layers": "7,8"}).data(run)


def test_records_within_an_epoch_are_not_pooled(tmp_path: Path) -> None:
    """A probe every 5 of 10 steps: an epoch's number is that of the record that follows it, not a mean over steps."""
    head = "stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio"
    norms = {0: 1.0, 5: 2.0, 10: 4.0, 15: 8.0, 20: 16.0}
    rows = [
        f"train,{step // 10},{step},{layer},{name},bias,probe,{layer * norm},1,"
        for step, norm in norms.items()
        for layer, name in ((1, "dense_1"), (2, "output"))
    ]
    (tmp_path / "gradients.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    group = [Group("one", (Run("a trial", 0, Tables(tmp_path)),))]
    by_epoch = [
        (row["epoch"], row["layer"], row["mean"], row["n"])
        for row in drawn("learning-speed", group, parameter="bias").rows
    ]
    assert by_epoch == [(epoch, layer, layer * norms[10 * epoch], 1) for layer in (1, 2) for epoch in (0, 1, 2)]
    by_step = [
        row["mean"] for row in drawn("learning-speed", group, parameter="bias", x="step").rows if row["layer"] == 1
    ]
    assert by_step == list(norms.values())
    moments = {
        row["moment"]: row["mean"] for row in drawn("gradients", group, parameter="bias").rows if row["layer"] == 1
    }
    assert moments == {"before training": 1.0, "half way": 4.0, "at the end": 16.0}
    for text, value in (("grad_norm[1]", 1.0), ("grad_norm[1]@epoch:1", 4.0), ("grad_norm[1]@last", 16.0)):
        assert parse(text).measure(Tables(tmp_path)).value == value


def test_norms_of_mini_batches_are_none_before_training(tmp_path: Path) -> None:
    head = "stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio"
    rows = [f"train,{epoch},{10 * epoch},1,output,bias,train,{epoch},1,0.1" for epoch in (1, 2, 3)]
    (tmp_path / "gradients.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    one = [Group("one", (Run("a trial", 0, Tables(tmp_path)),))]
    assert drawn("gradients", one, parameter="bias").distinct("moment") == ["epoch 1", "half way", "at the end"]
    (tmp_path / "gradients.csv").write_text("\n".join([head, *rows[:2]]) + "\n", encoding="utf-8")
    two = [Group("one", (Run("a trial", 0, Tables(tmp_path)),))]
    assert drawn("gradients", two, parameter="bias").distinct("moment") == ["epoch 1", "at the end"]


def test_norms_of_zero_are_left_out_and_said(tmp_path: Path) -> None:
    head = "stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio"
    rows = [f"train,{epoch},0,1,dense_1,bias,probe,{norm},1,\ntrain,{epoch},0,1,dense_1,kernel,probe,1,1,"
            for epoch, norm in enumerate((0.5, 0.0, "nan", 0.25))]  # fmt: skip
    (tmp_path / "gradients.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    tidy = chart_of("learning-speed", {}).data([Group("one", (Run("a trial", 0, Tables(tmp_path)),))])
    assert [(row["epoch"], row["mean"]) for row in tidy.rows] == [(0, 0.5), (3, 0.25)]
    assert tidy.notes == ("2 points are not drawn: norms of zero have no place on a log axis",)


def test_a_net_without_biases_shows_its_kernels(tmp_path: Path) -> None:
    head = "stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio"
    rows = ["train,0,0,1,dense_1,kernel,probe,0.1,1,", "train,0,0,2,output,kernel,probe,0.2,1,",
            "train,0,0,2,output,bias,probe,0.3,1,"]  # fmt: skip
    (tmp_path / "gradients.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    tidy = chart_of("learning-speed", {}).data([Group("one", (Run("a trial", 0, Tables(tmp_path)),))])
    assert [row["mean"] for row in tidy.rows] == [0.1, 0.2]


def test_a_table_that_was_not_asked_for_is_an_error_that_says_how(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a trial has no gradients.csv \(add `probes: \{gradients"):
        chart_of("learning-speed", {}).data([Group("one", (Run("a trial", 0, Tables(tmp_path)),))])
    (tmp_path / "gradients.csv").write_text("stage,epoch,step,layer\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"a trial: gradients.csv has no rows, only its header"):
        chart_of("learning-speed", {}).data([Group("one", (Run("a trial", 0, Tables(tmp_path)),))])
