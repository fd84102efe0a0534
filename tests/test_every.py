"""Intervals: what is understood, and that they come back as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from dlx.every import Every, RecordEvery
from dlx.fields import Fields


class Settings(Fields):
    every: RecordEvery = Field(default=Every(1, "epochs"))
    save: Every | None = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 epoch", Every(1, "epochs")),
        ("epoch", Every(1, "epochs")),
        ("5 Epochs", Every(5, "epochs")),
        ("500steps", Every(500, "steps")),
        (3, Every(3, "epochs")),
        ("1.5 minutes", Every(1.5, "minutes")),
        ("2.0 hours", Every(2, "hours")),
        ("10 seconds", Every(10, "seconds")),
    ],
)
def test_parsed(text: object, expected: Every) -> None:
    assert Every.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "5", "0 steps", "-1 steps", "1.5 epochs", "5 days", 0, True, 1.5, None, "5 steps x", []]
)
def test_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"must|unknown"):
        Every.parse(text)


def test_periods() -> None:
    assert Every(2, "epochs").steps(7) == 14
    assert Every(5, "steps").steps(7) == 5
    assert Every(5, "minutes").steps(7) is None
    assert Every(5, "minutes").seconds == 300
    assert Every(5, "steps").seconds is None


def test_times_are_no_record_points() -> None:
    with pytest.raises(ValidationError, match="must be in epochs or steps here, not in minutes"):
        Settings.model_validate({"every": "5 minutes"})


def test_settings_dump_text() -> None:
    settings = Settings.model_validate({"every": "5 steps", "save": "1 minute"})
    assert settings.model_dump(mode="json") == {"every": "5 steps", "save": "1 minute"}
    assert Settings().model_dump() == {"every": "1 epoch", "save": None}
    assert Settings.model_validate({"every": 1}) == Settings()


@given(st.integers(1, 10**9), st.sampled_from(["epochs", "steps", "seconds", "minutes", "hours"]))
def test_text_reads_back(amount: int, unit: str) -> None:
    every = Every(amount, unit)  # type: ignore[arg-type]
    assert Every.parse(str(every)) == every


@given(st.floats(0.001, 1e6))
def test_times_read_back(amount: float) -> None:
    every = Every(amount, "minutes")
    assert Every.parse(str(every)) == every
