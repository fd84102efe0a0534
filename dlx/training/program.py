"""A stage, compiled, with its data at hand: what all engines do alike.

A program runs steps [lo, hi) of an epoch with bounds given at run time, so that signals,
checkpoints and schedules fall between two calls, at no cost and without changing a bit of
what is trained. Between calls the stage's Keras variables hold the truth; what a step does
to them is written here once, in Keras ops, and compiled by the engine.
"""

from __future__ import annotations

import itertools
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from dlx import norms
from dlx.members import plain
from dlx.probes import ProbeSpec
from dlx.randomness import generator as random_generator
from dlx.randomness import key as random_key
from dlx.sources import Source, Splits
from dlx.stages import Batch, Group, Stage, StepResult, Tensor, Values
from dlx.training import feed
from dlx.training.accumulators import EpochNumbers, float64, pairs, to_host, totals, zeros
from dlx.training.step_key import StepKey

Arrays = dict[str, np.ndarray]

EVALUATION_ROWS = 1000
EVALUATION_VALUES = {"cpu": 1 << 21, "gpu": 1 << 24}
"""Of the largest activation of a block of examples. On a CPU what leaves the caches takes longer: 1,000 images through
ResNet-20 need a quarter more time together than 128 by 128, and 1.4 GB of memory more."""
EVALUATION_FEWEST = 8
"""However large the activations are: a dense layer reads all its weights for every block."""
EVALUATION_BLOCKS = 4
"""Blocks of an evaluation between two looks at whether to stop."""


