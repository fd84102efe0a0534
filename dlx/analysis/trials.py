"""A trial as its directory tells: how it stands, what was trained, and its tables, each read when asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from dlx import scalars
from dlx.errors import ResultsError
from dlx.records import environment
from dlx.records.reader import Rows, parse_table, read_content
from dlx.records.status import State
from dlx.records.trial_directory import TrialDirectory

_ABOUT = ("trial", "experiment", "index", "parameters")
_REPLICATE = ("seed", "repeat", "fold")
_CHANGES_NOTHING = ("probes", "records", "training.checkpoint")  # as for ids: what these say does not change training
_ID = re.compile(r"[0-9a-f]{12}")


class Setting(Mapping[str, Any]):
    """What was trained, seeds apart: values by dotted path (``model.depth``), every default written out.

    Two settings are equal if all their values are; a field that is null or empty equals one that an
    earlier version did not have. Values are scalars or lists; mappings are
    flattened. What changes nothing that is trained (probes, records, checkpoints) is left out.
    """

    __slots__ = ("_hash", "_values", "key")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)
        said = {path: value for path, value in self._values.items() if value is not None and value not in ([], {})}
        self.key = json.dumps(said, sort_keys=True, separators=(",", ":"))
        self._hash = hash(self.key)

    def __getitem__(self, path: str) -> Any:
        return self._values[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, path: object) -> bool:
        return path in self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Setting) and self.key == other.key

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a results directory.

    ``seed`` is a number, or ``init=0 order=3`` where the two differ. ``swept`` are the paths
    that its spec varied. ``engine`` is empty before it is known; ``started`` is a time in ISO 8601.
    """

    path: Path
    experiment: str
    state: State
    seed: int | str
    setting: Setting
    repeat: int | None = None
    fold: int | None = None
    engine: str = ""
    started: str = ""
    reason: str | None = None
    swept: Sequence[str] = ()

    @property
    def id(self) -> str:
        """The trial's id."""
        return self.path.name

    @property
    def replicate(self) -> tuple[int | str, int | None, int | None]:
        """What tells the trials of one setting apart: seed, repeat and fold."""
        return self.seed, self.repeat, self.fold

    @property
    def named(self) -> str:
        """How a message names the trial: its directory."""
        return str(self.path)


End = Literal["first", "last"]
_SHORT = 16_384
"""Bytes of a table below which nothing is gained by reading a part of it."""


def _end(content: bytes, end: End) -> bytes:
    """The header and the rows of the first or last epoch, where all rows are of one stage and in order; else all."""
    if len(content) < _SHORT or not content.startswith(b"stage,epoch,") or b'"' in content:
        return content
    header = content.index(b"\n") + 1
    places = [content[start : start + 200].split(b",", 2)[:2] for start in (header, content.rfind(b"\n", 0, -1) + 1)]
    if places[0][0] != places[1][0] or places[0][1] == places[1][1]:
        return content
    begin = b",".join(places[0 if end == "first" else 1]) + b","
    start = content.find(b"\n" + begin) + 1
    if end == "last":
        return content[:header] + content[start:]
    last = content.rfind(b"\n" + begin) + 1
    return content[: content.index(b"\n", last) + 1]


