"""What programs read: objects of standard JSON, which has neither NaN nor infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def text(name: str, content: Mapping[str, Any]) -> str:
    """The object ``{"schema": "dlx.<name>/1", …}`` on one line."""
    return json.dumps({"schema": f"dlx.{name}/1", **standard(content)}, ensure_ascii=False, allow_nan=False)


def standard(value: Any) -> Any:
    """A value with the numbers that JSON lacks as the words that tables have for them (``nan``, ``inf``)."""
    if isinstance(value, Mapping):
        return {name: standard(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [standard(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
