"""A program as one trial of a pack sees it: the same calls, answered for all trials of the pack together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.interruption import TERMINATED, Interrupted
from dlx.training.engine import Engine, NotPacked
from dlx.training.meeting import Act, Meeting

if TYPE_CHECKING:
    import numpy as np

    from dlx.probes import ProbeSpec
    from dlx.sources import Splits
    from dlx.stages import Stage
    from dlx.training.accumulators import EpochNumbers
    from dlx.training.jax_pack import JaxPackProgram
    from dlx.training.program import Arrays

Asked = tuple[str, Callable[[], "Stage"], "Splits", int, bool, int]
"""What a program is asked for with: signature, stage, data, batch size, whether steps are watched, programs to keep."""


class NotTogether(Interrupted):
    """These trials cannot train together: they begin again in smaller packs if ``fewer`` would do, else alone."""

    def __init__(self, reason: str, *, fewer: bool) -> None:
        super().__init__(reason, TERMINATED)
        self.fewer = fewer


class PackEngine:
    """The engine for the trials of one pack: it compiles once what all of them ask for."""

    def __init__(self, engine: Engine, lanes: int, meeting: Meeting) -> None:
        self.engine = engine
        self.lanes = lanes
        self.meeting = meeting
        self.alone = threading.Lock()
        self.refusal: NotTogether | None = None

    def program(self, asked: Mapping[int, Asked]) -> dict[int, JaxPackProgram]:
        """The pack's program for what each lane asks for; lanes without a trial do as the first one."""
        first = next(iter(asked.values()))
        lanes = [asked.get(lane, first) for lane in range(self.lanes)]
        _, _, splits, batch_size, watch, keep = first
        signatures, builds = [each[0] for each in lanes], [each[1] for each in lanes]
        program = self.engine.pack(signatures, builds, splits, batch_size, watch=watch, keep=keep)
        return dict.fromkeys(asked, program)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around whatever computes: want of memory is a reason to do it in smaller packs."""
        if self.refusal is not None:
            raise self.refusal
        try:
            yield
        except Exception as error:
            if isinstance(error, NotPacked):
                self.refusal = NotTogether(error.message, fewer=error.fewer)
            elif memory := self.engine.out_of_memory(error):
                self.refusal = NotTogether(memory, fewer=True)
            else:
                raise
            raise self.refusal from error

    def guarded(self, act: Act) -> Act:
        """What lanes do together, watched."""

        def guarded(given: Mapping[int, Any]) -> Mapping[int, Any]:
            with self.watched():
                return act(given)

        return guarded


class LaneEngine(Engine):
    """The engine as one trial of a pack sees it."""

    def __init__(self, pack: PackEngine, lane: int) -> None:
        super().__init__(pack.engine.threads)
        self.name = pack.engine.name
        self._pack = pack
        self._lane = lane

    def compile(self, stage: Stage, batch_size: int, *, watch: bool) -> Any:
        raise NotImplementedError("a pack compiles for all of its trials")

    def out_of_memory(self, error: BaseException) -> str | None:
        return self._pack.engine.out_of_memory(error)

    def device(self) -> str:
        return self._pack.engine.device()

    def count(self) -> int:
        return self._pack.engine.count()

    def agree(self, value: Any, choose: Callable[[Sequence[Any]], Any]) -> Any:
        def agreed(given: Mapping[int, Any]) -> dict[int, Any]:
            return dict.fromkeys(given, choose(list(given.values())))

        return self._pack.meeting.call(self._lane, "agree", value, agreed)

    def program(
        self,
        signature: str,
        build: Callable[[], Stage],
        splits: Splits,
        batch_size: int,
        *,
        watch: bool,
        keep: int = 1,
    ) -> Any:
        asked = signature, build, splits, batch_size, watch, keep
        program = self._pack.meeting.call(self._lane, "program", asked, self._pack.guarded(self._pack.program))
        return Lane(program, self._pack, self._lane)


class Lane:
    """A :class:`~dlx.training.program.Program` of a trial that trains with others.

    What changes the values of all happens when all have come to it. What only looks, or sets
    a trial's own values, happens at once: no step is taken while a lane is on its way.
    """

    def __init__(self, program: JaxPackProgram, pack: PackEngine, lane: int) -> None:
        self._program = program
        self._pack = pack
        self._lane = lane
        self.stage = program.stages[lane]
        self.splits = program.splits
        self.batch_size = program.batch_size
        self.examples = program.examples
        self.steps = program.steps

    def _together(self, name: str, argument: Any, act: Act) -> Any:
        return self._pack.meeting.call(self._lane, name, argument, self._pack.guarded(act))

    def count(self, part: str) -> int:
        """Examples of a part."""
        return self._program.count(part)

    def load(self, values: Mapping[str, np.ndarray], seed: int) -> None:
        """Set this lane's variables, start its optimisers afresh."""
        self._together("load", (values, seed), self._program.load_lanes)

    def restore(self, arrays: Arrays) -> None:
        """Go on from a snapshot."""
        self._together("restore", arrays, self._program.restore_lanes)

    def begin_epoch(self, order: np.ndarray, first_step: int) -> None:
        """Visit the training examples in this order."""
        self._together("begin epoch", (order, first_step), self._program.begin_epoch_lanes)

    def run(self, lo: int, hi: int) -> None:
        """Take steps lo … hi−1."""
        self._together("run", (lo, hi), self._program.run_lanes)

    def end_epoch(self) -> EpochNumbers:
        """Hand over what the epoch has accumulated."""
        numbers: EpochNumbers = self._together("end epoch", None, self._program.end_epoch_lanes)
        return numbers

    def evaluate(
        self, part: str, between: Callable[[], None] = lambda: None, first: int | None = None
    ) -> dict[str, Any]:
        """Sums over a part, or its ``first`` examples; ``between`` is called once, after it."""
        with self._pack.alone, self._pack.watched():
            sums = self._program.evaluate_lane(self._lane, part, first)
        between()
        return sums

    def measure(self, probe: ProbeSpec) -> dict[str, np.ndarray]:
        """A probe's numbers."""
        with self._pack.alone, self._pack.watched():
            return self._program.measure_lane(self._lane, probe)

    def snapshot(self) -> Arrays:
        """All that :meth:`restore` needs."""
        with self._pack.alone:
            return self._program.lane_snapshot(self._lane)

    def handed_on(self) -> Arrays:
        """What the stage leaves for later ones, by path."""
        return self.stage.hand_on(self.weights())

    def weights(self) -> Arrays:
        """The recorded network's weights by path."""
        with self._pack.alone:
            return self._program.lane_weights(self._lane)

    def set_weights(self, arrays: Arrays) -> None:
        """Put weights back."""
        with self._pack.alone:
            self._program.set_lane_weights(self._lane, arrays)

    def learning_rate(self, step: int) -> float:
        """The learning rate in a step of the stage."""
        with self._pack.alone:
            return self._program.lane_learning_rate(self._lane, step)

    def save_model(self, path: Path) -> None:
        """Write the network in Keras' own format."""
        with self._pack.alone:
            self._program.save_lane(self._lane, path)

    def finalize(self) -> bool:
        """Optimisers that average weights at the end train alone: there is nothing to be done."""
        return False
