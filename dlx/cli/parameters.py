"""The settings of a member of an open set as a person reads them: name, type in words, default, meaning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

from dlx.activations import ActivationName
from dlx.cli.columns import wrapped
from dlx.fields import Fields, MemberFields
from dlx.initializers import BIAS_NAMES, KERNEL_NAMES
from dlx.members import canonical, plain

Schema = dict[str, Any]
WIDTH = 100

# Long lists of names that many settings share: said in a word, listed once.
_VOCABULARIES = {get_args(ActivationName): "activation", KERNEL_NAMES: "initializer", BIAS_NAMES: "initializer"}

_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Parameter:
    """A setting. ``name`` as in a spec: ``blocks[].pool.size`` is the size of the pool of each block."""

    name: str
    type: str
    required: bool
    default: Any
    description: str

    def lines(self) -> list[str]:
        """Two lines or more for a terminal."""
        default = "required" if self.required else f"default {flow(self.default)}"
        head = wrapped(f"{self.name}: {self.type} ({default})", WIDTH, " " * 2, " " * 6)
        return [*head, *wrapped(self.description, WIDTH, " " * 6, " " * 6)]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def parameters(member: type[MemberFields]) -> list[Parameter]:
    """Every setting of a member in the order of its class, those within a setting after it."""
    schema = member.model_json_schema()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in member.model_fields.items()}
    return list(_within("", schema, schema.get("$defs", {}), defaults))


def _within(prefix: str, schema: Schema, definitions: Schema, defaults: dict[str, Any]) -> Iterator[Parameter]:
    for name, field in schema["properties"].items():
        if not prefix and name == "name":
            continue
        required = name in schema.get("required", ())
        default = defaults[name] if name in defaults else field.get("default")
        default = None if required else _written(default)
        yield Parameter(prefix + name, in_words(field, definitions), required, default, field.get("description", ""))
        for suffix, inner in _mappings(field, definitions):
            yield from _within(f"{prefix}{name}{suffix}.", inner, definitions, {})


def in_words(schema: Schema, definitions: Schema) -> str:
    """A JSON Schema in a few words: ``integer ≥ 1 | list of integer ≥ 1 | null``."""
    schema = _resolved(schema, definitions)
    for union in ("anyOf", "oneOf"):
        if union in schema:
            words = [word for option in schema[union] for word in in_words(option, definitions).split(" | ")]
            return " | ".join(dict.fromkeys(words))
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        names = tuple(schema["enum"])
        return _VOCABULARIES.get(names) or " | ".join(map(str, names))
    if "properties" in schema:
        keys = list(schema["properties"])
        return "{name, …}" if "name" in keys else "{" + ", ".join(keys) + "}"
    if "prefixItems" in schema:
        return "[" + ", ".join(in_words(item, definitions) for item in schema["prefixItems"]) + "]"
    if schema.get("type") == "array":
        items = in_words(schema["items"], definitions) if schema.get("items") else ""
        return f"list of ({items})" if " | " in items else f"list of {items}" if items else "list"
    limits = [f"{sign} {schema[key]:g}" for key, sign in _SIGNS.items() if key in schema]
    return " ".join([str(schema.get("type", "any")), " and ".join(limits)]).rstrip()


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    return definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _mappings(schema: Schema, definitions: Schema) -> Iterator[tuple[str, Schema]]:
    """The mappings that may stand in a field, ``[]`` marking those in a list; those with a name explain themselves."""
    schema = _resolved(schema, definitions)
    if "properties" in schema and "name" not in schema["properties"]:
        yield "", schema
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _mappings(option, definitions)
    if schema.get("type") == "array" and schema.get("items"):
        yield from ((f"[]{suffix}", inner) for suffix, inner in _mappings(schema["items"], definitions))


def _written(value: Any) -> Any:
    """A default as it would be written in a spec: no more than needed, a name alone where that will do."""
    if isinstance(value, Fields):
        value = canonical(value) or plain(value)
    elif isinstance(value, list | tuple):
        return [_written(item) for item in value]
    else:
        value = plain(value)
    if isinstance(value, dict):
        return value["name"] if list(value) == ["name"] else {key: _written(item) for key, item in value.items()}
    return value


def flow(value: Any) -> str:
    """A value on one line, as in YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
