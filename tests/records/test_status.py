"""status.json: comes back as written, and is tolerated in any shape."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dlx.records.status import AttemptRecord, Listing, Status, parse_status, read_status, write_status

STATUS = Status(
    state="failed",
    attempts=(
        AttemptRecord(1, "2030-01-01T00:00:00Z", "host", 7, None, "its process ended without a word"),
        AttemptRecord(2, "1999-01-01T00:00:00Z", "host", 8, "1998-01-01T00:00:00Z", "failed"),
    ),
    reason="out of memory",
    log="log.txt",
    listing=Listing("0123456789ab", seed=3, repeat=0, parameters={"model.hidden": [30, 30], "training.l2": 0.1}),
    summary={"parameters": 24_000, "train_loss": 0.1, "val_loss": math.inf, "test_loss": None, "engine": "tensorflow"},
    notes=("metrics.csv, row 3: …",),
)


def test_comes_back(tmp_path: Path) -> None:
    write_status(tmp_path / "status.json", STATUS)
    assert read_status(tmp_path / "status.json") == STATUS
    assert STATUS.last_attempt == 2, "whatever the clock said"


def test_is_standard_json_with_the_tables_digits(tmp_path: Path) -> None:
    status = Status(summary={"a": np.float32(0.1), "b": float("nan"), "c": np.int64(3), "d": -math.inf, "e": 1e300})
    write_status(tmp_path / "status.json", status)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads((tmp_path / "status.json").read_bytes(), parse_constant=refuse)
    assert found["summary"] == {"a": 0.1, "b": "nan", "c": 3, "d": "-inf", "e": "inf"}
    assert math.isnan(read_status(tmp_path / "status.json").summary["b"])


def test_none_is_pending(tmp_path: Path) -> None:
    assert read_status(tmp_path / "status.json") == Status("pending")


def test_torn_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_status(path, STATUS)
    content = path.read_bytes()
    for length in range(len(content.rstrip())):
        path.write_bytes(content[:length])
        found = read_status(path)
        assert found.state == "interrupted" and found.note is not None
        assert "status.json is damaged" in found.note


@given(
    st.binary(max_size=100)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "state",
                        "attempts",
                        "listing",
                        "summary",
                        "notes",
                        "reason",
                        "number",
                        "trial",
                        "parameters",
                        "seed",
                    ]
                ),
                inner | st.just("done"),
                max_size=5,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_content(content: bytes) -> None:
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):  # as read_status does
        assert isinstance(parse_status(content), Status)


def test_a_later_versions_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_status(path, STATUS)
    content = json.loads(path.read_bytes())
    content["new"] = content["attempts"][0]["new"] = content["listing"]["new"] = 1
    path.write_text(json.dumps(content))
    assert read_status(path) == STATUS


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "status.json").mkdir()
    assert read_status(tmp_path / "status.json").state == "interrupted"
