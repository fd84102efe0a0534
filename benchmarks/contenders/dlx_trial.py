"""A real trial, as ``dlx run`` trains it, held between two epochs until the next round is asked for.

What is measured is therefore all that a user waits for: steps in chunks, the rows of the
tables, probes, evaluation, checkpoints.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

from benchmarks.contenders.channel import Channel, task


class Rounds:
    """An observer of the trial that times its epochs and, between rounds, does not return.

    The end of the last chunk and the end of the epoch divide an epoch into its steps and
    what follows them. Without ``epochs`` a round is a chunk, and so short that two of them are
    taken on the same machine even where it changes from second to second. Of trials that train
    together the one that is heard of first is timed: while it is held, the others wait for it.
    """

    def __init__(self, channel: Channel, epochs: int | None, results: Path, stop: Any) -> None:
        self._channel, self._epochs, self._results, self._stop = channel, epochs, results, stop
        self._steps_took: list[float] = []
        self._rest_took: list[float] = []
        self._probed: list[float] = []
        self._kept: list[float] = []
        self._accuracy: float | None = None
        self._trial: str | None = None
        self._left = 0
        self._taken = 0
        self._asked = self._began = self._stepped = 0.0

    def __call__(self, event: Any) -> None:
        from dlx.events import EpochEnded, StepsDone

        self._trial = self._trial or event.trial
        if event.trial != self._trial:
            return
        if isinstance(event, StepsDone) and (self._epochs is None or event.step == event.steps):
            self._stepped = time.perf_counter()
            self._steps_took.append((self._stepped - self._asked) / (event.step - self._taken))
            if self._epochs is None:
                self._taken = event.step % event.steps
                self._hold(event.epoch)
        elif isinstance(event, EpochEnded):
            now = time.perf_counter()
            if event.epoch:
                self._rest_took.append(now - self._stepped)
                self._accuracy = event.metrics.get("train_accuracy")
                self._left -= 1
            self._asked = now
            if not event.epoch or (self._epochs is not None and self._left == 0):
                self._hold(event.epoch)

    def listen(self) -> None:
        """Note what checkpoints and probes take, too."""
        from dlx import keeper
        from dlx.training import loop

        keeper.TrialKeeper.keep = _timed(keeper.TrialKeeper.keep, self._kept)  # type: ignore[method-assign]
        loop.Loop._probe = _timed(loop.Loop._probe, self._probed)  # type: ignore[method-assign]

    def _hold(self, epoch: int) -> None:
        if not epoch:
            self._channel.say({})
        else:
            steps, rest = self._steps_took, self._rest_took
            self._channel.say({
                "seconds": sum(steps) / len(steps), "rest": sum(rest) / len(rest) if rest else None,
                "ended": len(rest), "probes": sum(self._probed) / len(steps), "kept": [*self._kept],
                "round": time.perf_counter() - self._began,
                "accuracy": self._accuracy, "norms": self._norms(epoch),
            })  # fmt: skip
        if not self._channel.wait():
            self._stop.request("the benchmark is over", 143)
        self._left, self._steps_took, self._rest_took = self._epochs or 0, [], []
        self._probed.clear()
        self._kept.clear()
        self._asked = self._began = time.perf_counter()

    def _norms(self, epoch: int) -> list[float]:
        """The recorded norms over the epoch's steps, kernel and bias of each layer in turn."""
        (place,) = self._results.glob(f"*/trials/{self._trial}")
        table = place / "gradients.csv"
        if not table.exists():
            return []
        with table.open(encoding="utf-8", newline="") as file:
            return [
                float(row["grad_norm"])
                for row in csv.DictReader(file)
                if row["epoch"] == str(epoch) and row["source"] == "train" and row["parameter"] != "all"
            ]


def _timed(method: Any, took: list[float]) -> Any:
    def timed(*arguments: Any) -> None:
        began = time.perf_counter()
        method(*arguments)
        took.append(time.perf_counter() - began)

    return timed


def main() -> None:
    channel, asked = Channel(), task()
    from dlx import schedule
    from dlx.interruption import Stop
    from dlx.spec import load_text
    from dlx.training import loop
    from dlx.worker import Runtime

    if asked["synthetic"]:
        from benchmarks import data

        data.replace_images()
    if asked.get("one_call"):
        loop.CHUNK_SECONDS = 1e9
    stop, results = Stop(), Path(asked["results"])
    rounds = Rounds(channel, asked["epochs"], results, stop)
    rounds.listen()
    experiment = load_text(asked["spec"], name="benchmark")
    runtime = Runtime(asked.get("engine", "tensorflow"), threads=asked.get("threads"))
    options = schedule.Options(results=results, runtime=runtime, executor="inline", pack=asked.get("pack", 0))
    outcome = schedule.run(experiment, options, rounds, stop)
    for ending in outcome.endings:
        if ending.status.state != "interrupted":
            raise SystemExit(f"the trial ended as {ending.status.state}: {ending.status.reason}")


if __name__ == "__main__":
    main()
