"""Checkpoints: whole or not at all, damaged ones found, the older one used."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlx.errors import TrialError
from dlx.records.checkpoints import CheckpointStore
from tests.records.faults import KILLED, in_child, kill_everywhere, limit_files_to, names, tree


def arrays(number: int) -> dict[str, np.ndarray]:
    return {
        "dense_1/kernel": np.full((3, 2), number, "float32"),
        "dropout/seed": np.array([number, 2**32 - 1], "uint32"),
        "optimizer/iteration": np.array(number, "int64"),
    }


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes(), name


def refuse(sentence: str) -> None:
    pytest.fail(f"nothing should be noted here: {sentence}")


def test_all_comes_back(tmp_path: Path) -> None:
    import ml_dtypes

    given = {
        "plain": np.arange(12, dtype="float32").reshape(3, 4),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(10)[::3],
        "other byte order": np.arange(3, dtype=">f4").astype("<f4"),
        "bfloat16": np.array([1.5, np.nan], ml_dtypes.bfloat16),
        "float8": np.array([0.5], ml_dtypes.float8_e4m3fn),
        "bool": np.array([True, False]),
        "complex": np.array([1 + 2j], "complex64"),
        "scalar": np.array(7, "uint32"),
        "empty": np.zeros((0, 5), "float16"),
        "nan": np.array([np.nan, np.inf, -0.0]),
        "../../etc/passwd": np.array([1]),
        "": np.array([2]),
        "naïve\n\"name'": np.array([3]),
        "a" * 5000: np.array([4]),
    }
    state = {"epoch": 3, "best": float("inf"), "loss": 0.1 + 0.2, "key": [2**64, None], "text": "é"}
    store = CheckpointStore(tmp_path / "checkpoints")
    store.save(given, state)
    found = store.load_latest(refuse)
    assert found is not None
    assert_same(found.arrays, given)
    assert found.state == state
    assert all(array.flags.writeable and array.flags.aligned for array in found.arrays.values())
    assert names(tmp_path) == ["checkpoints"], "a name leads nowhere"


@pytest.mark.parametrize(
    "array", [np.array([{}]), np.array(["text"]), np.array([(1, 2)], "i4,i4"), np.array(["2020"], "datetime64[D]")]
)
def test_what_is_no_number_is_refused(tmp_path: Path, array: np.ndarray) -> None:
    store = CheckpointStore(tmp_path)
    with pytest.raises(TypeError, match="'x'"):
        store.save({"x": array}, None)
    assert not tree(tmp_path)


def test_two_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    assert [store.save(arrays(number), number) for number in range(1, 5)] == [1, 2, 3, 4]
    assert store.numbers() == [3, 4]
    assert names(tmp_path) == ["000003", "000004"]
    latest = store.load_latest(refuse)
    assert latest is not None and latest.state == 4 and latest.number == 4


def test_none(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "checkpoints").load_latest(refuse) is None


def test_clear(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints")
    store.clear()
    store.save(arrays(1), None)
    store.clear()
    assert not list(tmp_path.iterdir())


def test_every_flipped_byte_and_every_length_is_noticed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "c")
    store.save(arrays(1), {"number": 1})
    store.save(arrays(2), {"number": 2})
    newest = tmp_path / "c" / "000002"
    whole = {path: path.read_bytes() for path in newest.iterdir()}
    manifest = newest / "manifest.json"
    for path, content in whole.items():
        for position in range(len(content)):
            flipped = bytearray(content)
            flipped[position] ^= 1 << random.randrange(8)
            for damage in (bytes(flipped), content[:position]):
                if path == manifest and _same_json(damage, content):
                    continue
                path.write_bytes(damage)
                notes: list[str] = []
                found = store.load_latest(notes.append)
                assert found is not None and found.state == {"number": 1}
                assert_same(found.arrays, arrays(1))
                assert len(notes) == 1 and "000002 is damaged" in notes[0] and "000002.damaged" in notes[0]
                (tmp_path / "c" / "000002.damaged").rename(newest)
                path.write_bytes(content)
    assert store.load_latest(refuse) is not None


def _same_json(damage: bytes, content: bytes) -> bool:
    """Whether a flip hit only white space, which is no damage."""
    try:
        return bool(json.loads(damage) == json.loads(content))
    except ValueError:
        return False


@pytest.mark.parametrize("name", ["arrays.bin", "state.json", "manifest.json"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    store = CheckpointStore(tmp_path)
    store.save(arrays(1), 1)
    store.save(arrays(2), 2)
    (tmp_path / "000002" / name).unlink()
    notes: list[str] = []
    found = store.load_latest(notes.append)
    assert found is not None and found.state == 1
    assert name in notes[0] and "missing" in notes[0]


def test_all_damaged(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for number in (1, 2):
        store.save(arrays(number), number)
        (tmp_path / f"{number:06d}" / "manifest.json").write_bytes(b"{}")
    notes: list[str] = []
    assert store.load_latest(notes.append) is None
    assert len(notes) == 3 and "begins again" in notes[-1]
    assert store.save(arrays(3), 3) == 3, "numbers are not given twice: their order is that of time"
    assert names(tmp_path) == ["000001.damaged", "000002.damaged", "000003"]


def test_a_hostile_checkpoint_runs_nothing_and_costs_nothing(tmp_path: Path) -> None:
    """Its hashes are right, its content is not."""
    import hashlib

    claims: list[Any] = [
        {"name": "x", "dtype": "float32", "shape": [2**40], "offset": 0},
        {"name": "x", "dtype": "float32", "shape": [-1], "offset": 0},
        {"name": "x", "dtype": "float32", "shape": [1], "offset": -4},
        {"name": "x", "dtype": "float32", "shape": [1], "offset": 2**70},
        {"name": "x", "dtype": "object", "shape": [1], "offset": 0},
        {"name": "x", "dtype": "finfo", "shape": [1], "offset": 0},
        {"name": "x", "dtype": ["float32"], "shape": [1], "offset": 0},
        {"name": ["x"], "dtype": "float32", "shape": [1], "offset": 0},
        "x",
    ]
    for claim in claims:
        store = CheckpointStore(tmp_path)
        place = tmp_path / "000001"
        store.save({"x": np.zeros(1, "float32")}, None)
        state = json.dumps({"byteorder": "little", "arrays": [claim], "state": None}).encode()
        (place / "state.json").write_bytes(state)
        manifest = json.loads((place / "manifest.json").read_bytes())
        manifest["files"]["state.json"] = {"bytes": len(state), "sha256": hashlib.sha256(state).hexdigest()}
        (place / "manifest.json").write_text(json.dumps(manifest))
        notes: list[str] = []
        assert store.load_latest(notes.append) is None, claim
        assert "makes no sense" in notes[0]
        shutil.rmtree(tmp_path)


def test_killed_at_every_moment_of_saving(tmp_path: Path) -> None:
    directory = tmp_path / "c"
    store = CheckpointStore(directory)

    def prepare() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        for number in (1, 2):
            store.save(arrays(number), number)

    def check() -> None:
        found = store.load_latest(refuse)
        assert found is not None and found.state in (2, 3)
        assert_same(found.arrays, arrays(found.state))
        store.sweep()
        assert all(name.isdigit() for name in names(directory))
        store.save(arrays(4), 4)
        assert len(store.numbers()) == 2

    assert kill_everywhere(prepare, lambda: store.save(arrays(3), 3) and None, check) > 8


def test_killed_at_random_instants(tmp_path: Path) -> None:
    """The real thing: SIGKILL from outside, while checkpoint follows checkpoint."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    directory = tmp_path / "c"
    random.seed(0)
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            store = CheckpointStore(directory)
            while True:
                number = max(store.numbers(), default=0) + 1
                store.save({f"v{i}": np.full(20_000, number, "float32") for i in range(10)}, number)
        time.sleep(random.uniform(0.02, 0.12))
        os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == KILLED
        store = CheckpointStore(directory)
        found = store.load_latest(refuse)
        if found is not None:
            assert found.state == found.number
            assert all((array == found.number).all() for array in found.arrays.values())
        store.sweep()