class Program(ABC):
    """One stage on one backend, with the training data on the device or streamed to it.

    ``steps``: steps per epoch, the last of which may be a smaller batch. A program outlives
    a trial: :meth:`load` starts the next one without compiling again. ``devices``: among how
    many each batch is divided; one that does not divide is computed whole.
    """

    _key: type[StepKey] = StepKey

    def __init__(self, stage: Stage, batch_size: int, *, watch: bool, devices: int = 1) -> None:
        self.stage = stage
        self.devices = devices
        self.batch_size = batch_size
        self._watch = watch
        for group in stage.groups.values():
            group.optimizer.build(group.variables)
        optimizers = [group.optimizer for group in stage.groups.values()]
        self._skips = any(isinstance(one, keras.optimizers.LossScaleOptimizer) for one in optimizers)
        shapes = stage.sum_shapes()
        self._sum_names = sorted(shapes)
        self._sum_shapes = [shapes[name] for name in self._sum_names]
        self._words = random_key(0, stage.name)
        self._seed = 0
        self._resident: dict[int, tuple[Source, Tensor, Tensor]] = {}
        self._measures: dict[str, tuple[Callable[..., Any], ...]] = {}
        self._moved = self._compile(_moves)
        self._accumulated: list[Tensor] = []
        self._clear()

    # What a backend must do

    @abstractmethod
    def _to_device(self, array: np.ndarray) -> Tensor:
        """An array where the program computes."""

    @abstractmethod
    def _read(self, variable: Any) -> Tensor:
        """A variable's value as it is now."""

    @abstractmethod
    def _take_steps(
        self, rows: int, bounds: tuple[int, int, int, int], order: Tensor, inputs: Tensor, targets: Tensor
    ) -> None:
        """Steps lo … hi−1 in one compiled loop, ``rows`` examples each, and wait for them.

        ``bounds`` are lo, hi, the step at which ``order`` begins, and the stage's step at
        which the epoch begins. Changes the stage's variables and ``self._accumulated``.
        """

    @abstractmethod
    def _evaluate(self, rows: int, seen: int, inputs: Tensor, targets: Tensor) -> Sequence[Tensor]:
        """Compensated sums over a part's examples from ``seen`` on, ``rows`` at a time, as accumulators."""

    @abstractmethod
    def _compile(self, function: Callable[..., Any], *, shared: int = 0) -> Callable[..., Any]:
        """A function of tensors only, compiled.

        The last ``shared`` arguments do not belong to a trial: they are the same for trials that train together.
        """

    def _over_trials(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of one trial's tensors, for as many trials as the program trains together."""
        return function

    @abstractmethod
    def _differentiate(self, function: Callable[[list[Tensor]], tuple[Tensor, Any]], values: Sequence[Tensor]) -> Any:
        """The backend's :data:`~dlx.stages.ValueAndGrad`."""

    def _total(self, values: Tensor) -> Tensor:
        """The sum of all values, float32."""
        return ops.sum(ops.cast(values, "float32"))

    # Data

    def attach(self, splits: Splits) -> None:
        """Use these data; arrays that are already on the device stay there."""
        self.splits = splits
        self._parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
        self.examples = len(splits.train)
        self.steps = -(-self.examples // self.batch_size)
        subtract, divide = splits.scaling.subtract, splits.scaling.divide
        self._scaling = self._to_device(subtract) if subtract.any() else None, self._to_device(divide)
        present = {id(source): source for source in self._parts.values() if source is not None}
        self._resident = {key: kept for key, kept in self._resident.items() if key in present}
        if self.stage.view is not None:  # what is trained on is not what would be kept
            present.pop(id(splits.train))
            self._resident.pop(id(splits.train), None)
        for key, source in present.items():
            if key not in self._resident and (arrays := feed.resident_arrays(source)) is not None:
                inputs, targets = map(self._to_device, arrays)
                self._resident[key] = (source, inputs, targets)
        streamed = id(splits.train) not in self._resident
        self._stream = (
            feed.Stream(splits.train, self.batch_size, self.stage.view, self._to_device) if streamed else None
        )

    def count(self, part: str) -> int:
        """Examples in ``train``, ``validation`` or ``test``; 0 where there is no such part."""
        source = self._parts[part]
        return 0 if source is None else len(source)

    def begin_epoch(self, order: np.ndarray, first_step: int) -> None:
        """Visit the training examples in this order (int32); ``first_step`` steps are behind the stage."""
        self._first_step = first_step
        if self._stream is not None:
            self._stream.begin_epoch(order, self._draws(first_step))
        else:
            self._order = self._to_device(order)

    def _draws(self, first_step: int) -> np.ndarray | None:
        """Four numbers for the view of each training example in this epoch, wherever in the order it stands."""
        if self.stage.view is None:
            return None
        drawn = random_generator(self._seed, f"view/{self.stage.name}/{first_step // self.steps}")
        return drawn.random((self.examples, 4), dtype=np.float32)

    # Steps

    def run(self, lo: int, hi: int) -> None:
        """Take steps lo … hi−1 of the epoch and wait for them."""
        if self._watch and hi == self.steps:
            self._run(lo, hi - 1)
            before = [ops.copy(self._read(variable)) for variable in self._variables]
            self._run(hi - 1, hi)
            self._moves = self._measure_moves(before)
        else:
            self._run(lo, hi)

    def _run(self, lo: int, hi: int) -> None:
        """Whole batches in one loop, the smaller batch at the end of an epoch in one of its own."""
        whole = self.examples // self.batch_size
        if lo < min(hi, whole):
            self._loop(self.batch_size, lo, min(hi, whole))
        if max(lo, whole) < hi:
            self._loop(self.examples - whole * self.batch_size, whole, hi)

    def _loop(self, rows: int, lo: int, hi: int) -> None:
        if self._stream is None:
            _, inputs, targets = self._resident[id(self.splits.train)]
            self._take_steps(rows, (lo, hi, 0, self._first_step), self._order, inputs, targets)
            return
        in_order = self._to_device(np.arange(self._stream.length * self.batch_size, dtype=np.int32))
        for first, start, end, window in self._stream.windows(lo, hi):
            self._take_steps(rows, (start, end, first, self._first_step), in_order, *window)

    def _step(
        self, values: Values, state: Sequence[Tensor], batch: Batch, words: Tensor, step: Tensor
    ) -> tuple[StepResult, list[Tensor]]:
        """What the stage makes of a batch, and what is added to the accumulators."""
        result = self.stage.step(values, state, batch, self._key(words, step), self._differentiate)
        return result, self._added(result)

    def _added(self, result: StepResult) -> list[Tensor]:
        sums = zip(self._sum_names, self._sum_shapes, strict=True)
        added = [self._summed(result.sums[name], shape) for name, shape in sums]
        if self._watch:
            recorded = result.updates if result.gradients is None else result.gradients
            gradients = [gradient for name in self.stage.groups for gradient in recorded[name]]
            added += self._of_taken(self._squares([ops.cast(one, "float32") for one in gradients]))
        return added

    def _of_taken(self, squares: Tensor) -> list[Tensor]:
        """Squares as they are accumulated; under a loss scale, where a step may be skipped, none of such a step.

        Then with the number of steps taken: 1 or 0. The optimiser skips a step whose gradients are not finite.
        """
        if not self._skips:
            return [squares]
        taken = ops.all(ops.isfinite(squares))
        return [ops.where(taken, squares, 0.0), ops.cast(taken, "float32")]

    def _squares(self, gradients: Sequence[Tensor]) -> Tensor:
        """‖·‖² of each, by the scale (:data:`dlx.norms.SCALES`) that float32 can hold it at: (scales, gradients)."""

        def sums(scale: float) -> Tensor:
            return ops.stack([self._total(ops.square(one if scale == 1 else one * scale)) for one in gradients])

        plain = sums(norms.SCALES[0])
        return self._if_any(
            ops.logical_not(norms.is_ordinary(plain)),
            lambda: norms.by_scale((plain, sums(norms.SCALES[1]), sums(norms.SCALES[2]))),
            lambda: ops.stack([plain, ops.zeros_like(plain), ops.zeros_like(plain)]),
        )

    def _if_any(self, rare: Tensor, then: Callable[[], Tensor], otherwise: Callable[[], Tensor]) -> Tensor:
        """``then()`` if ``rare``, else ``otherwise()``; only that one is computed.

        Trials that train together all take the first where one of them needs it: the others get the same from both.
        """
        return ops.cond(rare, then, otherwise)

    def _summed(self, value: Tensor, shape: tuple[int, ...]) -> Tensor:
        return value if len(value.shape) == len(shape) else self._total(value)

    def _with_penalties(
        self,
        group: Group,
        values: Sequence[Tensor],
        updates: Sequence[Tensor],
        scale: Tensor | None,
        l1: Tensor | None = None,
        l2: Tensor | None = None,
    ) -> list[Tensor]:
        """What the optimiser is given: updates and penalties, times the loss scale that it takes out again.

        ``l1`` and ``l2`` stand in for the group's own, where each trial of a pack has its own.
        """
        l1, l2 = (own if given is None else given for own, given in ((group.l1, l1), (group.l2, l2)))
        gradients = []
        for value, update, penalised in zip(values, updates, group.penalised, strict=True):
            if penalised and group.l2:
                update = update + l2 * value
            if penalised and group.l1:
                update = update + l1 * ops.sign(value)
            gradients.append(update if scale is None else update * scale)
        return gradients

    def end_epoch(self) -> EpochNumbers:
        """Hand over the accumulators and clear them."""
        numbers = self._epoch_numbers(totals(self._accumulated), float64(self._moves))
        self._clear()
        return numbers

    def _epoch_numbers(self, values: Sequence[Any], measured_moves: np.ndarray) -> EpochNumbers:
        sums = dict(zip(self._sum_names, values, strict=False))
        gradient_norms: dict[str, tuple[float, ...]] = {}
        moves: dict[str, tuple[tuple[float, float], ...]] = {}
        if self._watch:
            squares, *taken = values[len(self._sum_names) :]
            with np.errstate(invalid="ignore"):  # no norm, where no step was taken
                means = np.sqrt(norms.joined(squares) / (taken[0] if taken else self.steps))
            left = iter(means.tolist()), iter(map(tuple, measured_moves.tolist()))
            for name, group in self.stage.groups.items():
                gradient_norms[name], moves[name] = (tuple(itertools.islice(one, len(group.variables))) for one in left)
        return EpochNumbers(sums, gradient_norms, moves)

    # Looking

    def evaluate(
        self, part: str, between: Callable[[], None] = lambda: None, first: int | None = None
    ) -> dict[str, Any]:
        """Sums over ``train``, ``validation`` or ``test``, or its ``first`` examples, in inference mode.

        ``between`` is called every few seconds at most; what it raises ends the evaluation
        and leaves the program as it was.
        """
        source = self._parts[part]
        assert source is not None
        count = len(source) if first is None else min(first, len(source))
        rows = self._rows_at_once(count)
        stride = rows * EVALUATION_BLOCKS
        found: list[Any] = [0.0] * len(self._sum_names)
        # Every call has the same number of rows; the last ends with the last example.
        starts = range(0, count, stride)
        begins = [max(0, min(start, count - stride)) for start in starts]
        ranges = [(begin, min(begin + stride, count)) for begin in begins]
        for start, begin, (inputs, targets) in zip(starts, begins, self._ranges(source, ranges), strict=True):
            sums = self._evaluate(rows, start - begin, inputs, targets)
            found = [t + float64(a) - float64(b) for t, (a, b) in zip(found, pairs(sums), strict=True)]
            between()
        return dict(zip(self._sum_names, found, strict=True))

    def _ranges(self, source: Source, ranges: Sequence[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of these examples of a part, on the device."""
        if id(source) in self._resident:
            _, inputs, targets = self._resident[id(source)]
            yield from ((inputs[begin:end], targets[begin:end]) for begin, end in ranges)
        else:
            yield from ((*map(self._to_device, arrays),) for arrays in feed.read_ahead(source, ranges))

    def _rows_at_once(self, examples: int) -> int:
        """So that the devices have equal parts, where there are enough examples."""
        rows = evaluation_rows(self.stage.model, examples)
        return max(1, rows // self.devices) * self.devices if examples >= self.devices else rows

    def _divided(self, array: Tensor) -> Tensor:
        """Examples of which each device is to compute a part, where a program can say so of its tensors."""
        return array

    def measure(self, probe: ProbeSpec, examples: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """A probe's numbers over the examples that it looks at, of a part that there is.

        ``examples``: the positions in that part of other examples to look at instead.
        """
        identity = json.dumps(plain(probe), sort_keys=True)
        if identity not in self._measures:

            def measured(values: Values, state: Sequence[Tensor], inputs: Tensor, targets: Tensor, scaling: Any) -> Any:
                batch = Batch(scaled(self._divided(inputs), *scaling), self._divided(targets))
                return probe.measure(self.stage, values, state, batch, self._differentiate)

            combine = self._over_trials(probe.combine)
            self._measures[identity] = self._compile(measured, shared=3), combine, self._compile(probe.finish)
        measure, combine, finish = self._measures[identity]
        source = self._parts[probe.part]
        assert source is not None
        if examples is None:
            examples = np.arange(len(source) if probe.first is None else min(probe.first, len(source)))
        rows = self._rows_at_once(len(examples))
        combined = None
        for begin in range(0, len(examples), rows):
            arrays = source.read(examples[begin : begin + rows])
            part = measure(self._values(), self._state(), *map(self._to_device, arrays), self._scaling)
            combined = part if combined is None else combine(combined, part)
        return {name: to_host(value) for name, value in finish(combined).items()}

    def learning_rate(self, step: int) -> float:
        """The (first group's) learning rate in a step of the stage, counted from 0."""
        rate = inner(next(iter(self.stage.groups.values())).optimizer)._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            return float(rate(step))
        return float(to_host(rate))

    # Starting, keeping, going on

    def load(self, values: Mapping[str, np.ndarray], seed: int) -> None:
        """Set every variable by path (an absent one keeps its value) and start all optimisers afresh.

        ``seed`` keys what a step draws.
        """
        for variable in [*self._variables, *self.stage.state]:
            if variable.path in values:
                variable.assign(values[variable.path])
        for group in self.stage.groups.values():
            # A fresh optimiser knows the initial value of each of its own variables.
            fresh = type(group.optimizer).from_config(group.optimizer.get_config())
            fresh.build(group.variables)
            for variable, first in zip(group.optimizer.variables, fresh.variables, strict=True):
                variable.assign(first)
        self._words = random_key(seed, f"step/{self.stage.name}")
        self._seed = seed
        self._clear()

    def snapshot(self) -> Arrays:
        """All that a later :meth:`restore` needs: variables, optimisers, state, accumulators."""
        arrays = {f"variables/{name}": to_host(value) for name, value in self._named()}
        arrays |= {f"accumulated/{i}": to_host(value) for i, value in enumerate(self._accumulated)}
        return arrays | {"moves": to_host(self._moves)}

    def restore(self, arrays: Arrays) -> None:
        """Go on from a snapshot, to the same bits."""
        for name, variable in self._named():
            variable.assign(arrays[f"variables/{name}"])
        self._accumulated = [self._to_device(arrays[f"accumulated/{i}"]) for i in range(len(self._accumulated))]
        self._moves = self._to_device(arrays["moves"])

    def weights(self) -> Arrays:
        """The recorded network's weights by path."""
        return {variable.path: to_host(variable) for variable in self.stage.model.weights}

    def handed_on(self) -> Arrays:
        """What the stage leaves for later ones, by path."""
        return self.stage.hand_on(self.weights())

    def set_weights(self, arrays: Arrays) -> None:
        """Put weights back (best epoch); optimisers are left alone."""
        for variable in self.stage.model.weights:
            variable.assign(arrays[variable.path])

    def save_model(self, path: Path) -> None:
        """Write the recorded network in Keras' own format, for notebooks: what predicts, without auxiliary outputs."""
        model = self.stage.model
        if len(model.outputs) > 1:
            model = keras.Model(model.inputs, model.outputs[0], name=model.name)
        model.save(path)

    def finalize(self) -> bool:
        """End the stage; whether an optimiser that averages weights has put the average in their place."""
        averaged = False
        for group in self.stage.groups.values():
            optimizer = inner(group.optimizer)
            optimizer.finalize_variable_values(group.variables)
            averaged = averaged or bool(optimizer.use_ema)
        return averaged

    # Variables

    @property
    def _variables(self) -> list[Any]:
        return [variable for group in self.stage.groups.values() for variable in group.variables]

    def _values(self) -> dict[str, list[Tensor]]:
        groups = self.stage.groups.items()
        return {name: [self._read(v) for v in group.variables] for name, group in groups}

    def _state(self) -> list[Tensor]:
        return [self._read(variable) for variable in self.stage.state]

    def _named(self) -> list[tuple[str, Any]]:
        """Every variable under a name of its own; two optimisers may use the same paths.

        State goes by its place: the path of a random generator differs between processes.
        """
        named = [(variable.path, variable) for variable in self._variables]
        named += [(f"state/{i}", variable) for i, variable in enumerate(self.stage.state)]
        for group, members in self.stage.groups.items():
            named += [(f"{group}/optimizer/{i}", v) for i, v in enumerate(members.optimizer.variables)]
        return named

    def _measure_moves(self, before: Sequence[Tensor]) -> Tensor:
        """(‖Δθ‖, ‖θ‖) of each variable since ``before``: (variables, 2)."""
        return self._moved(before, [self._read(v) for v in self._variables])

    def _clear(self) -> None:
        """Begin an epoch's sums again."""
        watched: list[tuple[int, ...]] = [(len(norms.SCALES), len(self._variables))] if self._watch else []
        watched += [()] if self._watch and self._skips else []
        self._accumulated = zeros([*self._sum_shapes, *watched])
        self._moves = ops.zeros((len(self._variables), 2), "float32")


def scaled(inputs: Tensor, subtract: Tensor | None, divide: Tensor) -> Tensor:
    """Stored inputs as the network sees them; ``subtract`` is None where it is 0: a pass over them less."""
    values = ops.cast(inputs, "float32")
    return (values if subtract is None else values - subtract) / divide


def evaluation_rows(model: Any, examples: int, trials: int = 1) -> int:
    """Examples that are looked at together: up to a thousand, fewer where activations are large."""
    device = keras.distribution.list_devices()[0].partition(":")[0]
    values = EVALUATION_VALUES["cpu" if device == "cpu" else "gpu"]
    largest: int = max(math.prod(size or 1 for size in layer.output.shape[1:]) for layer in model.layers)
    return min(examples, EVALUATION_ROWS, max(EVALUATION_FEWEST, values // max(1, largest * trials)))


def _moves(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    pairs = [(ops.cast(old, "float32"), ops.cast(new, "float32")) for old, new in zip(before, after, strict=True)]
    return ops.stack([ops.stack([norms.norm(new - old), norms.norm(old)]) for old, new in pairs])


def inner(optimizer: Any) -> Any:
    """The optimiser that a loss scale is wrapped around, or the optimiser itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)
