"""The smallest size of an experiment: ``smoke:``.

Values by dotted path, exactly what ``--set`` takes, for a run of seconds that shows that all of it works::

    smoke:
      dataset: digits
      training.epochs: 1
      model.depth: [1, 3]   # a path of sweep: in place of its values; one value ends the axis
      seeds: 1
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dlx.errors import SpecError
from dlx.spec import axes
from dlx.spec.axes import Axis, Group
from dlx.spec.document import Node, Place
from dlx.spec.overrides import Assignment, Path, assign, parse_path
from dlx.spec.problems import Findings, show
from dlx.spec.ranges import is_range

SUFFIX = "-smoke"
"""Behind the name: results of the smallest size stand apart from those of the experiment."""

_NOT_SET = ("sweep", "search", "smoke", "name")


@dataclass(frozen=True)
class Smoke:
    """What makes an experiment small: values that are set, and axes in place of the spec's."""

    sets: tuple[Assignment, ...]
    axes: tuple[Axis, ...]

    def without(self, paths: Collection[Path]) -> Smoke:
        """What is left where a command line says something else for these paths, or for what they stand in."""

        def kept(path: Path) -> bool:
            return not any(path[: len(other)] == other for other in paths)

        return Smoke(
            tuple(one for one in self.sets if kept(one.path)), tuple(one for one in self.axes if kept(one.path))
        )

    def groups(self, groups: Iterable[Group]) -> list[Group]:
        """A spec's groups of axes in the smallest size."""
        found = list(groups)
        for assignment in self.sets:
            found = axes.without(found, assignment.path)
        return axes.replace_axes(found, self.axes)


def smoke_of(node: Node | None, groups: Sequence[Group]) -> Smoke | None:
    """The ``smoke:`` of a spec whose axes are ``groups``, None where it has none; raises SpecError."""
    if node is None or node.content is None:
        return None
    if not isinstance(node.content, Mapping):
        message = f"must be a mapping from paths to values, such as training.epochs: 1, not {show(node.value)}"
        raise SpecError([node.place.problem(message, ("smoke",))])
    swept = {axis.path for group in groups for axis in group.axes}
    sets: list[Assignment] = []
    replaced: list[Axis] = []
    findings = Findings()
    for key, value in node.items():
        with findings.collect():
            found = _read(key, value, node.keys[key], swept)
            sets += [found] if isinstance(found, Assignment) else []
            replaced += [found] if isinstance(found, Axis) else []
    findings.raise_any()
    return Smoke(tuple(sets), tuple(replaced))


def _read(key: str, value: Node, place: Place, swept: Collection[Path]) -> Assignment | Axis:
    assignment = assign(parse_path(key, place), value, place)
    if assignment.path[0] in _NOT_SET:
        message = f"{assignment.path[0]} is not set here: give paths of what is trained, or seeds"
        raise SpecError([place.problem(message, ("smoke", key))])
    listed = isinstance(value.content, tuple) or (isinstance(value.content, str) and is_range(value.content))
    if listed and assignment.path in swept:
        return axes.named_axis(key, value, place, ("smoke",))
    return assignment