def test_file_size_limit(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    store = CheckpointStore(tmp_path)
    store.save(arrays(1), 1)

    def save() -> None:
        limit_files_to(100_000)
        with pytest.raises(TrialError, match=r"000002: File too large"):
            store.save({"x": np.zeros(100_000, "float32")}, 2)

    assert in_child(save) == 0
    assert store.numbers() == [1] and names(tmp_path) == ["000001"]


def test_full_disk(small_disk: Path) -> None:
    store = CheckpointStore(small_disk / "checkpoints")
    store.save(arrays(1), 1)
    before = tree(small_disk)
    with pytest.raises(TrialError, match=r"checkpoints/000002: No space left on device.*make room"):
        store.save({"x": np.zeros(1_000_000, "float32")}, 2)
    assert tree(small_disk) == before
    found = store.load_latest(refuse)
    assert found is not None and found.state == 1


def test_a_check_prevents_the_commit(tmp_path: Path) -> None:
    def taken() -> None:
        raise TrialError("taken over")

    CheckpointStore(tmp_path).save(arrays(1), 1)
    with pytest.raises(TrialError, match="taken over"):
        CheckpointStore(tmp_path, check=taken).save(arrays(2), 2)
    assert names(tmp_path) == ["000001"]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "7").mkdir()
    store = CheckpointStore(tmp_path)
    for number in range(4):
        store.save(arrays(number), number)
    assert {"notes.txt", "7"} < set(names(tmp_path))
