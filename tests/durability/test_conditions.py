"""A trial goes on under the conditions that it was begun under, or not without being asked to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlx.records.checkpoints import CheckpointStore
from tests.durability.conftest import Ground
from tests.durability.proof import kept


def change(path: Path, **values: Any) -> None:
    content = json.loads(path.read_bytes())
    content.update(values)
    path.write_text(json.dumps(content))


def refused(ground: Ground, *more: str) -> str:
    """Run; check that nothing was touched; give the reason."""
    before = kept(ground.trial), ground.checkpoints()
    code, output = ground.run(*more)
    assert code == 1
    assert (kept(ground.trial), ground.checkpoints()) == before
    assert ground.status()["state"] == "interrupted", "not failed: under the former conditions it still goes on"
    reason: str = ground.status()["reason"]
    assert reason in output
    assert reason.startswith("not continued, since ")
    assert reason.endswith("(--restart discards what there is)")
    return reason


def test_another_number_of_threads(interrupted: Ground, same: Callable[..., None]) -> None:
    assert "the number of threads was 1, now 2" in refused(interrupted, "--threads", "2")
    assert interrupted.run()[0] == 0, "with as many as before it goes on"
    same(interrupted)


def test_another_version(interrupted: Ground) -> None:
    path = interrupted.trial / "environment.json"
    change(path, versions={**json.loads(path.read_bytes())["versions"], "keras": "3.0.1"})
    assert "keras was 3.0.1, now " in refused(interrupted)


def test_another_device(interrupted: Ground) -> None:
    change(interrupted.trial / "environment.json", device={"kind": "Tesla P100"})
    assert "the device was Tesla P100, now cpu" in refused(interrupted)


def test_another_spec(interrupted: Ground) -> None:
    """Somebody edited the trial's own file."""
    path = interrupted.trial / "trial.yaml"
    path.write_text(path.read_text("utf-8") + "# edited\n", "utf-8")
    assert "its spec has changed" in refused(interrupted)


@pytest.mark.parametrize("changed", ["an array of another shape", "an array less", "a field of its progress more"])
def test_another_layout_of_the_checkpoint(interrupted: Ground, changed: str) -> None:
    """One that another state of dlx wrote under the same version number."""
    store = CheckpointStore(interrupted.trial / "checkpoints")
    found = store.load_latest()
    assert found is not None
    last = max(name for name in found.arrays if name.startswith("accumulated/"))
    if changed == "an array of another shape":
        found.arrays[last] = found.arrays[last][:1]
    elif changed == "an array less":
        del found.arrays[last]
    else:
        found.state["training"]["progress"]["momentum"] = 0.0
    store.save(found.arrays, found.state)
    assert "its checkpoint was written by another version of dlx" in refused(interrupted)
    assert "Traceback" not in (interrupted.trial / "log.txt").read_text("utf-8")


@pytest.mark.parametrize("threads", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_restart_discards_what_there_is(threads: str, interrupted: Ground, same: Callable[..., None]) -> None:
    change(interrupted.trial / "environment.json", device={"kind": "Tesla P100"})
    code, output = interrupted.run("--restart", "--threads", threads)
    assert code == 0
    assert "continues from" not in output
    assert [attempt["number"] for attempt in interrupted.status()["attempts"]] == [1]
    if threads == "1":
        same(interrupted)
