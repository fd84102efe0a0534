"""``evaluation:`` makes folds of trials, whose ids, files and messages are these."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dlx.errors import SpecError
from dlx.spec import load_text, load_trial, resolved

EMBEDDED = "ebe01c7b7916df83878b05fbba4cbf0372acab9a6ead674f4b038442e84d6498"
KFOLD = "model: mlp\nevaluation: {method: kfold, folds: 3}\n"


def test_folds_are_cells_as_seeds_are() -> None:
    text = (
        "model: mlp\nevaluation: {method: repeated_kfold, folds: 2, repeats: 3}\nsweep: {model.depth: [1, 2]}\nseeds: 2"
    )
    trials = load_text(text).trials
    cells = [(t.parameters["model.depth"], t.fold.repeat, t.fold.fold, t.seed.init) for t in trials]
    assert cells == [(d, r, f, s) for d in (1, 2) for r in range(3) for f in range(2) for s in (0, 1)]
    assert len({trial.id for trial in trials}) == 24


def test_the_id_is_written_by_hand_and_hashed_here() -> None:
    digits = f'"dataset":{{"digest":"{EMBEDDED}","name":"digits","revision":1}}'
    rest = '"model":{"name":"mlp","revision":1},"seed":0,"training":{}}'
    by_hand = [f'{{{digits},"fold":{{"fold":{fold},"folds":3}},{rest}' for fold in range(3)]
    expected = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in by_hand]
    assert [trial.id for trial in load_text(KFOLD).trials] == expected


def test_more_repeats_run_nothing_again() -> None:
    once = {trial.id for trial in load_text(KFOLD).trials}
    for repeats in (2, 5):
        text = f"model: mlp\nevaluation: {{method: repeated_kfold, folds: 3, repeats: {repeats}}}"
        trials = load_text(text).trials
        assert len(trials) == 3 * repeats
        assert {trial.id for trial in trials[:3]} == once


@pytest.mark.parametrize(
    "evaluation",
    [
        "kfold",
        "{folds: 3, stratified: false}",
        "{method: repeated_kfold, folds: 2, repeats: 2}",
        "{method: holdout, test: 0.3, repeats: 2}",
        "{method: holdout, stratified: false}",
    ],
)
def test_a_trial_file_has_its_fold_and_reads_back(evaluation: str, tmp_path: Path) -> None:
    for trial in load_text(f"model: mlp\nevaluation: {evaluation}").trials:
        path = tmp_path / "trial.yaml"
        path.write_text(resolved(trial), encoding="utf-8")
        again = load_trial(path)
        assert (again.id, again.fold) == (trial.id, trial.fold)
        assert again.setting.dataset.sizes() == trial.setting.dataset.sizes()


@pytest.mark.parametrize(
    "damage",
    ["evaluation: {folds: 1, stratified: true}", "evaluation: 3", "evaluation: {folds: 3, stratified: 1}", "fold: 3"],
)
def test_a_damaged_fold_in_a_trial_file_is_said(damage: str, tmp_path: Path) -> None:
    text = resolved(load_text(KFOLD).trials[0])
    key = damage.partition(":")[0]
    lines, skipping = [], False
    for line in text.splitlines():
        skipping = line.startswith(f"{key}:") or (skipping and line.startswith(" "))
        lines += [] if skipping else [line]
    (tmp_path / "trial.yaml").write_text("\n".join([damage, *lines]) + "\n", encoding="utf-8")
    with pytest.raises(SpecError, match="not as dlx writes it"):
        load_trial(tmp_path / "trial.yaml")


def test_a_spec_without_it_has_no_folds() -> None:
    (trial,) = load_text("model: mlp\nevaluation: null").trials
    assert trial.fold is None
    assert "fold" not in resolved(trial)
    assert trial.id == load_text("model: mlp").trials[0].id


ARRAYS = (
    "dataset: {name: arrays, inputs: [[0], [1], [2], [3], [4]], labels: [0, 0, 0, 1, 1]}\ntraining: {batch_size: 1}\n"
)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("evaluation: {folds: 1}", "2:21", "folds: must be a whole number ≥ 2 or null, not 1"),
        ("evaluation: {method: loo}", "2:22", "method: must be kfold, repeated_kfold or holdout"),
        ("evaluation: {fold: 2}", "2:14", "unknown key (did you mean 'folds'?)"),
        ("evaluation: {method: holdout, folds: 5}", "2:13", "folds is for kfold and repeated_kfold, not for holdout"),
        ("evaluation: {folds: 5, repeats: 2}", "2:13", "repeats is for repeated_kfold and holdout, not for kfold"),
        ("evaluation: kfold\ndataset: {name: digits, test: 100}", "2:13", "leave dataset.test out"),
        (
            f"evaluation: {{folds: 3}}\n{ARRAYS}",
            "2:21",
            "class '1' has 2 of the 5 examples, too few for each of 3 folds",
        ),
        ("evaluation: {folds: 2000}", "2:21", "2000 folds of 1797 examples leave some of them empty"),
        (
            "evaluation: {stratified: true}\ndataset: {name: function}",
            "2:26",
            "needs classes, and this is a regression",
        ),
        ("evaluation: kfold\ntraining: {batch_size: 1400}", "3:24", "1400 is more than the 1293 training examples"),
    ],
)
def test_what_is_wrong_is_said_once(text: str, place: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(f"model: mlp\n{text}\n", file="s.yaml")
    found = "\n".join(map(str, caught.value.problems))
    assert message in found
    assert found.count(message) == 1
    assert found.startswith(f"s.yaml:{place}: ")


def test_too_many_trials_are_refused_before_they_are_made() -> None:
    with pytest.raises(SpecError, match=r"would make 20,000 trials \(4 × 5000\)"):
        load_text("model: mlp\nseeds: 4\nevaluation: {method: holdout, repeats: 5000}")


def test_an_official_test_part_stays_unseen_and_that_is_said() -> None:
    (note,) = load_text("model: mlp\ndataset: mnist\nevaluation: kfold").notes
    assert note == "mnist is divided without its official test part, which stays unseen"


def test_tune_tries_on_the_first_fold(tmp_path: Path) -> None:
    from dlx.spec.search import load_search

    path = tmp_path / "s.yaml"
    path.write_text(KFOLD + "search: {model.width: [4, 8]}\n", encoding="utf-8")
    search = load_search(path)
    tried = search.trial({"model.width": 4})
    assert (tried.fold.repeat, tried.fold.fold, tried.fold.folds) == (0, 0, 3)
    assert load_text(search.spec({"model.width": 4})).trials[1].fold.fold == 1
