"""Compact summaries beside the tables: what was read of a trial once need not be read again.

``results/<experiment>/.summary.json`` holds, per finished trial, what it is and the metrics
that were asked for, each with size and time of the files it came from. One that is not as
it was, or cannot be read, is made again from the tables; removing the file loses nothing.
Trials that are not finished are never kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx import shipped
from dlx.analysis.metrics import Measured, Metric
from dlx.analysis.trials import Reader, Setting, Tables, Trial
from dlx.errors import DlxError
from dlx.records import atomic
from dlx.records.status import SETTLED

FILE = ".summary.json"
_SCHEMA = "dlx.summary/2"
_ABOUT = {"state", "seed", "repeat", "fold", "engine", "started", "reason", "swept"}
_RECENT = 2 * 10**9
"""Nanoseconds within which a file may change again without its time doing so, on coarse clocks."""

_Signature = list[int]


class Summaries:
    """The summaries of all experiments that a command looks at; :meth:`save` writes those that have grown."""

    def __init__(self, reader: Reader | None = None) -> None:
        self.reader = reader or Reader()
        self._experiments: dict[Path, _Experiment] = {}

    def read(self, path: Path, experiment: str | None = None) -> Trial:
        """As :meth:`~dlx.analysis.trials.Reader.read`, from the summary where that is still true."""
        return self._of(path).read(path, experiment, self.reader)

    def measure(self, trial: Trial, metrics: Sequence[Metric]) -> list[Measured]:
        """Each metric of a trial. Raises as :meth:`~dlx.analysis.metrics.Metric.measure` does."""
        return self._of(trial.path).measure(trial, metrics)

    def save(self) -> None:
        """Write what is new; a directory that cannot be written to goes without."""
        for experiment in self._experiments.values():
            experiment.save()

    def _of(self, path: Path) -> _Experiment:
        place = path.parent.parent
        if place not in self._experiments:
            self._experiments[place] = _Experiment(place)
        return self._experiments[place]


class _Experiment:
    """One summary file: ``_trials`` by id, with the number of their setting in ``_settings``."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        content = _load(self._path)
        self._settings: list[Setting] = [Setting(values) for values in content.get("settings", ())]
        self._numbers = {setting: number for number, setting in enumerate(self._settings)}
        self._trials: dict[str, dict[str, Any]] = content.get("trials", {})
        self._grown = False

    def read(self, path: Path, experiment: str | None, reader: Reader) -> Trial:
        sources = [path / "trial.yaml", path / "status.json", path / "environment.json"]
        signatures = [_signature(source) for source in sources]
        kept = self._trials.get(path.name)
        if kept is not None and kept["of"] == signatures:
            setting = reader.shared(self._settings[kept["setting"]])
            about = kept["trial"]
            return Trial(path, experiment or path.absolute().parent.parent.name, setting=setting, **about)
        self._trials.pop(path.name, None)
        trial = reader.read(path, experiment)
        if trial.state in SETTLED and _settled(signatures):
            if trial.setting not in self._numbers:
                self._numbers[trial.setting] = len(self._settings)
                self._settings.append(trial.setting)
            self._trials[path.name] = {
                "of": signatures,
                "setting": self._numbers[trial.setting],
                "trial": _about(trial),
                "tables": {},
                "values": {},
            }
            self._grown = True
        return trial

    def measure(self, trial: Trial, metrics: Sequence[Metric]) -> list[Measured]:
        kept = self._trials.get(trial.id)
        if kept is None:
            tables = Tables(trial.path)
            return [metric.measure(tables) for metric in metrics]
        names = dict.fromkeys(name for metric in metrics for name in metric.tables)
        signatures = {name: _signature(trial.path / f"{name}.csv") for name in names}
        changed = {name for name in names if kept["tables"].get(name) != signatures[name]}
        if changed:
            kept["values"] = {
                text: value for text, value in kept["values"].items() if not changed & set(value[2])
            }  # fmt: skip
            for name in changed:
                kept["tables"][name] = signatures[name]
        tables = Tables(trial.path)
        found = []
        for metric in metrics:
            value = kept["values"].get(metric.text)
            if value is None:
                measured = metric.measure(tables)
                value = [_to_json(measured.value), measured.why, list(metric.tables)]
                if _settled([signatures[name] for name in metric.tables]):
                    kept["values"][metric.text] = value
                    self._grown = True
            found.append(Measured(float(value[0]), value[1]))
        return found

    def save(self) -> None:
        # Tables that come with dlx are few, and not its user's to change.
        if not self._grown or shipped.finished_folder() in self._path.parents:
            return
        present = {
            name: entry for name, entry in self._trials.items() if (self._path.parent / "trials" / name).exists()
        }
        content = {"schema": _SCHEMA, "settings": [dict(setting) for setting in self._settings], "trials": present}
        text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
        with contextlib.suppress(DlxError):
            atomic.write_bytes(self._path, _checksum(text) + b"\n" + text + b"\n", durable=False)
        self._grown = False


def _load(path: Path) -> Mapping[str, Any]:
    """What a summary file holds; nothing where it is missing, damaged or another version's."""
    try:
        checksum, _, text = path.read_bytes().partition(b"\n")
        if checksum != _checksum(text.removesuffix(b"\n")):
            return {}
        content = json.loads(text)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.get("schema") == _SCHEMA and _sound(content) else {}


def _sound(content: Mapping[str, Any]) -> bool:
    """Whether a summary has the form that is written here: one from elsewhere may say anything."""
    settings, trials = content.get("settings"), content.get("trials")
    if not isinstance(settings, list) or not all(isinstance(values, dict) for values in settings):
        return False
    return isinstance(trials, dict) and all(_is_entry(entry, len(settings)) for entry in trials.values())


def _is_entry(entry: Any, settings: int) -> bool:
    return (
        isinstance(entry, dict)
        and entry.keys() == {"of", "setting", "trial", "tables", "values"}
        and isinstance(entry["setting"], int)
        and 0 <= entry["setting"] < settings
        and isinstance(entry["trial"], dict)
        and _is_about(entry["trial"])
        and isinstance(entry["tables"], dict)
        and isinstance(entry["values"], dict)
        and all(_is_value(value) for value in entry["values"].values())
    )


def _is_about(about: Mapping[str, Any]) -> bool:
    return (
        about.keys() == _ABOUT
        and about["state"] in SETTLED
        and isinstance(about["seed"], int | str)
        and all(isinstance(about[name], int | None) for name in ("repeat", "fold"))
        and all(isinstance(about[name], str) for name in ("engine", "started"))
        and isinstance(about["reason"], str | None)
        and isinstance(about["swept"], list)
        and all(isinstance(path, str) for path in about["swept"])
    )


def _is_value(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and (isinstance(value[0], int | float) or value[0] in ("nan", "inf", "-inf"))
        and isinstance(value[1], str | None)
        and isinstance(value[2], list)
    )


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _about(trial: Trial) -> dict[str, Any]:
    return {
        "state": trial.state,
        "seed": trial.seed,
        "repeat": trial.repeat,
        "fold": trial.fold,
        "engine": trial.engine,
        "started": trial.started,
        "reason": trial.reason,
        "swept": list(trial.swept),
    }


def _signature(path: Path) -> _Signature:
    """Size and time of a file, and its number, which changes where another file takes its place."""
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def _settled(signatures: Iterable[_Signature]) -> bool:
    """Whether none of the files changed just now."""
    newest = max((signature[1] for signature in signatures if signature), default=0)
    return newest < time.time_ns() - _RECENT


def _to_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
