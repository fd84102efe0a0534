"""Containers: each layout is found and read, and damaged or hostile bytes are a DataError that names the file."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dlx.datasets import DatasetInfo, Places, _formats
from dlx.datasets._containers import KerasNpz
from dlx.errors import DataError

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("folder", ["tiny", "."], ids=["in a folder of its own", "flat"])
@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gz"])
def test_idx(folder: str, gz: bool, tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    tiny.write_idx(places.data_dir / folder, gz=gz)
    assert tiny.spec().official(places).digest() == tiny.official.digest()
    assert tiny.spec().find(places) == places.data_dir / folder


def test_a_name_that_lies_about_gzip_is_no_matter(tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    for name, content in tiny.idx.items():  # browsers and object stores gunzip under way
        (places.data_dir / f"{name}.gz").write_bytes(content)
    assert tiny.spec().official(places).digest() == tiny.official.digest()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_by_any_zip_method(method: int, tiny: Any, only: Callable[..., Places]) -> None:
    places = only()
    o = tiny.official
    arrays = {
        "x_train": o.train_inputs[..., 0],
        "y_train": o.train_targets.reshape(-1, 1).astype(np.int64),  # as Keras stores CIFAR's
        "x_test": o.test_inputs[..., 0],
        "y_test": o.test_targets.astype(np.uint8),
    }
    members = {f"{name}.npy": npy(array) for name, array in arrays.items()}
    (places.data_dir / "tiny.npz").write_bytes(zip_of(members, method))
    assert tiny.spec().official(places).digest() == tiny.official.digest()


def test_npz_never_unpickles(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (tmp_path.joinpath("sprung").touch, ())

    trap = npy(np.array([Trap()], dtype=object), allow_pickle=True)
    path = tmp_path / "trap.npz"
    path.write_bytes(zip_of({"x_train.npy": trap}))
    with pytest.raises(DataError, match=r"trap\.npz"):
        _formats.read_npz(path, {"x_train": (1,)})
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 4, 4), np.uint8), "3 × 4 × 4, not 2 × 4 × 4"),
        (np.zeros((2, 4, 4), np.float32), "float32"),
        (np.asfortranarray(np.arange(32, dtype=np.uint8).reshape(2, 4, 4)), "Fortran"),
    ],
)
def test_npz_of_another_shape_or_type(array: np.ndarray, says: str, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(zip_of({"x.npy": npy(array)}))
    with pytest.raises(DataError, match=says):
        _formats.read_npz(path, {"x": (2, 4, 4)})


def test_no_header_makes_a_reader_allocate(tmp_path: Path) -> None:
    """A claim of terabytes is compared with the known shape before anything is allocated or inflated."""
    huge = struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2**31, 2**31)
    (tmp_path / "x").write_bytes(huge)
    with pytest.raises(DataError, match="header"):
        _formats.read_idx(tmp_path / "x", (6, 4, 4))
    header = npy(np.zeros(1, np.uint8))[:10] + b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999,), }"
    (tmp_path / "y.npz").write_bytes(zip_of({"x.npy": header.ljust(128) + b"\n"}))
    with pytest.raises(DataError):
        _formats.read_npz(tmp_path / "y.npz", {"x": (4,)})


def test_a_gzip_bomb_is_not_inflated(tmp_path: Path) -> None:
    header = struct.pack(">4BI", 0, 0, 8, 1, 6)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(header + bytes(200 << 20), 1))
    with pytest.raises(DataError, match="longer than it should be"):
        _formats.read_idx(tmp_path / "bomb.gz", (6,))


INFO = DatasetInfo((4, 4, 1), "classification", 3, 6, 4)


def _arrays_or_data_error(read: Callable[[], Any]) -> None:
    """What every reader owes for any bytes: its result, or a DataError."""
    try:
        read()
    except DataError as error:
        assert "input.bin" in str(error)


@FUZZ
@given(content=st.binary(max_size=300))
@example(content=b"")
@example(content=b"\x1f\x8b")
@example(content=b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03")
def test_any_bytes_as_idx(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "input.bin"
    path.write_bytes(content)
    _arrays_or_data_error(lambda: _formats.read_idx(path, (2, 2)))
    path.write_bytes(struct.pack(">4B2I", 0, 0, 8, 2, 2, 2) + content)
    _arrays_or_data_error(lambda: _formats.read_idx(path, (2, 2)))


@FUZZ
@given(content=st.binary(max_size=400), data=st.data())
def test_any_bytes_as_npz(content: bytes, data: st.DataObject, tmp_path: Path, tiny: Any) -> None:
    path = tmp_path / "input.bin"
    container = KerasNpz(("input.bin",))
    whole = bytearray(tiny.npz)
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at : at + len(content) % 7] = content[: len(content) % 7]
    in_header = npy(np.zeros((6, 4, 4), np.uint8))[:10] + content
    for candidate in (content, bytes(whole), bytes(whole[:at]), zip_of({"x_train.npy": in_header})):
        path.write_bytes(candidate)
        _arrays_or_data_error(lambda: container.read(path, INFO))


@FUZZ
@given(content=st.binary(max_size=300) | st.text("01 .\n-e9nainf", max_size=300).map(str.encode))
def test_any_bytes_as_semeion_and_digits(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "input.bin"
    path.write_bytes(content)
    _arrays_or_data_error(lambda: _formats.read_semeion(path, 1))
    path.write_bytes(b"0.0 " * 256 + content)
    _arrays_or_data_error(lambda: _formats.read_semeion(path, 1))
    path.write_bytes(content)
    _arrays_or_data_error(lambda: _formats.read_digits_csv(path, 1))
    path.write_bytes(b"1," * 64 + content)
    _arrays_or_data_error(lambda: _formats.read_digits_csv(path, 1))
