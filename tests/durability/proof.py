"""The proof that nothing is lost: trials killed at random instants leave what undisturbed ones leave.

    python -m tests.durability.proof SPEC [SPEC…] --kills 50

runs each spec undisturbed with ``dlx run``, then again and again in processes that are
killed with SIGKILL and begun anew by the same command, until it ends by itself, and
compares every table (``timing.csv`` aside) and ``weights.npz`` byte for byte.

The processes that are killed are forks of one that has imported TensorFlow already
(:mod:`tests.forks`); the undisturbed run is an ordinary one, so that a
difference which forking makes would show.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tests.forks import ROOT, Dlx

SPECS = Path(__file__).parent / "specs"
Place = Literal["start-up", "training", "checkpoint", "table append"]
_CALLS_OF_A_CHECKPOINT = 24
_ANOTHER_KILL = 1 / 3


@dataclass(frozen=True)
class Kill:
    """One kill -9, ``after`` seconds of the start or, elsewhere, of training.

    From outside, whatever the process is doing; or, by itself, at a system call of the next
    checkpoint (number ``call``, ``late``: when it has returned) or with a ``share`` of the
    next row written.
    """

    place: Place
    after: float = 0.0
    call: int = 0
    late: bool = False
    share: float = 0.5

    @classmethod
    def draw(cls, chance: random.Random, start: float, training: float) -> Kill:
        """Any place, any instant of runs that last so many seconds."""
        place = chance.choice(get_args(Place))
        after = chance.uniform(0, start if place == "start-up" else training)
        return cls(place, after, chance.randrange(_CALLS_OF_A_CHECKPOINT), chance.random() < 0.5, chance.random())

    def __call__(self) -> None:
        """In the process to be killed, when training begins: arm what it does to itself."""
        from dlx.records.checkpoints import CheckpointStore
        from tests.records.faults import NotReached, at_boundary, die

        due, write, save = time.monotonic() + self.after, os.write, CheckpointStore.save

        def half_a_row(descriptor: int, content: bytes) -> int:
            if time.monotonic() < due:
                return write(descriptor, content)
            write(descriptor, content[: int(self.share * len(content))])
            die()
            return 0

        def half_a_checkpoint(store: Any, *content: Any) -> int:
            if time.monotonic() < due:
                return save(store, *content)
            with contextlib.suppress(NotReached), at_boundary(self.call, die, after=self.late):
                return save(store, *content)
            return 0

        if self.place == "table append":
            os.write = half_a_row  # type: ignore[assignment]
        elif self.place == "checkpoint":
            CheckpointStore.save = half_a_checkpoint  # type: ignore[method-assign, assignment]


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, negative for a signal, and how long start and training took."""

    code: int
    start: float
    training: float


def command(spec: Path, results: Path, *more: str) -> list[str]:
    """The arguments of a run on one thread, with which these small nets are fastest."""
    return ["run", str(spec), "--results", str(results), "--threads", "1", *more]


def run_killed(arguments: Sequence[str], log: Path, kill: Kill | None) -> Ended:
    """Run a command line, killed as asked; it may end before."""
    run = Dlx(arguments, log, at_training=kill)
    if kill is not None and kill.place == "start-up":
        time.sleep(kill.after)
        run.kill()
    training = run.reaches_training()
    began = time.monotonic()
    if kill is not None and kill.place == "training" and training:
        time.sleep(kill.after)
        run.kill()
    return Ended(run.wait(), began - run.began, time.monotonic() - began)


def undisturbed(spec: Path, results: Path) -> None:
    """Run a spec as a person does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-m", "dlx", *command(spec, results)],
        check=True,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def trials(results: Path) -> dict[str, Path]:
    """Every trial's directory below a results directory, by its relative path."""
    return {str(path.relative_to(results)): path for path in sorted(results.glob("*/trials/*")) if path.is_dir()}


def kept(trial: Path) -> dict[str, bytes]:
    """What must not differ: the tables, anything left beside them, and the weights."""
    paths = [*trial.glob("*.csv*"), *trial.glob("*.npz"), *trial.rglob(".dlx-tmp*")]
    return {path.name: b"" if path.is_dir() else path.read_bytes() for path in paths if path.name != "timing.csv"}


def differences(expected: Path, found: Path, *, notes: bool = False) -> list[str]:
    """Where two results directories differ in what must not, or a trial is not done.

    Nor may a trial have had anything to report, unless there is a reason for ``notes``.
    """
    from dlx.records.status import read_status

    reference, other = trials(expected), trials(found)
    if reference.keys() != other.keys():
        return [f"trials {sorted(other)} instead of {sorted(reference)}"]
    problems = []
    for name, directory in other.items():
        status = read_status(directory / "status.json")
        before, after = kept(reference[name]), kept(directory)
        files = sorted(before.keys() | after.keys())
        problems += [f"{name}: {file} differs" for file in files if before.get(file) != after.get(file)]
        problems += [f"{name}: {status.state}, {status.reason}"] if status.state != "done" else []
        problems += [f"{name}: {note}" for note in status.notes if not notes]
    return problems


@dataclass
class Verdict:
    """What came of it: ``kills`` by place, ``trials`` finished after some and compared, ``problems`` found."""

    kills: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        where = ", ".join(f"{self.kills[place]} in {place}" for place in get_args(Place))
        found = "\n".join(self.problems) or "all identical"
        return f"{self.kills.total()} kills ({where}), {self.trials} trials finished after them: {found}"


def prove(spec: Path, kills: int, seed: int, place: Path) -> Verdict:
    """Kill runs of a spec ``kills`` times, as drawn from ``seed``.

    Ends at the first difference and leaves it in the directory ``place``.
    """
    chance = random.Random(f"{seed}/{spec.name}")
    verdict = Verdict()
    expected, log = place / "undisturbed", place / "log.txt"
    undisturbed(spec, expected)
    whole = run_killed(command(spec, place / "forked"), log, None)
    verdict.problems += differences(expected, place / "forked")
    for number in itertools.count():
        if verdict.kills.total() >= kills or verdict.problems:
            return verdict
        found = place / f"killed-{number}"
        killed, another = 0, True
        while True:
            kill = Kill.draw(chance, whole.start, whole.training) if another else None
            ended = run_killed(command(spec, found), log, kill)
            if ended.code == -signal.SIGKILL and kill is not None:
                verdict.kills[kill.place] += 1
                killed += 1
                another = chance.random() < _ANOTHER_KILL and verdict.kills.total() < kills
            elif ended.code == 0:
                break
            else:
                verdict.problems.append(f"{found} ended with {ended.code}, see {log}")
                return verdict
        verdict.trials += len(trials(found)) if killed else 0  # one that ended before its kill proves nothing
        verdict.problems += differences(expected, found)
        if not verdict.problems:
            shutil.rmtree(found)
    raise AssertionError("unreachable: the numbers do not end")


def main() -> int:
    """The command line."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.durability.proof", description=summary)
    parser.add_argument("specs", nargs="*", type=Path, default=sorted(SPECS.glob("*.yaml")))
    parser.add_argument("--kills", type=int, default=50, help="kills per spec (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the instants (default 0)")
    arguments = parser.parse_args()
    bad = False
    for spec in arguments.specs:
        place = Path(tempfile.mkdtemp(prefix=f"dlx-proof-{spec.stem}-"))
        began = time.monotonic()
        verdict = prove(spec.resolve(), arguments.kills, arguments.seed, place)
        print(f"{spec.name}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
        bad = bad or bool(verdict.problems)
        if verdict.problems:
            print(f"left in {place}", flush=True)
        else:
            shutil.rmtree(place)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
