"""The classic nets in one table: what was published of them beside what their settings give here.

A multiply-add is one product of a convolution or dense layer, padding included; a FLOP count is
twice that: a multiplication and an addition each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    "top1": "top-1 %",
    "top5": "top-5 %",
    "accuracy_source": "measured by",
    "model": "here",
}
"""Columns of the table for people, by key of :meth:`Entry.plain`."""


def cells(entry: Mapping[str, Any]) -> list[str]:
    """The cells of one of :func:`table` under :data:`HEADINGS`."""
    settings = ", ".join(f"{key}: {value}" for key, value in entry["settings"].items())
    here = f"{entry['model']} ({settings})" if settings else entry["model"]
    return [_written(key, {**entry, "model": here}[key]) for key in HEADINGS]


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
