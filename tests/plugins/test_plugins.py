"""``--plugins DIR``: work in progress is found, identified by its content, and told apart from what is broken."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dlx.plugins import digest_of

Dlx = Callable[..., subprocess.CompletedProcess[str]]
TWINS = (Path(__file__).resolve().parents[1] / "packages" / "dlx_twins" / "dlx_twins" / "model.py").read_text("utf-8")
XOR = "{name: arrays, inputs: [[0, 0], [0, 1], [1, 0], [1, 1]], labels: [0, 1, 1, 0], validation: 0}"
SPEC = f"{{dataset: {XOR}, model: {{name: twins, units: 5}}, training: {{epochs: 1, batch_size: 2}}, seeds: 2}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "twins.py").write_text(TWINS, "utf-8")
    (place / "test_twins.py").write_text("a test is no member", "utf-8")
    (tmp_path / "spec.yaml").write_text(SPEC, "utf-8")
    return place


def test_a_folder_is_known_by_its_modules_alone(folder: Path, tmp_path: Path) -> None:
    digest = digest_of(folder)
    (folder / "test_twins.py").write_text("another test", "utf-8")
    (folder / "notes.txt").write_text("nothing that is imported", "utf-8")
    assert digest_of(folder) == digest
    (folder / "_shared.py").write_text("", "utf-8")
    assert digest_of(folder) != digest
    (folder / "_shared.py").rename(folder / "_common.py")
    assert len({digest, digest_of(folder)}) == 2


def test_its_members_are_listed_shown_and_checked(dlx: Dlx, folder: Path, tmp_path: Path) -> None:
    listed = dlx("models", "--plugins", str(folder))
    assert "twins" in listed.stdout and "two dense layers side by side" in listed.stdout
    shown = dlx("show", "twins", "--plugins", str(folder), "--set", "model.units=3", "--input", "4", "--outputs", "2")
    assert "38 parameters" in shown.stdout  # two of 4·3+3, and 3·2+2
    without = dlx("check", str(tmp_path / "spec.yaml"))
    assert without.returncode == 2 and "unknown model 'twins'" in without.stderr
    checked = dlx("check", str(tmp_path / "spec.yaml"), "--plugins", str(folder))
    assert checked.returncode == 0, checked.stderr


def test_ids_change_with_the_modules_and_only_of_what_comes_from_them(dlx: Dlx, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("model: mlp", "utf-8")

    def ids(*more: str) -> list[str]:
        checked = dlx("check", str(tmp_path / "plain.yaml"), *more, "--json")
        return [trial["id"] for spec in json.loads(checked.stdout)["specs"] for trial in spec["trials"]]

    plugged = "--plugins", str(folder)
    plain, before = ids(), ids(str(tmp_path / "spec.yaml"), *plugged)
    assert before[0] == plain[0] and len(set(before)) == 3
    (folder / "twins.py").write_text(TWINS + "\n# changed\n", "utf-8")
    after = ids(str(tmp_path / "spec.yaml"), *plugged)
    assert after[0] == plain[0] and not set(before[1:]) & set(after)


@pytest.mark.slow
def test_trials_run_in_worker_processes_and_go_on(dlx: Dlx, folder: Path, tmp_path: Path) -> None:
    command = "run", str(tmp_path / "spec.yaml"), "--results", str(tmp_path / "results"), "--plugins", str(folder)
    ran = dlx(*command, "--executor", "local", "--jobs", "2", "--threads", "1", "--json")
    assert ran.returncode == 0, ran.stderr
    trials = json.loads(ran.stdout)["experiments"][0]["trials"]
    assert [trial["state"] for trial in trials] == ["done", "done"]
    directory = tmp_path / "results" / "spec" / "trials" / trials[0]["id"]
    assert digest_of(folder) in (directory / "trial.yaml").read_text("utf-8")
    status = json.loads((directory / "status.json").read_text("utf-8"))
    (directory / "status.json").write_text(json.dumps({**status, "state": "interrupted"}), "utf-8")
    again = dlx(*command, "--executor", "inline", "--threads", "1", "--json")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("broken.py", "def Spec(:\n", r"broken does not load: .*broken\.py:1: "),
        ("broken.py", "x = 1\nimport nowhere\n", r"broken\.py:2: ModuleNotFoundError: No module named 'nowhere'"),
        ("helper.py", "x = 1\n", r"helper\.py has no class Spec.*begins with _"),
        ("other.py", "class Spec: pass\n", "has a Spec that is none of model, dataset"),
        ("pair.py", TWINS, r"the model in pair\.py calls itself 'twins'"),
        ("mlp.py", TWINS.replace("twins", "mlp"), "there is a model 'mlp' already"),
        ("half.py", "from dlx.models import ModelSpec\nclass Spec(ModelSpec): pass\n", "the model half lacks network"),
    ],
)
def test_a_broken_module_is_one_clear_message(dlx: Dlx, tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text(content, "utf-8")
    ended = dlx("models", "--plugins", str(tmp_path / "mine"))
    assert ended.returncode == 2
    assert re.search(message, ended.stderr) and "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_folder_that_is_not_there_or_empty(dlx: Dlx, tmp_path: Path) -> None:
    assert "there is no such folder" in dlx("models", "--plugins", str(tmp_path / "nowhere")).stderr
    assert "holds no modules" in dlx("models", "--plugins", str(tmp_path)).stderr
