"""A spec to start from: every setting of a model and a data set with what it means, written from the registries."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.fields import Fields, MemberFields
from dlx.members import canonical, plain
from dlx.scalars import inline
from dlx.spec.load import load_text
from dlx.spec.schema import Setting, Spec
from dlx.spec.search import from_here

WIDTH = 100
_MANY = 10_000
"""Training examples from which on batches of 32 only cost time."""


def template(model: str, dataset: str | Mapping[str, Any], sets: Sequence[str], folder: Path) -> str:
    """The text of a valid spec in ``folder``, with ``sets`` (``path=value``) put into it.

    ``dataset`` is a name or settings with one. Raises :class:`~dlx.errors.SpecError` where they
    do not go together or a setting that has no default is missing.
    """
    start: dict[str, Any] = {"dataset": dataset, "model": {"name": model}}
    text = "".join(f"{key}: {inline(value)}\n" for key, value in start.items())
    plainly = load_text(text, sets, file="dlx new").trials[0].setting
    chosen = {one.partition("=")[0].strip() for one in sets}
    more = [f"{path}={inline(value)}" for path, value in suggested(plainly).items() if path not in chosen]
    setting = load_text(text, [*more, *sets], file="dlx new").trials[0].setting
    return "".join(f"{line}\n" for line in _lines(setting, folder))


def suggested(setting: Setting) -> dict[str, Any]:
    """Settings by path that suit the data better than the defaults, which suit the smallest."""
    info = setting.dataset.info()
    found: dict[str, Any] = {}
    if setting.dataset.sizes()["train"] >= _MANY:
        found["training.batch_size"] = 128
    if len(info.input_shape) == 3 and info.input_shape[2] == 3:
        # Photographs: a cat that looks the other way, or stands a little further left, is a cat.
        found["training.augmentation"] = ["flip", "crop"]
        found["training.epochs"] = 30
    return found


def _lines(setting: Setting, folder: Path) -> Iterator[str]:
    name = f"{setting.model.name} on {setting.dataset.name}"
    yield from _comment(
        f"{name}, every setting with its meaning. `dlx check` says what a spec would run, `dlx run` runs it, "
        "`dlx tune` looks for better settings. What is commented out is as if it were not there.",
        "",
    )
    yield ""
    yield f"description: {inline(name)}"
    yield ""
    yield from _comment(f"{setting.dataset.summary} ({setting.dataset.source})", "")
    yield "dataset:"
    files = {
        field: from_here(value, folder)
        for field in setting.dataset.path_fields
        if (value := getattr(setting.dataset, field)) is not None
    }
    yield from _member(setting.dataset, "  ", files)
    yield ""
    yield from _comment(f"{setting.model.summary} ({setting.model.source})", "")
    yield "model:"
    yield from _member(setting.model, "  ", {"output_activation": None})
    yield ""
    yield "training:"
    yield from _fields(setting.training, "  ", {"loss": None, "optimizer": None})
    yield from _comment(_described(type(setting.training), "optimizer"), "  ")
    yield "  optimizer:"
    yield from _member(setting.training.optimizer, "    ")
    yield ""
    yield from _comment(_described(Spec, "probes"), "")
    yield "probes:"
    for name, probe in setting.probes.items():
        yield from _comment(probe.summary, "  ")
        yield f"  {inline(name)}:"
        yield from _fields(probe, "    ")
    yield ""
    yield "records:"
    yield from _fields(setting.records, "  ")
    yield ""
    yield from _comment(_described(Spec, "seeds"), "")
    yield "seeds: 1"
    yield ""
    yield from _comment(_described(Spec, "sweep"), "")
    yield from ("# sweep:", "#   training.optimizer.learning_rate: log(1e-4, 1e-1, 4)")
    if setting.model.searched:
        yield ""
        yield from _comment(f"{_described(Spec, 'search')}; without it, these and a few more", "")
        yield "# search:"
        yield from (f"#   model.{field}: {text}" for field, text in setting.model.searched.items())


def _member(member: MemberFields, indent: str, instead: Mapping[str, Any] | None = None) -> Iterator[str]:
    yield f"{indent}name: {inline(member.name)}"
    yield from _fields(member, indent, instead)


def _fields(settings: Fields, indent: str, instead: Mapping[str, Any] | None = None) -> Iterator[str]:
    """A setting's meaning above it; what is null is commented out. ``instead``: values to write in place of its own."""
    for name in type(settings).model_fields:
        if name == "name" or (name == "optimizer" and instead is not None and name in instead):
            continue
        value = (instead or {}).get(name, _short(getattr(settings, name)))
        yield from _comment(_described(type(settings), name), indent)
        yield f"{indent}# {name}: null" if value is None else f"{indent}{name}: {inline(value)}"


def _short(value: Any) -> Any:
    """A value as a person would write it: a member by its bare name where the rest is at its defaults."""
    if isinstance(value, Fields):
        if isinstance(value, MemberFields):
            kept = {key: _short(getattr(value, key)) for key in canonical(value) if key not in ("revision", "plugins")}
            return value.name if list(kept) == ["name"] else kept
        return canonical(value) or plain(value)
    if isinstance(value, list | tuple):
        return [_short(item) for item in value]
    return plain(value)


def _described(kind: type[Fields], field: str) -> str:
    return kind.model_fields[field].description or ""


def _comment(text: str, indent: str) -> Iterator[str]:
    lines = textwrap.wrap(text, WIDTH - len(indent) - 2, break_long_words=False, break_on_hyphens=False)
    yield from (f"{indent}# {line}" for line in lines)
