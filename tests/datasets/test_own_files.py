"""Trials on files of one's own: their ids have no paths in them, and they go on wherever the files are by then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dlx.errors import SpecError
from dlx.records import environment
from dlx.records.trial_directory import TrialDirectory
from dlx.spec import Trial, load, load_text, load_trial, resolved, trialfile

TABLE = "x,y,kind\n" + "".join(f"{n},{n * n % 7},{'ab'[n % 2]}\n" for n in range(80))
SPEC = "dataset: {name: csv, path: data/own.csv, label: kind}\nmodel: mlp\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a spec, its data, and a place for results."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data/own.csv").write_text(TABLE)
    (folder / "spec.yaml").write_text(SPEC)
    return folder


def only(path: Path, *sets: str) -> Trial:
    (trial,) = load(path, sets).trials
    return trial


def written(trial: Trial, project: Path) -> Path:
    directory = TrialDirectory(project / "results/spec/trials" / trial.id)
    assert directory.create(resolved(trial, "spec"))
    return directory.spec


def test_paths_are_relative_to_the_spec(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    trial = only(Path("project/spec.yaml"))
    assert trial.setting.dataset.path == str(project / "data/own.csv")
    # on a command line they are relative to where it is called
    assert only(Path("project/spec.yaml"), "dataset.path=project/data/own.csv") == trial
    assert load_text(SPEC.replace("data/", "project/data/")).trials[0].id == trial.id
    with pytest.raises(SpecError, match=r"--set dataset.path=data/own.csv: dataset.path: cannot read"):
        only(Path("project/spec.yaml"), "dataset.path=data/own.csv")


def test_what_only_the_data_folder_has_is_found_there(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = only(project / "spec.yaml")
    shutil.move(project / "data", tmp_path / "data")
    monkeypatch.setenv("DLX_DATA", str(tmp_path))
    after = only(project / "spec.yaml")
    assert after.setting.dataset.path == str(tmp_path / "data/own.csv")
    assert after.id == before.id


def test_ids_have_no_paths_in_them(project: Path) -> None:
    trial = only(project / "spec.yaml")
    shutil.copy(project / "data/own.csv", project / "another name.csv")
    assert only(project / "spec.yaml", f"dataset.path={project}/another name.csv").id == trial.id
    (project / "data/own.csv").write_text(TABLE + "80,1,a\n")
    assert only(project / "spec.yaml").id != trial.id


def test_a_trial_is_loaded_as_it_was_written(project: Path) -> None:
    trial = only(project / "spec.yaml")
    path = written(trial, project)
    text = path.read_text()
    assert text.endswith(f"files:\n  path: {project}/data/own.csv\n  test_path: null\n")
    assert load_trial(path) == trial
    portable = environment.portable(text)
    assert str(project) not in portable
    assert portable + "files:" in text
    assert trialfile._FILES in ("files",)  # what `portable` cuts off by


@pytest.mark.parametrize("where", ["moved as a whole", "in DLX_DATA by its name", "below a folder above"])
def test_a_trial_finds_its_data_again(
    project: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = only(project / "spec.yaml")
    path = written(trial, project)
    match where:
        case "moved as a whole":
            moved = tmp_path / "elsewhere/copy"
            shutil.move(project, moved)
            path, found = moved / path.relative_to(project), moved / "data/own.csv"
        case "in DLX_DATA by its name":
            found = tmp_path / "shelf/own.csv"
            found.parent.mkdir()
            shutil.move(project / "data/own.csv", found)
            monkeypatch.setenv("DLX_DATA", str(found.parent))
        case _:
            found = project / "results/data/own.csv"
            found.parent.mkdir()
            shutil.move(project / "data/own.csv", found)
            (project / "data/own.csv").write_text("other,content\n1,2\n")  # a decoy: known by its digest
    again = load_trial(path)
    assert again.id == trial.id
    assert again.setting.dataset.path == str(found)


def test_data_that_are_nowhere_are_told_of(project: Path) -> None:
    path = written(only(project / "spec.yaml"), project)
    (project / "data/own.csv").write_text(TABLE + "80,1,a\n")
    with pytest.raises(SpecError, match=r"trial.yaml:\d+:\d+: files: .*own.csv: no longer there with the content"):
        load_trial(path)


def test_two_files_are_found_together(project: Path, tmp_path: Path) -> None:
    (project / "data/test.csv").write_text("x,y,kind\n1,2,a\n")
    trial = only(project / "spec.yaml", f"dataset.test_path={project}/data/test.csv")
    path = written(trial, project)
    shutil.move(project, tmp_path / "new")
    again = load_trial(tmp_path / "new" / path.relative_to(project))
    assert again.id == trial.id
    assert again.setting.dataset.test_path == str(tmp_path / "new/data/test.csv")


def test_a_trial_that_has_begun_hears_where_its_data_are_now(project: Path, tmp_path: Path) -> None:
    trial = only(project / "spec.yaml")
    directory = TrialDirectory(project / "results/spec/trials" / trial.id)
    directory.create(resolved(trial, "spec"))
    with directory.claim() as attempt:
        attempt.end("interrupted", "by the test")
    before = environment.digest(directory.spec.read_text())
    shutil.move(project / "data", tmp_path / "far away")
    (project / "spec.yaml").write_text(SPEC.replace("data/", f"{tmp_path}/far away/"))
    moved = only(project / "spec.yaml")
    assert moved.id == trial.id
    assert directory.create(resolved(moved, "spec"))  # as asked: nothing is said of other probes
    assert load_trial(directory.spec) == moved
    assert environment.digest(directory.spec.read_text()) == before  # so that it may be continued
