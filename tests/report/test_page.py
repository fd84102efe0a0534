"""What a page says and holds; what it looks like when opened is :mod:`test_browser`'s."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dlx.analysis.trials import Tables
from dlx.cli.main import main
from dlx.report.curves import curves_of
from dlx.report.figures import MOST_SETTINGS
from dlx.report.page import lightened
from dlx.report.writing import Written, watch, write

sys.path.insert(0, str(Path(__file__).parent.parent / "analysis"))

from made import make  # found only now


class Words(HTMLParser):
    """The text of a page outside scripts and styles, its elements, and what its scripts hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else self._inside

    def handle_endtag(self, tag: str) -> None:
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif not self._inside:
            self.text.append(data)

    @property
    def said(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write([str(results / "grid")], tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def page(written: Written) -> str:
    return written.path.read_text("utf-8")


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def rows_of(columns: dict[str, Any]) -> pd.DataFrame:
    """A chart's columns unpacked, as the page's script does it."""
    lists = {}
    for name, column in columns.items():
        if isinstance(column, dict):
            lists[name] = [column["of"][at] for at in column["at"]] if "at" in column else column["all"]
        else:
            lists[name] = column
    return pd.DataFrame(lists)


def test_the_answer_comes_before_the_charts(page: str) -> None:
    said = Words(page).said
    order = ["The question", "What does <b>depth</b> buy?", "The answer", "Claims", "confirmed", "refuted",
             "Settings side by side", "beats", "The charts Test accuracy", "Every trial", "Where the numbers come from",
             "dlx run grid.yaml"]  # fmt: skip
    places = [said.index(words) for words in order]
    assert places == sorted(places)


def test_what_specs_say_is_text(page: str) -> None:
    words = Words(page)
    assert "</script><script>window.broken" in words.said
    assert page.count("<script") == 3
    assert not any(tag == "b" for tag, _ in words.tags)


def test_the_table_is_that_of_compare(page: str, results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(results / "grid"), "--format", "csv"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 7
    words = Words(page)
    cells = [text.strip() for text in words.text]
    for row in rows[1:]:
        depth, activation = row.split(",")[:2]
        assert depth in cells and activation in cells
    assert main(["compare", str(results / "grid")]) == 0
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("• "):
            assert line[2:] in words.said


def test_nothing_points_outside(page: str) -> None:
    outside = [
        (tag, name, value)
        for tag, attributes in Words(page).tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data") and not (value or "").startswith("#")
    ]
    assert outside == []
    assert "default-src 'none'" in page


def test_the_charts_hold_what_the_tables_hold(page: str, results: Path) -> None:
    """Means over seeds, read from the page, against pandas on the trials' own tables."""
    trials = pd.read_csv(results / "grid" / "trials.csv", dtype={"trial": str})
    metrics = pd.concat(
        pd.read_csv(results / "grid" / "trials" / row.trial / "metrics.csv").assign(
            depth=row["model.depth"], activation=row["model.activation"], state=row.state
        )
        for _, row in trials.iterrows()
    )
    charts = data_of(page)["charts"]
    assert len(charts) == 5
    curves = next(chart["columns"] for chart in charts if "part" in chart["columns"] and "epoch" in chart["columns"])
    drawn = rows_of(curves)
    drawn = drawn[drawn["part"] == "validation"].set_index(["depth", "activation", "epoch"])["mean"]
    expected = metrics.groupby(["depth", "activation", "epoch"])["val_accuracy"].mean()
    assert len(drawn) == len(expected) == 30
    pd.testing.assert_series_equal(drawn.sort_index(), expected.sort_index(), rtol=1e-5, check_names=False)


def test_the_curves_of_a_trial_are_its_tables(page: str, written: Written, results: Path) -> None:
    told = written.chapters[0].trials
    curves = data_of(page)["trials"]
    assert len(curves) == len(told) == 18
    for number in (0, 7, 17):
        trial = told[number].trial
        metrics = pd.read_csv(trial.path / "metrics.csv")
        assert curves[number]["metrics"]["epoch"] == list(metrics["epoch"])
        assert curves[number]["metrics"]["val_loss"] == pytest.approx(list(metrics["val_loss"]), rel=1e-3)
        gradients = pd.read_csv(trial.path / "gradients.csv")
        bias = gradients[(gradients["source"] == "probe") & (gradients["parameter"] == "bias")]
        for layer, norms in bias.groupby("layer"):
            assert curves[number]["gradients"][str(layer)] == pytest.approx(list(norms["grad_norm"]), rel=1e-3)


def test_the_norms_of_a_net_without_biases_are_those_of_its_kernels(tmp_path: Path) -> None:
    """As in ``dlx plot learning-speed``: the output's bias alone says nothing of the other layers."""
    head = "stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio\n"
    layers = (("1,conv_1,kernel", 0.25), ("2,output,kernel", 0.5), ("2,output,bias", 3.0))
    rows = [
        f"train,{step // 10},{step},{layer},probe,{norm + step},1,\n" for step in (0, 5, 10) for layer, norm in layers
    ]
    (tmp_path / "gradients.csv").write_text(head + "".join(rows))
    found = curves_of(Tables(tmp_path), 1)
    assert (found.gradients, found.parameter) == ({"epoch": [0, 1], "1": [0.25, 10.25], "2": [0.5, 10.5]}, "kernel")


def test_long_curves_are_thinned_where_many_share_the_page(tmp_path: Path) -> None:
    header = "stage,epoch,step,train_loss,train_accuracy\n"
    rows = "".join(f"train,{epoch},{epoch},{1 / (epoch + 1)},0.5\n" for epoch in range(1000))
    (tmp_path / "metrics.csv").write_text(header + rows)
    alone, many = (curves_of(Tables(tmp_path), trials).metrics for trials in (1, 10_000))
    assert len(alone["epoch"]) == 200 and len(many["epoch"]) == 24
    for curve in (alone, many):
        assert (curve["epoch"][0], curve["epoch"][-1]) == (0, 999)
        assert all(len(column) == len(curve["epoch"]) for column in curve.values())


def test_a_trial_that_diverged_says_why(page: str) -> None:
    assert "it diverged" in Words(page).said
    assert "done: 17" in Words(page).said


def test_of_many_settings_some_are_drawn_and_that_is_said(tmp_path: Path) -> None:
    widths = list(range(2, MOST_SETTINGS + 4))
    spec = f"model: mlp\ntraining: {{epochs: 1}}\nsweep: {{model.width: {widths}}}\nseeds: 1\n"
    make(tmp_path / "results", spec, lambda trial, epoch: {"val_accuracy": 0.5, "train_accuracy": 0.5,
         "test_accuracy": trial.setting.model.width / 100}, epochs=1)  # fmt: skip
    figures = {
        figure.kind: figure for figure in write([str(tmp_path / "results")], tmp_path / "r.html").chapters[0].figures
    }
    assert figures["sweep"].tidy.distinct("width") == widths
    shown = figures["accuracy"].tidy.distinct("width")
    assert len(shown) == 6 and {widths[0], widths[-1]} <= set(shown)
    assert "6 of 14 settings" in figures["accuracy"].note


def test_nothing_recorded_yet(tmp_path: Path) -> None:
    make(tmp_path / "results", "model: mlp\n", lambda trial, epoch: {}, state=lambda trial: "pending")
    written = write([str(tmp_path / "results")], tmp_path / "r.html", refresh=7)
    said = Words(written.path.read_text()).said
    assert written.waiting == 1 and written.charts == 0
    assert "has anything to draw" in said and "renewed every 7 seconds" in said


def test_watching_ends_with_the_last_trial(tmp_path: Path) -> None:
    """The page is renewed when a trial has recorded more, and only then; the last one no longer renews itself."""
    spec = "model: mlp\ntraining: {epochs: 1}\nseeds: 2\n"
    values = {"val_accuracy": 0.5, "test_accuracy": 0.5, "train_accuracy": 0.5}
    results, place = tmp_path / "results", tmp_path / "r.html"
    make(results, spec, lambda trial, epoch: values, epochs=1, state=lambda trial: "pending")
    written: list[Written] = []
    naps: list[float] = []

    def again(refresh: int | None) -> Written:
        written.append(write([str(results)], place, refresh=refresh))
        return written[-1]

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            shutil.rmtree(results)
            make(results, spec, lambda trial, epoch: values, epochs=1,
                 state=lambda trial: "pending" if trial.seed.init else "done")  # fmt: skip
        if len(naps) == 4:
            shutil.rmtree(results)
            make(results, spec, lambda trial, epoch: values, epochs=1)

    first = write([str(results)], place, refresh=5)
    last = watch(first, again, lambda written: None, sleep)
    assert len(naps) == 4 and len(written) == 2
    assert min(naps) >= 5
    assert last.waiting == 0
    assert data_of(place.read_text())["refresh"] is None


def test_a_watch_that_is_ended_leaves_a_page_at_rest(tmp_path: Path) -> None:
    make(tmp_path / "results", "model: mlp\n", lambda trial, epoch: {}, state=lambda trial: "pending")
    place = tmp_path / "r.html"

    def again(refresh: int | None) -> Written:
        return write([str(tmp_path / "results")], place, refresh=refresh)

    def end(seconds: float) -> None:
        raise KeyboardInterrupt

    first = again(5)
    assert data_of(place.read_text())["refresh"] == 5
    with pytest.raises(KeyboardInterrupt):
        watch(first, again, lambda written: None, end)
    assert data_of(place.read_text())["refresh"] is None


def test_several_experiments_have_a_chapter_each(tmp_path: Path, results: Path) -> None:
    other = tmp_path / "results"
    shutil.copytree(results, other)
    make(other, "model: mlp\ntraining: {epochs: 1}\n", lambda trial, epoch: {"test_accuracy": 0.5}, name="one & two",
         epochs=1)  # fmt: skip
    written = write([str(other)], tmp_path / "r.html")
    assert [chapter.name for chapter in written.chapters] == ["grid", "one & two"]
    words = Words(written.path.read_text())
    assert "2 experiments" in words.said and "one & two" in words.said


def test_damaged_trials_are_named_and_the_rest_is_told(tmp_path: Path, results: Path) -> None:
    shutil.copytree(results, tmp_path / "results")
    trials = sorted((tmp_path / "results" / "grid" / "trials").iterdir())
    (trials[0] / "metrics.csv").write_bytes(b"\x00\xff")
    (trials[1] / "trial.yaml").write_text("model: [")
    (trials[2] / "layers.csv").write_text("layer,name\n1,")
    (trials[3] / "environment.json").write_text("[1")
    written = write([str(tmp_path / "results")], tmp_path / "r.html")
    said = Words(written.path.read_text()).said
    assert trials[0].name in said and "left out" in said
    assert any(trials[1].name in note for note in written.notes)
    assert written.trials == 17
    whole = write([str(results)], tmp_path / "whole.html")
    assert written.charts == whole.charts == 5  # of the trials that can be read


def test_a_number_that_is_none_is_no_number_of_the_page(tmp_path: Path) -> None:
    """JSON has neither NaN nor infinity; a chart without any finite number is left out, and that is said."""
    values = dict.fromkeys(("train_accuracy", "val_accuracy", "test_accuracy"), 0.5)
    losses = dict.fromkeys(("train_loss", "val_loss", "test_loss"), float("nan"))
    make(tmp_path / "results", "model: mlp\n", lambda trial, epoch: {**values, **losses},
         gradient=lambda *about: float("inf"), state=lambda trial: "diverged")  # fmt: skip
    written = write([str(tmp_path / "results")], tmp_path / "r.html")
    assert data_of(written.path.read_text())["trials"][0]["metrics"]["train_accuracy"] == [0.5] * 4
    assert "NaN" not in re.sub(r"<script>.*?</script>", "", written.path.read_text(), flags=re.DOTALL)


def test_colours_on_dark_ground_keep_their_order() -> None:
    from dlx.drawing.palette import ordered

    def light(colour: str) -> float:
        channels = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

    lights = [light(lightened(colour)) for colour in ordered(8)]
    assert lights == sorted(lights)
    assert lights[0] > 3 * light(ordered(8)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grid", "-o", "r.pdf"], "a report is a page"),
        (["nothing"], "no experiment, trial or directory 'nothing'"),
        (["grid", "-m", "test_acuracy"], "did you mean 'test_accuracy'"),
        (["grid", "--lang", "xx"], "no language 'xx'"),
        (["grid", "-o", "no/such/folder/r.html"], "r.html"),
    ],
)
def test_bad_usage(
    results: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code = main(["report", *arguments, "--results", str(results)])
    said = capsys.readouterr()
    assert code in (1, 2) and said.out == ""
    assert message in said.err and len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_as_json(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "r.html"
    assert main(["report", "grid", "--results", str(results), "-o", str(place), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["bytes"]) == ("dlx.report/1", place.stat().st_size)
    assert told["experiments"][0]["charts"] == ["sweep", "accuracy", "learning-speed", "gradients", "activations"]
    assert [claim["verdict"] for claim in told["experiments"][0]["claims"]] == ["confirmed", "refuted"]


def test_nothing_heavy_is_imported(results: Path, tmp_path: Path, dlx: Callable[..., Any]) -> None:
    script = (
        "import sys; from dlx.cli.main import main; main(['report', *sys.argv[1:]])\n"
        "print([m for m in ('tensorflow', 'keras', 'jax', 'sklearn') if m in sys.modules])\n"
    )
    import os
    import subprocess

    ended = subprocess.run(
        [sys.executable, "-c", script, str(results), "-o", str(tmp_path / "r.html")],
        capture_output=True, text=True, check=True, env={**os.environ},
    )  # fmt: skip
    assert ended.stdout.splitlines()[-1] == "[]"
