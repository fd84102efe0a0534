"""The classic nets in one table: what was published of them beside what their settings give here.

A multiply-add is one product of a convolution or dense layer, padding included; a FLOP count is
twice that: a multiplication and an addition each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlx.analysis.grid import Grid
    from dlx.models import Published

FILE = Path(__file__).with_name("literature.json")


@dataclass(frozen=True)
class Entry:
    """A net: as published, and its counts as computed from its layers, moving statistics among the parameters."""

    model: str
    published: Published
    parameters: int
    trainable_parameters: int
    multiply_adds: int

    @property
    def flops(self) -> int:
        """Floating-point operations of one example's way through the net."""
        return 2 * self.multiply_adds

    def plain(self) -> dict[str, Any]:
        """The entry as plain values."""
        from dlx.models import registry

        given = self.published
        return {
            "net": given.net,
            "year": given.year,
            "feature": given.feature,
            "model": self.model,
            "settings": dict(given.settings),
            "input": "x".join(map(str, given.input_shape)),
            "outputs": given.outputs,
            "parameters": self.parameters,
            "trainable_parameters": self.trainable_parameters,
            "multiply_adds": self.multiply_adds,
            "flops": self.flops,
            "published_parameters": given.parameters or None,
            "published_multiply_adds": given.multiply_adds or None,
            "data": given.data,
            "top1": given.top1,
            "top5": given.top5,
            "accuracy_source": given.accuracy_source or None,
            "source": registry.get(self.model).source,
        }


def table() -> list[dict[str, Any]]:
    """The entries as plain values, from the file that was written from them: nothing is imported for it."""
    found: list[dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def write() -> None:
    """Renew the file, after a change to a net or to what was published of one: ``python -m dlx.literature``."""
    text = json.dumps([entry.plain() for entry in entries()], indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")


def entries() -> list[Entry]:
    """All nets that some model has published figures of, by year; no net is built."""
    found = [_entry(name, published) for name, published in _published()]
    return sorted(found, key=lambda entry: entry.published.year)


HEADINGS: Mapping[str, str] = {
    "net": "net",
    "year": "year",
    "feature": "salient feature",
    "input": "input",
    "parameters": "parameters",
    "trainable_parameters": "trainable",
    "multiply_adds": "multiply-adds",
    "flops": "FLOPs",
    "published_parameters": "published parameters",
    "published_multiply_adds": "published multiply-adds",
    "data": "accuracy on",
    "top1": "top-1%",
    "top5": "top-5%",
    "accuracy_source": "measured by",
    "model": "here",
}
"""Columns of the table for people, by key of :meth:`Entry.plain`."""

COLUMNS = ("net", "parameters", "multiply_adds", "flops", "top1", "top5")
"""What is compared down the table, which 80 characters have room for."""

FURTHER = ("year", "input", "data", "trainable_parameters", "published_parameters", "published_multiply_adds")
"""Columns that a wider terminal has besides, in the order in which room is made for them."""

_ROOM = 120
"""Characters of the longest lines of text."""


def grid(entries: Sequence[Mapping[str, Any]], keys: Sequence[str] = tuple(HEADINGS)) -> Grid:
    """Some of the columns, in the order of :data:`HEADINGS`, of entries of :func:`table`."""
    from dlx.analysis.grid import Grid, Text

    keys = [key for key in HEADINGS if key in keys]
    return Grid([HEADINGS[key] for key in keys], [[Text(_cell(entry, key)) for key in keys] for entry in entries])


def lines(entries: Sequence[Mapping[str, Any]], width: int) -> list[str]:
    """The table in lines of ``width`` characters.

    Where not all columns fit into a line, those that do, and below each net the others as text.
    """
    import textwrap

    whole = grid(entries)
    if whole.width <= width:
        return whole.lines()
    keys = next(
        (
            keys
            for count in range(len(FURTHER), 0, -1)
            if grid(entries, keys := COLUMNS + FURTHER[:count]).width <= width
        ),
        COLUMNS,
    )
    chosen = grid(entries, keys)
    headings, rule, *rows = chosen.lines()
    found = [headings, rule]
    form: Any = {"initial_indent": "  ", "subsequent_indent": "  ", "break_on_hyphens": False}
    for entry, row in zip(entries, rows, strict=True):
        text = _rest(entry, keys)
        found += [row, *textwrap.wrap(text, min(width, _ROOM), **form)]
    return found


def _rest(entry: Mapping[str, Any], shown: Sequence[str]) -> str:
    """What the columns that are shown leave out of an entry."""
    given = {key: cell for key in HEADINGS if key not in shown and (cell := _cell(entry, key))}
    when = ", ".join(given[key] for key in ("year", "input") if key in given)
    trainable = given.get("trainable_parameters", "")
    measured = f"accuracy on {given['data']}" if "data" in given else "accuracy"
    words = {"published_parameters": "parameters", "published_multiply_adds": "multiply-adds"}
    counts = [f"{word} {given[key]}" for key, word in words.items() if key in given]
    parts = [
        f"{when}: {given['feature']}" if when else given["feature"],
        *([f"published: {', '.join(counts)}"] if counts else []),
        f"{measured} by {given['accuracy_source']}",
        f"here: {given['model']}"
        + (f", {trainable} trainable" if trainable and trainable != _cell(entry, "parameters") else ""),
    ]
    return "; ".join(parts)


def _cell(entry: Mapping[str, Any], key: str) -> str:
    settings = ", ".join(f"{name}: {value}" for name, value in entry["settings"].items())
    if key == "model":
        return f"{entry['model']} ({settings})" if settings else str(entry["model"])
    return _written(key, entry[key])


def _written(key: str, value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) and key != "year" else str(value)


def _published() -> Iterator[tuple[str, Published]]:
    from dlx.models import registry

    for name in registry.names():
        for published in registry.get(name).published:
            yield name, published


def _entry(name: str, published: Published) -> Entry:
    from dlx.models import registry

    network = registry.get(name)(name=name, **published.settings).network(published.input_shape, published.outputs)
    return Entry(name, published, network.parameters, network.trainable_parameters, network.multiply_adds)


if __name__ == "__main__":
    write()
