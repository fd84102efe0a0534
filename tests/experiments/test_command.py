"""``dlx experiments``: what comes with dlx, listed, shown and copied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dlx import shipped
from dlx.cli.main import main
from dlx.spec import load


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """What ``dlx experiments …`` says in an empty folder: exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["experiments", *arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_all_are_listed_by_topic_with_what_they_ask(said) -> None:
    code, text, _ = said()
    assert code == 0
    listed = [line.split("  ", 1) for line in text.splitlines() if line]
    assert [name.strip() for name, _ in listed] == list(shipped.experiments())
    topics = [block.split("/")[0] for block in text.split("\n\n")]
    assert len(set(topics)) == len(topics)
    of = {name.strip(): description.strip() for name, description in listed}
    assert of["quickstart"] == load(shipped.get("quickstart")).description


def test_those_of_a_topic(said) -> None:
    code, text, _ = said("pretraining", "--json")
    assert code == 0
    found = json.loads(text)
    assert found["schema"] == "dlx.experiments/1"
    names = [one["name"] for one in found["experiments"]]
    assert names == [name for name in shipped.experiments() if name.startswith("pretraining/")]
    assert {one["topic"] for one in found["experiments"]} == {"pretraining"}


def test_one_is_shown_as_it_is_written(said) -> None:
    assert said("show", "quickstart")[1] == shipped.get("quickstart").read_text(encoding="utf-8")
    shown = json.loads(said("show", "quickstart", "--json")[1])["experiment"]
    assert shown["trials"] == [trial.id for trial in load(shipped.get("quickstart")).trials]
    assert shown["axes"] == ["model.depth"]


def test_one_whose_data_are_not_here_is_shown_all_the_same(said, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlx.errors import SpecError

    def refuse(path: Path) -> None:
        raise SpecError([])

    monkeypatch.setattr("dlx.spec.load", refuse)
    code, text, _ = said("show", "quickstart", "--json")
    assert code == 0
    assert json.loads(text)["experiment"]["trials"] is None


def test_those_with_finished_tables_are_marked(said) -> None:
    found = json.loads(said("--json")[1])["experiments"]
    assert [one["name"] for one in found if one["tables"]] == shipped.finished()


def test_a_copy_is_the_same_spec_and_overwrites_nothing(said, tmp_path: Path) -> None:
    assert said("copy", "vanishing-gradient/depth")[0] == 0
    written = tmp_path / "depth.yaml"
    assert written.read_bytes() == shipped.get("vanishing-gradient/depth").read_bytes()
    written.write_text("model: mlp\n", encoding="utf-8")
    code, _, errors = said("copy", "vanishing-gradient/depth")
    assert (code, errors) == (2, "dlx: depth.yaml: is there already (--force overwrites it, -o writes elsewhere)\n")
    assert written.read_text(encoding="utf-8") == "model: mlp\n"
    assert said("copy", "vanishing-gradient/depth", "-o", "of/mine.yaml")[0] == 0
    assert said("copy", "vanishing-gradient/depth", "-o", "of")[0] == 0
    assert sorted(path.name for path in (tmp_path / "of").iterdir()) == ["depth.yaml", "mine.yaml"]
    assert said("copy", "vanishing-gradient/depth", "--force")[0] == 0
    assert load(written).name == load(shipped.get("vanishing-gradient/depth")).name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show"], "which experiment? (dlx experiments show NAME"),
        (["copy", "quickstar"], "no experiment 'quickstar' comes with dlx (did you mean 'quickstart'?)"),
        (["vanishing-gradien"], "vanishing-gradien is not a topic (did you mean 'vanishing-gradient'?)"),
        (["quickstart"], "quickstart is not a topic (dlx experiments show quickstart)"),
        (["shwo", "quickstart"], "shwo is neither show nor copy (did you mean 'show'?)"),
    ],
)
def test_what_is_wrong_is_said(said, arguments: list[str], message: str) -> None:
    code, _, errors = said(*arguments)
    assert code == 2
    assert message in errors
