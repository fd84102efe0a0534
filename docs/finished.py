"""Takes finished trials out of results directories into `finished/`, which ships with dlx.

    python docs/finished.py vanishing-gradient/depth results/vanishing-gradient

The tables of every trial that the experiment has today are copied, with what is needed to read them: not the weights,
nor anything that names a machine, a person's folders or a process. Nothing is copied unless all trials are done.
`dlx compare experiment:vanishing-gradient/depth` reads them. `python docs/reproduced.py` then writes what they show.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from dlx import shipped
from dlx.records.experiment_directory import ExperimentDirectory
from dlx.schedule import listing
from dlx.spec import Experiment, load, resolved

ROOT = Path(__file__).resolve().parent.parent
FINISHED = ROOT / "finished"
NOT_KEPT = {"timing.csv"}  # how fast it was says more about the machine than about the experiment
ENVIRONMENT = ("schema", "engine", "threads", "pack", "versions", "python")
ATTEMPT = ("number", "started", "ended", "exit")


def take(name: str, results: Path, into: Path = FINISHED) -> Path:
    """Copy an experiment's finished trials; raises SystemExit where some are missing."""
    experiment = load(shipped.get(name))
    directories = [results / "trials" / trial.id for trial in experiment.trials]
    missing = [place.name for place in directories if _read(place / "status.json").get("state") != "done"]
    if missing:
        raise SystemExit(f"{results}: {len(missing)} of {len(directories)} trials are not done: {', '.join(missing)}")
    place = into / name
    shutil.rmtree(place, ignore_errors=True)
    for trial, source in zip(experiment.trials, directories, strict=True):
        _copy(source, place / "trials" / source.name)
        # as this version of dlx writes it: the same id, and every setting that there is by now
        text = resolved(trial, experiment.name).partition("\nfiles:")[0].rstrip("\n")
        (place / "trials" / trial.id / "trial.yaml").write_text(text + "\n", encoding="utf-8", newline="\n")
    _list(experiment, place)
    return place


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for table in sorted(source.glob("*.csv")):
        if table.name not in NOT_KEPT:
            shutil.copyfile(table, target / table.name)
    status, environment = _read(source / "status.json"), _read(source / "environment.json")
    status["attempts"] = [{key: one[key] for key in ATTEMPT} | {"host": "", "pid": 0} for one in status["attempts"]]
    status["notes"], status["log"] = [], None
    kept = {key: environment[key] for key in ENVIRONMENT if key in environment}
    kept["device"] = {"kind": environment["device"]["kind"]}
    _write(target / "status.json", status)
    _write(target / "environment.json", kept)


def _list(experiment: Experiment, place: Path) -> None:
    """The spec and `trials.csv`, in the order of today's spec."""
    directory = ExperimentDirectory(place.parent, place.name)
    directory.submit(experiment.source, [listing(trial) for trial in experiment.trials])
    directory.renew(force=True)
    shutil.rmtree(place / "specs")


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(take(sys.argv[1], Path(sys.argv[2])).relative_to(ROOT))
