"""What a sweep costs beyond its training: starts, compilation, dispatch, memory; and finding that nothing is left.

    python benchmarks/sweeps.py throughput             40 trials of about 2 s on two workers
    python benchmarks/sweeps.py finished               1,000 trials that are done, asked for again
    python benchmarks/sweeps.py memory --trials 1000   resident memory of the parent and its workers

Each prints one line per figure: its name, what was measured, what must be reached.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SWEEP = """\
name: sweep
dataset: digits
model: {{name: mlp, width: 30, activation: sigmoid}}
training: {{optimizer: {{name: sgd, learning_rate: 1.0}}, batch_size: 10, epochs: {epochs}}}
seeds: {seeds}
sweep: {{model.depth: [1, 2, 3, 4, 5, 6, 7, 8]}}
"""
TINY = """\
name: tiny
dataset: {{name: digits, train_limit: 100}}
model: {{name: mlp, width: 8, depth: 1}}
training: {{batch_size: 50, epochs: 1}}
records: {{model: none}}
seeds: {seeds}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures: dict[str, Callable[[argparse.Namespace], None]] = {
        "throughput": throughput,
        "finished": finished,
        "memory": memory,
    }
    parser.add_argument("figure", choices=figures)
    parser.add_argument("--trials", type=int, default=None, help="how many (40; 1000; 1000)")
    parser.add_argument("--epochs", type=int, default=60, help="of each trial of `throughput`: about 2 s of them")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    figures[arguments.figure](arguments)


def say(name: str, measured: str, limit: str = "") -> None:
    print(f"{name:<44}{measured:>14}   {limit}", flush=True)


def train(spec: str, results: Path, jobs: int) -> tuple[float, dict[str, str]]:
    """Run a spec on ``jobs`` workers of one thread; seconds, and which worker had each trial."""
    from dlx.events import Event, TrialEnded
    from dlx.interruption import Stop
    from dlx.records.ownership import read_owner
    from dlx.schedule import Options, run
    from dlx.spec import load_text
    from dlx.worker import Runtime

    def see(event: Event) -> None:
        if isinstance(event, TrialEnded) and event.state != "done":
            print(event.label, event.state, event.reason, file=sys.stderr)

    options = Options(results, Runtime(threads=1), executor="local", executor_options={"jobs": jobs})
    began = time.time()
    with Stop().listening() as stop:
        outcome = run(load_text(spec), options, see, stop)
    took = time.time() - began
    owners = {ending.trial.id: read_owner(ending.directory.path) for ending in outcome.endings}
    return took, {trial: str(owner.pid) for trial, owner in owners.items() if owner}


