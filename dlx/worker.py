"""What a process that trains keeps between trials: its engine, and the data it has loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.training.engine import Engine, load_engine

if TYPE_CHECKING:
    from dlx.datasets import DatasetSpec, Places
    from dlx.sources import Splits


@dataclass(frozen=True)
class Runtime:
    """How trials are trained here: nothing in it enters a trial's id.

    ``threads``: of the backend (None: all cores). ``data_dir``: where data sets are looked
    for first. ``download``: whether absent data may be fetched. ``plugins``: the folder of
    :mod:`dlx.plugins`. ``devices``: among how many of one machine a trial's batches are
    divided (None: as its spec says).
    """

    engine: str = "tensorflow"
    threads: int | None = None
    data_dir: Path | None = None
    download: bool = True
    plugins: Path | None = None
    devices: int | None = None


class Worker:
    """One process' engine and data; the backend is imported when the first trial asks for it.

    ``pack``: the place of the trial among those that it trains together with, None where it
    trains alone. ``not_beyond``: the newest checkpoint that it may go on from.
    """

    pack: str | None = None
    not_beyond: int | None = None

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._data: tuple[str, Splits] | None = None
        self._even: tuple[str, Splits] | None = None

    @property
    def engine(self) -> Engine:
        """The engine; raises :class:`~dlx.errors.UsageError` where it cannot be had."""
        return load_engine(self.runtime.engine, self.runtime.threads).on(self.runtime.devices or 1)

    def forget(self) -> None:
        """Let go of everything that is only kept to be used again."""
        self._data = self._even = None
        self.engine.forget()

    @property
    def places(self) -> Places:
        """Where data, and weights that others trained, are looked for."""
        from dlx.datasets import Places

        return Places.here(self.runtime.data_dir, download=self.runtime.download)

    def load(self, dataset: DatasetSpec, seed: int | None = None, between: Callable[[], None] = lambda: None) -> Splits:
        """A data set's parts; those of the last trial are kept, on the device as well.

        ``seed``: that of a trial to be trained, which ``dataset.rebalance`` draws by; None leaves the
        classes as they are. ``between`` is called now and then where that takes long.
        """
        from dlx.datasets._division import with_labels

        identity = json.dumps([dataset.digest(), dataset.model_dump(mode="json"), str(dataset.fold)], sort_keys=True)
        if self._data is None or self._data[0] != identity:
            self._data = self._even = None  # two sets need not fit in memory at once
            splits = dataset.load(self.places)
            self._data = identity, splits if dataset.labelled is None else with_labels(splits, dataset.labelled)
        if dataset.rebalance is None or seed is None:
            return self._data[1]
        from dlx.rebalancing._evening import evened

        if self._even is None or self._even[0] != f"{seed} {identity}":
            self._even = f"{seed} {identity}", evened(self._data[1], dataset.rebalance, seed, between)
        return self._even[1]
