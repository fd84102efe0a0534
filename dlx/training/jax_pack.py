"""Trials that train together on JAX: the same program as for one, vectorised over a leading axis of lanes.

Every array that belongs to a trial (weights, optimisers, the state of random generators,
sums) has the lanes as its first axis and lives here, not in Keras variables; the data are
shared. A lane's numbers depend on how many lanes there are and on nothing in the other
ones: a lane whose trial has ended, or diverged, is computed on and looked at no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dlx import devices
from dlx.members import plain
from dlx.probes import ProbeSpec
from dlx.randomness import key as random_key
from dlx.sources import Splits
from dlx.stages import Stage, Tensor
from dlx.training import program as programs
from dlx.training.accumulators import EpochNumbers, float64, to_host, totals
from dlx.training.engine import NotPacked
from dlx.training.jax import JaxProgram
from dlx.training.program import Arrays

MEMORY_SHARE = 0.9
"""Of the device's memory that a pack may take, by the compiler's own account."""
_LANES = "lanes"


class JaxPackProgram(JaxProgram):
    """One stage for ``lanes`` trials at a time.

    ``stages``: each lane's own, all of one structure; the first is the one that is traced,
    the others give the initial values of their optimisers and their penalties.
    """

    def __init__(self, stages: Sequence[Stage], batch_size: int, *, watch: bool) -> None:
        self.lanes = len(stages)
        self.stages = tuple(stages)
        self._held: dict[str, Tensor] = {}
        self._on_host: dict[str, np.ndarray] = {}
        self._found: dict[str, Any] = {}
        super().__init__(stages[0], batch_size, watch=watch)
        self._names = {id(variable): name for name, variable in self._named()}
        self._step_words = np.zeros((self.lanes, 2), np.uint32)
        self._take_settings(stages)
        self._evaluations: dict[int, Any] = {}
        for name, variable in self._named():
            self._held[name] = jnp.broadcast_to(variable.value, (self.lanes, *variable.shape))

    def _take_settings(self, stages: Sequence[Stage]) -> None:
        """Where lanes may differ without differing in structure: optimisers' own variables, penalties."""
        self._first: dict[str, np.ndarray] = {}
        self._penalties: dict[str, tuple[Tensor, Tensor]] = {}
        for name, group in self.stage.groups.items():
            theirs = [stage.groups[name] for stage in stages]
            fresh = []
            for member in theirs:
                optimizer = type(member.optimizer).from_config(member.optimizer.get_config())
                optimizer.build(member.variables)
                fresh.append(optimizer.variables)
            for place, values in enumerate(zip(*fresh, strict=True)):
                self._first[f"{name}/optimizer/{place}"] = np.stack([to_host(value) for value in values])
            l1, l2 = ([getattr(member, which) for member in theirs] for which in ("l1", "l2"))
            group.l1, group.l2 = max(l1), max(l2)  # whether there is one is structure, how large is not
            self._penalties[name] = jnp.asarray(l1, jnp.float32), jnp.asarray(l2, jnp.float32)

    def attach(self, splits: Splits) -> None:
        super().attach(splits)
        if self._stream is not None:
            raise NotPacked("the training data do not fit into the device's memory")

    # The same program over lanes

    def _compile(self, function: Callable[..., Any], *, shared: int = 0) -> Callable[..., Any]:
        def over_lanes(*arguments: Any) -> Any:
            axes = [0] * (len(arguments) - shared) + [None] * shared
            return jax.vmap(function, in_axes=axes)(*arguments)

        compiled: Callable[..., Any] = jax.jit(over_lanes)
        return compiled

    def _over_trials(self, function: Callable[..., Any]) -> Callable[..., Any]:
        vectorised: Callable[..., Any] = jax.vmap(function)
        return vectorised

    def _rows_at_once(self, examples: int) -> int:
        return programs.evaluation_rows(self.stage.model, examples, self.lanes)

    def _loop_over(self, rows: int, *arguments: Any) -> Any:
        if rows not in self._loops:
            axes = (0, 0, 0, None, None, None, None)
            steps = jax.vmap(partial(self._steps, rows), in_axes=axes, axis_name=_LANES)
            loop = jax.jit(steps, donate_argnums=(0,))
            compiled = loop.lower(*arguments).compile()
            self._check_memory(compiled.memory_analysis())
            self._loops[rows] = compiled
        return self._loops[rows](*arguments)

    def _if_any(self, rare: Tensor, then: Callable[[], Tensor], otherwise: Callable[[], Tensor]) -> Tensor:
        # a condition that lanes do not share would have both tensors computed in every step
        return super()._if_any(jax.lax.pmax(rare.astype(jnp.int32), _LANES) > 0, then, otherwise)

    def _check_memory(self, account: Any) -> None:
        """Raise :class:`~dlx.training.engine.NotPacked` where the compiler says that the device has not the memory."""
        needed = account.argument_size_in_bytes + account.temp_size_in_bytes + account.output_size_in_bytes
        needed -= account.alias_size_in_bytes
        limit = (jax.devices()[0].memory_stats() or {}).get("bytes_limit") or devices.usable_memory()
        if limit and needed > MEMORY_SHARE * limit:
            raise NotPacked(
                f"{self.lanes} trials together need {needed / 2**30:.1f} GiB of the device's {limit / 2**30:.1f} GiB",
                fewer=True,
            )

    def _own(self) -> dict[str, Any]:
        return {"words": jnp.asarray(self._step_words), "penalties": self._penalties}

    def _evaluate(self, rows: int, seen: int, inputs: Tensor, targets: Tensor) -> Sequence[Tensor]:
        if rows not in self._evaluations:
            evaluation = partial(self._evaluate_in_blocks, rows)
            self._evaluations[rows] = jax.jit(jax.vmap(evaluation, in_axes=(0, 0, None, None, None, None)))
        arguments = self._values(), self._state(), seen, inputs, targets, self._scaling
        found: Sequence[Tensor] = self._evaluations[rows](*arguments)
        return found

    # Where the values are

    def _read(self, variable: Any) -> Tensor:
        return self._held[self._names[id(variable)]]

    def _optimizer_values(self) -> dict[str, list[Tensor]]:
        groups = self.stage.groups.items()
        return {name: [self._read(variable) for variable in group.optimizer.variables] for name, group in groups}

    def _put_back(
        self, values: dict[str, list[Tensor]], state: Sequence[Tensor], optimizers: dict[str, list[Tensor]]
    ) -> None:
        self._changed()
        for name, group in self.stage.groups.items():
            self._hold(group.variables, values[name])
            self._hold(group.optimizer.variables, optimizers[name])
        self._hold(self.stage.state, state)

    def _changed(self) -> None:
        """Forget what was made of the values before."""
        self._on_host.clear()
        self._found.clear()

    def _hold(self, variables: Sequence[Any], values: Sequence[Tensor]) -> None:
        for variable, value in zip(variables, values, strict=True):
            self._held[self._names[id(variable)]] = value

    def _clear(self) -> None:
        super()._clear()
        self._accumulated = [jnp.zeros((self.lanes, *one.shape)) for one in self._accumulated]
        self._moves = jnp.zeros((self.lanes, *self._moves.shape))

    def _lane(self, name: str, lane: int) -> np.ndarray:
        """A lane's part of an array that is held, on the host; what is asked for once is fetched for all."""
        if name not in self._on_host:
            self._on_host[name] = to_host(self._held[name])
        found: np.ndarray = self._on_host[name][lane]
        return found

    def _replace(self, given: Mapping[int, Mapping[str, Any]]) -> None:
        """New values by name in some lanes; the others keep theirs."""
        self._changed()
        for name in {name for values in given.values() for name in values}:
            stacked = to_host(self._held[name])
            for lane, values in given.items():
                if name in values:
                    stacked[lane] = values[name]
            self._held[name] = jnp.asarray(stacked)

    # What lanes do together: from each lane's argument to each lane's result

    def load_lanes(self, given: Mapping[int, tuple[Mapping[str, np.ndarray], int]]) -> dict[int, None]:
        """As :meth:`load`, for each lane with its values and its seed."""
        self._replace({lane: self._by_name(lane, values) for lane, (values, _) in given.items()})
        self._held |= {name: jnp.asarray(first) for name, first in self._first.items()}
        for lane, (_, seed) in given.items():
            self._step_words[lane] = random_key(seed, f"step/{self.stage.name}")
        self._clear()
        return dict.fromkeys(given)

    def _by_name(self, lane: int, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Values by the paths of a lane's own stage: those of random generators differ from stage to stage."""
        stage = self.stages[lane]
        variables = [variable for group in stage.groups.values() for variable in group.variables]
        paths = [variable.path for variable in (*variables, *stage.state)]
        return {name: values[path] for name, path in zip(self._held, paths, strict=False) if path in values}

    def restore_lanes(self, given: Mapping[int, Arrays]) -> dict[int, None]:
        """As :meth:`restore`."""
        names = [name for name, _ in self._named()]
        self._replace({lane: {name: arrays[f"variables/{name}"] for name in names} for lane, arrays in given.items()})
        accumulated, moves = [to_host(value) for value in self._accumulated], to_host(self._moves)
        for lane, arrays in given.items():
            moves[lane] = arrays["moves"]
            for place, value in enumerate(accumulated):
                value[lane] = arrays[f"accumulated/{place}"]
        self._accumulated, self._moves = [jnp.asarray(value) for value in accumulated], jnp.asarray(moves)
        return dict.fromkeys(given)

    def begin_epoch_lanes(self, given: Mapping[int, tuple[np.ndarray, int]]) -> dict[int, None]:
        """As :meth:`begin_epoch`; a lane without a trial sees the examples in their order."""
        stacked = np.tile(np.arange(self.examples, dtype=np.int32), (self.lanes, 1))
        for lane, (order, _) in given.items():
            stacked[lane] = order
        self.begin_epoch(stacked, _same(first_step for _, first_step in given.values()))
        return dict.fromkeys(given)

    def run_lanes(self, given: Mapping[int, tuple[int, int]]) -> dict[int, None]:
        """As :meth:`run`."""
        self.run(*_same(given.values()))
        return dict.fromkeys(given)

    def end_epoch_lanes(self, given: Iterable[int]) -> dict[int, EpochNumbers]:
        """As :meth:`end_epoch`."""
        values, moves = totals(self._accumulated), float64(self._moves)
        found = {lane: self._epoch_numbers([value[lane] for value in values], moves[lane]) for lane in given}
        self._clear()
        return found

    # What a lane does for itself; what it asks for first is computed for all

    def evaluate_lane(self, lane: int, part: str, first: int | None = None) -> dict[str, Any]:
        """As :meth:`evaluate`."""
        return self._of_lane(lane, f"{part} {first}", lambda: self.evaluate(part, first=first))

    def measure_lane(self, lane: int, probe: ProbeSpec) -> dict[str, np.ndarray]:
        """As :meth:`measure`."""
        return self._of_lane(lane, json.dumps(plain(probe), sort_keys=True), lambda: self.measure(probe))

    def _of_lane(self, lane: int, what: str, find: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        if what not in self._found:
            self._found[what] = find()
        return {name: value[lane] for name, value in self._found[what].items()}

    def lane_snapshot(self, lane: int) -> Arrays:
        """As :meth:`snapshot`."""
        arrays = {f"variables/{name}": self._lane(name, lane) for name, _ in self._named()}
        arrays |= {f"accumulated/{i}": to_host(value[lane]) for i, value in enumerate(self._accumulated)}
        return arrays | {"moves": to_host(self._moves[lane])}

    def lane_weights(self, lane: int) -> Arrays:
        """As :meth:`weights`."""
        return {variable.path: self._lane(self._names[id(variable)], lane) for variable in self.stage.model.weights}

    def set_lane_weights(self, lane: int, arrays: Arrays) -> None:
        """As :meth:`set_weights`."""
        names = {variable.path: self._names[id(variable)] for variable in self.stage.model.weights}
        self._replace({lane: {name: arrays[path] for path, name in names.items()}})

    def lane_learning_rate(self, lane: int, step: int) -> float:
        """As :meth:`learning_rate`."""
        rate = programs.inner(next(iter(self.stage.groups.values())).optimizer)._learning_rate
        if id(rate) in self._names:
            return float(self._lane(self._names[id(rate)], lane))
        return self.learning_rate(step)

    def save_lane(self, lane: int, path: Path) -> None:
        """As :meth:`save_model`."""
        for variable in self.stage.model.weights:
            variable.assign(self._lane(self._names[id(variable)], lane))
        self.save_model(path)


def _same(values: Iterable[Any]) -> Any:
    """What all lanes say; they would be out of step if they differed."""
    first, *others = values
    if any(other != first for other in others):
        raise RuntimeError(f"trials that train together are out of step: {[first, *others]}")
    return first
