"""The loop over epochs and chunks of one stage: train, record, keep, stop.

Everything that is neither a step (the stage) nor its compilation (the engine): when a chunk
ends, what is recorded there, when a checkpoint is due. Chunks are cut by the clock, so that
signals are heard within half a second; where they are cut changes no bit of the result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from dlx.errors import DlxError
from dlx.events import EpochEnded, GradientsRecorded, Observer, StepsDone
from dlx.probes import LayerParameters, Moment, ProbeSpec, Row
from dlx.randomness import epoch_order
from dlx.training.early_stopping import Patience

if TYPE_CHECKING:
    import numpy as np

    from dlx.spec import EarlyStopping
    from dlx.stages import StageMetrics
    from dlx.training.accumulators import EpochNumbers
    from dlx.training.program import Arrays, Program

CHUNK_SECONDS = 0.4
LOOKED_AT = 1000
"""Training examples that are looked at after an epoch where none are held out."""

PARTS = {"train": "train", "val": "validation", "test": "test"}


class Diverged(DlxError):
    """The loss is no longer a number."""


@dataclass
class Progress:
    """Where a stage stands, in a form that a checkpoint keeps.

    ``epoch`` epochs are complete and ``step`` steps of the next one; ``begun`` once the
    rows of epoch 0 are written. ``seconds`` of the epoch under way; ``summary``: the metrics
    of the weights that the stage would leave now.
    """

    epoch: int = 0
    step: int = 0
    begun: bool = False
    patience: Patience = field(default_factory=Patience)
    seconds: float = 0.0
    summary: dict[str, float | None] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Progress:
        """From :meth:`state`."""
        return cls(**{**state, "patience": Patience(**state["patience"])})


@dataclass(frozen=True)
class Plan:
    """What a stage is to do: its name in the tables, its length, what is recorded and when to stop.

    ``last``: the trial ends with it.
    """

    stage: str
    epochs: int
    probes: tuple[ProbeSpec, ...]
    layers: tuple[LayerParameters, ...]
    metrics: StageMetrics
    variations: Mapping[str, np.ndarray | None]
    early_stopping: EarlyStopping | None = None
    last: bool = True


class Keeper(Protocol):
    """Where rows and checkpoints go: the recorder's side of a trial."""

    @property
    def stride(self) -> int | None:
        """Steps between checkpoints, where the schedule is in steps."""

    def agree(self, value: Any, choose: Callable[[Sequence[Any]], Any]) -> Any:
        """One value for all trials that train together, chosen from what each of them gives."""

    def append(self, table: str, rows: Sequence[Row]) -> None:
        """Write rows that from now on survive the process."""

    def keep_if_due(self, *, epoch: int, step: int, epoch_ended: bool) -> None:
        """Checkpoint if the schedule says so; ``step`` counts from the beginning of the stage."""

    def keep_last(self) -> None:
        """Checkpoint, if more epochs may be asked for later: the last step is taken, nothing is averaged yet."""

    def pause(self) -> None:
        """Checkpoint and raise, if somebody asked the trial to stop."""


