"""environment.json, and what forbids to continue a trial."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.records import environment

ROOT = Path(__file__).resolve().parents[2]


def gathered(**changes: object) -> dict[str, object]:
    settings: dict[str, object] = {"spec": "a: 1\n", "engine": "tensorflow", "device": {"kind": "cpu"}, "threads": 2}
    return environment.gather(**(settings | changes))  # type: ignore[arg-type]


def test_what_is_put_on_record(tmp_path: Path) -> None:
    found = gathered(pack=["a", "b"])
    environment.write(tmp_path / "environment.json", found)
    assert environment.read(tmp_path / "environment.json") == found
    assert {"keras", "numpy"} <= set(found["versions"])  # type: ignore[arg-type]
    assert {name for name in found["versions"] if name.startswith("tensorflow")}  # type: ignore[attr-defined]
    assert found["command"] == sys.argv and found["pack"] == ["a", "b"]


def test_the_same_may_be_continued() -> None:
    before, today = gathered(), gathered()
    today |= {"written": "later", "command": ["other"], "git": None, "host": "node7", "directory": "/"}
    assert environment.differences(before, today) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"spec": "a: 2\n"}, "its spec has changed"),
        ({"threads": 4}, "the number of threads was 2, now 4"),
        ({"device": {"kind": "NVIDIA H200"}}, "the device was cpu, now NVIDIA H200"),
        ({"pack": ["x"]}, "the pack was None, now ['x']"),
    ],
)
def test_what_forbids_to_continue(changes: dict[str, object], sentence: str) -> None:
    assert environment.differences(gathered(), gathered(**changes)) == [sentence]


def test_versions_are_compared() -> None:
    before, today = gathered(), gathered()
    before["versions"] = {"keras": "3.1", "numpy": "2.0"}
    today["versions"] = {"keras": "3.2", "jax": "0.5"}
    assert environment.differences(before, today) == [
        "jax was absent, now 0.5",
        "keras was 3.1, now 3.2",
        "numpy was 2.0, now absent",
    ]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"device": 1, "versions": "x"}', b"[" * 100_000])
def test_a_damaged_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "environment.json").write_bytes(content)
    before = environment.read(tmp_path / "environment.json")
    assert before is None or environment.differences(before, gathered())


def git(directory: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "-C", str(directory), *arguments], check=True, capture_output=True)


def test_git(tmp_path: Path) -> None:
    assert environment.git(str(tmp_path)) is None
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    environment.git.cache_clear()
    found = environment.git(str(tmp_path))
    assert found is not None and len(found["commit"]) == 40 and found["dirty"] is False
    (tmp_path / "results").mkdir()
    environment.git.cache_clear()
    assert environment.git(str(tmp_path)) == found, "what a run leaves behind makes no working directory dirty"
    (tmp_path / "a").write_text("2")
    environment.git.cache_clear()
    assert environment.git(str(tmp_path)) == {**found, "dirty": True}


def test_no_program_of_the_repository_is_run(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-m", "first")
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    git(tmp_path, "config", "core.fsmonitor", str(hook))
    environment.git.cache_clear()
    assert environment.git(str(tmp_path)) is not None
    assert not (tmp_path / "ran").exists()


def test_without_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    environment.git.cache_clear()
    assert environment.git(str(ROOT)) is None
    environment.git.cache_clear()


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "import dlx.records.trial_directory, dlx.records.experiment_directory\n"
        "from dlx.records import environment\n"
        "environment.gather(spec='', engine='tensorflow', device={'kind': 'cpu'}, threads=1)\n"
        "print({'numpy', 'tensorflow', 'keras', 'jax', 'pandas', 'pydantic', 'ml_dtypes', 'yaml'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
