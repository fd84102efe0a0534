"""How long a CSV file of one's own takes to become examples, beside what pandas needs to read it."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.measures import Setup
from benchmarks.report import Figure

GROUP = "tables"
ROWS, COLUMNS = 50_000, 30


def measure(setup: Setup) -> list[Figure]:
    """In turns, in one process, the file in the page cache: ``read_csv`` as it comes, and a data set's ``load``.

    What dlx keeps between calls (the table, what is known of it) is forgotten before each turn.
    """
    import pandas as pd

    from dlx.datasets import Places, csv, registry

    setup.tell("tables")
    path = _file(setup.scratch / "table.csv")
    spec = registry.get("csv")(path=str(path), label="label")
    took: dict[str, list[float]] = {"dlx": [], "pandas": []}
    for turn in range(3 * setup.rounds + 1):
        csv.forget()
        began = time.perf_counter()
        splits = spec.load(Places(download=False))
        loaded = time.perf_counter()
        frame = pd.read_csv(path)
        read = time.perf_counter()
        assert len(frame) == sum(spec.sizes().values()) and len(splits.train) == 36_000
        if turn:  # the first imports
            took["dlx"].append(loaded - began)
            took["pandas"].append(read - loaded)
    best = {name: min(seconds) for name, seconds in took.items()}
    megabytes = path.stat().st_size / 1e6
    return [
        Figure(
            GROUP,
            f"{ROWS:,} × {COLUMNS} CSV ({megabytes:.0f} MB): load, split and standardise",
            f"{1e3 * best['dlx']:.0f} ms",
            f"pandas.read_csv: {1e3 * best['pandas']:.0f} ms",
            best["dlx"] / best["pandas"],
            "×",
            "≤",
            1.5,
        )
    ]


def _file(path: Path) -> Path:
    """29 columns of normal numbers with six decimals, and a label of three classes."""
    import numpy as np

    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, COLUMNS - 1))
    labels = rng.integers(0, 3, ROWS)
    with path.open("w", encoding="ascii", newline="\n") as stream:
        stream.write(",".join([*(f"feature_{column}" for column in range(COLUMNS - 1)), "label"]) + "\n")
        for row, label in zip(numbers, labels, strict=True):
            stream.write(",".join(f"{value:.6f}" for value in row) + f",{'abc'[label]}\n")
    return path
