"""``dlx plot`` as a person calls it."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.analysis.selectors import find
from dlx.cli.main import main
from dlx.datasets import Places
from dlx.datasets import registry as registry_of_data
from dlx.errors import UsageError
from dlx.models import registry
from dlx.plot import groups_of, numbers
from dlx.records.trial_directory import TrialDirectory
from dlx.trained import Trained

HEAVY = {"tensorflow", "keras", "jax", "pandas", "sklearn"}


def test_a_picture_and_its_numbers(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, table = tmp_path / "fig.svg", tmp_path / "fig.csv"
    command = ["plot", "sweep", str(results), "-o", str(picture), "--data", str(table), "--metric", "val_loss@best"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{picture}\n"
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["part"] for row in rows].count("mean") == 6
    assert [row["part"] for row in rows].count("seed") == 18
    assert {row["metric"] for row in rows} == {"val_loss@best"}


def test_json_has_the_numbers_and_what_was_written(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "accuracy", str(results), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "dlx.plot/1"
    assert told["kind"] == "accuracy" and told["file"] is None
    assert told["columns"][:3] == ["setting", "depth", "activation"]
    assert len(told["rows"]) == 6 * 2 * 5


def test_kinds_and_options_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plot", "kinds"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == sorted(line.split()[0] for line in listed)
    assert any(line.startswith("learning-speed ") for line in listed)
    assert main(["plot", "hidden", "--options"]) == 0
    assert "pca or tsne" in capsys.readouterr().out
    assert main(["plot", "kinds", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "dlx.plot/1"
    assert [f"{one['kind']} {one['summary']}".split() for one in told["kinds"]] == [line.split() for line in listed]
    assert main(["plot", "hidden", "--options", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "hidden"
    assert {"option": "units", "default": [0, 1], "description": "the two units of method units"} in told["options"]


def test_data_are_looked_for_where_one_says(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Places] = []

    def load(dataset: object, places: Places) -> None:
        asked.append(places)
        raise UsageError("asked")

    monkeypatch.setattr(registry_of_data.get("digits"), "load", load)
    folder = ["--data-dir", str(tmp_path), "--data", str(tmp_path / "x.csv")]
    assert main(["plot", "examples", "digits", *folder]) == 2
    groups, _ = groups_of(find([results]).trials, tmp_path)
    runtime = Trained._runtime(TrialDirectory(groups[0].runs[0].directory), None, groups[0].runs[0].data_dir)
    assert [places.data_dir for places in asked] == [tmp_path] == [runtime.data_dir]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["accuraccy", "-o", "x.svg"], "no kind of chart 'accuraccy' (did you mean 'accuracy'?)"),
        (["accuracy", "-o", "x.jpg"], "-o x.jpg: pictures end in .svg, .png, .pdf, .html"),
        (["architecture", "lenet5"], "dlx plot architecture cannot be drawn as text"),
        (["accuracy", "-o", "x.svg", "--theme", "slides"], "unknown theme 'slides' (did you mean 'slide'?)"),
        (["accuracy", "-o", "x.svg", "--width", "wide"], "'wide' is not a length such as 3.25in"),
        (["accuracy", "-o", "x.svg", "--layer", "2"], "dlx plot accuracy has no option 'layer'"),
        (["accuracy", "-o", "x.svg", "--metric", "acuracy"], "measured no 'acuracy' (did you mean 'accuracy'?)"),
        (["accuracy", "-o", "x.svg", "--set", "parts=train,dev"], "dlx plot accuracy: parts"),
        (["accuracy", "-o", "x.svg", "--set", "parts"], "--set parts: write OPTION=VALUE"),
        (["sweep", "-o", "x.svg", "--x", "width"], "trials do not differ in 'width'"),
        (["sweep", "-o", "x.svg", "--metric", "gradient"], "no trial has gradient@last"),
        (["gradients", "-o", "x.svg", "--epoch", "77"], "recorded no gradient in epoch 77"),
        (["units", "-o", "x.svg"], "6 settings are selected and one trial is drawn"),
        (["architecture", "-o", "x.svg"], "draws one thing: a spec, a trial, or the name of a model"),
        (["architecture", "grid", "-o", "x.svg"], "networks and one is drawn"),
        (["accuracy", "nothing", "-o", "x.svg"], "no experiment, trial or directory 'nothing'"),
        (["accuracy", "--lang", "xx", "-o", "x.svg"], "no language 'xx'"),
        (["accuracy", "-o", "nowhere/x.svg"], "cannot write nowhere/x.svg: No such file or directory"),
        (["accuracy", "--data", "nowhere/x.csv"], "cannot write nowhere/x.csv: No such file or directory"),
    ],
)
def test_mistakes_are_told_in_one_line(
    arguments: list[str],
    message: str,
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLX_RESULTS", str(results))
    assert main(["plot", *arguments]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1 and told.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_of_a_model_a_spec_and_a_trial(results: Path, tmp_path: Path) -> None:
    spec = tmp_path / "one.yaml"
    spec.write_text("dataset: digits\nmodel: {name: mlp, hidden: [7]}\n", encoding="utf-8")
    for target, words in (("lenet5", "61,706"), (str(spec), "535"), (f"{results}/grid:depth=2,activation=relu", "mlp")):
        path = tmp_path / "net.svg"
        assert main(["plot", "architecture", target, "-o", str(path)]) == 0
        assert words in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("model", registry.names())
def test_every_model_has_a_diagram(model: str) -> None:
    """All that it counts is in the diagram: a block for each layer with weights, the sum of parameters."""
    _, tidy, _ = numbers("architecture", [model], {}, results=Path("results"))
    counted = sum(int(number.replace(",", "")) for number in re.findall(r"([\d,]+) parameters", tidy.subtitle))
    assert sum(int(row["parameters"]) for row in tidy.rows) == counted
    assert [row["block"] for row in tidy.rows] == list(range(len(tidy.rows)))
    for row in tidy.rows[1:]:
        assert row["inputs"] and all(int(source) < row["block"] for source in row["inputs"].split())


def test_a_diagram_says_what_auxiliary_classifiers_add(tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    assert main(["plot", "architecture", "googlenet", "-o", str(path)]) == 0
    words = path.read_text(encoding="utf-8")
    assert "5,983,802 parameters, " in words
    assert "and 4,350,228 parameters of auxiliary classifiers, in training only" in words


def test_plots_of_tables_import_no_backend(results: Path, tmp_path: Path) -> None:
    """Nor pandas, which alone would take half of the time."""
    script = (
        "import sys; from dlx.cli.main import main; "
        f"output = ['-o', {str(tmp_path / 'x.svg')!r}]; "
        f"codes = [main(['plot', kind, {str(results)!r}, *output]) for kind in sys.argv[1:]]; "
        "print(codes, *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    kinds = ["learning-speed", "gradients", "accuracy", "activations", "sweep"]
    ended = subprocess.run([sys.executable, "-c", script, *kinds], capture_output=True, text=True, check=True)
    last = ended.stdout.splitlines()[-1]
    assert last.startswith("[0, 0, 0, 0, 0]")
    assert not set(last.split()) & HEAVY
