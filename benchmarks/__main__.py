"""``python -m benchmarks``: take the figures and print them beside what was promised."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks import data, machine
from benchmarks.duel import ContenderFailedError
from benchmarks.measures import (
    Setup,
    augmentation,
    checkpoints,
    comparing,
    convnets,
    images,
    jax,
    memory,
    plots,
    pretraining,
    recording,
    reports,
    startup,
    steps,
    tables,
    tuning,
)
from benchmarks.report import Figure, markdown

MEASURES: dict[str, Callable[[Setup], Iterable[Figure]]] = {
    "steps": steps.measure,
    "jax": jax.measure,
    "recording": recording.measure,
    "checkpoints": checkpoints.measure,
    "augmentation": augmentation.measure,
    "images": images.measure,
    "startup": startup.measure,
    "memory": memory.measure,
    "pretraining": pretraining.measure,
    "convnets": convnets.measure,
    "tables": tables.measure,
    "compare": comparing.measure,
    "tuning": tuning.measure,
    "plot": plots.measure,
    "report": reports.measure,
}


README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- table -->", "<!-- end -->"


def main() -> int:
    """0 if everything could be measured and every promise that was looked at is kept, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="*", metavar="MEASURE", help=f"which: {', '.join(MEASURES)} (default: all)")
    parser.add_argument(
        "--rounds", type=int, default=9, help="turns of the longest contenders, shorter ones get more (default: 9)"
    )
    parser.add_argument("--synthetic", action="store_true", help="noise of MNIST's shape, even where MNIST is there")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    given = parser.parse_args()
    if unknown := [name for name in given.only if name not in MEASURES]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASURES)}")

    synthetic = given.synthetic or not data.present()
    shown = "noise of MNIST's shape (MNIST is not here: DLX_DATA names its folder)" if synthetic else "MNIST"
    about = f"{machine.hardware()}; {machine.versions()}; {shown}; {given.rounds} rounds"
    _tell(f"{about}; {machine.load()} at the start")
    figures: list[Figure] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="dlx-benchmarks-") as scratch:
        setup = Setup(given.rounds, synthetic, Path(scratch), _tell)
        for name in given.only or MEASURES:
            try:
                figures.extend(MEASURES[name](setup))  # what it gave before it failed, too
            except ContenderFailedError as error:
                _tell(f"{name}: a contender failed:\n{error}")
                failed.append(name)
    if failed:
        about += f"; without what failed of {', '.join(failed)}"
    table = markdown(figures)
    print(f"\n{about}\n\n{table}")
    if given.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        README.write_text(f"{before}{BEGIN}\n{about}.\n\n{table}\n{END}{after}", encoding="utf-8")
    if given.json:
        content = {"about": about, "figures": [figure.plain() for figure in figures]}
        given.json.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(bool(failed) or any(figure.met is False for figure in figures))


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


sys.exit(main())
