"""Amounts as people write and read them: lengths of time, sizes in bytes, how many of a thing."""

from __future__ import annotations

import re

from dlx.errors import UsageError

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)\s*h)?\s*(?:(\d+(?:\.\d+)?)\s*m(?:in)?)?\s*(?:(\d+(?:\.\d+)?)\s*s?)?")


def parse_duration(text: str, flag: str = "--max-time") -> float:
    """``1h30m`` → 5400.0; a bare number is seconds. Raises :class:`~dlx.errors.UsageError`."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise UsageError(f"{flag} {text!r} is not a length of time", hint="20m, 1h30m, 90s")
    hours, minutes, rest = (float(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + rest
    if not total:
        raise UsageError(f"{flag} {text} is no time at all")
    return total


def duration(seconds: float) -> str:
    """``3725`` → ``1:02:05``, ``65`` → ``1:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(number: int, noun: str) -> str:
    """``1 trial``, ``1,000 trials``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def seconds(value: float) -> str:
    """``0.00012`` → ``120 µs``, ``75`` → ``1:15``."""
    if value < 1e-3:
        return f"{1e6 * value:.0f} µs"
    if value < 1:
        return f"{1e3 * value:.0f} ms"
    return f"{value:.1f} s" if value < 60 else duration(value)


def size(value: int) -> str:
    """Bytes in the unit that suits: ``1.2 MB``."""
    power = min(4, max(0, len(str(value)) - 1) // 3)
    return f"{value / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
