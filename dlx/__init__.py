"""dlx: experiments on the foundations of deep learning, from a YAML spec to per-layer tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from dlx.analysis.frames import Results

__version__ = "0.1.0"
__all__ = ["__version__", "read"]


def read(*selectors: str | Path, directory: str | Path | None = None) -> Results:
    """The tables of trials as pandas DataFrames, for notebooks.

    For instance::

        import dlx

        results = dlx.read("results")              # a directory, an experiment's name, "depth:width=30", a glob, …
        results.trials                             # one row per trial: state, seed, parameters, last metrics
        results.metrics.groupby(["depth", "epoch"])["val_accuracy"].mean().unstack("depth").plot()
        results.gradients.query("source == 'probe' and parameter == 'bias' and epoch == 0")
        results["predictions"]                     # any other table of a probe, by name

    ``selectors`` are those of the commands; without any, the results directory (``DLX_RESULTS``,
    else ``results``), in which ``directory`` stands for it. Trials and tables that are damaged
    are left out with a warning. Raises :class:`dlx.errors.DlxError` where a selector names nothing.
    """
    from dlx.analysis.frames import read as frames

    return frames(*selectors, directory=directory)
