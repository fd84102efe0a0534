"""The proof that nothing is lost: trials killed at random instants leave what undisturbed ones leave.

    python -m tests.durability.proof SPEC [SPEC…] --kills 50

runs each spec undisturbed with ``dlx run``, then again and again in processes that are
killed with SIGKILL and begun anew by the same command, until it ends by itself, and
compares every table (``timing.csv`` aside) and ``weights.npz`` byte for byte.

A process that is killed costs no start of TensorFlow: all modules are imported once, and
each run is a fork from there. That is sound as long as nothing has started a thread or a
device before the fork, which is checked; the undisturbed run is an ordinary process, so
that a difference which forking makes would show.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import random
import select
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

ROOT = Path(__file__).resolve().parents[2]
SPECS = Path(__file__).parent / "specs"
Place = Literal["start-up", "training", "checkpoint", "table append"]
_MODULES = (
    "dlx.cli.run", "dlx.cli.loading", "dlx.cli.display", "dlx.cli.summary", "dlx.schedule", "dlx.trial",
    "dlx.stages.supervised", "dlx.keras_graph", "dlx.initializers", "tests.records.faults", "dlx.training.tensorflow",
)  # fmt: skip
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
    after: float
    call: int = 0
    late: bool = False
    share: float = 0.0

    @classmethod
    def draw(cls, chance: random.Random, start: float, training: float) -> Kill:
        """Any place, any instant of runs that last so many seconds."""
        place = chance.choice(get_args(Place))
        after = chance.uniform(0, start if place == "start-up" else training)
        return cls(place, after, chance.randrange(_CALLS_OF_A_CHECKPOINT), chance.random() < 0.5, chance.random())

    def arm(self, training: float) -> None:
        """In the process to be killed, at the time when training begins."""
        from dlx.records.checkpoints import CheckpointStore
        from tests.records.faults import NotReached, at_boundary, die

        due, write, save = training + self.after, os.write, CheckpointStore.save

        def half_a_row(descriptor: int, content: bytes) -> int:
            if time.monotonic() < due:
                return write(descriptor, content)
            write(descriptor, content[: int(self.share * len(content))])
            return die()

        def half_a_checkpoint(store: Any, *content: Any) -> int:
            if time.monotonic() < due:
                return save(store, *content)
            with contextlib.suppress(NotReached), at_boundary(self.call, die, after=self.late):
                return save(store, *content)
            return 0

        if self.place == "table append":
            os.write = half_a_row
        elif self.place == "checkpoint":
            CheckpointStore.save = half_a_checkpoint


@dataclass
class Ended:
    """How a run ended: its exit code, negative for a signal, and how long start and training took."""

    code: int
    start: float
    training: float


def preload() -> None:
    """Import all that a run imports; raises RuntimeError where forking from here would not be sound."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for module in _MODULES:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)
    if sys.platform == "linux" and len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a library started a thread when it was imported: a forked run would lack it")


def run(arguments: Sequence[str], log: Path, kill: Kill | None = None) -> Ended:
    """``dlx ARGUMENTS`` in a fork of this process, killed as asked."""
    began = time.monotonic()
    training, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(training)
        _become_dlx(arguments, log, theirs, kill)
    os.close(theirs)
    try:
        if kill is not None and kill.place == "start-up":
            _wait(training, kill.after)
            os.kill(pid, signal.SIGKILL)
        has_begun = bool(os.read(training, 1))
        begun_at = time.monotonic()
        if kill is not None and kill.place == "training" and has_begun:
            _wait(training, kill.after)
            os.kill(pid, signal.SIGKILL)
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(training)
    return Ended(code, begun_at - began, time.monotonic() - begun_at)


def _wait(pipe: int, seconds: float) -> None:
    """That long, or until the other end is closed."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0] and not os.read(pipe, 1):
            return


def _become_dlx(arguments: Sequence[str], log: Path, announce: int, kill: Kill | None) -> None:
    """The child's part of :func:`run`; does not return."""
    from dlx.training.loop import Loop

    code, loop = 70, Loop.run

    def train(self: Loop) -> None:
        os.write(announce, b"t")
        if kill is not None:
            kill.arm(time.monotonic())
        loop(self)

    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        Loop.run = train  # type: ignore[method-assign]
        from dlx.cli.main import main

        code = main(arguments)
    finally:
        os._exit(code)


