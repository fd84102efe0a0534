"""How often something happens: ``1 epoch``, ``500 steps``, ``5 minutes``.

One small type for probes, checkpoints and whatever else recurs while a stage trains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

Unit = Literal["epochs", "steps", "seconds", "minutes", "hours"]

LEAST = 0.001
"""Below this an interval is a slip of the pen."""

_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}
_TEXT = re.compile(r"\s*(?P<amount>\d{1,20}(?:\.\d{1,20})?)?\s*(?P<unit>[A-Za-z]{1,20})\s*", re.ASCII)


@dataclass(frozen=True)
class Every:
    """An interval: a whole number of epochs or steps, or a time.

    In a spec it is text (``5 epochs``; ``epoch`` alone is one) or a whole number of
    epochs; it is written back as text. Raises ValueError for anything else.
    """

    amount: int | float
    unit: Unit

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise ValueError(f"unknown unit {self.unit!r}: {_units(get_args(Unit))}")
        if not self.amount >= LEAST:
            raise ValueError(f"must be more than 0 {self.unit}")
        if not self.in_time and self.amount != int(self.amount):
            raise ValueError(f"must be a whole number of {self.unit}, not {self.amount:g}")
        if self.amount == int(self.amount):
            object.__setattr__(self, "amount", int(self.amount))

    @classmethod
    def parse(cls, value: object) -> Every:
        """From what stands in a spec: text, a whole number of epochs, or an ``Every``."""
        if isinstance(value, Every):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value, "epochs")
        match = _TEXT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise ValueError("must be like '1 epoch', '500 steps' or '5 minutes'")
        unit = match["unit"].lower().removesuffix("s") + "s"
        if unit not in get_args(Unit):
            raise ValueError(f"unknown unit {match['unit']!r}: {_units(get_args(Unit))}")
        return cls(float(match["amount"] or 1), cast(Unit, unit))

    @property
    def in_time(self) -> bool:
        """Whether the interval is a time, which no two runs cut at the same step."""
        return self.unit in _SECONDS

    @property
    def seconds(self) -> float | None:
        """The interval in seconds; None for epochs and steps."""
        return self.amount * _SECONDS[self.unit] if self.in_time else None

    def steps(self, steps_per_epoch: int) -> int | None:
        """The interval in steps; None for a time."""
        if self.in_time:
            return None
        return int(self.amount) * (steps_per_epoch if self.unit == "epochs" else 1)

    def __str__(self) -> str:
        return f"{self.amount!r} {self.unit.removesuffix('s') if self.amount == 1 else self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _json_schema(get_args(Unit))


@dataclass(frozen=True)
class _Only:
    """Restricts an :class:`Every` to some units."""

    units: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return _json_schema(self.units)

    def check(self, every: Every) -> Every:
        if every.unit not in self.units:
            raise ValueError(f"must be in {_units(self.units)} here, not in {every.unit}")
        return every


RecordEvery = Annotated[Every, _Only(("epochs", "steps"))]
"""What a probe accepts: times would make tables depend on the machine."""


def _units(units: tuple[str, ...]) -> str:
    return " or ".join((", ".join(units[:-1]), units[-1]))


def _json_schema(units: tuple[str, ...]) -> dict[str, Any]:
    words = "|".join(unit.removesuffix("s") for unit in units)
    return {
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {"type": "string", "pattern": rf"^\s*([0-9.]+)?\s*({words})s?\s*$"},
        ],
        "examples": ["1 epoch", "500 steps"],
    }
