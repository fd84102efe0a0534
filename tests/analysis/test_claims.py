"""Claims held against made trials: what confirms, what refutes, and when seeds do not decide."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from made import depth, make
from scipy import stats

from dlx.analysis.selectors import find
from dlx.claims import Judged, check, judge, of_results
from dlx.cli.main import main
from dlx.errors import SpecError
from dlx.spec import load_text

SPEC = """
model: {name: mlp, width: 4}
training: {epochs: 1}
sweep: {model.depth: [1, 2]}
expect:
"""
APART = {1: (0.90, 0.91, 0.92, 0.905), 2: (0.95, 0.97, 0.96, 0.96)}
MIXED = {1: (0.90, 0.95, 0.92, 0.93), 2: (0.93, 0.91, 0.96, 0.92)}


def judged(
    place: Path,
    claim: str,
    values: Mapping[int, Sequence[float]],
    *,
    states: Mapping[tuple[int, int], str] | None = None,
    sweep: str = "",
    seeds: int | None = None,
) -> Judged:
    """The claim held against trials that reached these test accuracies, by depth and seed."""
    spec = f"{SPEC}  - {claim}\nseeds: {seeds or len(values[1])}\n"
    if sweep:
        spec = spec.replace("[1, 2]}", f"[1, 2], {sweep}}}")

    def numbers(trial, epoch):
        reached = values[depth(trial)][trial.seed.init]
        return {"test_accuracy": reached, "val_accuracy": reached, "train_loss": 1 - reached}

    def state(trial):
        return (states or {}).get((depth(trial), trial.seed.init), "done")

    make(place / "results", spec, numbers, epochs=1, state=state, gradient=lambda t, e, layer, p: 5.0**layer)
    (found,) = judge(load_text(spec).claims, find(["depth"], place / "results").trials)
    return found


METRIC = "{metric: test_accuracy@last, "


@pytest.mark.parametrize(
    ("claim", "values", "verdict"),
    [
        ("at: {depth: 2}, above: {depth: 1}}", APART, "confirmed"),
        ("at: {depth: 1}, above: {depth: 2}}", APART, "refuted"),
        ("at: {depth: 1}, below: {depth: 2}}", APART, "confirmed"),
        ("at: {depth: 2}, above: {depth: 1}}", MIXED, "undecided"),
        ("at: {depth: 1}, at_least: 0.88}", APART, "confirmed"),
        ("at: {depth: 1}, at_least: 0.91}", APART, "undecided"),
        ("at: {depth: 1}, at_least: 0.95}", APART, "refuted"),
        ("at: {depth: 1}, at_most: 0.93}", APART, "confirmed"),
        ("at: {depth: 1}, at_most: 0.85}", APART, "refuted"),
        ("at: {depth: 1}, between: [0.88, 0.94]}", APART, "confirmed"),
        ("at: {depth: 1}, between: [0.91, 0.94]}", APART, "undecided"),
        ("at: {depth: 1}, between: [0.5, 0.6]}", APART, "refuted"),
        ("between: [0.88, 0.94]}", APART, "refuted"),  # of depth 2 it does not hold
        ("at_least: 0.88}", APART, "confirmed"),
        ("increasing_over: model.depth}", APART, "confirmed"),
        ("decreasing_over: model.depth}", APART, "refuted"),
        ("decreasing_over: model.depth}", MIXED, "undecided"),
    ],
)
def test_verdicts(tmp_path: Path, claim: str, values: Mapping[int, Sequence[float]], verdict: str) -> None:
    assert judged(tmp_path, METRIC + claim, values).verdict == verdict


def test_the_numbers_are_those_of_scipy(tmp_path: Path) -> None:
    """The interval of the paired difference, from the numbers in the tables by another route."""
    (part,) = judged(tmp_path, METRIC + "at: {depth: 2}, above: {depth: 1}}", APART).parts
    gaps = [b - a for a, b in zip(APART[1], APART[2], strict=True)]
    interval = stats.ttest_1samp(gaps, 0.0).confidence_interval(0.95)
    (difference,) = part.numbers["differences"]
    assert difference["kind"] == "paired"
    assert difference["value"] == pytest.approx(statistics.fmean(gaps), rel=1e-6)
    assert (difference["low"], difference["high"]) == pytest.approx((interval.low, interval.high), rel=1e-5)
    assert f"{100 * statistics.fmean(gaps):.2f} points" in part.sentence
    assert "4 paired seeds" in part.sentence


def test_a_mean_and_its_interval(tmp_path: Path) -> None:
    (part,) = judged(tmp_path, METRIC + "at: {depth: 1}, at_least: 0.88}", APART).parts
    (estimate,) = part.numbers["estimates"]
    error = statistics.stdev(APART[1]) / 2
    low, high = stats.t.interval(0.95, 3, statistics.fmean(APART[1]), error)
    assert (estimate["low"], estimate["high"]) == pytest.approx((low, high), rel=1e-6)
    assert part.sentence == f"90.88 ± 0.85 % (95 % CI [{100 * low:.2f}, {100 * high:.2f}], 4 trials)"


ONE = {1: (0.9,), 2: (0.95,)}


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        ("at: {depth: 1}, at_least: 0.9}", "confirmed"),
        ("at: {depth: 1}, at_least: 0.91}", "refuted"),
        ("at: {depth: 2}, above: {depth: 1}}", "confirmed"),
        ("at: {depth: 2}, below: {depth: 1}}", "refuted"),
        ("increasing_over: model.depth}", "confirmed"),
    ],
)
def test_of_one_seed_the_value_decides_and_no_interval_is_invented(tmp_path: Path, claim: str, verdict: str) -> None:
    found = judged(tmp_path, METRIC + claim, ONE)
    assert found.verdict == verdict
    assert "CI" not in found.parts[0].sentence
    assert "(one trial)" in found.parts[0].sentence


@pytest.mark.parametrize("state", ["pending", "interrupted"])
def test_trials_that_have_not_ended_leave_it_open(tmp_path: Path, state: str) -> None:
    found = judged(tmp_path, METRIC + "at: {depth: 2}, above: {depth: 1}}", APART, states={(2, 3): state})
    assert found.verdict == "undecided"
    assert found.parts[0].sentence == "1 trial has not ended"


def test_one_of_several_is_too_few(tmp_path: Path) -> None:
    states = {(1, seed): "failed" for seed in (0, 1, 2)}
    found = judged(tmp_path, METRIC + "at: {depth: 1}, at_least: 0.5}", APART, states=states)
    assert (found.verdict, found.parts[0].sentence) == ("undecided", "only one of 4 trials has the number")


def test_a_metric_that_no_trial_has_decides_nothing(tmp_path: Path) -> None:
    found = judged(tmp_path, "{metric: val_loss@best, at_least: 0}", APART)
    assert found.verdict == "undecided"
    assert "val_loss" in found.parts[0].sentence


@pytest.mark.parametrize(
    ("claim", "states", "verdict"),
    [
        ("{state: done}", {}, "confirmed"),
        ("{state: done}", {(1, 0): "diverged"}, "refuted"),
        ("{state: done}", {(1, 0): "pending"}, "undecided"),
        ("{state: diverged, at: {depth: 1}}", {(1, seed): "diverged" for seed in range(4)}, "confirmed"),
        ("{state: diverged, at: {depth: 1}}", {(1, 0): "diverged"}, "refuted"),
    ],
)
def test_states(tmp_path: Path, claim: str, states: Mapping[tuple[int, int], str], verdict: str) -> None:
    assert judged(tmp_path, claim, APART, states=states).verdict == verdict


def test_it_must_hold_whatever_else_varies(tmp_path: Path) -> None:
    """Of a sweep over the width, too, each width is looked at by itself."""
    found = judged(tmp_path, METRIC + "at: {depth: 2}, above: {depth: 1}}", APART, sweep="model.width: [4, 5]")
    assert found.verdict == "confirmed"
    assert [dict(part.where) for part in found.parts] == [{"model.width": 4}, {"model.width": 5}]


NETS = """
model: {name: mlp, depth: 1, parameters: 1000}
training: {epochs: 1}
sweep: {model: [mlp, {name: cnn, blocks: [{filters: 2}]}], model.parameters: [1000, 3000]}
seeds: 2
expect:
"""
REACHED = {("mlp", 1000): 0.6, ("mlp", 3000): 0.7, ("cnn", 1000): 0.8, ("cnn", 3000): 0.9}


def of_nets(place: Path, claim: str) -> dict[int | None, tuple[str, float]]:
    """Of the nets that reached these accuracies, by parameters: the verdict, and the mean of the first side."""

    def numbers(trial, epoch):
        model = trial.setting.model
        return {"test_accuracy": REACHED[model.name, model.parameters] + trial.seed.init / 1000}

    make(place / "results", NETS + f"  - {claim}\n", numbers, epochs=1, gradient=None)
    (found,) = judge(load_text(NETS + f"  - {claim}\n").claims, find(["depth"], place / "results").trials)
    return {
        part.where.get("model.parameters"): (part.verdict, part.numbers["estimates"][0]["mean"]) for part in found.parts
    }


def test_what_varies_in_the_member_that_is_named_is_looked_at_one_by_one(tmp_path: Path) -> None:
    """A claim on the model where the number of its parameters varies too: neither averaged over nor lost."""
    found = of_nets(tmp_path / "bounds", METRIC + "at: {model.name: cnn}, between: [0.75, 0.85]}")
    assert found == {
        1000: ("confirmed", pytest.approx(0.8005)),
        3000: ("refuted", pytest.approx(0.9005)),
    }
    found = of_nets(tmp_path / "sides", METRIC + "at: {model.name: cnn}, above: {model.name: mlp}}")
    assert found == {
        1000: ("confirmed", pytest.approx(0.8005)),
        3000: ("confirmed", pytest.approx(0.9005)),
    }
    found = of_nets(tmp_path / "one", METRIC + "at: {model.name: cnn, model.parameters: 3000}, at_least: 0.89}")
    assert found == {None: ("confirmed", pytest.approx(0.9005))}


def test_fields_that_differ_because_the_member_does_are_part_of_it(tmp_path: Path) -> None:
    """Two optimizers with a rate each are two sides, not four."""
    spec = """
