"""The JAX engine: one compiled loop over steps, variables handed in and out of it.

Keras runs on its JAX backend; TensorFlow is never imported. Between two calls the values
live in the stage's Keras variables, as everywhere; a call donates their buffers and puts
the new ones in their place.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from dlx import devices
from dlx.errors import UsageError
from dlx.sources import Splits

if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "jax"  # the engine that was asked for, whatever the environment says

import jax
import jax.numpy as jnp
import keras
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from dlx.stages import Batch, Stage, Tensor
from dlx.training.accumulators import accumulate, zeros
from dlx.training.engine import Engine
from dlx.training.program import Program, scaled


def start(threads: int | None) -> JaxEngine:
    """Make the engine; ``threads`` limits XLA's pool where this is the first use of JAX in the process."""
    if keras.backend.backend() != "jax":
        raise UsageError(f"KERAS_BACKEND is {keras.backend.backend()!r} but the engine asked for is jax")
    if os.environ.get(devices.VIRTUAL) and (count := devices.virtual()):
        jax.config.update("jax_num_cpu_devices", count)
    limited = _limit_threads(threads)
    _keep_compiled(limited)
    return JaxEngine(limited)


def _keep_compiled(threads: int) -> None:
    """Have XLA keep what it compiles on disk, so that the next process that needs the same program compiles nothing.

    XLA divides work among threads when it compiles: each number of them has a folder of its
    own, and so has each kind of processor. A user's own ``JAX_COMPILATION_CACHE_DIR`` is left as it is.
    TensorFlow has such a cache too, but fails for good on an entry that was torn.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    kind = hashlib.sha256(f"{platform.machine()} {platform.processor()} {_processor()}".encode()).hexdigest()[:8]
    place = Path(platformdirs.user_cache_dir("dlx", appauthor=False)) / "compiled" / f"jax-{kind}-{threads}"
    jax.config.update("jax_compilation_cache_dir", str(place))
    jax.config.update("jax_compilation_cache_max_size", _CACHE_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    # Whatever keeps an entry from being read or written costs the time to compile it, and nothing else.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache entry")


_CACHE_BYTES = 1 << 30
_BY_EXAMPLE = PartitionSpec("batch")


def _processor() -> str:
    """Model and features of the processor, for which machine code is made."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


def _limit_threads(threads: int | None) -> int:
    """XLA makes as many threads as there are cores that the process may use, counted when it starts."""
    if threads is None or not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[:threads])
    jax.devices()
    os.sched_setaffinity(0, allowed)
    return threads


class JaxEngine(Engine):
    """Keras on JAX in this process."""

    name = "jax"

    def compile(self, stage: Stage, batch_size: int, *, watch: bool) -> Program:
        return JaxProgram(stage, batch_size, watch=watch, devices=self.devices)

    def pack(
        self,
        signatures: Sequence[str],
        builds: Sequence[Callable[[], Stage]],
        splits: Splits,
        batch_size: int,
        *,
        watch: bool,
        keep: int = 1,
    ) -> Program:
        from dlx.training.jax_pack import JaxPackProgram

        def make() -> Program:
            built = {signature: build() for signature, build in zip(signatures, builds, strict=True)}
            return JaxPackProgram([built[signature] for signature in signatures], batch_size, watch=watch)

        return self._kept(f"{list(signatures)}/{batch_size}/{watch}/{len(splits.train)}", make, splits, keep)

    def out_of_memory(self, error: BaseException) -> str | None:
        if isinstance(error, MemoryError):
            return "out of memory"
        if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error):
            return f"out of memory: {str(error).splitlines()[0]} (a smaller batch_size or model needs less)"
        return None

    def device(self) -> str:
        device = jax.devices()[0]
        return "cpu" if device.platform == "cpu" else str(device.device_kind)

    def count(self) -> int:
        return len(jax.devices())


