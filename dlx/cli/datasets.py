"""``dlx datasets``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from dlx.cli.columns import aligned, wrapped
from dlx.cli.options import DataDir, Json, Plugins, Quiet

if TYPE_CHECKING:
    from dlx.datasets import DatasetSpec, Places


def datasets(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Tell all about this one.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch it from its official source.")] = False,
    data_dir: DataDir = None,
    plugins: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List the data sets, or show one with its parameters.

    A downloaded file is checked against its SHA-256 and goes to --data-dir, or else to the cache; nothing is fetched
    that is there and whole.

    Example: dlx datasets mnist
    """
    from dlx.datasets import Places, registry
    from dlx.errors import UsageError

    if download and name is None:
        raise UsageError("which data set is to be downloaded?", hint="dlx datasets NAME --download")
    progress = None if quiet or as_json else progress_lines(sys.stderr)
    places = Places.here(data_dir, progress=progress)
    if name is None:
        found = [describe(member, registry.get(member), places) for member in registry.names()]
        result: dict[str, Any] = {"datasets": found}
        lines = _listing(found)
    else:
        spec = registry.get(name)
        if download:
            path = spec.fetch(places)
        described = describe(name, spec, places)
        if download and not quiet:
            told = f"fetched: {path}" if path else f"nothing to fetch: {name} is {described['where'] or 'here'}"
            print(told, file=sys.stderr)
        parameters = _parameters(spec)
        result = {"dataset": {**described, "parameters": parameters}}
        lines = _in_full(described, parameters)
    if as_json:
        from dlx import objects

        print(objects.text("datasets", result))
    else:
        print("\n".join(lines))


def describe(name: str, spec: type[DatasetSpec], places: Places) -> dict[str, Any]:
    """One data set as plain values; shape, classes, sizes and digest are None where each spec has its own."""
    from pydantic import ValidationError

    try:
        example = spec(name=name)
    except ValidationError:  # a member that cannot do without settings, such as `arrays`
        example = None
    info = example.info() if example is not None else None
    path = spec.find(places)
    facts = spec.facts
    return {
        "name": name,
        "title": facts.title,
        "summary": spec.summary,
        "input_shape": list(info.input_shape) if info else None,
        "task": info.task if info else None,
        "classes": info.outputs if info and info.task == "classification" else None,
        "targets": info.outputs if info and info.task == "regression" else None,
        "class_names": list(info.class_names) if info else None,
        "train": info.train if info else None,
        "test": info.test if info else None,
        "unit": facts.unit,
        "digest": example.digest() if example is not None else None,
        "licence": facts.licence,
        "url": facts.url,
        "citation": facts.citation,
        "source": spec.source,
        "files": list(spec.wanted()),
        "download_bytes": spec.download_bytes(),
        "here": path is not None or not spec.wanted(),
        "where": str(path) if path is not None else facts.origin or None,
    }


def progress_lines(stream: TextIO) -> Callable[[str, int, int], None]:
    """A progress callback for downloads: one line that is redrawn on a terminal, a line per quarter elsewhere."""
    redrawn = stream.isatty()
    told: dict[str, int] = {}

    def tell(file: str, done: int, total: int) -> None:
        step = 100 * done // total if redrawn else 4 * done // total * 25
        if told.get(file) == step or not (redrawn or step):
            return
        told[file] = step
        text = f"{file}: {step:3d} % of {total / 1e6:.1f} MB"
        stream.write(f"\r{text}{chr(10) if done == total else ''}" if redrawn else f"{text}\n")
        stream.flush()

    return tell


def _listing(found: list[dict[str, Any]]) -> list[str]:
    heads = ("name", "input", "classes", "train", "test", "licence", "here")
    rows: list[tuple[str, ...]] = [heads]
    for one in found:
        absent = f"no ({one['download_bytes'] / 1e6:.0f} MB to download)"
        here = (one["where"] or "yes") if one["here"] else absent
        shape = "x".join(map(str, one["input_shape"])) if one["input_shape"] else None
        classes = "none" if one["task"] == "regression" else one["classes"]
        cells = (one["name"], shape, classes, one["train"], one["test"], one["licence"], here)
        rows.append(tuple("any" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell for cell in cells))
    return aligned(rows, right={heads.index(head) for head in ("classes", "train", "test")})


def _in_full(one: dict[str, Any], parameters: list[dict[str, Any]]) -> list[str]:
    facts: list[tuple[str, str]] = []
    if one["input_shape"]:
        facts.append(("input", " x ".join(map(str, one["input_shape"])) + f"; {one['unit']}"))
        facts.append(("examples", f"{one['train']:,} to train, {one['test']:,} to test"))
    else:
        facts.append(("input", one["unit"]))
    if one["targets"]:
        facts.append(("targets", f"{one['targets']}: a regression"))
    if one["classes"]:
        facts.append(("classes", f"{one['classes']}: " + _wrapped(", ".join(one["class_names"]), 12)))
    facts += [("licence", one["licence"])]
    facts += [(key, _wrapped(one[key], 12)) for key in ("citation", "source", "url", "digest") if one[key]]
    if one["here"]:
        facts.append(("here", one["where"] or "yes"))
    else:
        size = f"{one['download_bytes'] / 1e6:.1f} MB"
        facts.append(("here", f"no; dlx datasets {one['name']} --download fetches {size}"))
    if one["files"]:
        facts.append(("read from", _wrapped(", or ".join(one["files"]), 12)))
    lines = [f"{one['name']}: {one['title']}", one["summary"], ""]
    lines += [f"{label + ':':<11} {text}" for label, text in facts]
    lines += ["", "Parameters"]
    for parameter in parameters:
        default = "required" if parameter["required"] else f"default {_yaml(parameter['default'])}"
        lines.append(f"  {parameter['name']}: {parameter['type']} ({default})")
        lines.append(f"      {_wrapped(parameter['description'], 6)}")
    return lines


def _parameters(spec: type[DatasetSpec]) -> list[dict[str, Any]]:
    """Name, type in words, default and meaning of each setting: the set's own, then those common to all sets."""
    from dlx.datasets import DatasetSpec

    schema = spec.model_json_schema()
    definitions = schema.get("$defs", {})
    fields = sorted(schema["properties"].items(), key=lambda item: item[0] in DatasetSpec.model_fields)
    return [
        {
            "name": name,
            "type": _type(field, definitions),
            "required": name in schema.get("required", ()),
            "default": field.get("default"),
            "description": field.get("description", ""),
        }
        for name, field in fields
        if name != "name"
    ]


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON Schema in a few words: ``integer ≥ 0 | number ≥ 0 and < 1``."""
    if "$ref" in schema:
        return _type(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in schema:
        return " | ".join(_type(option, definitions) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = str(schema.get("type", "any"))
    if kind == "object" and "properties" in schema:
        inner = (f"{key}: {_type(value, definitions)}" for key, value in schema["properties"].items())
        return "{" + ", ".join(inner) + "}"
    if kind == "array":
        items = schema.get("items") or {}
        return "list" + (f" of {_type(items, definitions)}" if items else "")
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return " ".join([kind, " and ".join(limits)]).rstrip()


def _yaml(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _wrapped(text: str, indent: int, width: int = 100) -> str:
    return ("\n" + " " * indent).join(wrapped(text, width - indent))
