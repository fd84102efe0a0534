"""Claims as commands print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dlx.cli.columns import terminal_width, wrapped

if TYPE_CHECKING:
    from dlx.claims import Judged, Part


def lines(judged: Sequence[Judged]) -> list[str]:
    """A line per claim with its verdict, and below it the numbers, for each setting of what else varies."""
    from dlx.language import _

    words = {"confirmed": _("confirmed"), "refuted": _("refuted"), "undecided": _("undecided")}
    width = max(map(len, words.values()))
    output = []
    for each in judged:
        output.append(f"{words[each.verdict]:<{width}}  {each.statement}")
        for part in each.parts:
            head = _setting(part)
            told = f"{words[part.verdict]}, {part.sentence}" if len(each.parts) > 1 else part.sentence
            output += _indented(f"{head}: {told}" if head else told, width + 2)
        if not each.parts:
            output += _indented(_("no such trial"), width + 2)
    return output


def _indented(text: str, indent: int) -> list[str]:
    width = terminal_width()
    return [" " * indent + text] if width is None else wrapped(text, width, " " * indent, " " * (indent + 2))


def _setting(part: Part) -> str:
    from dlx.analysis.settings import shown

    return ", ".join(f"{path} {shown(value)}" for path, value in part.where.items())


def as_json(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Claims as ``--json`` has them: what was claimed, the verdict, and per setting of what else varies the numbers."""
    return [
        {
            "claim": each.claim.node.value,
            "statement": each.statement,
            "verdict": each.verdict,
            "parts": [
                {
                    "parameters": dict(part.where),
                    "verdict": part.verdict,
                    "sentence": part.sentence,
                    "numbers": dict(part.numbers),
                }
                for part in each.parts
            ],
        }
        for each in judged
    ]
