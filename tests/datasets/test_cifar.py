"""The CIFAR archives: both versions, packed or not, and what a hostile one gets."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import pickletools
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlx.datasets import DatasetInfo, Places, _pickled, cifar100, registry
from dlx.datasets._cifar import PIXELS, Binary, Python
from dlx.errors import DataError
from dlx.sources import Official

INFO = DatasetInfo((32, 32, 3), "classification", 10, 4, 2)
BINARY = Binary(("small.tar.gz",), "small-bin", ("b1.bin", "b2.bin"), ("test.bin",))
PYTHON = Python(("small-py.tar.gz",), "small-py", ("b1", "b2"), ("test",))
random = np.random.default_rng(0)
IMAGES = random.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
LABELS = np.array([3, 9, 0, 3, 1, 2], np.uint8)


def planes(images: np.ndarray) -> np.ndarray:
    """Images as published: all of red, all of green, all of blue; written pixel by pixel, unlike the reader."""
    out = np.zeros((len(images), PIXELS), np.uint8)
    for n, image in enumerate(images):
        for row in range(32):
            for column in range(32):
                for channel in range(3):
                    out[n, channel * 1024 + row * 32 + column] = image[row, column, channel]
    return out


PLANES = planes(IMAGES)


def binary_file(first: int, last: int) -> bytes:
    return b"".join(bytes([LABELS[n]]) + PLANES[n].tobytes() for n in range(first, last))


def python_file(first: int, last: int, *, dtype: bytes = b"u1", module: bytes = b"numpy.core.multiarray") -> bytes:
    """Opcode by opcode what Python 2 wrote into ``data_batch_1`` in 2009, with fewer images."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    pixels = PLANES[first:last].tobytes()
    count = last - first
    numbers = b"".join(b"K" + bytes([label]) for label in LABELS[first:last])
    return (
        b"\x80\x02}q\x01("
        + text(b"batch_label") + b"q\x02" + text(b"training batch 1 of 5") + b"q\x03"
        + text(b"labels") + b"q\x04]q\x05(" + numbers + b"e"
        + text(b"data") + b"q\x06c" + module + b"\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09("
        + b"K\x01M" + struct.pack("<H", count) + b"M\x00\x0c\x86cnumpy\ndtype\nq\n" + text(dtype)
        + b"K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + b"T" + struct.pack("<i", len(pixels)) + pixels + b"tb"
        + text(b"filenames") + b"q\x0c]q\x0d(" + text(b"a.png") * count + b"eu."
    )  # fmt: skip


BINARY_FILES = {
    "small-bin/test.bin": binary_file(4, 6),  # the archives are in no particular order
    "small-bin/b1.bin": binary_file(0, 2),
    "small-bin/b2.bin": binary_file(2, 4),
    "small-bin/readme.html": b"<html>",
}
PYTHON_FILES = {
    "small-py/b1": python_file(0, 2),
    "small-py/b2": python_file(2, 4),
    "small-py/test": python_file(4, 6),
}


def tar(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return buffer.getvalue()


def expect_all(official: Official) -> None:
    assert np.array_equal(official.train_inputs, IMAGES[:4])
    assert np.array_equal(official.test_inputs, IMAGES[4:])
    assert official.train_targets.tolist() == [3, 9, 0, 3]
    assert official.test_targets.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("container", "files"), [(BINARY, BINARY_FILES), (PYTHON, PYTHON_FILES)], ids=["binary", "python"]
)
@pytest.mark.parametrize("packing", ["folder", "tar", "tar.gz"])
def test_reads_both_versions(container: Any, files: dict[str, bytes], packing: str, tmp_path: Path) -> None:
    if packing == "folder":
        (tmp_path / container.folder).mkdir()
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
    else:
        packed = tar(files)
        (tmp_path / container.archives[0]).write_bytes(gzip.compress(packed) if packing == "tar.gz" else packed)
    path = container.find(tmp_path)
    assert path is not None
    expect_all(container.read(path, INFO))


