"""The trained networks that a command's selectors name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dlx.errors import UsageError

if TYPE_CHECKING:
    from dlx.trained import Trained


def networks(
    selectors: Sequence[str],
    results: Path | None,
    weights: Literal["last", "best"] | None,
    engine: str | None,
    data_dir: Path | None,
    plugins: Path | None,
    *,
    several: bool,
) -> list[Trained]:
    """The networks of the trials that are named; the only one, unless there may be ``several``.

    Trials that are not done are left out of several. Raises :class:`~dlx.errors.UsageError`
    where none is left, or one process would need two engines.
    """
    from dlx.analysis.selectors import find, one
    from dlx.records.trial_directory import TrialDirectory
    from dlx.trained import Trained
    from dlx.worker import Runtime

    if several:
        found = find(selectors, results).trials
        done = [trial for trial in found if trial.state == "done"]
        if not done:
            raise UsageError(f"{' '.join(selectors)} names {len(found)} trials, none of which is done")
    else:
        done = [one(selectors[0], results)]
    directories = [TrialDirectory(trial.path) for trial in done]
    if engine is None:
        engines = {str(directory.status().summary.get("engine") or Runtime.engine) for directory in directories}
        if len(engines) > 1:
            raise UsageError(
                f"the trials were trained on {' and '.join(sorted(engines))}", hint="--engine says on which"
            )
        engine = engines.pop()
    first, *others = directories
    trained = [Trained.of(first, weights, Runtime(engine, None, data_dir, plugins=plugins))]
    return trained + [Trained.of(directory, weights, worker=trained[0].worker) for directory in others]


def described(network: Trained) -> dict[str, Any]:
    """A network in a command's JSON: its trial, the weights and their digest."""
    return {
        "trial": network.trial.id,
        "directory": str(network.directory.path),
        "weights": network.kept,
        "digest": network.digest,
    }