model: mlp
training: {epochs: 1}
sweep: {training.optimizer: [{name: sgd, learning_rate: 0.1, momentum: 0.9}, {name: adam, learning_rate: 0.001}]}
seeds: 2
expect:
  - {metric: test_accuracy@last, at: {training.optimizer: adam}, above: {training.optimizer: sgd}}
"""

    def numbers(trial, epoch):
        return {
            "test_accuracy": (0.9 if trial.setting.training.optimizer.name == "adam" else 0.5) + trial.seed.init / 1e3
        }

    make(tmp_path / "results", spec, numbers, epochs=1, gradient=None)
    (found,) = judge(load_text(spec).claims, find(["depth"], tmp_path / "results").trials)
    assert [(dict(part.where), part.verdict) for part in found.parts] == [({}, "confirmed")]


@pytest.mark.parametrize(
    ("metric", "complaint"),
    [
        (
            "test_acuracy@last",
            "6:14: expect[0].metric: no trial will have 'test_acuracy' (did you mean 'test_accuracy'",
        ),
        ("test_accuracy@lst", "6:14: expect[0].metric: metric 'test_accuracy@lst': no point of training 'lst'"),
        ("activatons.saturated[1]", "no trial will have a table 'activatons' (did you mean 'activations'?)"),
        ("activations.saturatd[1]", "did you mean 'activations.saturated'"),
        ("share(test_acuracy@last>=1)", "no trial will have 'test_acuracy'"),
        ("test_rmse", "no trial will have 'test_rmse'"),
    ],
)
def test_a_metric_that_trials_will_not_have_is_told_before_they_run(metric: str, complaint: str) -> None:
    spec = f"{SPEC.strip()}\n  - {{metric: '{metric}', at_least: 0}}\n"
    with pytest.raises(SpecError) as caught:
        check(load_text("\n" + spec, file="s.yaml"))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    "metric",
    ["test_accuracy", "grad_ratio", "grad_norm[1]@last", "epochs_to(val_accuracy>=0.9)", "activations.dead[1]",
     "share(train_accuracy@last>=1)", "parameters", "timing.seconds@mean:1", "gradients.update_ratio[1, kernel]"],
)  # fmt: skip
def test_a_metric_that_they_will_have(metric: str) -> None:
    check(load_text(f"{SPEC}  - {{metric: '{metric}', at_least: 0}}\n"))


@pytest.mark.parametrize(
    ("sets", "metric"),
    [
        (["model=autoencoder"], "test_r2"),
        (["records.recalls=true"], "test_recall_3"),
        (["dataset={name: digits, imbalance: {3: 0.5}}"], "val_balanced_accuracy@best"),
        (
            ["pretraining=autoencoder", "model={name: mlp, activation: sigmoid}"],
            "val_reconstruction_error[stage=layer1]",
        ),
        (["pretraining=autoencoder", "model={name: mlp, activation: sigmoid}"], "moves.moved[1, all, stage=finetune]"),
    ],
)
def test_a_metric_of_their_kind_of_training(sets: Sequence[str], metric: str) -> None:
    text = f"model: mlp\nexpect:\n  - {{metric: '{metric}', at_least: 0}}\n"
    experiment = load_text(text, [*sets, f"expect=[{{metric: '{metric}', at_least: 0}}]"])
    assert experiment.claims
    check(experiment)
    with pytest.raises(SpecError, match="no trial will have"):
        check(load_text(text))


def made(place: Path, claim: str) -> Path:
    judged(place, METRIC + claim, APART)
    return place / "results"


@pytest.mark.parametrize(
    ("claim", "code", "word"),
    [
        ("at: {depth: 2}, above: {depth: 1}}", 0, "confirmed"),
        ("at: {depth: 2}, below: {depth: 1}}", 3, "refuted"),
        ("at: {depth: 1}, at_least: 0.91}", 0, "undecided"),
    ],
)
def test_compare_holds_them_against_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], claim: str, code: int, word: str
) -> None:
    results = made(tmp_path, claim)
    assert main(["compare", str(results / "depth"), "--claims"]) == code
    assert f"\n{word:<9}  test_accuracy@last" in capsys.readouterr().out
    assert main(["compare", str(results / "depth"), "--claims", "--json"]) == code
    (told,) = json.loads(capsys.readouterr().out)["claims"]
    assert (told["experiment"], told["verdict"]) == ("depth", word)
    assert told["claim"]["metric"] == "test_accuracy@last"
    assert main(["compare", str(results / "depth")]) == 0  # unless asked


@pytest.mark.parametrize("form", ["csv", "latex", "markdown"])
def test_claims_are_no_part_of_a_table_to_paste(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    results = made(tmp_path, "at_least: 0.5}")
    assert main(["compare", str(results), "--claims", "--format", form]) == 2
    assert "--claims cannot be had" in capsys.readouterr().err


def test_without_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str], results: Path) -> None:
    assert main(["compare", str(results), "--claims"]) == 2
    assert "there are no claims" in capsys.readouterr().err


def test_trials_of_an_earlier_spec_do_not_count(tmp_path: Path) -> None:
    """In the same directory, with more epochs than the spec has now."""
    results = made(tmp_path, "at: {depth: 1}, at_least: 0.88}")
    before = f"{SPEC}  - {METRIC}at_least: 0.1}}\nseeds: 4\n".replace("epochs: 1", "epochs: 2")
    kept = (results / "depth" / "experiment.yaml").read_text(encoding="utf-8")
    make(results, before, lambda trial, epoch: {"test_accuracy": 0.2})
    (results / "depth" / "experiment.yaml").write_text(kept, encoding="utf-8")
    assert main(["compare", str(results / "depth"), "--claims"]) == 0


def test_trials_from_before_a_field_was_added_are_of_the_same_setting(tmp_path: Path) -> None:
    """Half of the seeds lack the field in their trial.yaml; the ids are the same, and there is one answer."""
    results = made(tmp_path, "at: {depth: 1}, at_least: 0.88}")
    for trial in find(["depth:seed<2"], results).trials:
        path = trial.path / "trial.yaml"
        text = path.read_text(encoding="utf-8")
        assert "  input_dropout: 0.0\n" in text
        path.write_text(text.replace("  input_dropout: 0.0\n", ""), encoding="utf-8")
    (judged_,) = of_results(results / "depth", find(["depth"], results).trials)
    assert [(dict(part.where), part.numbers["trials"]) for part in judged_.parts] == [({}, [4])]


RUN = """
model: {name: mlp, width: 4}
dataset: {name: digits, train_limit: 200}
training: {epochs: 1, optimizer: {name: sgd, learning_rate: 0.1}}
expect:
  - {metric: test_accuracy@last, at_most: 0.01}
  - {metric: parameters, between: [1, 1000]}
"""


def test_a_run_ends_with_its_claims(dlx, tmp_path: Path) -> None:
    """Refuted: 3. A trial that diverged comes before that: 1."""
    (tmp_path / "s.yaml").write_text(RUN, encoding="utf-8")
    done = dlx("run", "s.yaml", "--json", "--executor", "inline", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    (experiment,) = json.loads(done.stdout)["experiments"]
    assert [claim["verdict"] for claim in experiment["claims"]] == ["refuted", "confirmed"]
    claim = "expect=[{metric: test_accuracy@last, at_most: 0.01}]"
    wild = ["--set", claim, "--set", "training.optimizer.learning_rate=1e30", "--set", "training.epochs=2"]
    done = dlx("run", "s.yaml", "--executor", "inline", *wild, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "undecided  test_accuracy@last is at most 0.01" in done.stdout
    done = dlx("run", "s.yaml", cwd=tmp_path)
    assert done.returncode == 3
    assert "refuted    test_accuracy@last is at most 0.01" in done.stdout
