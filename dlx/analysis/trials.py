"""A trial as its directory tells: how it stands, what was trained, and its tables, each read when asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx import scalars
from dlx.errors import ResultsError
from dlx.records import environment
from dlx.records.reader import Rows, read_table
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
    that its spec varied. ``engine`` is empty before it is known. ``facts`` are the numbers
    that tables do not have row by row: ``parameters``, ``multiply_adds``, ``epochs``.
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
    swept: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

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


class Tables:
    """The tables of one trial, each read at most once while this object lives.

    Only what is asked for by name is opened, so that other files in the directory do no harm.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._read: dict[str, Rows | None] = {}

    def get(self, name: str) -> Rows | None:
        """A table by its name without ``.csv``; None where there is none, or no row yet.

        Raises :class:`~dlx.errors.ResultsError` for a damaged one.
        """
        if name not in self._read:
            path = self.directory / f"{name}.csv"
            try:
                rows: Rows | None = read_table(path)
            except ResultsError:
                if path.exists():
                    raise
                rows = None
            self._read[name] = rows if rows is not None and len(rows) else None
        return self._read[name]

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
            facts={name: status.summary[name] for name in FACTS if name in status.summary},
        )

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
                setting = Setting(dict(flatten(scalars.read(shared))))
                self._settings[shared] = self._same.setdefault(setting, setting)
        except ValueError as error:
            raise ResultsError(f"{path} is damaged: {error}") from None
        if not any(path.startswith("model.") for path in self._settings[shared]):
            raise ResultsError(f"{path} is damaged: it names no model")
        return about, self._settings[shared]


FACTS = ("parameters", "multiply_adds", "epochs")
"""Numbers of a whole trial, as its status has them."""


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
