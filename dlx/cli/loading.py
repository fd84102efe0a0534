"""What a command line names, before anything is started: specs, and the data that they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dlx.errors import Problem, SpecError

if TYPE_CHECKING:
    from dlx.spec import Experiment, Trial


def load_all(
    paths: Sequence[Path], sets: Sequence[str], seeds: str | None = None, cap: int = 10_000, *, smoke: bool = False
) -> list[tuple[Path, Experiment]]:
    """Each spec, a file or the name of one that comes with dlx, with its experiment; ``smoke``: as small as it says.

    Raises one :class:`~dlx.errors.SpecError` for all that is wrong with any.
    """
    from dlx.shipped import place
    from dlx.spec import load

    loaded: list[tuple[Path, Experiment]] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            loaded.append((path, checked(load(place(path), sets, seeds=seeds, cap=cap, smoke=smoke))))
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(problems)
    return loaded


def checked(experiment: Experiment) -> Experiment:
    """The experiment, of whose claims every metric is one that its trials will have; raises SpecError otherwise."""
    if experiment.claims:
        from dlx.claims import check

        check(experiment)
    return experiment


def fetch_absent(trials: Iterable[Trial], data_dir: Path | None, *, quiet: bool) -> None:
    """Download the data sets that trials need and that are nowhere to be found.

    Raises :class:`~dlx.errors.DataError` where that fails: before anything is created, and
    with all of a terminal for the progress of the download.
    """
    import sys

    from dlx.cli.datasets import progress_lines
    from dlx.datasets import Places

    places = Places.here(data_dir, progress=None if quiet else progress_lines(sys.stderr))
    for dataset in {trial.setting.dataset.name: trial.setting.dataset for trial in trials}.values():
        if dataset.download_bytes() and dataset.find(places) is None:
            dataset.fetch(places)
