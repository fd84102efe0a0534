"""Which trials train together as one vectorised program, and the record of it in each of them.

Trials of a pack differ in values, not in structure: the seed, the learning rate, L1 and L2,
how initial weights are drawn. A trial's bytes depend on the number of lanes and on its own
lane, not on what its neighbours are, so its ``pack.json`` is enough to train it again alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dlx.records import atomic
from dlx.spec import settings

if TYPE_CHECKING:
    from dlx.records.trial_directory import TrialDirectory
    from dlx.spec import Trial

FILE = "pack.json"
MOST = 256
"""Lanes of a pack that nobody gave a size."""

BUSY = 3e8
"""Multiply-adds of one step that keep a GPU busy for as long as it takes to launch the step's kernels.

A tenth of a millisecond of launches at some tens of tera-operations per second: below, a
second trial costs nothing; above, trials together take as long as one after another.
"""

_SCHEMA = "dlx.pack/1"


@dataclass(frozen=True)
class Place:
    """A trial's lane among those that train together; ``trials`` are the ids of all, in lane order."""

    lane: int
    trials: tuple[str, ...]

    def __str__(self) -> str:
        return f"lane {self.lane} of {len(self.trials)}"


def place_of(directory: TrialDirectory) -> Place | None:
    """Where a trial was put; None for one that trains alone."""
    try:
        found = json.loads((directory.path / FILE).read_bytes())
        return Place(int(found["lane"]), tuple(map(str, found["trials"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def put(directories: Sequence[TrialDirectory]) -> None:
    """Write the pack down in each of its trials; a single one trains alone."""
    trials = tuple(directory.trial for directory in directories)
    for lane, directory in enumerate(directories):
        path = directory.path / FILE
        if len(trials) == 1:
            path.unlink(missing_ok=True)
        else:
            atomic.write_json(path, {"schema": _SCHEMA, **asdict(Place(lane, trials))})


def kind(trial: Trial) -> str | None:
    """What trials must have in common to train together; None for one that trains alone."""
    sections: dict[str, Any] = settings(trial.setting)
    pipeline = trial.setting.pipeline
    if any(stage.optimizer.use_ema or stage.optimizer.name == "schedule_free_adamw" for stage in pipeline):
        return None  # the one puts averages in the place of weights at the end, the other begins at the weights
    if any(stage.early_stopping for stage in pipeline[:-1]):
        return None  # they would come to their next stage at different times
    values = {"training": {"l1", "l2"}, "model": {"initializer"}}
    common = {
        name: {key: value for key, value in section.items() if key not in values.get(name, ())}
        if isinstance(section, dict)
        else section
        for name, section in sections.items()
    }
    if trial.setting.dataset.rebalance is not None:
        common["seed of the data"] = trial.seed.order  # those with the same one have the same examples
    rate = common["training"]["optimizer"].get("learning_rate")
    if isinstance(rate, int | float):
        common["training"]["optimizer"] = {**common["training"]["optimizer"], "learning_rate": None}
    penalties = [bool(getattr(trial.setting.training, name)) for name in ("l1", "l2")]
    return json.dumps([common, penalties, str(trial.fold)], sort_keys=True, default=str)


def room(trial: Trial, batch_size: int) -> int:
    """Lanes that a GPU trains in about the time of one, by the size of a step."""
    return max(1, min(MOST, int(BUSY / max(1, trial.setting.network().multiply_adds * batch_size))))


def divide(members: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Parts of at most ``size``, as equal as can be: compiled programs are for a number of lanes."""
    parts = -(-len(members) // size)
    each = -(-len(members) // parts)
    return (members[start : start + each] for start in range(0, len(members), each))
