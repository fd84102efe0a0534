"""The tables of trials as pandas DataFrames, for notebooks: what :func:`dlx.read` gives."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.analysis.conditions import paths_of, shortest
from dlx.analysis.selectors import find
from dlx.analysis.settings import ABSENT, columns_of, value_at
from dlx.analysis.trials import Tables, Trial
from dlx.errors import DlxError, ResultsError, nearest
from dlx.records.cells import parse_text
from dlx.records.reader import read_content

if TYPE_CHECKING:
    import pandas

_FIRST = ("experiment", "trial", "seed")


class DamagedResultsWarning(UserWarning):
    """A trial or one of its tables cannot be read and is left out."""


class Results(Mapping[str, "pandas.DataFrame"]):
    """The tables of several trials, each one DataFrame over all of them; read when first looked at, then kept.

    Every table but ``trials`` has the columns of its CSV (see *What a trial leaves behind* in
    the documentation) after ``experiment``, ``trial`` (the id), ``seed`` and a column for each
    parameter that a spec varied or in which the trials differ, by its short name (``depth``),
    so that rows can be grouped without merging. Other tables of probes are there by name: ``results["predictions"]``.
    Numbers are float64 or int64, with NaN for what does not apply; text is text.
    """

    def __init__(self, selectors: Sequence[str | Path], directory: Path | None = None) -> None:
        found = find(selectors, directory)
        for error in found.damaged:
            _warn(error)
        self._trials = found.trials
        self._columns = {**_swept(found.trials), **columns_of(found.trials)}
        self._read: dict[str, pandas.DataFrame] = {}

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that have a column: path in the spec → name of the column."""
        return dict(self._columns)

    @cached_property
    def trials(self) -> pandas.DataFrame:
        """One row per trial: ``experiment, trial, seed``, parameters, then ``repeat, fold, state, engine, started,
        reason, directory`` and the last row of its ``metrics.csv`` where it has one.
        """
        import pandas

        rows = [
            {
                **self._about(trial),
                "repeat": trial.repeat,
                "fold": trial.fold,
                "state": trial.state,
                "engine": trial.engine or None,
                "started": pandas.to_datetime(trial.started, utc=True) if trial.started else pandas.NaT,
                "reason": trial.reason,
                "directory": str(trial.path),
            }
            for trial in self._trials
        ]
        table = pandas.DataFrame(rows)
        metrics = self.metrics
        if not len(metrics):
            return table
        last = metrics.groupby(["experiment", "trial"], sort=False).tail(1)
        measured = [
            column for column in last.columns if column not in (*table.columns, *self._columns, "stage", "step")
        ]
        return table.merge(last[["experiment", "trial", *measured]], on=["experiment", "trial"], how="left")

    @property
    def metrics(self) -> pandas.DataFrame:
        """``metrics.csv``: one row per trial, stage and epoch; losses, accuracies (as fractions), learning rate."""
        return self._table("metrics")

    @property
    def gradients(self) -> pandas.DataFrame:
        """``gradients.csv``: one row per trial, stage, record point, layer, parameter and source."""
        return self._table("gradients")

    @property
    def activations(self) -> pandas.DataFrame:
        """``activations.csv``: one row per trial, stage, record point and layer."""
        return self._table("activations")

    @property
    def layers(self) -> pandas.DataFrame:
        """``layers.csv``: one row per trial and layer; type, output shape, parameters, multiply-adds."""
        return self._table("layers")

    @property
    def timing(self) -> pandas.DataFrame:
        """``timing.csv``: seconds and examples per second of each trial's epochs."""
        return self._table("timing")

    def __getitem__(self, name: str) -> pandas.DataFrame:
        """A table by name, or KeyError with the nearest names."""
        if name == "trials":
            return self.trials
        if name not in self._names:
            raise KeyError(f"no trial has {name}.csv ({nearest(name, self)})")
        return self._table(name)

    def __iter__(self) -> Iterator[str]:
        return iter(("trials", *self._names))

    def __len__(self) -> int:
        return 1 + len(self._names)

    def __repr__(self) -> str:
        return f"<dlx results: {len(self._trials)} trials; {', '.join(self)}>"

    @cached_property
    def _names(self) -> list[str]:
        found: dict[str, None] = {}
        for trial in self._trials:
            own = [path.stem for path in sorted(trial.path.glob("*.csv"))]
            unknown = [name for name in own if name not in found]
            found |= dict.fromkeys(name for name in unknown if name in _WITHOUT_EPOCHS or _is_table(trial, name))
        return list(found)

    def _about(self, trial: Trial) -> dict[str, Any]:
        values = {name: value_at(trial.setting, path) for path, name in self._columns.items()}
        values = {name: None if value is ABSENT else _cell(value) for name, value in values.items()}
        return {"experiment": trial.experiment, "trial": trial.id, "seed": trial.seed, **values}

    def _table(self, name: str) -> pandas.DataFrame:
        if name not in self._read:
            self._read[name] = self._collect(name)
        return self._read[name]

    def _collect(self, name: str) -> pandas.DataFrame:
        """One table of all trials: those with the same header are parsed in one go."""
        import pandas

        bodies: dict[bytes, list[tuple[int, bytes, int]]] = {}
        for number, trial in enumerate(self._trials):
            path = trial.path / f"{name}.csv"
            if not path.exists():
                continue
            try:
                # Checked as every reader of dlx does: a damaged table is left out, and one row of it not believed.
                rows = Tables(trial.path).get(name)
                content = read_content(path)
            except ResultsError as error:
                _warn(error)
                continue
            if rows is None:
                continue
            content = content[: content.rfind(b"\n") + 1] if not rows.torn else _as_csv(rows.cells)
            header, _, body = content.partition(b"\n")
            bodies.setdefault(header, []).append((number, body, len(rows)))
        frames = [self._parse(header, parts) for header, parts in bodies.items()]
        if not frames:
            return pandas.DataFrame(columns=[*_FIRST, *self._columns.values()])
        whole = pandas.concat(frames, ignore_index=True)
        return whole.sort_values("_order", kind="stable").drop(columns="_order").reset_index(drop=True)

    def _parse(self, header: bytes, parts: Sequence[tuple[int, bytes, int]]) -> pandas.DataFrame:
        import numpy as np
        import pandas

        content = io.BytesIO(b"\n".join([header, b"".join(body for _, body, _ in parts)]))
        table = pandas.read_csv(content, keep_default_na=False, na_values=["", "nan"], low_memory=False)
        for column in table.columns:
            if table[column].dtype.kind not in "iufb":
                table[column] = table[column].map(parse_text, na_action="ignore")
        order = np.repeat([number for number, _, _ in parts], [length for _, _, length in parts])
        about = pandas.DataFrame([self._about(self._trials[number]) for number, _, _ in parts])
        about = about.rename(columns={name: path for path, name in self._columns.items() if name in table.columns})
        positions = np.repeat(np.arange(len(parts)), [length for _, _, length in parts])
        about = about.iloc[positions].reset_index(drop=True)
        return pandas.concat([about, table, pandas.Series(order, name="_order")], axis=1)


def _swept(trials: Sequence[Trial]) -> dict[str, str]:
    """What specs varied, also where the trials at hand have it in common."""
    names = shortest(paths_of(trials))
    swept = dict.fromkeys(path for trial in trials for path in trial.swept)
    return {path: names[path] for path in swept if path in names}


_WITHOUT_EPOCHS = ("layers", "predictions")


def _is_table(trial: Trial, name: str) -> bool:
    """Whether a file is one of dlx's tables, which all have epochs but a few, and not somebody's own."""
    try:
        rows = Tables(trial.path).get(name)
    except DlxError:
        return False
    return rows is not None and "epoch" in rows.columns


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, list | dict) else value


def _as_csv(cells: Mapping[str, Sequence[str]]) -> bytes:
    from dlx.records.cells import format_row

    return "".join([format_row(cells), *map(format_row, zip(*cells.values(), strict=True))]).encode()


def _warn(error: Exception) -> None:
    warnings.warn(f"left out: {error}", DamagedResultsWarning, stacklevel=4)


def read(*selectors: str | Path, directory: str | Path | None = None) -> Results:
    """The tables of trials as DataFrames; documented at :func:`dlx.read`."""
    return Results(selectors, Path(directory) if directory is not None else None)
