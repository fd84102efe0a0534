"""Files of a stopped trial that come back other than they were written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.durability.conftest import Ground


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "bit flipped": ("arrays.bin", flip),
    "cut short": ("arrays.bin", truncate),
    "no manifest": ("manifest.json", Path.unlink),
    "empty state": ("state.json", lambda path: path.write_bytes(b"")),
}
SELDOM = [pytest.param(name, marks=pytest.mark.slow) for name in list(DAMAGES)[1:]]


@pytest.mark.parametrize("damage", ["bit flipped", *SELDOM])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    damage: str, interrupted: Ground, same: Callable[..., None]
) -> None:
    name, spoil = DAMAGES[damage]
    newest = interrupted.checkpoints()[-1]
    spoil(newest / name)
    code, output = interrupted.run()
    assert code == 0
    assert f"{newest} is damaged" in output, "the person is told"
    assert any("is damaged" in note for note in interrupted.status()["notes"])
    assert interrupted.status()["attempts"][-1]["exit"] == "done"
    same(interrupted, notes=True)


@pytest.mark.slow
def test_without_a_whole_checkpoint_the_trial_begins_again(interrupted: Ground, same: Callable[..., None]) -> None:
    for place in interrupted.checkpoints():
        flip(place / "arrays.bin")
    code, output = interrupted.run()
    assert code == 0
    assert "the trial begins again" in output
    same(interrupted, notes=True)


@pytest.mark.slow
def test_a_torn_status(interrupted: Ground, same: Callable[..., None]) -> None:
    path = interrupted.trial / "status.json"
    path.write_bytes(path.read_bytes()[:200])
    assert interrupted.run()[0] == 0
    assert any("status.json" in note for note in interrupted.status()["notes"])
    same(interrupted, notes=True)


def test_a_table_that_was_changed_is_not_continued(interrupted: Ground) -> None:
    """A recorded row cannot be had again but by training: that is for a person to decide."""
    table = interrupted.trial / "metrics.csv"
    table.write_bytes(table.read_bytes().replace(b"train,0,", b"train,9,", 1))
    code, output = interrupted.run()
    assert code == 1
    assert "metrics.csv was changed since the checkpoint recorded it" in output
    assert "--restart" in output
    assert interrupted.status()["state"] == "failed"
    shutil.rmtree(interrupted.results)
