"""The TensorFlow engine: one compiled loop over steps, variables updated in place."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dlx import devices
from dlx.errors import UsageError
from dlx.training.chatter import silenced

if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the engine that was asked for, whatever the environment says
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

with silenced():
    import keras
    import tensorflow as tf

from dlx.stages import Batch, Stage, StepResult, Tensor, Values
from dlx.training import tensorflow_replicas as replicas
from dlx.training.accumulators import accumulate, zeros
from dlx.training.engine import Engine
from dlx.training.program import Program, scaled
from dlx.training.step_key import StepKey


def start(threads: int | None) -> TensorFlowEngine:
    """Make the engine: threads, determinism and memory growth are set before the first operation."""
    if keras.backend.backend() != "tensorflow":
        raise UsageError(f"KERAS_BACKEND is {keras.backend.backend()!r} but the engine asked for is tensorflow")
    threads = threads or os.cpu_count() or 1
    tf.get_logger().setLevel("ERROR")  # it warns of many functions traced anew: the programs of a sweep's settings
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    if count := devices.virtual():
        parts = [tf.config.LogicalDeviceConfiguration()] * count
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    return TensorFlowEngine(threads)


class TensorFlowEngine(Engine):
    """Keras on TensorFlow in this process."""

    name = "tensorflow"

    def compile(self, stage: Stage, batch_size: int, *, watch: bool) -> Program:
        return TensorFlowProgram(stage, batch_size, watch=watch, devices=self.devices)

    def out_of_memory(self, error: BaseException) -> str | None:
        if isinstance(error, MemoryError):
            return "out of memory"
        if isinstance(error, tf.errors.ResourceExhaustedError):
            return f"out of memory: {str(error.message).splitlines()[0]} (a smaller batch_size or model needs less)"
        return None

    def device(self) -> str:
        gpus = tf.config.list_physical_devices("GPU")
        if not gpus:
            return "cpu"
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "gpu"))

    def count(self) -> int:
        return len(replicas.devices())


class ThreefryKey(StepKey):
    """Uniform numbers by Threefry: ten times as fast as Keras' Philox in a loop under XLA on a CPU."""

    def uniform(self, shape: Any) -> Tensor:
        return tf.random.stateless_uniform(shape, tf.bitcast(self.next(), tf.int32), alg="threefry")


