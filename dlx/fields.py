"""What every part of a spec is made of: strict, frozen pydantic models.

Below everything that has settings (datasets, models, stages, probes, training), so that
the spec and the code that builds can share one file.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, lt=1.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Fields(BaseModel):
    """Settings: unknown keys and wrong types are errors, values do not change.

    Give every field a ``Field(description=…)``: ``dlx models NAME`` and the JSON Schema
    show it. YAML lists arrive as tuples where a field says so.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class MemberFields(Fields):
    """Settings of a member of an open set.

    ``name`` is filled in by the spec language from the registry; ``revision`` is raised
    whenever the same settings would train something else, so that old results are not
    mistaken for new ones. ``plugins`` is the digest of the folder given by ``--plugins`` that
    a member comes from.
    """

    revision: ClassVar[int] = 1
    plugins: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    source: ClassVar[str] = ""

    name: str
