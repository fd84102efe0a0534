"""What happens in a job, written line by line to a file that whoever waits for the job reads as it grows.

For the display, and to learn of ends soon; what counts is in the trials' own directories.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, get_args

from dlx.events import Event

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Event)}


@dataclass(frozen=True)
class End:
    """A unit's end: its trial's state, or who else works on it."""

    trial: str
    state: str | None
    held: str | None = None


class Writer:
    """Appends; a disk that refuses costs the line, not the trial."""

    def __init__(self, path: Path) -> None:
        self._file: TextIOWrapper | None = None
        with contextlib.suppress(OSError):
            torn = path.exists() and path.read_bytes()[-1:] != b"\n"
            self._file = path.open("a", encoding="utf-8", newline="\n")
            if torn:  # by an earlier run of the same task that was killed
                self._file.write("\n")

    def __call__(self, event: Event | End) -> None:
        """One line."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.write(json.dumps({"kind": type(event).__name__, **asdict(event)}) + "\n")
                self._file.flush()

    def close(self) -> None:
        """No more lines."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


class Reader:
    """Gives what has been added since the last look; what makes no sense is passed over."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def look(self) -> Iterator[Event | End]:
        """New events and ends, in the order in which they were written."""
        try:
            if self._path.stat().st_size <= self._read:
                return
            with self._path.open("rb") as file:
                file.seek(self._read)
                added = file.read()
        except OSError:
            return
        whole = added[: added.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                yield _parse(json.loads(line))


def _parse(fields: dict[str, Any]) -> Event | End:
    kind = fields.pop("kind")
    if kind == End.__name__:
        return End(**fields)
    if "layers" in fields:
        fields["layers"] = tuple((int(number), str(name)) for number, name in fields["layers"])
    if "norms" in fields:
        fields["norms"] = {name: tuple(values) for name, values in fields["norms"].items()}
    event: Event = _KINDS[kind](**fields)
    return event
