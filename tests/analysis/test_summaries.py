"""Summaries spare reading, are never believed when they are not true, and may always be removed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlx.analysis import summaries as module
from dlx.analysis.metrics import parse
from dlx.analysis.selectors import find
from dlx.analysis.summaries import FILE, Summaries
from dlx.analysis.trials import Reader, Tables

METRICS = [parse(text) for text in ("test_accuracy@last", "test_accuracy@best", "grad_norm[1]", "grad_norm[9]")]


@pytest.fixture
def copy(results: Path, tmp_path: Path) -> Path:
    """The results with every file an hour old, as a summary would be made of them."""
    place = tmp_path / "results"
    shutil.copytree(results, place)
    for path in (*place.rglob("*"), place):
        os.utime(path, ns=(path.stat().st_mtime_ns - 3600 * 10**9,) * 2)
    return place


def numbers(results: Path) -> list[str]:
    summaries = Summaries()
    trials = find([results], reader=summaries).trials
    found = [repr([(one.value, one.why) for one in summaries.measure(trial, METRICS)]) for trial in trials]
    summaries.save()
    return found


def directly(results: Path) -> list[str]:
    """The same without summaries."""
    trials = find([results], reader=Reader()).trials
    return [
        repr([(one.value, one.why) for one in (m.measure(Tables(trial.path)) for m in METRICS)]) for trial in trials
    ]


def test_a_summary_gives_the_same_and_reads_no_table(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = numbers(copy)
    assert first == directly(copy)
    assert (copy / "depth" / FILE).exists()

    def refuse(self: object, name: str, end: object = None) -> None:
        raise AssertionError(f"{name} is read again")

    monkeypatch.setattr(Tables, "get", refuse)
    monkeypatch.setattr(Reader, "read", refuse)
    assert numbers(copy) == first


def test_a_table_that_changed_is_read_again(copy: Path) -> None:
    numbers(copy)
    table = find([copy]).trials[0].path / "metrics.csv"
    text = table.read_text()
    last = text.splitlines()[-1]
    table.write_text(text.replace(last, last.replace("0.66", "0.16")))
    assert len(table.read_text()) == len(text) and table.read_text() != text
    assert numbers(copy) == directly(copy)
    assert numbers(copy)[0] != numbers(copy)[1]


def test_a_trial_that_changed_is_read_again(copy: Path) -> None:
    numbers(copy)
    status = find([copy]).trials[0].path / "status.json"
    status.write_text(status.read_text().replace('"done"', '"failed"'))
    assert [trial.state for trial in find([copy], reader=Summaries()).trials].count("failed") == 1


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "other", "directory"])
def test_a_damaged_summary_is_made_again(copy: Path, damage: str) -> None:
    expected = numbers(copy)
    path = copy / "depth" / FILE
    content = path.read_bytes()
    if damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        at = content.index(b"0.6", 100)
        damaged = {
            "truncated": content[:-50],
            "flipped": content[: at + 2] + b"7" + content[at + 3 :],
            "empty": b"",
            "other": json.dumps({"schema": "dlx.summary/99"}).encode(),
        }
        path.write_bytes(damaged[damage])
    assert numbers(copy) == expected
    if damage != "directory":
        assert path.read_bytes().partition(b"\n")[0] == content.partition(b"\n")[0]


def test_files_that_changed_just_now_are_not_kept(copy: Path) -> None:
    for path in (copy / "depth" / "trials").rglob("*"):
        os.utime(path)
    numbers(copy)
    kept = module._load(copy / "depth" / FILE)
    assert not kept.get("trials")


def test_a_directory_that_cannot_be_written_to_goes_without(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **more: object) -> None:
        raise module.DlxError("the disk is full")

    monkeypatch.setattr(module.atomic, "write_bytes", full)
    assert numbers(copy) == directly(copy)
    assert not (copy / "depth" / FILE).exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content.update(settings=[]),
        lambda content: content.update(settings=[1] * 9),
        lambda content: content.update(trials=[]),
        lambda content: next(iter(content["trials"].values())).pop("values"),
        lambda content: next(iter(content["trials"].values()))["trial"].update(state="running"),
        lambda content: next(iter(content["trials"].values()))["trial"].update(more=1),
        lambda content: next(iter(content["trials"].values()))["trial"].update(seed=[0]),
        lambda content: next(iter(content["trials"].values()))["values"].update({"test_accuracy@last": "0.5"}),
        lambda content: next(iter(content["trials"].values()))["values"].update({"test_accuracy@last": [[], None, []]}),
    ],
)
def test_a_summary_of_another_form_is_not_believed(copy: Path, spoil: Callable[[Any], object]) -> None:
    expected = numbers(copy)
    path = copy / "depth" / FILE
    content = json.loads(path.read_bytes().partition(b"\n")[2])
    spoil(content)
    text = json.dumps(content).encode()
    path.write_bytes(module._checksum(text) + b"\n" + text + b"\n")
    assert numbers(copy) == expected


def test_trials_that_are_gone_are_forgotten(copy: Path) -> None:
    numbers(copy)
    first, second = (trial.path for trial in find([copy]).trials[:2])
    shutil.rmtree(first)
    os.utime(second / "metrics.csv", ns=(10**18, 10**18))
    numbers(copy)
    assert set(module._load(copy / "depth" / FILE)["trials"]) == {trial.id for trial in find([copy]).trials}
