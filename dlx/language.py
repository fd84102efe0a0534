"""Sentences in the reader's language: English in the code, others from gettext catalogues in ``dlx/locale``.

``_("depth {depth} beats depth {other}").format(...)``: what is marked is the sentence with its
places, never the finished text. Table columns, keys of JSON and error messages stay English.
"""

from __future__ import annotations

import gettext
import os
from functools import cache
from pathlib import Path

from dlx.errors import UsageError, nearest

CATALOGUES = Path(__file__).parent / "locale"
_chosen: list[str] = []


def languages() -> tuple[str, ...]:
    """The codes that may be asked for: English, and every language that has a catalogue."""
    return ("en", *sorted(path.parent.parent.name for path in CATALOGUES.glob("*/LC_MESSAGES/dlx.mo")))


def speak(code: str | None) -> None:
    """Choose the language of this process: a code, else ``DLX_LANG``, else English.

    Raises :class:`~dlx.errors.UsageError` for a language without a catalogue.
    """
    wanted = (code or os.environ.get("DLX_LANG") or "en").lower()
    if wanted not in languages():
        raise UsageError(f"no language {wanted!r}", hint=nearest(wanted, languages()))
    _chosen[:] = [wanted]


def spoken() -> str:
    """The code of the language in force, such as ``es``."""
    return _chosen[0] if _chosen else "en"


def _(sentence: str) -> str:
    """The sentence in the language in force; itself where there is no translation."""
    return _catalogue(spoken()).gettext(sentence)


def plural(one: str, many: str, count: int) -> str:
    """``one`` or ``many``, as the language in force counts."""
    return _catalogue(spoken()).ngettext(one, many, count)


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation("dlx", CATALOGUES, [code], fallback=True)
