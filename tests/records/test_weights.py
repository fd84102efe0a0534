"""weights.npz: the same bytes for the same arrays, an ordinary .npz, and safe to read."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx.errors import ResultsError, TrialError
from dlx.records.weights import read_weights, write_weights

FINAL = {"dense_1/kernel": np.arange(6, dtype="float32").reshape(2, 3), "dense_1/bias": np.float32([1, np.nan])}
BEST = {"dense_1/kernel": np.asfortranarray(np.ones((2, 3))), "count": np.array(5)}


def test_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    write_weights(path, FINAL, BEST)
    found = read_weights(path)
    assert found.keys() == {"final", "best"}
    for kind, arrays in (("final", FINAL), ("best", BEST)):
        assert found[kind].keys() == arrays.keys()
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[kind][name], array, strict=True)
    write_weights(path, FINAL)
    assert read_weights(path).keys() == {"final"}


def test_numpy_reads_it(tmp_path: Path) -> None:
    write_weights(tmp_path / "weights.npz", FINAL, BEST)
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as found:
        assert sorted(found) == ["best/count", "best/dense_1/kernel", "final/dense_1/bias", "final/dense_1/kernel"]
        np.testing.assert_array_equal(found["best/dense_1/kernel"], BEST["dense_1/kernel"], strict=True)


def test_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_weights(tmp_path / "a.npz", FINAL, BEST)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    write_weights(tmp_path / "b.npz", dict(reversed(FINAL.items())), BEST)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    import ml_dtypes

    write_weights(tmp_path / "w.npz", {"x": np.array([1.5], ml_dtypes.bfloat16)})
    assert read_weights(tmp_path / "w.npz")["final"]["x"].dtype == np.float32


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"[Oo]bject"):
        write_weights(tmp_path / "w.npz", {"x": np.array([{}])})
    assert not list(tmp_path.iterdir())


def test_a_check_prevents(tmp_path: Path) -> None:
    def taken() -> None:
        raise TrialError("taken over")

    with pytest.raises(TrialError, match="taken over"):
        write_weights(tmp_path / "w.npz", FINAL, check=taken)
    assert not list(tmp_path.iterdir())


def archive(member: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        made.writestr(member, content)
    return file.getvalue()


def npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


HUGE = npy(np.zeros(1, "f4")).replace(b"(1,)", b"(99999999999999,)")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x05\x06" + bytes(17),
        archive("final/x.npy", npy(np.array([{}]), allow_pickle=True)),
        archive("final/x.npy", HUGE),
        archive("final/x.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16),
        archive("final/x.npy", bytes(1 << 20), zipfile.ZIP_DEFLATED),
        archive("../../x.npy", npy(np.zeros(1))),
        archive("final/", b""),
    ],
)
def test_what_is_no_file_of_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(ResultsError, match=r"w\.npz is not a file of weights"):
        read_weights(tmp_path / "w.npz")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot read"):
        read_weights(tmp_path / "w.npz")


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_changed_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "w.npz"
    write_weights(path, FINAL, BEST)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        for group in read_weights(path).values():
            assert all(isinstance(array, np.ndarray) for array in group.values())
    except ResultsError:
        pass
