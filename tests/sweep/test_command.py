"""``dlx sweep``: what its arguments mean, what it refuses, and the spec that it amounts to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.cli.main import main
from dlx.cli.sweep import tell_apart
from dlx.errors import UsageError
from dlx.models.mlp import Spec as Mlp
from dlx.spec import SHORT_AXES, load, load_text

ROOT = Path(__file__).resolve().parent.parent.parent
SPEC = """\
name: mine
model: {name: mlp, depth: 2, width: 4}
training:
  optimizer: {name: sgd, learning_rate: 0.5}
sweep:
  model.activation: [relu, tanh]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory with one spec."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DLX_RESULTS", raising=False)
    (tmp_path / "mine.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path


def would(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What ``dlx sweep ARGUMENTS --dry-run --json`` says of its experiment."""
    assert main(["sweep", *arguments, "--dry-run", "--json"]) == 0, capsys.readouterr().err
    given = json.loads(capsys.readouterr().out)
    assert given["schema"] == "dlx.sweep/1"
    (experiment,) = given["experiments"]
    assert isinstance(experiment, dict)
    return experiment


@pytest.mark.parametrize(
    ("arguments", "axes", "spec"),
    [
        (["depth"], {"depth": None}, None),
        (["learning_rate"], {"learning-rate": None}, None),
        (
            ["depth=1..8", "activation=relu,tanh", "mine.yaml"],
            {"depth": "1..8", "activation": "relu,tanh"},
            "mine.yaml",
        ),
        (["mine.yaml", "depth=1"], {"depth": "1"}, "mine.yaml"),
        (["training.l2=0,1e-3", "spec"], {"training.l2": "0,1e-3"}, "spec"),
        (["absent.yml", "depth=1"], {"depth": "1"}, "absent.yml"),
        (["./depth", "depth=1"], {"depth": "1"}, "depth"),
        (["depth", "model.hidden=[30],[30,30]"], {"depth": None, "model.hidden": "[30],[30,30]"}, None),
    ],
)
def test_axes_are_told_from_specs(
    here: Path, arguments: list[str], axes: dict[str, str | None], spec: str | None
) -> None:
    for name in ("depth", "spec"):  # an axis' name means the axis, whatever lies about
        (here / name).write_text("model: mlp\n", encoding="utf-8")
    assert tell_apart(arguments) == (axes, Path(spec) if spec else None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dept"], "dept is neither an axis nor the file of a spec (did you mean 'depth'?)"),
        (["mine.yml=3"], "unknown axis 'mine.yml'"),
        (["depht=1..3"], "did you mean 'depth'?"),
        (["pretrainig"], "pretrainig is neither an axis nor the file of a spec"),
        (["pretrainig=rbm"], "unknown axis 'pretrainig'"),
        (["training.l2"], "training.l2 needs values"),
        (["depth", "model.depth=3"], "the axis depth is given twice"),
        (["mine.yaml", "other.yaml", "depth"], "two specs, mine.yaml and other.yaml"),
        (["depth", "absent.yaml"], "absent.yaml: cannot be read"),
        (["depth=a", "mine.yaml"], "depth=a: model.depth: must be a whole number"),
        (["depth=3..1"], "the range 3..1 is empty"),
        (["activation=relu,sigmod"], "did you mean 'sigmoid'"),
        (["depth=1..3", "--set", "model=lenet5", "mine.yaml"], "depth=1..3: model.depth: unknown key"),
        (["depth", "--set", "model.depth=3"], "model.depth is both set and swept"),
        (["learning-rate=log(1e-4,1e-1)"], "needs a number of points"),
        (
            ["dropout=0.1..0.5"],
            "dropout=0.1..0.5: model.dropout: 0.1..0.5 is no range, which is of whole numbers as 1..8",
        ),
        (["learning-rate=log(1e-4 1e-1)"], "log(1e-4 1e-1) is none of log(1e-4, 1e-1), lin(0, 0.5), or with"),
        (["width=1..5000", "depth=1..3"], "would make 45,000 trials (5000 × 3 × 3), more than the 10,000"),
        (["depth=1..4", "--seeds", "3", "--cap", "10"], "would make 12 trials (4 × 3), more than the 10"),
        (["depth", "--estimate"], "--estimate goes with --dry-run"),
        (["depth", "--save", "mine.yaml"], "--save mine.yaml"),
        (["depth", "--random", "0"], "--random"),
    ],
)
def test_refused_before_anything_is_created(
    here: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in here.iterdir()}
    assert main(["sweep", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_the_depth_study(capsys: pytest.CaptureFixture[str]) -> None:
    experiment = would(["depth"], capsys)
    assert (experiment["experiment"], experiment["file"]) == ("depth", None)
    assert [trial["parameters"]["model.depth"] for trial in experiment["trials"]] == [
        depth for depth in range(1, 6) for _ in range(3)
    ]


@pytest.mark.parametrize("axis", sorted(SHORT_AXES))
def test_every_named_axis_has_usual_values(axis: str, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = would([axis, "--seeds", "1"], capsys)
    assert experiment["experiment"] == axis
    values = [trial["parameters"][SHORT_AXES[axis]] for trial in experiment["trials"]]
    assert 3 <= len(values) == len({json.dumps(value) for value in values}) <= 5
    assert experiment["notes"] == []


@pytest.mark.parametrize(
    ("model", "depths"),
    [
        ("cifar_resnet", [20, 32, 44, 56]),
        ("cifar_vgg", [11, 13, 16, 19]),
        ("resnet", [50, 101, 152]),
        ("vgg", [16, 19]),
    ],
)
def test_families_with_certain_depths_are_swept_over_those(
    here: Path, model: str, depths: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "deep.yaml").write_text(f"dataset: cifar10\nmodel: {model}\n", encoding="utf-8")
    trials = would(["depth", "deep.yaml", "--seeds", "1"], capsys)["trials"]
    assert [trial["parameters"]["model.depth"] for trial in trials] == depths


def test_only_depth_alone_is_the_study_of_depth(capsys: pytest.CaptureFixture[str]) -> None:
    alone = {trial["id"] for trial in would(["depth"], capsys)["trials"]}
    both = would(["depth", "activation=sigmoid,relu"], capsys)
    assert both["experiment"] == "depth-activation"
    assert len(both["trials"]) == 5 * 2 * 3
    assert not alone & {trial["id"] for trial in both["trials"]}


def test_axes_replace_those_of_the_spec_and_leave_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    experiment = would(["depth=1..2", "mine.yaml"], capsys)
    assert experiment["experiment"] == "mine"
    assert len(experiment["trials"]) == 2 * 2 * 3
    experiment = would(["activation=sigmoid", "mine.yaml", "--seeds", "2"], capsys)
    assert [trial["parameters"] for trial in experiment["trials"]] == [{}, {}]


def test_a_name_is_swept_with_its_siblings_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["optimizer=sgd,adam", "mine.yaml", "--seeds", "1", "--save", "out.yaml"]
    experiment = would(arguments, capsys)
    assert any("learning_rate is dropped" in note for note in experiment["notes"])
    rates = {trial.setting.training.optimizer.learning_rate for trial in load("out.yaml").trials}
    assert rates == {0.01, 0.001}


def test_drawn_at_random(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["learning-rate=log(1e-4,1e-1)", "optimizer=sgd,adam", "--random", "20", "--seeds", "1"]
    first, again = (would(arguments, capsys)["trials"] for _ in range(2))
    assert first == again
    assert len(first) == 20
    rates = [trial["parameters"]["training.optimizer.learning_rate"] for trial in first]
    assert len(set(rates)) == 20
    assert all(1e-4 <= rate <= 1e-1 for rate in rates)


def test_saving(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["depth=1..2", "mine.yaml", "--save", "out.yaml"]
    ids = [trial["id"] for trial in would(arguments, capsys)["trials"]]
    saved = (here / "out.yaml").read_text("utf-8")
    assert saved.startswith("# What `dlx sweep depth=1..2 mine.yaml` amounts to.\nname: mine\n")
    assert [trial.id for trial in load("out.yaml").trials] == ids
    assert would(arguments, capsys)["trials"], "the same file again is no mistake"
    assert sorted(path.name for path in here.iterdir()) == ["mine.yaml", "out.yaml"]


NUMBERS = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True).map(lambda found: ",".join(map(str, found)))
AXES = st.fixed_dictionaries(
    {},
    optional={
        "depth": st.one_of(NUMBERS, st.just("1..5..2")),
        "width": st.one_of(NUMBERS, st.just("log(2, 200, 4)"), st.just("lin(1, 9, 3)")),
        "learning-rate": st.sampled_from(["log(1e-4, 1e-1, 3)", "0.5", "1e-3,0.1"]),
        "optimizer": st.sampled_from(["sgd,adam", "{name: sgd, momentum: 0.9},lion"]),
        "model.initializer.bias": st.sampled_from(["zeros,normal"]),
        "model": st.sampled_from(["mlp", "{name: mlp, activation: tanh},{name: mlp, hidden: [5, 4]}"]),
    },
)
SETS = st.lists(
    st.sampled_from(
        [
            "training.optimizer.learning_rate=0.25",
            "training.optimizer.momentum=0.5",
            "training.epochs=3",
            "dataset={name: digits, validation: 0.2}",
            "dataset.train_limit=100",
            "description='a: b # c'",
            "name=other",
            "seeds=2",
            "records.model=final",
        ]
    ),
    max_size=3,
    unique=True,
)
DOCUMENTS = st.sampled_from(
    [
        "model: mlp",
        SPEC,
        "model: {name: mlp}\ntraining: {optimizer: {name: sgd, learning_rate: 0.5}}\nsweep:\n"
        "  zip: [{model.width: [3, 4], training.epochs: 1..2}, {training.l1: [0, 1.5e-7], training.l2: [1, 2]}]\n"
        "  random: {n: 3, seed: 7, axes: {model.dropout: 'lin(0, 0.5)', training.batch_size: [8, full]}}\n",
    ]
)


@given(DOCUMENTS, AXES, SETS, st.sampled_from([None, "2", "3..4", "[0, 5]", "{init: 0..1, order: 0}"]), st.booleans())
def test_the_spec_that_a_command_line_amounts_to_makes_the_same_trials(
    text: str, axes: dict[str, str], sets: list[str], seeds: str | None, drawn: bool
) -> None:
    try:
        asked = load_text(text, sets, axes, seeds, random=2 if drawn else None, default_seeds=3)
    except UsageError:
        return  # no experiment, nothing to save
    again = load_text(asked.source)
    assert {trial.id for trial in again.trials} == {trial.id for trial in asked.trials}
    assert again.name == asked.name
    assert again.description == asked.description
    assert sorted(again.axes) == sorted(asked.axes)


def test_a_spec_alone_is_submitted_as_it_is_written() -> None:
    assert load_text(SPEC).source == SPEC


@pytest.mark.parametrize(
    "arguments", [["sweep", "depth", "--dry-run"], ["run", "mine.yaml", "--dry-run"]], ids=" ".join
)
def test_what_would_run_is_said_without_anything_heavy(here: Path, arguments: list[str]) -> None:
    script = f"""
import sys
from dlx.cli.main import main
code = main({arguments!r})
heavy = {{"tensorflow", "keras", "jax", "numpy", "sklearn"}} & {{name.partition(".")[0] for name in sys.modules}}
sys.exit(f"imported {{heavy}}" if heavy else code)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=here, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert "would run" in ended.stdout


def test_the_studies_nets_are_mlps_on_the_data_that_are_always_here() -> None:
    for path in sorted((ROOT / "dlx" / "studies").glob("*.yaml")):
        (trial,) = load(path).trials
        assert trial.setting.dataset.name == "digits"
        assert isinstance(trial.setting.model, Mlp)