class Tables:
    """The tables of one trial, each read at most once while this object lives.

    Only what is asked for by name is opened, so that other files in the directory do no harm.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[tuple[str, End | None], Rows | None] = {}

    def get(self, name: str, end: End | None = None) -> Rows | None:
        """A table by its name without ``.csv``; None where there is none, or no row yet.

        ``end``: the rows of the first epoch, or the last, will do, which spares splitting all of
        a long table; of several stages all rows are there. Raises
        :class:`~dlx.errors.ResultsError` for a damaged one.
        """
        whole = self._read.get((name, None))
        if whole is not None:
            return whole
        if (name, end) not in self._read:
            path = self.directory / f"{name}.csv"
            try:
                content = read_content(path)
                rows: Rows | None = parse_table(_end(content, end) if end else content, path)
            except ResultsError:
                if path.exists():
                    raise
                rows = None
            self._read[name, end] = rows if rows is not None and len(rows) else None
        return self._read[name, end]

    def absence(self, name: str) -> str:
        """Why :meth:`get` gives none: the table is not there, or is and was cut to its header."""
        there = (self.directory / f"{name}.csv").exists()
        return f"{name}.csv has no rows, only its header" if there else f"no {name}.csv"

    def names(self) -> list[str]:
        """The tables there are that have epochs: a trial's, not other people's files."""
        found = []
        for path in sorted(self.directory.glob("*.csv")):
            try:
                rows = self.get(path.stem)
            except ResultsError:
                continue
            if rows is not None and "epoch" in rows.columns:
                found.append(path.stem)
        return found


class Reads(Protocol):
    """What reads a trial: :class:`Reader`, or the summaries that spare it the work."""

    def read(self, path: Path, experiment: str | None = None) -> Trial:
        """The trial in a directory. Raises :class:`~dlx.errors.ResultsError` where its ``trial.yaml`` is damaged."""


class Reader:
    """Reads many trials, which share what they have in common."""

    def __init__(self) -> None:
        self._settings: dict[str, Setting] = {}
        self._same: dict[Setting, Setting] = {}
        self._swept: dict[tuple[str, ...], tuple[str, ...]] = {}

    def read(self, path: Path, experiment: str | None = None) -> Trial:
        """The trial in a directory. Raises :class:`~dlx.errors.ResultsError` where its ``trial.yaml`` is damaged."""
        directory = TrialDirectory(path)
        about, setting = self._spec(directory.spec)
        status = directory.status()
        listing = status.listing
        swept = tuple(listing.parameters) if listing else ()
        seed = about.get("seed", 0)
        return Trial(
            path=path,
            experiment=experiment or path.absolute().parent.parent.name,
            state=status.state,
            seed=seed if isinstance(seed, int) else " ".join(f"{name}={value}" for name, value in dict(seed).items()),
            setting=setting,
            repeat=about.get("repeat", listing.repeat if listing else None),
            fold=about.get("fold", listing.fold if listing else None),
            engine=str(status.summary.get("engine") or _engine(directory)),
            started=status.attempts[0].started if status.attempts else "",
            reason=status.reason,
            swept=self._swept.setdefault(swept, swept),
        )

    def shared(self, setting: Setting) -> Setting:
        """The same setting as every trial that has it: trials of one setting hold one object."""
        return self._same.setdefault(setting, setting)

    def _spec(self, path: Path) -> tuple[dict[str, Any], Setting]:
        """What a ``trial.yaml`` says of the trial alone, and its setting."""
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise ResultsError(f"cannot read {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise ResultsError(f"{path} is damaged: byte {error.start} is not UTF-8") from None
        try:
            own, shared = _divide(text)
            about = scalars.read(own) if own else {}
            if not isinstance(about.get("seed", 0), int | dict):
                raise ValueError("no seed")
            if shared not in self._settings:
                self._settings[shared] = self.shared(Setting(dict(flatten(scalars.read(shared)))))
        except ValueError as error:
            raise ResultsError(f"{path} is damaged: {error}") from None
        if not any(path.startswith("model.") for path in self._settings[shared]):
            raise ResultsError(f"{path} is damaged: it names no model")
        return about, self._settings[shared]


def _divide(text: str) -> tuple[str, str]:
    """The lines of ``trial.yaml`` on this trial alone, and those of its setting."""
    own: list[str] = []
    shared: list[str] = []
    taken = shared
    for line in text.splitlines(keepends=True):
        if not line.startswith(" "):
            name = line.partition(":")[0]
            taken = own if name in _ABOUT or name in _REPLICATE else shared
        taken.append(line)
    return "".join(own), "".join(shared)


def flatten(mapping: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The scalars and lists of nested mappings by dotted path (``model.blocks[0].width``)."""
    for key, value in mapping.items():
        here = f"{path}.{key}" if path else str(key)
        if here in _CHANGES_NOTHING:
            continue
        if isinstance(value, Mapping) and value:
            yield from flatten(value, here)
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                yield from flatten(item, f"{here}[{number}]")
        else:
            yield here, value


def _engine(directory: TrialDirectory) -> str:
    found = (environment.read(directory.environment) or {}).get("engine")
    return found if isinstance(found, str) else ""


def is_trial(path: Path) -> bool:
    """Whether a directory is a trial's."""
    return (path / "trial.yaml").is_file()


def trials_of(experiment: Path) -> Iterable[Path]:
    """The directories of an experiment's trials, by id; those moved aside by ``--rerun`` are not among them."""
    try:
        names = [place.name for place in (experiment / "trials").iterdir()]
    except OSError:
        return []
    return [experiment / "trials" / name for name in sorted(names) if _ID.fullmatch(name)]
