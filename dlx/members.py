"""Fields of a spec in which a member of an open set stands: its bare name, or a mapping with its name.

Only the member that is named gets imported. What a member finds wrong with its own
settings keeps its path, so that the spec language can say where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from dlx.errors import PathKey, UsageError
from dlx.every import Every
from dlx.fields import Fields, MemberFields

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler


class MemberSet(Protocol):
    """What is asked of an open set here: :class:`~dlx.registry.OpenSet`, or another table of names."""

    @property
    def kind(self) -> str:
        """The noun used in messages."""

    def names(self) -> list[str]:
        """All canonical names."""

    def get(self, name: str) -> type[MemberFields]:
        """The member's class; raises :class:`~dlx.errors.UsageError` with the nearest name."""


@dataclass(frozen=True)
class OneOf:
    """Annotates a field that holds one member of ``members``: ``Annotated[ModelSpec, OneOf(registry)]``.

    ``default`` is the member meant by a mapping without ``name``. ``key`` is what a spec writes
    in place of ``name``; settings that were written out have ``name`` all the same.
    """

    members: MemberSet
    default: str | None = None
    key: str = "name"

    def member(self, value: object) -> type[MemberFields] | None:
        """The class a value of the spec asks for; None where it names none that there is."""
        name = value if isinstance(value, str) else self._named(value) if isinstance(value, Mapping) else None
        name = self.default if name is None else name
        try:
            return self.members.get(name) if isinstance(name, str) else None
        except UsageError:
            return None

    def validate(self, value: object) -> MemberFields:
        """The member from its bare name, a mapping, or itself; raises pydantic's ValidationError."""
        kind = self.members.kind
        if isinstance(value, MemberFields):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, Mapping):
            raise problem(f"must be the name of a {kind} or a mapping with its name, not {value!r}", (), value)
        name = self._named(value)
        name = self.default if name is None else name
        if name is None:
            known = ", ".join(self.members.names())
            raise problem(f"is missing: which {kind}? (available: {known})", (self.key,), value)
        if not isinstance(name, str):
            raise problem(f"must be the name of a {kind}, not {name!r}", (self.key,), name)
        try:
            member = self.members.get(name)
        except UsageError as error:  # nobody registered it, or another package's does not load
            raise problem(str(error), (self.key,), name) from None
        canonical = member.model_fields["name"].default
        rest = {key: item for key, item in value.items() if key != self.key}
        return member.model_validate({**rest, "name": canonical if isinstance(canonical, str) else name})

    def _named(self, value: Mapping[str, Any]) -> Any:
        return value.get(self.key, value.get("name"))

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.plain_serializer_function_ser_schema(plain)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        described = [
            {"enum": self.members.names()},
            *(self.described(name, handler) for name in self.members.names()),
        ]
        return {"anyOf": described} | ({} if self.default is None else {"default": self.default})

    def described(self, name: str, handler: GetJsonSchemaHandler, *, named: bool = True) -> dict[str, Any]:
        """JSON Schema of one member; with ``named``, its ``name`` must be given unless it is the default."""
        member = self.members.get(name)
        schema = handler.resolve_ref_schema(handler(member.__pydantic_core_schema__))
        schema["title"] = name
        schema["description"] = member.summary or schema.get("description", "")
        if self.key != "name" and "name" in schema["properties"]:
            schema["properties"] = {self.key: schema["properties"].pop("name"), **schema["properties"]}
        if named and name != self.default:
            schema["required"] = sorted({self.key, *schema.get("required", ())})
        return {"$ref": schema["$ref"]} if "$ref" in schema else schema


def problem(message: str, path: tuple[PathKey, ...], value: object) -> ValidationError:
    """A validation error with a path of its own, to be raised within a validator."""
    custom = PydanticCustomError("spec", "{message}", {"message": message})
    return ValidationError.from_exception_data("spec", [InitErrorDetails(type=custom, loc=path, input=value)])


def plain(value: Any) -> Any:
    """Settings as plain values, every field written out: what ``trial.yaml`` holds."""
    if isinstance(value, Fields):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Every) else value


def canonical(value: Any) -> Any:
    """Settings as plain values without the fields at their defaults: what enters a trial's id.

    A member keeps its ``name`` and ``revision``. A member that is itself a field's default
    is left out as long as its revision is 1, so that a new field changes no id and a raised
    revision changes all that it concerns.
    """
    if isinstance(value, Fields):
        kept: dict[str, Any] = {"revision": value.revision} if isinstance(value, MemberFields) else {}
        if isinstance(value, MemberFields) and value.plugins:
            kept["plugins"] = value.plugins
        for name, default in _defaults(type(value)).items():
            item = getattr(value, name)
            revised = isinstance(item, MemberFields) and item.revision != 1
            if name == "name" or revised or item != default:
                kept[name] = canonical(item)
        return kept
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float):
        return value + 0.0  # one zero
    return str(value) if isinstance(value, Every) else value


@cache
def _defaults(kind: type[Fields]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in kind.model_fields.items()}