def hostile(kind: str) -> bytes:
    link = tarfile.TarInfo("small-bin/b1.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hard = tarfile.TarInfo("small-bin/b1.bin")
    hard.type, hard.linkname = tarfile.LNKTYPE, "small-bin/test.bin"
    device = tarfile.TarInfo("small-bin/b1.bin")
    device.type = tarfile.CHRTYPE
    without = {name: content for name, content in BINARY_FILES.items() if "b1" not in name}
    whole = tar(BINARY_FILES)
    if kind == "huge header":
        header = tarfile.TarInfo("././@PaxHeader")
        header.type, header.size = tarfile.XHDTYPE, 2**33
        return header.tobuf(tarfile.GNU_FORMAT) + whole
    if kind == "huge member before":
        member = tarfile.TarInfo("small-bin/other.bin")
        member.size = 2**40
        return member.tobuf(tarfile.GNU_FORMAT) + whole
    return {
        "symbolic link": tar(without, link),
        "hard link": tar(without, hard),
        "device": tar(without, device),
        "twice": tar(BINARY_FILES, tarfile.TarInfo("small-bin/b1.bin")),
        "elsewhere": tar({f"../{name}": content for name, content in BINARY_FILES.items()}),
        "absolute": tar({f"/{name}": content for name, content in BINARY_FILES.items()}),
        "too long": tar({**BINARY_FILES, "small-bin/b1.bin": binary_file(0, 2) + b"x"}),
        "too short": tar({**BINARY_FILES, "small-bin/b1.bin": binary_file(0, 2)[:-1]}),
        "missing": tar(without),
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "no archive": b"<!DOCTYPE html>" * 100,
    }[kind]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("symbolic link", "not a plain file"),
        ("hard link", "not a plain file"),
        ("device", "not a plain file"),
        ("twice", "there twice"),
        ("elsewhere", "it has no"),
        ("absolute", "it has no"),
        ("missing", "it has no small-bin/b1.bin"),
        ("too long", "longer than it should be"),
        ("too short", "ends after"),
        ("cut", "damaged"),
        ("empty", "damaged"),
        ("no archive", "damaged"),
        ("huge header", "headers claim 8,589,934,592 bytes"),
        ("huge member before", "longer than 1,073,741,824 bytes"),
    ],
)
def test_a_hostile_archive_is_refused_and_writes_nothing(kind: str, says: str, tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    path = inner / "small.tar.gz"
    path.write_bytes(gzip.compress(hostile(kind), 1))
    with pytest.raises(DataError, match=says) as caught:
        BINARY.read(path, INFO)
    assert "small.tar.gz" in str(caught.value)
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_a_cut_gzip(tmp_path: Path) -> None:
    path = tmp_path / "small.tar.gz"
    path.write_bytes(gzip.compress(tar(BINARY_FILES))[:-2000])
    with pytest.raises(DataError, match=r"small\.tar\.gz"):
        BINARY.read(path, INFO)


class TestPickles:
    """Interpreted, never run."""

    def refuse(self, content: bytes, tmp_path: Path, says: str) -> None:
        (tmp_path / "small-py").mkdir(exist_ok=True)
        for name, good in PYTHON_FILES.items():
            (tmp_path / name).write_bytes(good)
        (tmp_path / "small-py" / "b2").write_bytes(content)
        with pytest.raises(DataError, match=says) as caught:
            PYTHON.read(tmp_path / "small-py", INFO)
        assert "b2" in str(caught.value)

    def test_the_sample_is_what_python_reads(self) -> None:
        """The bytes that the tests are built on are a pickle by Python's own judgement."""
        pickletools.dis(python_file(0, 2), out=io.StringIO())

    def test_code_is_not_run(self, tmp_path: Path) -> None:
        sprung = tmp_path / "sprung"

        class Trap:
            def __reduce__(self) -> Any:
                return (os.system, (f"touch {sprung}",))

        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            self.refuse(
                pickle.dumps({"data": Trap(), "labels": [1, 2]}, protocol), tmp_path, "which no CIFAR file does"
            )
        self.refuse(b"cos\nsystem\n(S'touch " + bytes(sprung) + b"'\ntR.", tmp_path, "which no CIFAR file does")
        assert not sprung.exists()

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (python_file(2, 4, dtype=b"O8"), "not 2 × 3072 bytes"),
            (python_file(2, 4, module=b"builtins.eval"), "builtins.eval"),
            (python_file(2, 5), "are not 2 numbers"),
            (python_file(2, 4)[:-1], "ends before its end|damaged"),
            (b"", "damaged"),
            (b"\x80\x02}.", "'labels' are not 2 numbers"),
            (b"\x80\x02].", "list where dict belongs"),
            (b"\x80\x02e.", "well-formed"),
        ],
    )
    def test_other_contents(self, content: bytes, says: str, tmp_path: Path) -> None:
        self.refuse(content, tmp_path, says)

    @settings(max_examples=300, deadline=None)
    @given(content=st.binary(max_size=200), at=st.integers(0, 400))
    def test_any_bytes(self, content: bytes, at: int) -> None:
        good = python_file(0, 1)
        for candidate in (content, good[:at] + content, good[:at] + content + good[at + len(content) :]):
            try:
                found = _pickled.read_dict(candidate)
                _pickled.array_bytes(found.get("data"), (1, PIXELS))
            except ValueError:
                continue


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=600), at=st.integers(0, 20_000))
def test_any_bytes_as_archive_or_records(content: bytes, at: int, tmp_path: Path) -> None:
    whole = tar(BINARY_FILES)
    path = tmp_path / "input.bin"
    altered = whole[:at] + content + whole[at + len(content) :]
    for candidate in (content, whole[:at], altered, gzip.compress(altered, 1)[: at * 2 or 1]):
        path.write_bytes(candidate)
        try:
            BINARY.read(path, INFO)
        except DataError as error:
            assert "input.bin" in str(error)
    (tmp_path / "small-bin").mkdir(exist_ok=True)
    for name in ("b1.bin", "b2.bin", "test.bin"):
        (tmp_path / "small-bin" / name).write_bytes(content * 11)
    with pytest.raises(DataError, match="small-bin"):
        BINARY.read(tmp_path / "small-bin", INFO)


