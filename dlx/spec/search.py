"""What ``dlx tune`` searches: ``search:``, values by dotted path as in ``sweep: {random: {axes: …}}``.

::

    search:
      model.depth: 1..4                                # whole numbers
      model.width: log(16, 256)                        # whole numbers, evenly spaced in the logarithm
      model.dropout: lin(0.0, 0.5)                     # any number between
      training.optimizer: [sgd, {name: adam, beta_1: 0.8}]
      training.optimizer.learning_rate: log(1e-4, 1e-1)
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

from dlx.errors import SpecError, UsageError, dotted
from dlx.scalars import inline
from dlx.spec import axes, document
from dlx.spec.axes import Axis, Group
from dlx.spec.document import Node, Place, node_of
from dlx.spec.expand import Expansion, Trial, shown
from dlx.spec.overrides import Assignment, Path, assign, in_order, parse_set
from dlx.spec.problems import Findings
from dlx.spec.ranges import Spread
from dlx.spec.sections import check_evaluation
from dlx.spec.seeds import Seed, Seeds
from dlx.spec.written import written

if TYPE_CHECKING:
    from dlx.spec.load import Experiment

FACTOR = 30.0
"""Where no ``search:`` says more, learning rates up to so many times larger and smaller than the spec's."""

BATCHES = (16, 32, 64, 128)
Value = str | int | float | bool | None


def from_here(path: str, folder: pathlib.Path | None = None) -> str:
    """A file's name from a folder (the working one), as it is written in specs on every system."""
    try:
        return pathlib.Path(os.path.relpath(path, folder or pathlib.Path())).as_posix()
    except ValueError:  # on another drive
        return path


def check(root: Node, sets: Sequence[Assignment], searched: Sequence[Axis]) -> None:
    """Look at each axis by itself, with the rest as the spec has it; raises SpecError with all that is wrong."""
    findings = Findings()
    for axis in searched:
        with findings.collect():
            tried = replace(axis, values=[_node(axis, value) for value in _telling(axis)])
            Expansion(root, _others(sets, axis.path), [Group((tried,))]).trials(Seeds(range(1)))
    findings.raise_any()


@dataclass(frozen=True)
class Dimension:
    """One thing that varies: its ``path``, and either the ``values`` it takes or numbers from ``low`` to ``high``.

    ``whole``: whole numbers, ``step`` apart; ``log``: evenly spaced in the logarithm.
    """

    axis: Axis
    values: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    step: int = 1
    log: bool = False

    @property
    def path(self) -> str:
        """``model.depth``."""
        return dotted(self.axis.path)

    @property
    def finite(self) -> bool:
        """Whether its values can be listed."""
        return bool(self.values) or self.whole

    def listed(self) -> list[Value]:
        """All values of a finite one."""
        return list(self.values) or list(range(int(self.low), int(self.high) + 1, self.step))

    def assignment(self, value: Value) -> Assignment:
        """A value put into the spec; a number that is not whole with six digits, as a person would write it."""
        if not self.values and not self.whole:
            assert isinstance(value, float | int)
            value = float(f"{value:.6g}")
        return assign(self.axis.path, _node(self.axis, value), self.axis.place)


@dataclass(frozen=True)
class Search:
    """A spec and what is searched in it, each try being the spec with a value for every dimension."""

    experiment: Experiment
    dimensions: tuple[Dimension, ...]
    seeds: Seeds
    root: Node
    sets: tuple[Assignment, ...]

    def trial(self, values: Mapping[str, Value]) -> Trial:
        """The trial of one choice, with the first of the spec's seeds and its test part withheld.

        Raises :class:`~dlx.errors.SpecError` where the values do not go together.
        """
        place = Place("dlx tune")
        withheld = [assign(("records", "test"), node_of("withheld", place), place)]
        probes = self.experiment.trials[0].setting.probes.values()
        withheld += [
            assign(("probes", probe.name), node_of(None, place), place) for probe in probes if probe.part == "test"
        ]
        chosen = self._chosen(values)
        evaluation, _ = check_evaluation(self.root.child("evaluation"))
        sets = [*self._without(chosen), *chosen, *withheld]
        # Of folds the first: what is chosen there is held against examples that nothing was chosen by.
        (trial,) = Expansion(self.root, sets, [], evaluation=evaluation, times=1).trials(self.first_seed)
        return replace(trial, parameters={dotted(one.path): shown(one.node) for one in chosen})

    def spec(self, values: Mapping[str, Value]) -> str:
        """The spec of one choice: what ``dlx run`` runs from the working folder, test part included."""
        chosen = [*self._chosen(values), *self._files()]
        return written(self.root, self.experiment.name, in_order([*self._without(chosen), *chosen]), [], self.seeds)

    def _files(self) -> list[Assignment]:
        """Where the spec's data are, whichever folder the spec is in."""
        dataset, place = self.experiment.trials[0].setting.dataset, Place("dlx tune")
        given = {field: getattr(dataset, field) for field in dataset.path_fields}
        return [
            assign(("dataset", field), node_of(from_here(path), place), place) for field, path in given.items() if path
        ]

    @property
    def first_seed(self) -> Seeds:
        """The seed of every try."""
        first: Seed = next(iter(self.seeds))
        return Seeds((first.init,), None if first.init == first.order else (first.order,))

    def _chosen(self, values: Mapping[str, Value]) -> list[Assignment]:
        return [dimension.assignment(values[dimension.path]) for dimension in self.dimensions]

    def _without(self, chosen: Sequence[Assignment]) -> list[Assignment]:
        paths = {one.path for one in chosen}
        return [one for one in self.sets if one.path not in paths]