class TensorFlowProgram(Program):
    """One stage on TensorFlow.

    Dense nets run under XLA, which fuses their small operations; convolutions on a CPU do
    not (XLA's are several times slower there than TensorFlow's own). Nor does a program for
    several devices, which XLA does not compile on this backend.
    """

    def __init__(self, stage: Stage, batch_size: int, *, watch: bool, devices: int = 1) -> None:
        self._replicas = replicas.Replicas(stage, devices) if devices > 1 else None
        super().__init__(stage, batch_size, watch=watch, devices=devices)
        gpu = bool(tf.config.list_physical_devices("GPU"))
        self._xla = (gpu or not _convolves(stage.model)) and devices == 1
        self._sums_by_products = self._xla and not gpu
        self._loops: dict[tuple[int, bool], Any] = {}
        self._evaluation = tf.function(self._evaluate_in_blocks, autograph=False, reduce_retracing=True)

    def _to_device(self, array: np.ndarray) -> Tensor:
        return tf.convert_to_tensor(array)

    def _read(self, variable: Any) -> Tensor:
        return tf.identity(variable.value)

    def _compile(self, function: Callable[..., Any], *, shared: int = 0) -> Callable[..., Any]:
        compiled: Callable[..., Any] = tf.function(function, autograph=False, reduce_retracing=True)
        return compiled

    def begin_epoch(self, order: np.ndarray, first_step: int) -> None:
        super().begin_epoch(order, first_step)
        if self._xla and self._stream is None:
            # XLA gathers element by element on a CPU; whole rows are copied beforehand at the speed of memory.
            _, inputs, targets = self._resident[id(self.splits.train)]
            self._in_order = tf.gather(inputs, self._order), tf.gather(targets, self._order)

    def _take_steps(
        self, rows: int, bounds: tuple[int, int, int, int], order: Tensor, inputs: Tensor, targets: Tensor
    ) -> None:
        in_order = self._xla or self._stream is not None
        if (rows, in_order) not in self._loops:
            # A single smaller batch at an epoch's end is not worth compiling by XLA.
            xla = self._xla and rows == self.batch_size

            def steps(*arguments: Any) -> list[Tensor]:
                self._key = ThreefryKey if xla else StepKey  # TensorFlow's own kernels have no Threefry
                return self._steps(rows, in_order, *arguments)

            self._loops[rows, in_order] = tf.function(steps, jit_compile=xla, autograph=False)
        if self._xla and self._stream is None:
            inputs, targets = self._in_order
        words = tf.constant(self._words, tf.uint32)
        numbers = [tf.constant(number, tf.int32) for number in bounds]
        steps_of = self._loops[rows, in_order]
        self._accumulated = steps_of(numbers, words, order, inputs, targets, self._scaling, self._accumulated)
        self._accumulated[0].numpy()  # waiting for the accumulators is waiting for the steps

    def _steps(
        self, rows: int, in_order: bool, bounds: Sequence[Tensor], words: Tensor, order: Tensor, inputs: Tensor,
        targets: Tensor, scaling: Sequence[Tensor], accumulated: Sequence[Tensor],
    ) -> list[Tensor]:  # fmt: skip
        """The compiled program: the examples of step s stand in ``order`` from row (s − offset)·batch on.

        ``in_order``: as the examples themselves do, so that no step copies its own out of all.
        """
        lo, hi, offset, first_step = bounds

        def body(step: Tensor, accumulated: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            first = (step - offset) * self.batch_size
            if in_order:
                taken, wanted = (_rows(array, first, rows) for array in (inputs, targets))
            else:
                taken, wanted = (tf.gather(array, tf.slice(order, [first], [rows])) for array in (inputs, targets))
            values, state = self._values(), self._state()
            if self._replicas is not None and rows % self.devices == 0:
                result = self._step_in_parts(values, state, (taken, wanted), scaling, words, first_step + step)
                added = self._added(result)
            else:
                batch = Batch(scaled(taken, *scaling), wanted)
                result, added = self._step(values, state, batch, words, first_step + step)
            scale = self._loss_scale()
            for name, group in self.stage.groups.items():
                gradients = self._with_penalties(group, values[name], result.updates[name], scale)
                group.optimizer.apply(gradients, group.variables)
            for variable, before, value in zip(self.stage.state, state, result.state, strict=True):
                if value is not before:  # frozen layers are read only
                    variable.assign(value)
            return step + 1, accumulate(accumulated, added)

        _, done = tf.while_loop(lambda step, _: step < hi, body, (lo, list(accumulated)), parallel_iterations=1)
        return list(done)

    def _step_in_parts(
        self, values: Values, state: Sequence[Tensor], examples: Sequence[Tensor], scaling: Sequence[Tensor],
        words: Tensor, step: Tensor,
    ) -> StepResult:  # fmt: skip
        """What the stage makes of a batch of which each device has a part."""
        assert self._replicas is not None

        def part(number: int, state: Sequence[Tensor], inputs: Tensor, targets: Tensor) -> StepResult:
            key = self._key(replicas.apart(words, number), step)
            return self.stage.step(values, state, Batch(scaled(inputs, *scaling), targets), key, self._differentiate)

        return self._replicas.step(part, state, examples)

    def _differentiate(self, function: Callable[[list[Tensor]], tuple[Tensor, Any]], values: Sequence[Tensor]) -> Any:
        scale = self._loss_scale()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            watched = [tf.identity(value) for value in values]
            tape.watch(watched)
            loss, more = function(watched)
            target = loss if scale is None else loss * scale
        gradients = tape.gradient(target, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
        return (loss, more), gradients

    def _loss_scale(self) -> Tensor | None:
        """The dynamic scale of half-precision training; None in every other precision."""
        for group in self.stage.groups.values():
            if isinstance(group.optimizer, keras.optimizers.LossScaleOptimizer):
                return tf.identity(group.optimizer.dynamic_scale.value)
        return None

    def _total(self, values: Tensor) -> Tensor:
        if not self._sums_by_products or len(values.shape) < 2:
            return super()._total(values)
        # XLA sums one number after another on a CPU; a product with ones uses the whole core.
        columns = tf.reshape(tf.cast(values, tf.float32), [-1, values.shape[-1]])
        return tf.reduce_sum(tf.ones([1, columns.shape[0]]) @ columns)

    def _evaluate(self, rows: int, seen: int, inputs: Tensor, targets: Tensor) -> Sequence[Tensor]:
        parts = self.devices if rows % self.devices == 0 else 1
        arguments = tf.constant(rows), tf.constant(seen), inputs, targets, self._scaling
        found: Sequence[Tensor] = self._evaluation(parts, *arguments)
        return found

    def _evaluate_in_blocks(
        self, parts: int, rows: Tensor, seen: Tensor, inputs: Tensor, targets: Tensor, scaling: Sequence[Tensor]
    ) -> list[Tensor]:
        """The last block ends with the last example, and so overlaps the one before."""
        count = tf.shape(inputs)[0]
        values, state = self._values(), self._state()

        def body(start: Tensor, accumulated: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
            first = tf.minimum(start, count - rows)
            block = inputs[first : first + rows], targets[first : first + rows]
            fresh = tf.cast(tf.range(rows) + first >= tf.maximum(start, seen), tf.float32)

            def sums_of(inputs: Tensor, targets: Tensor, fresh: Tensor) -> dict[str, Tensor]:
                return self.stage.evaluate(values, state, Batch(scaled(inputs, *scaling), targets), fresh)

            divides = self._replicas if parts > 1 else None
            sums = sums_of(*block, fresh) if divides is None else divides.sums(sums_of, (*block, fresh))
            return start + rows, accumulate(accumulated, [sums[name] for name in self._sum_names])

        nothing = tf.constant(0), zeros(self._sum_shapes)
        _, done = tf.while_loop(lambda start, _: start < count, body, nothing, parallel_iterations=1)
        return list(done)


def _rows(array: Tensor, first: Tensor, count: int) -> Tensor:
    """``count`` rows from ``first`` on."""
    return tf.slice(array, [first, *[0] * (len(array.shape) - 1)], [count, *array.shape[1:]])


def _convolves(model: Any) -> bool:
    return any(len(weight.shape) > 2 for weight in model.weights)