def test_cifar100_digest_is_that_of_the_published_records() -> None:
    """Rewriting the records agrees with writing them image by image."""
    labels = np.array([0, 99, 42, 7], np.int32)
    official = Official(IMAGES[:2], labels[:2], IMAGES[2:4], labels[2:])
    superclass = cifar100._SUPERCLASSES
    train = b"".join(bytes([superclass[labels[n]], labels[n]]) + PLANES[n].tobytes() for n in (0, 1))
    test = b"".join(bytes([superclass[labels[n]], labels[n]]) + PLANES[n].tobytes() for n in (2, 3))
    expected = f"train.bin {hashlib.sha256(train).hexdigest()}\ntest.bin {hashlib.sha256(test).hexdigest()}\n"
    assert cifar100.records_digest(official) == hashlib.sha256(expected.encode()).hexdigest()


def test_cifar100_names_and_superclasses() -> None:
    info = registry.get("cifar100")().info()
    of_name = dict(zip(info.class_names, cifar100._SUPERCLASSES, strict=True))
    assert sorted(cifar100._SUPERCLASSES) == sorted(list(range(20)) * 5)
    assert list(info.class_names) == sorted(info.class_names)
    # from the table on the data set's page: superclass 0 is aquatic mammals, 17 trees, 14 people
    assert {name for name, number in of_name.items() if number == 0} == {"beaver", "dolphin", "otter", "seal", "whale"}
    assert {name for name, number in of_name.items() if number == 14} == {"baby", "boy", "girl", "man", "woman"}
    trees = {"maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"}
    assert {name for name, number in of_name.items() if number == 17} == trees


def test_cifar100_is_refused_when_it_is_not_cifar100(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    (folder / "train.bin").write_bytes(bytes(50_000 * (2 + PIXELS)))
    (folder / "test.bin").write_bytes(bytes(10_000 * (2 + PIXELS)))
    with pytest.raises(DataError, match="cifar-100-binary is not CIFAR-100"):
        registry.get("cifar100")().load(Places(tmp_path, download=False))


@pytest.mark.data
@pytest.mark.slow
def test_cifar10_is_the_published_one(real: Places) -> None:
    """The arrays, written again as records, have the SHA-256 published for each file of the binary version."""
    cifar10 = registry.get("cifar10")
    official = cifar10().official(real)
    published = (
        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    )
    for batch, expected in enumerate(published):
        part = slice(batch * 10_000, (batch + 1) * 10_000)
        pixels = official.train_inputs[part].transpose(0, 3, 1, 2).reshape(-1, PIXELS)
        records = np.column_stack([official.train_targets[part].astype(np.uint8), pixels])
        assert hashlib.sha256(records.tobytes()).hexdigest() == expected