def load_search(path: str | PathLike[str], sets: Sequence[str] = (), seeds: str | None = None) -> Search:
    """A spec's search: of its ``search:``, else the axes of its ``sweep:``, else what its model is usually varied in.

    Raises :class:`~dlx.errors.SpecError`, and :class:`~dlx.errors.UsageError` for a spec without
    a validation set to choose by.
    """
    from dlx.spec.load import load

    experiment = load(path, sets, seeds=seeds)
    _, root = document.read(path)
    setting = experiment.trials[0].setting
    if not setting.dataset.sizes()["validation"]:
        raise UsageError("tuning chooses by the validation set, and dataset.validation is 0")
    assignments = tuple(parse_set(text) for text in sets)
    searched = axes.searched(root.child("search")) or _swept(root)
    trials = experiment.trials
    found = list(dict.fromkeys((trial.seed.init, trial.seed.order) for trial in trials))
    kept = Seeds([init for init, _ in found]) if all(init == order for init, order in found) else _pairs(found)
    bare = Node(
        {key: node for key, node in root.items() if key not in ("search", "sweep", "smoke")}, root.place, root.keys
    )
    if not searched:
        searched = _usual(bare, assignments, experiment)
    return Search(experiment, tuple(map(_dimension, searched)), kept, bare, assignments)


def _pairs(found: Sequence[tuple[int, int]]) -> Seeds:
    return Seeds(list(dict.fromkeys(init for init, _ in found)), list(dict.fromkeys(order for _, order in found)))


def _swept(root: Node) -> list[Axis]:
    """The axes of a sweep, each by itself."""
    return [axis for group in axes.groups_of(root.child("sweep")) for axis in group.axes]


def _usual(root: Node, sets: Sequence[Assignment], experiment: Experiment) -> list[Axis]:
    """What the model says that it is varied in, learning rate and batch size; without what the spec rules out."""
    setting = experiment.trials[0].setting
    ranges = {f"model.{name}": text for name, text in setting.model.searched.items()}
    rate = getattr(setting.training.optimizer, "learning_rate", None)
    if isinstance(rate, float):
        ranges["training.optimizer.learning_rate"] = f"log({rate / FACTOR:.2g}, {rate * FACTOR:.2g})"
    batches = [size for size in BATCHES if size <= setting.dataset.sizes()["train"] // 4]
    if len(batches) > 1:
        ranges["training.batch_size"] = inline(batches)
    found = []
    for name, text in ranges.items():
        place = Place(f"the usual search of {setting.model.name}")
        node = document.parse_value(text, place)
        (axis,) = axes.searched(Node({name: node}, place, {name: place}))
        try:
            check(root, sets, [axis])
        except SpecError:  # hidden: [30, 30] leaves no depth to search
            continue
        found.append(axis)
    if not found:
        message = f"there is nothing that {setting.model.name} is usually varied in"
        raise UsageError(message, hint="give search: values by path")
    return found


def _dimension(axis: Axis) -> Dimension:
    values = axis.values
    if isinstance(values, range):
        return Dimension(axis, low=values[0], high=values[-1], whole=True, step=values.step)
    if isinstance(values, Spread) and values.points is None:
        log = values.scale == "log"
        whole = log and isinstance(values.low, int) and isinstance(values.high, int)
        return Dimension(axis, low=values.low, high=values.high, whole=whole, log=log)
    if isinstance(values, Spread):
        return Dimension(axis, values=tuple(values.values()))
    return Dimension(axis, values=tuple(dict.fromkeys(_label(node) for node in values)))


def _label(node: Node) -> Value:
    value: Value = inline(node.value) if isinstance(node.content, Mapping | tuple) else node.value
    return value


def _node(axis: Axis, value: Any) -> Node:
    """The value where the spec has it, so that what is wrong with it is told with its place."""
    if isinstance(axis.values, range | Spread):
        return node_of(value, axis.at)
    # true is 1 to Python: they are told apart by how they are written.
    return next(node for node in axis.values if repr(_label(node)) == repr(value))


def _telling(axis: Axis) -> list[Value]:
    """Values that show what is wrong with an axis: all that are listed; of a range its ends, and one between."""
    if isinstance(axis.values, range):
        return [axis.values[0], axis.values[-1]]
    if isinstance(axis.values, Spread):
        return [axis.values.at(share) for share in (0.0, 0.382, 1.0)]
    return [_label(node) for node in axis.values]


def _others(sets: Sequence[Assignment], path: Path) -> list[Assignment]:
    return in_order(one for one in sets if one.path != path)