def trials(results: Path) -> dict[str, Path]:
    """Every trial's directory below a results directory, by its relative path."""
    return {str(path.relative_to(results)): path for path in sorted(results.glob("*/trials/*")) if path.is_dir()}


def kept(trial: Path) -> dict[str, bytes]:
    """What must not differ: the tables, anything left beside them, and the weights."""
    paths = [*trial.glob("*.csv*"), *trial.glob("*.npz"), *trial.rglob(".dlx-tmp*")]
    return {path.name: b"" if path.is_dir() else path.read_bytes() for path in paths if path.name != "timing.csv"}


def differences(expected: Path, found: Path) -> list[str]:
    """Where two results directories differ in what must not, or a trial is not done, or had something to report."""
    from dlx.records.status import read_status

    reference, other = trials(expected), trials(found)
    if reference.keys() != other.keys():
        return [f"trials {sorted(other)} instead of {sorted(reference)}"]
    problems = []
    for name, directory in other.items():
        status = read_status(directory / "status.json")
        before, after = kept(reference[name]), kept(directory)
        problems += [f"{name}: {file} differs" for file in sorted(before.keys() | after.keys()) if before.get(file) != after.get(file)]
        problems += [f"{name}: {status.state}, {status.reason}"] if status.state != "done" else []
        problems += [f"{name}: {note}" for note in status.notes]
    return problems


@dataclass
class Verdict:
    """What came of it: ``kills`` by place, ``trials`` finished and compared, ``problems`` found."""

    kills: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    attempts: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        where = ", ".join(f"{count} in {place}" for place, count in sorted(self.kills.items()))
        found = "\n".join(["all identical", *()] if not self.problems else self.problems)
        return f"{self.kills.total()} kills ({where}), {self.trials} trials finished after them: {found}"


def prove(spec: Path, kills: int, seed: int, place: Path, threads: int = 1) -> Verdict:
    """Kill runs of a spec ``kills`` times, as drawn from ``seed``; stops at the first difference, leaving it in ``place``."""
    chance = random.Random(f"{seed}/{spec.name}")
    verdict = Verdict()

    def command(results: Path) -> list[str]:
        return ["run", str(spec), "--results", str(results), "--threads", str(threads), "--quiet"]

    expected, log = place / "undisturbed", place / "log.txt"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ordinary = [sys.executable, "-m", "dlx", *command(expected)]
    subprocess.run(ordinary, check=True, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    whole = run(command(place / "forked"), log)
    verdict.problems += differences(expected, place / "forked")
    while verdict.kills.total() < kills and not verdict.problems:
        found = place / f"killed-{verdict.trials}"
        left = 1
        while True:
            kill = Kill.draw(chance, whole.start, whole.training) if left else None
            ended = run(command(found), log, kill)
            verdict.attempts += 1
            if ended.code == -signal.SIGKILL and kill is not None:
                verdict.kills[kill.place] += 1
                left = int(chance.random() < _ANOTHER_KILL and verdict.kills.total() < kills)
            elif ended.code == 0:
                break
            else:
                verdict.problems.append(f"{found} ended with {ended.code}, see {log}")
                return verdict
        verdict.trials += len(trials(found))
        verdict.problems += differences(expected, found)
        if not verdict.problems:
            shutil.rmtree(found)
    return verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability.proof", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("specs", nargs="*", type=Path, default=sorted(SPECS.glob("*.yaml")))
    parser.add_argument("--kills", type=int, default=50, help="kills per spec (default 50)")
    parser.add_argument("--seed", type=int, default=0, help="of the instants (default 0)")
    parser.add_argument("--threads", type=int, default=1, help="as of dlx run (default 1)")
    arguments = parser.parse_args()
    preload()
    bad = 0
    for spec in arguments.specs:
        place = Path(tempfile.mkdtemp(prefix=f"dlx-proof-{spec.stem}-"))
        began = time.monotonic()
        verdict = prove(spec.resolve(), arguments.kills, arguments.seed, place, arguments.threads)
        print(f"{spec.name}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
        bad += bool(verdict.problems)
        if verdict.problems:
            print(f"left in {place}")
        else:
            shutil.rmtree(place)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