class Loop:
    """One stage of one trial, from wherever its progress says to its end."""

    def __init__(
        self, plan: Plan, program: Program, progress: Progress, keeper: Keeper, observer: Observer,
        *, trial: str, seed: int, best: Arrays | None = None,
    ) -> None:  # fmt: skip
        self._plan = plan
        self._program = program
        self.progress = progress
        self.best = best
        self._keeper = keeper
        self._observe = observer
        self._trial = trial
        self._seed = seed
        self._chunk = 1
        self.last: Arrays = {}

    def run(self) -> None:
        """Train to the end; raises :class:`Diverged`, or what the keeper's ``pause`` raises."""
        progress, plan = self.progress, self._plan
        if not progress.begun:
            self._begin()
        while progress.epoch < plan.epochs and not self._out_of_patience():
            self._epoch()
        self._keeper.keep_last()
        self._finish()

    def _begin(self) -> None:
        """Epoch 0: what the untrained network gives, and its gradients."""
        evaluated = self._evaluate("train", "val", "test")
        evaluated |= self._look(evaluated)
        self._keeper.append("metrics", [self._metrics_row(evaluated)])
        self._probe(lambda probe: probe.schedule is not None)
        self.progress.summary = evaluated
        self.progress.begun = True
        self._observe(EpochEnded(self._trial, self._plan.stage, 0, self._plan.epochs, evaluated))

    def _epoch(self) -> None:
        progress, plan, program = self.progress, self._plan, self._program
        began = time.monotonic()
        behind = progress.epoch * program.steps
        order = epoch_order(self._seed, plan.stage, progress.epoch + 1, program.examples)
        program.begin_epoch(order, behind)
        seconds = progress.seconds
        for hi in self._chunks():
            program.run(progress.step, hi)
            progress.step = hi
            progress.seconds = seconds + time.monotonic() - began
            self._observe(StepsDone(self._trial, plan.stage, progress.epoch + 1, plan.epochs, hi, program.steps))
            if hi < program.steps:
                self._probe(lambda probe: self._due_in_steps(probe, behind + hi))  # noqa: B023
                self._keeper.keep_if_due(epoch=progress.epoch, step=behind + hi, epoch_ended=False)
            self._keeper.pause()
        # An evaluation that is broken off leaves the progress at the epoch's last step.
        evaluated = self._evaluate("val", "test")
        looked_at = self._look(evaluated)
        numbers = program.end_epoch()
        progress.epoch, progress.step = progress.epoch + 1, 0
        evaluated = self._finished("train", numbers.sums) | looked_at | evaluated
        self._keeper.append("metrics", [self._metrics_row(evaluated)])
        self._probe(lambda probe: self._due_at_epoch(probe), numbers)
        seconds = progress.seconds
        rate = program.examples / seconds if seconds > 0 else None
        timing = {"stage": plan.stage, "epoch": progress.epoch, "seconds": seconds, "examples_per_second": rate}
        self._keeper.append("timing", [timing])
        progress.seconds = 0.0
        self._observe(EpochEnded(self._trial, plan.stage, progress.epoch, plan.epochs, evaluated))
        self._judge(evaluated)
        self._keeper.keep_if_due(epoch=progress.epoch, step=progress.epoch * program.steps, epoch_ended=True)
        self._keeper.pause()

    def _chunks(self) -> Iterator[int]:
        """The end of each chunk of the epoch: about half a second's steps, cut at record points."""
        program, plan = self._program, self._plan
        behind = self.progress.epoch * program.steps
        schedules = [probe.schedule for probe in plan.probes if probe.schedule is not None]
        strides = [int(every.amount) for every in schedules if every.unit == "steps"]
        strides += [self._keeper.stride] if self._keeper.stride else []
        while self.progress.step < program.steps:
            lo = self.progress.step
            ends = [(behind + lo) // stride * stride + stride - behind for stride in strides]
            hi = self._keeper.agree(min(program.steps, lo + self._chunk, *ends), min)
            began = time.monotonic()
            yield hi
            spent = max(time.monotonic() - began, 1e-6)
            if hi - lo == self._chunk or spent > CHUNK_SECONDS:
                # Growth is bounded: the first chunk contains the compilation.
                self._chunk = max(1, int((hi - lo) * min(8.0, CHUNK_SECONDS / spent)))

    def _judge(self, evaluated: Mapping[str, float | None]) -> None:
        """Diverged, improved, or out of patience."""
        progress, rule = self.progress, self._plan.early_stopping
        loss = evaluated["train_loss"]
        if loss is None or not math.isfinite(loss):
            progress.summary = dict(evaluated)
            raise Diverged(f"the training loss is {loss} after epoch {progress.epoch} of stage {self._plan.stage}")
        if rule is None:
            progress.summary = dict(evaluated)
            return
        if progress.patience.improved(rule, evaluated.get(rule.monitor), progress.epoch):
            self.best = self._program.weights()
            progress.summary = dict(evaluated)
        elif not (rule.restore_best_weights and progress.patience.best_epoch):
            progress.summary = dict(evaluated)

    def _out_of_patience(self) -> bool:
        rule = self._plan.early_stopping
        return rule is not None and self.progress.patience.exhausted(rule)

    def _finish(self) -> None:
        """Leave the weights that the stage is to hand on: the last ones, or the best epoch's."""
        rule, program = self._plan.early_stopping, self._program
        trained = program.weights()
        averaged = program.finalize()
        self.last = program.weights()

        def pause() -> None:
            # More epochs may go on from a checkpoint: it has the weights that were trained, not their averages.
            program.set_weights(trained)
            self._keeper.pause()
            program.set_weights(self.last)

        if rule is not None and rule.restore_best_weights and self.best is not None:
            program.set_weights(self.best)
        elif averaged:
            self.progress.summary |= self._evaluate("val", "test", pause=pause)
        if self._plan.last:
            self._probe(lambda probe: probe.schedule is None)

    def _evaluate(self, *parts: str, pause: Callable[[], None] | None = None) -> dict[str, float | None]:
        """Columns of the parts there are; a part that is not there has empty ones."""
        evaluated: dict[str, float | None] = {}
        for part in parts:
            if self._program.count(PARTS[part]):
                evaluated |= self._finished(part, self._program.evaluate(PARTS[part], pause or self._keeper.pause))
            else:
                evaluated |= {f"{part}_{name}": None for name in self._plan.metrics.names}
        return evaluated

    def _look(self, evaluated: Mapping[str, float | None]) -> dict[str, float | None]:
        """Metrics that steps do not sum: of as many training examples as are held out, and the gap between the two."""
        metrics, program = self._plan.metrics, self._program
        if not metrics.looked_at:
            return {}
        count = min(program.examples, program.count("validation") or LOOKED_AT)
        sums = program.evaluate("train", self._keeper.pause, count)
        found = self._finished("train", sums, count)
        looked = {f"train_{name}": found[f"train_{name}"] for name in metrics.looked_at}
        if metrics.gap is not None:
            held_out, trained = evaluated.get(f"val_{metrics.gap}"), looked[f"train_{metrics.gap}"]
            apart = None if held_out is None or trained is None else held_out - trained
            looked[f"{metrics.gap}_gap"] = apart
        return looked

    def _finished(self, part: str, sums: Mapping[str, Any], count: int | None = None) -> dict[str, float | None]:
        count = self._program.count(PARTS[part]) if count is None else count
        finished = self._plan.metrics.finish(sums, count, self._plan.variations.get(PARTS[part]))
        return {f"{part}_{name}": value for name, value in finished.items()}

    def _metrics_row(self, evaluated: Mapping[str, float | None]) -> Row:
        step = self.progress.epoch * self._program.steps
        rate = self._program.learning_rate(max(0, step - 1))
        stage = {"stage": self._plan.stage, "epoch": self.progress.epoch, "step": step}
        return stage | dict(evaluated) | {"learning_rate": rate}

    def _due_at_epoch(self, probe: ProbeSpec) -> bool:
        every, epoch = probe.schedule, self.progress.epoch
        if every is not None and every.unit == "epochs":
            return epoch % int(every.amount) == 0
        return self._due_in_steps(probe, epoch * self._program.steps)

    def _due_in_steps(self, probe: ProbeSpec, step: int) -> bool:
        every = probe.schedule
        return every is not None and every.unit == "steps" and step % int(every.amount) == 0

    def _probe(self, due: Callable[[ProbeSpec], bool], numbers: EpochNumbers | None = None) -> None:
        progress, plan = self.progress, self._plan
        moment = Moment(
            plan.stage,
            progress.epoch,
            progress.epoch * self._program.steps + progress.step,
            plan.layers,
            numbers.gradient_norms.get("model", ()) if numbers else (),
            numbers.moves.get("model", ()) if numbers else (),
        )
        for probe in plan.probes:
            source = getattr(self._program.splits, probe.part)
            if source is None or not due(probe):
                continue
            seen = replace(moment, ids=source.ids[: probe.first].tolist())
            rows = probe.rows(self._program.measure(probe), seen)
            for table, written in rows.items():
                self._keeper.append(table, written)
            if probe.name == "gradients":
                self._show_gradients(rows["gradients"], len(seen.ids))

    def _show_gradients(self, rows: Sequence[Row], sample: int) -> None:
        """Tell whoever watches the norms of the sample's gradient, layer by layer."""
        norms: dict[str, tuple[float, ...]] = {}
        for row in rows:
            if row["source"] == "probe":
                norms[row["parameter"]] = (*norms.get(row["parameter"], ()), row["grad_norm"])
        if norms:
            step = rows[0]["step"]
            self._observe(GradientsRecorded(self._trial, self._plan.stage, rows[0]["epoch"], step, sample, norms))
