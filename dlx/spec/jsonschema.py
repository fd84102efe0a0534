"""The JSON Schema of specs, for editors that complete and check while one writes."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from dlx.every import Every
from dlx.fields import MemberFields
from dlx.members import plain
from dlx.spec.schema import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Writes defaults as a spec would have them."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False  # "Learning Rate" for learning_rate says nothing new

    def encode_default(self, dft: Any) -> Any:
        return plain(dft) if isinstance(dft, Every | MemberFields) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a whole spec, with the fields, defaults and meanings of every member."""
    schema = Spec.model_json_schema(schema_generator=_Generator)
    return {"$schema": DIALECT, **schema, "title": "dlx spec"}