def throughput(arguments: argparse.Namespace) -> None:
    """The wall clock against the time in which workers trained.

    A trial occupies its worker from the moment it is claimed (``owner.json``) to its last
    word (``status.json``). The first trial of a program in a worker compiles it, the first of
    a worker also imports the backend: what these take longer than the median of the
    program's other trials is start-up, all else is training.
    """
    from dlx.records.status import read_status

    with tempfile.TemporaryDirectory() as place:
        seeds = max(1, (arguments.trials or 40) // 8)
        wall, workers = train(SWEEP.format(epochs=arguments.epochs, seeds=seeds), Path(place), arguments.jobs)
        began: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
        for trial, worker in workers.items():
            directory = Path(place, "sweep", "trials", trial)
            start, end = ((directory / name).stat().st_mtime for name in ("owner.json", "status.json"))
            listing = read_status(directory / "status.json").listing
            assert listing is not None
            began[str(listing.parameters)].append((start, end - start, worker))
    training, start_up, compiled = 0.0, 0.0, 0
    for trials in began.values():
        first: dict[str, float] = {}
        usual = []
        for _, seconds, worker in sorted(trials):
            if worker in first:
                usual.append(seconds)
            else:
                first[worker] = seconds
        typical = statistics.median(usual or first.values())
        training += sum(usual) + typical * len(first)
        start_up += sum(seconds - typical for seconds in first.values())
        compiled += len(first)
    count = len(workers)
    say("trials, workers", f"{count}, {arguments.jobs}")
    say("training per trial", f"{training / count:.2f} s")
    say("programs compiled", f"{compiled}", f"{len(began)} at least, {len(began) * arguments.jobs} allowed")
    say("imports and compilation, per worker", f"{start_up / arguments.jobs:.1f} s")
    say("wall clock", f"{wall:.1f} s")
    ratio = (wall - start_up / arguments.jobs) / (training / arguments.jobs)
    say("wall clock less start-up / (training / workers)", f"{ratio:.3f}", "at most 1.15")


def finished(arguments: argparse.Namespace) -> None:
    """Make trials that are done, without training them, and run their spec."""
    from dlx import schedule
    from dlx.records.experiment_directory import ExperimentDirectory
    from dlx.spec import load_text, resolved

    count = arguments.trials or 1000
    with tempfile.TemporaryDirectory() as place:
        spec, results = Path(place, "spec.yaml"), Path(place, "results")
        spec.write_text(SWEEP.format(epochs=60, seeds=count // 8))
        experiment = load_text(spec.read_text())
        directory = ExperimentDirectory(results, experiment.name)
        for trial in experiment.trials:
            one = directory.trial(trial.id)
            one.create(resolved(trial, experiment.name), schedule._listing(trial))
            with one.claim() as attempt:
                for table in ("metrics", "gradients", "activations", "layers"):
                    (one.path / f"{table}.csv").write_text("stage,epoch\n")
                numbers = {f"grad_{kind}_first_{layer}": 0.125 for kind in ("bias", "kernel") for layer in range(1, 10)}
                attempt.end("done", summary={"parameters": 1, "epochs": 60, "val_accuracy": 0.5, **numbers})
        say("trials that are done", f"{len(experiment.trials):,}")
        for name, command, limit in (
            ("dlx run, nothing left", ["run", str(spec), "--results", str(results)], "3 s at most"),
            ("dlx status", ["status", str(results)], "1.5 s at most"),
        ):
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            took = []
            for _ in range(3):
                start = time.perf_counter()
                ended = subprocess.run(
                    [sys.executable, "-m", "dlx", *command], env=env, capture_output=True, check=False
                )
                took.append(time.perf_counter() - start)
            if ended.returncode:
                print(ended.stderr.decode(), file=sys.stderr)
            say(name, f"{min(took):.2f} s", limit)


def memory(arguments: argparse.Namespace) -> None:
    """Tiny trials one after another; resident memory as each trial's worker ends it, and the parent's highest."""
    import psutil

    count = arguments.trials or 1000
    peak = 0.0
    sizes: dict[int, list[tuple[float, float]]] = defaultdict(list)
    over = threading.Event()

    def look() -> None:
        nonlocal peak
        parent = psutil.Process()
        while not over.wait(0.5):
            peak = max(peak, parent.memory_info().rss / 1e6)
            for child in parent.children():
                try:
                    sizes[child.pid].append((time.time(), child.memory_info().rss / 1e6))
                except psutil.Error:
                    continue

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    with tempfile.TemporaryDirectory() as place:
        wall, workers = train(TINY.format(seeds=count), Path(place), arguments.jobs)
        ended = {trial: Path(place, "tiny", "trials", trial, "status.json").stat().st_mtime for trial in workers}
    over.set()
    looker.join()
    say("trials, seconds each", f"{len(workers):,}, {wall * arguments.jobs / len(workers):.2f}")
    say("resident memory of the parent, at most", f"{peak:.0f} MB", "under 300 MB")
    for pid, seen in sizes.items():
        ends = sorted(ended[trial] for trial, worker in workers.items() if worker == str(pid))
        if len(ends) > 10:
            sampled = [size for at, size in seen if ends[9] <= at <= ends[-1]]
            quarters = [sampled[int(part * (len(sampled) - 1))] for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
            say(
                f"worker {pid} from its 10th trial to its last",
                " ".join(f"{size:.0f}" for size in quarters),
                "MB, flat",
            )


if __name__ == "__main__":
    main()
