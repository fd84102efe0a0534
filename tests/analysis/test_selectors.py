"""Every way to name trials, and what is said of names that name nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dlx.analysis.selectors import find, one
from dlx.errors import ResultsError, UsageError


def seen(results: Path, *selectors: str) -> list[tuple[int, int | str]]:
    found = find(selectors, results)
    assert not found.damaged
    return [(trial.setting["model.depth"], trial.seed) for trial in found.trials]


EVERYTHING = [(depth, seed) for depth in (1, 2, 3) for seed in (0, 1, 2)]


def test_directories_of_every_level_in_the_order_of_the_spec(results: Path) -> None:
    trial = find([], results).trials[4]
    assert seen(results) == seen(results, str(results)) == seen(results, str(results / "depth")) == EVERYTHING
    assert seen(results, str(results / "depth" / "trials")) == EVERYTHING
    assert seen(results, str(trial.path)) == [(2, 1)]


def test_names_ids_and_globs(results: Path) -> None:
    trial = find([], results).trials[4]
    assert seen(results, "depth") == seen(results, "dep*") == EVERYTHING
    assert seen(results, trial.id) == seen(results, trial.id[:6]) == [(2, 1)]
    assert sorted(seen(results, str(results / "*" / "trials" / f"{trial.id[:3]}*"))) >= [(2, 1)]


def test_each_trial_once(results: Path) -> None:
    trial = find([], results).trials[4]
    assert seen(results, trial.id, "depth") == [(2, 1), *(pair for pair in EVERYTHING if pair != (2, 1))]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ("depth=2,seed=0", [(2, 0)]),
        ("model.depth=2", [(2, 0), (2, 1), (2, 2)]),
        ("depth>=2,seed!=1", [(2, 0), (2, 2), (3, 0), (3, 2)]),
        ("depth=2.0,seed<1", [(2, 0)]),
        ("activation=relu,seed=2,depth=1", [(1, 2)]),
        ("optimizer=adam,state=done,engine=tensorflow,depth=3,seed=0", [(3, 0)]),
    ],
)
def test_conditions(results: Path, conditions: str, expected: list[tuple[int, int]]) -> None:
    assert seen(results, f"depth:{conditions}") == expected
    assert seen(results, f"{results}:{conditions}") == expected


def test_the_best_by_validation(results: Path) -> None:
    assert seen(results, "best@depth") == [(3, 2)]
    assert seen(results, "best@depth:depth=1") == [(1, 2)]
    assert one("best@depth", results).seed == 2


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("dpth", r"no experiment.*'dpth'.*did you mean 'depth'"),
        ("depth:dpth=3", r"no parameter 'dpth'.*did you mean 'depth'"),
        ("depth:depth=7", r"no trial of depth has depth=7.*depth is 1, 2, 3"),
        ("depth:depth>deep", "> compares numbers"),
        ("depth:depth=", "not a condition"),
        ("nothing*", "matches no results"),
        ("best@dpth", "did you mean 'depth'"),
        ("depth:bias=1", "bias is zeros"),
    ],
)
def test_what_names_nothing_is_said(results: Path, selector: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find([selector], results)


def test_one_trial_is_wanted(results: Path) -> None:
    with pytest.raises(UsageError, match="names 9 trials and one is wanted.*best@depth"):
        one("depth", results)


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds no results of dlx"):
        find([tmp_path])
    with pytest.raises(ResultsError, match="no results directory"):
        find([], tmp_path / "results")


def test_a_prefix_of_several_ids_is_refused(results: Path, tmp_path: Path) -> None:
    for trial in ("abcdef000000", "abcdef111111"):
        place = tmp_path / "results" / "x" / "trials" / trial
        place.mkdir(parents=True)
        source = find([], results).trials[0].path / "trial.yaml"
        (place / "trial.yaml").write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match="begins the ids of 2 trials.*abcdef000000, abcdef111111"):
        find(["abcdef"], tmp_path / "results")


def test_damaged_trials_are_named_and_left_out(results: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    spoiled = find([], copy).trials[3].path
    (spoiled / "trial.yaml").write_bytes(b"\xff\xfe\x00")
    found = find([], copy)
    assert len(found.trials) == 8
    assert [str(spoiled) in error.message for error in found.damaged] == [True]
    (spoiled / "trial.yaml").unlink()
    assert len(find([], copy).damaged) == 1


def test_other_files_that_a_shell_put_among_the_selectors(results: Path, tmp_path: Path) -> None:
    notes, empty = tmp_path / "notes.csv", tmp_path / "empty"
    notes.write_text("a;b")
    empty.mkdir()
    found = find([notes, results / "depth", empty])
    assert len(found.trials) == 9
    assert [str(error).partition(" ")[0] for error in found.damaged] == [str(notes), str(empty)]
    with pytest.raises(ResultsError, match="no experiment"):
        find([results / "depth", "dpth"], results)
    with pytest.raises(ResultsError, match="is not a results directory"):
        find([notes, empty])