class JaxProgram(Program):
    """One stage on JAX; everything a step changes is an argument of the compiled loop and a result.

    On several devices it is the same program over the whole batch, whose examples lie on all of
    them, everything else being on each: the compiler divides the work, so that every mean,
    every statistic and every drawn number is that of the whole batch. (What
    ``keras.distribution.DataParallel`` arranges for ``fit``, without its state of the process.)
    """

    def __init__(self, stage: Stage, batch_size: int, *, watch: bool, devices: int = 1) -> None:
        self._everywhere: Any = None
        if devices > 1:
            mesh = Mesh(np.array(jax.devices()[:devices]), ("batch",))
            self._everywhere, self._in_parts = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, _BY_EXAMPLE)
        super().__init__(stage, batch_size, watch=watch, devices=devices)
        self._scale: Tensor | None = None
        self._loops: dict[int, Any] = {}
        self._evaluation = jax.jit(self._evaluate_in_blocks, static_argnums=(0,), out_shardings=self._everywhere)

    def _to_device(self, array: np.ndarray) -> Tensor:
        return jnp.asarray(array) if self.devices == 1 else jax.device_put(array, self._everywhere)

    def _divided(self, array: Tensor) -> Tensor:
        if self.devices == 1 or array.shape[0] % self.devices:
            return array
        return jax.lax.with_sharding_constraint(array, self._in_parts)

    def _read(self, variable: Any) -> Tensor:
        return variable.value

    def _compile(self, function: Callable[..., Any], *, shared: int = 0) -> Callable[..., Any]:
        compiled: Callable[..., Any] = jax.jit(function, out_shardings=self._everywhere)
        return compiled

    def save_model(self, path: Path) -> None:
        with _tensorflow_hidden():
            super().save_model(path)

    def _take_steps(
        self, rows: int, bounds: tuple[int, int, int, int], order: Tensor, inputs: Tensor, targets: Tensor
    ) -> None:
        carried = (self._values(), self._state(), self._optimizer_values(), self._accumulated)
        if self.devices > 1:  # what was assigned since is on one device, and has no buffer on the others to give
            carried = jax.device_put(carried, self._everywhere)
        numbers = [jnp.asarray(number, jnp.int32) for number in bounds]
        carried = self._loop_over(rows, carried, self._own(), order, numbers, inputs, targets, self._scaling)
        values, state, optimizers, self._accumulated = jax.block_until_ready(carried)
        self._put_back(values, state, optimizers)

    def _loop_over(self, rows: int, *arguments: Any) -> Any:
        """Call the compiled steps, which are given the buffers of what they change."""
        if rows not in self._loops:
            steps = partial(self._steps, rows)
            self._loops[rows] = jax.jit(steps, donate_argnums=(0,), out_shardings=self._everywhere)
        return self._loops[rows](*arguments)

    def _own(self) -> dict[str, Any]:
        """What is a trial's own in every step: the words that key what it draws."""
        return {"words": jnp.asarray(self._words, jnp.uint32)}

    def _put_back(
        self, values: dict[str, list[Tensor]], state: Sequence[Tensor], optimizers: dict[str, list[Tensor]]
    ) -> None:
        for name, group in self.stage.groups.items():
            _assign(group.variables, values[name])
            _assign(group.optimizer.variables, optimizers[name])
        _assign(self.stage.state, state)

    def _steps(
        self, rows: int, carried: Any, own: dict[str, Any], order: Tensor, bounds: Sequence[Tensor], inputs: Tensor,
        targets: Tensor, scaling: Sequence[Tensor],
    ) -> Any:  # fmt: skip
        """The compiled program: the examples of step s stand in ``order`` from row (s − offset)·batch on."""
        lo, hi, offset, first_step = bounds
        penalties = own.get("penalties", {})

        def body(step: Tensor, carried: Any) -> Any:
            values, state, optimizers, accumulated = carried
            chosen = jax.lax.dynamic_slice(order, ((step - offset) * self.batch_size,), (rows,))
            taken, wanted = (self._divided(array[chosen]) for array in (inputs, targets))
            batch = Batch(scaled(taken, *scaling), wanted)
            self._scale = self._loss_scale(optimizers)
            result, added = self._step(values, state, batch, own["words"], first_step + step)
            moved, advanced = {}, {}
            for name, group in self.stage.groups.items():
                l1, l2 = penalties.get(name, (None, None))
                gradients = self._with_penalties(group, values[name], result.updates[name], self._scale, l1, l2)
                moved[name], advanced[name] = group.optimizer.stateless_apply(optimizers[name], gradients, values[name])
            return moved, list(result.state), advanced, accumulate(accumulated, added)

        return jax.lax.fori_loop(lo, hi, body, carried)

    def _optimizer_values(self) -> dict[str, list[Tensor]]:
        groups = self.stage.groups.items()
        return {name: [variable.value for variable in group.optimizer.variables] for name, group in groups}

    def _differentiate(self, function: Callable[[list[Tensor]], tuple[Tensor, Any]], values: Sequence[Tensor]) -> Any:
        scale = self._scale

        def target(values: list[Tensor]) -> tuple[Tensor, Any]:
            loss, more = function(values)
            return loss if scale is None else loss * scale, (loss, more)

        (_, (loss, more)), gradients = jax.value_and_grad(target, has_aux=True)(list(values))
        return (loss, more), gradients if scale is None else [gradient / scale for gradient in gradients]

    def _loss_scale(self, optimizers: dict[str, list[Tensor]]) -> Tensor | None:
        """The dynamic scale of half-precision training; None in every other precision."""
        for name, group in self.stage.groups.items():
            if isinstance(group.optimizer, keras.optimizers.LossScaleOptimizer):
                positions = {id(variable): i for i, variable in enumerate(group.optimizer.variables)}
                return optimizers[name][positions[id(group.optimizer.dynamic_scale)]]
        return None

    def _evaluate(self, rows: int, seen: int, inputs: Tensor, targets: Tensor) -> Sequence[Tensor]:
        arguments = self._values(), self._state(), seen, inputs, targets, self._scaling
        found: Sequence[Tensor] = self._evaluation(rows, *arguments)
        return found

    def _evaluate_in_blocks(
        self, rows: int, values: Any, state: Any, seen: Tensor, inputs: Tensor, targets: Tensor,
        scaling: Sequence[Tensor],
    ) -> list[Tensor]:  # fmt: skip
        """The last block ends with the last example, and so overlaps the one before."""
        count = inputs.shape[0]

        def body(number: Tensor, accumulated: list[Tensor]) -> list[Tensor]:
            start = number * rows
            first = jnp.minimum(start, count - rows)
            block = (jax.lax.dynamic_slice_in_dim(array, first, rows) for array in (inputs, targets))
            taken, wanted = map(self._divided, block)
            fresh = (jnp.arange(rows) + first >= jnp.maximum(start, seen)).astype(jnp.float32)
            sums = self.stage.evaluate(values, state, Batch(scaled(taken, *scaling), wanted), fresh)
            return accumulate(accumulated, [sums[name] for name in self._sum_names])

        done: list[Tensor] = jax.lax.fori_loop(0, -(-count // rows), body, zeros(self._sum_shapes))
        return done


@contextmanager
def _tensorflow_hidden() -> Iterator[None]:
    """Have Keras find no TensorFlow: to write a model it asks whether there is one, and so would import it."""
    hidden = "tensorflow" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            del sys.modules["tensorflow"]


def _assign(variables: Sequence[Any], values: Sequence[Tensor]) -> None:
    """New values without a copy: the old buffers were donated."""
    for variable, value in zip(variables, values, strict=True):
        variable._value = value
