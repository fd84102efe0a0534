"""Vega, Vega-Lite and their embedding as one script, from vl-convert."""

from __future__ import annotations

import contextlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from dlx.errors import DlxError
from dlx.records import atomic

_LEAST = 500_000
"""Characters of any whole bundle; what is shorter is not one."""


@cache
def script() -> str:
    """JavaScript that gives a page ``vegaEmbed``, 0.9 MB.

    vl-convert takes more than a second to put it together, so it is kept in the user's cache,
    by the version of vl-convert; where that cannot be written, it is made each time.
    """
    place = _place()
    if place is not None:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            kept = place.read_text(encoding="utf-8")
            if len(kept) >= _LEAST and kept.endswith("\n"):
                return kept
    import vl_convert

    made = f"{vl_convert.javascript_bundle()}\n"
    if place is not None:
        with contextlib.suppress(OSError, DlxError):
            place.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(place, made, durable=False)
    return made


def _place() -> Path | None:
    import platformdirs

    folder = Path(platformdirs.user_cache_dir("dlx", appauthor=False))
    return folder / "vega" / f"vl-convert-{version('vl-convert-python')}.js" if folder.is_absolute() else None
