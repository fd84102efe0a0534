"""The gallery shows every kind, as its script draws it, in files that a page can hold."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dlx import shipped
from dlx.charts import kinds
from dlx.cli.main import main

GALLERY = Path(__file__).resolve().parent.parent.parent / "docs" / "gallery"


@pytest.fixture(scope="module")
def gallery() -> Any:
    spec = importlib.util.spec_from_file_location("gallery", GALLERY / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gallery"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(gallery: Any) -> None:
    assert (GALLERY / "README.md").read_text(encoding="utf-8") == gallery.page(), "run docs/gallery/make.py --page"


def test_every_kind_has_a_picture(gallery: Any) -> None:
    assert {picture.kind for picture in gallery.PICTURES} == set(kinds())


def test_pictures_are_there_and_small(gallery: Any) -> None:
    assert {picture.file for picture in gallery.PICTURES} == {path.name for path in GALLERY.glob("*.svg")}
    for picture in gallery.PICTURES:
        path = GALLERY / picture.file
        assert path.stat().st_size < 100_000, picture.file
        root = ElementTree.parse(path).getroot()
        assert root.attrib["width"].endswith("pt") and float(root.attrib["width"][:-2]) == pytest.approx(864, abs=1)


@pytest.mark.slow
def test_the_commands_of_the_page_work_after_little_training(
    gallery: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DLX_RESULTS", str(tmp_path / "results"))
    specs = sorted(map(str, (GALLERY / "specs").glob("*.yaml")))
    assert main(["run", *specs, "--set", "training.epochs=2", "--seeds", "1", "--executor", "inline", "--quiet"]) == 0
    for picture in gallery.PICTURES:
        arguments = [str(GALLERY.parent.parent / word) if word.startswith("docs/") else word
                     for word in shlex.split(picture.command)[1:]]  # fmt: skip
        assert main(arguments) == 0, f"{picture.command}: {capsys.readouterr().err}"
        assert (tmp_path / picture.file).stat().st_size > 1000


COURSE = GALLERY / "course"


@pytest.fixture(scope="module")
def course() -> Any:
    spec = importlib.util.spec_from_file_location("course", COURSE / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["course"] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_of_the_course_are_current(course: Any) -> None:
    assert {f"{topic}.md" for topic in course.TOPICS} == {path.name for path in COURSE.glob("*.md")}
    for topic in course.TOPICS:
        text = (COURSE / f"{topic}.md").read_text(encoding="utf-8")
        assert text == course.page(topic), "run docs/gallery/course/make.py"


def test_every_experiment_of_a_topic_is_on_its_page(course: Any) -> None:
    for name, path in shipped.experiments().items():
        topic, _, own = name.rpartition("/")
        if topic in course.TOPICS:
            opened = course.opening(path)
            assert f"\n## {own}\n\n{opened.question}\n" in course.page(topic)
            assert opened.question.endswith("?") and opened.commands
            assert "reached" in opened.rest, f"{name} says what it reaches"


def test_pictures_of_the_course_are_there_and_small(course: Any) -> None:
    assert {picture.file for picture in course.PICTURES} == {path.name for path in COURSE.glob("*.svg")}
    for picture in course.PICTURES:
        assert picture.experiment in shipped.experiments()
        assert (COURSE / picture.file).stat().st_size < 200_000, picture.file
        ElementTree.parse(COURSE / picture.file)
