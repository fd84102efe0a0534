"""What the experiments that come with dlx have in common, and that an installed dlx has them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from dlx import shipped
from dlx.cli.main import main
from dlx.errors import UsageError
from dlx.spec import load

ROOT = Path(__file__).resolve().parents[2]
NAMES = list(shipped.experiments())


def header(name: str) -> str:
    """The comment that a spec opens with."""
    lines = shipped.get(name).read_text(encoding="utf-8").splitlines()
    return "\n".join(lines[: next(at for at, line in enumerate(lines) if not line.startswith("#"))])


def test_they_are_found_by_topic_and_name() -> None:
    files = sorted(path.relative_to(ROOT / "experiments") for path in (ROOT / "experiments").rglob("*.yaml"))
    assert sorted(NAMES) == sorted(path.with_suffix("").as_posix() for path in files)
    assert {"quickstart", "vanishing-gradient/depth"} <= set(NAMES)
    assert shipped.get("vanishing-gradient/depth") == ROOT / "experiments" / "vanishing-gradient" / "depth.yaml"
    assert all(len(name.split("/")) <= 2 for name in NAMES)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The setting without which a spec for a folder of photographs is not complete."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photographs")
    for part, count in (("train", 300), ("val", 2)):
        for name in ("a", "b"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(folder / part / name / f"{number}.png")
    return [f"dataset.path={folder}"]


def of_photographs(name: str) -> bool:
    return "image_folder" in shipped.get(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_each_opens_with_its_question_and_command_and_has_a_smallest_size(name: str, photographs: list[str]) -> None:
    text = header(name)
    assert "?" in text.splitlines()[0]
    named = re.findall(r"dlx \w+ (?:experiments/)?([\w./-]+?)(?:\.yaml)?(?:\s|$)", text)
    assert name in named, "the comment says how to run it"
    assert load(shipped.get(name), photographs if of_photographs(name) else ()).description
    assert load(shipped.get(name), smoke=True).trials


def test_no_two_leave_their_results_in_one_folder(photographs: list[str]) -> None:
    names = Counter(
        load(path, photographs if of_photographs(name) else ()).name for name, path in shipped.experiments().items()
    )
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_a_file_goes_before_an_experiment_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped.place("quickstart") == shipped.get("quickstart")
    assert shipped.place("experiments/quickstart.yaml") == shipped.get("quickstart")
    (tmp_path / "quickstart").mkdir()  # a folder is no spec
    assert shipped.place("quickstart") == shipped.get("quickstart")
    (tmp_path / "quickstart").rmdir()
    (tmp_path / "quickstart").write_text("model: mlp\n", encoding="utf-8")
    assert shipped.place("quickstart") == Path("quickstart")
    assert shipped.place("absent.yaml") == Path("absent.yaml")


def test_a_name_that_is_neither_names_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"vanishing-gradient/dept: no such file.*'vanishing-gradient/depth'"):
        shipped.place("vanishing-gradient/dept")
    with pytest.raises(UsageError, match="no experiment 'nothing' comes with dlx"):
        shipped.get("nothing")


@pytest.mark.parametrize(
    ("before", "after"),
    [(["run"], ["--dry-run"]), (["check"], []), (["show"], []), (["sweep", "depth=1..2"], ["--dry-run"])],
    ids=["run", "check", "show", "sweep"],
)
def test_commands_of_specs_take_the_name(
    before: list[str],
    after: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*before, "quickstart", *after, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == f"dlx.{before[0]}/1"
    assert main([*before, "pretraining/digit", *after]) == 2
    assert "did you mean 'pretraining/digits'" in capsys.readouterr().err


def test_tune_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tune", "quickstart", "--set", "dataset.validation=0"]) == 2
    assert "tuning chooses by the validation set" in capsys.readouterr().err
    assert main(["tune", "quickstar"]) == 2
    assert "did you mean 'quickstart'" in capsys.readouterr().err


def test_an_installed_dlx_has_them(tmp_path: Path) -> None:
    """A wheel, installed into a folder without dependencies: no checkout is near."""
    built, place = tmp_path / "built", tmp_path / "installed"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = built.glob("dlx-*.whl")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(place), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    env = {**os.environ, "PYTHONPATH": str(place), "COLUMNS": "80"}
    command = [sys.executable, "-m", "dlx", "check", "vanishing-gradient/depth", "--json"]
    checked = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    (spec,) = json.loads(checked.stdout)["specs"]
    ours = load(shipped.get("vanishing-gradient/depth"))
    assert [trial["id"] for trial in spec["trials"]] == [trial.id for trial in ours.trials]
    listing = "from dlx import shipped; print(shipped.folder(), *shipped.experiments(), '+', *shipped.finished())"
    listed = subprocess.run(
        [sys.executable, "-c", listing], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    folder, *names = listed.stdout.split()
    names, tables = names[: names.index("+")], names[names.index("+") + 1 :]
    assert tables == shipped.finished()
    assert Path(folder) == (place / "dlx" / "experiments").resolve()
    assert names == NAMES
