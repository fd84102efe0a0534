"""The story of trials that train together: each its own, told in a thread, with one program for all.

They go on from the newest point that all of them have saved. Where they do not fit into
memory together they are divided and begin again, which is said aloud.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlx import packing
from dlx.events import Event, Note, Observer, TrialEnded
from dlx.interruption import Stop
from dlx.packing import Place
from dlx.records.checkpoints import CheckpointStore
from dlx.records.ownership import Held, TakenOver
from dlx.training.engine import Engine
from dlx.training.lanes import LaneEngine, NotTogether, PackEngine
from dlx.training.meeting import Meeting, MeetingStop
from dlx.trial import run_trial
from dlx.worker import Worker

if TYPE_CHECKING:
    from dlx.executors import Unit

Position = tuple[Any, ...]


class LaneWorker(Worker):
    """A worker as one trial of a pack sees it: the data are everybody's, the engine is its lane of the pack."""

    def __init__(self, worker: Worker, engine: LaneEngine, pack: str, not_beyond: int | None) -> None:
        super().__init__(worker.runtime)
        self._worker = worker
        self._engine = engine
        self.pack = pack
        self.not_beyond = not_beyond

    @property
    def engine(self) -> Engine:
        return self._engine

    def load(self, dataset: Any, seed: int | None = None, between: Callable[[], None] = lambda: None) -> Any:
        with _LOADING:
            return self._worker.load(dataset, seed, between)


_LOADING = threading.Lock()


def run_pack(units: Sequence[Unit], worker: Worker, stop: Stop, observe: Observer) -> dict[str, str]:
    """Train trials together as their ``pack.json`` says; gives who works on those that other processes have."""
    speaking = threading.Lock()

    def tell(event: Event) -> None:
        with speaking:
            observe(event)

    held: dict[str, str] = {}
    waiting = list(units)
    while waiting and not stop.requested:
        together, waiting = _next(waiting)
        place = packing.place_of(together[0].directory)
        if place is None:
            try:
                run_trial(together[0].directory, together[0].label, worker, stop, tell, seen=together[0].seen)
            except (Held, TakenOver) as other:
                held[together[0].directory.trial] = str(other)
        elif refused := _round(together, worker, stop, tell, held):
            waiting = [*_divided(*refused, len(place.trials), tell), *waiting]
            worker.engine.forget()
    return held


def _next(units: Sequence[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Those that train together with the first, being of one pack and having a point in common to go on from."""
    places = {id(unit): packing.place_of(unit.directory) for unit in units}
    first = places[id(units[0])]
    mine = [
        unit for unit in units if unit is units[0] or (first and (p := places[id(unit)]) and p.trials == first.trials)
    ]
    if _common(mine) is None:
        latest = _positions(mine[0])[-1:]
        mine = [unit for unit in mine if _positions(unit)[-1:] == latest]
    return mine, [unit for unit in units if unit not in mine]


def _common(units: Sequence[Unit]) -> Position | None:
    """The furthest point that all have saved, () for the beginning; None where they have to go on apart.

    Trials of a pack save themselves together, and each keeps two checkpoints: killed in the
    middle of that they still have one in common, or some have just saved themselves for the first time.
    """
    saved = [_positions(unit) for unit in units]
    if shared := set.intersection(*map(set, saved)):
        return max(shared, key=saved[0].index)
    return () if not all(saved) and all(len(positions) <= 1 for positions in saved) else None


def _positions(unit: Unit) -> list[Position]:
    return [position for _, position in _saved(unit)]


def _saved(unit: Unit) -> list[tuple[int, Position]]:
    """Number and position of each checkpoint, oldest first."""
    found = []
    for number, state in CheckpointStore(unit.directory.checkpoints).states():
        training = state["training"]
        found.append((number, (training["stage"], training["progress"]["epoch"], training["progress"]["step"])))
    return found


def _round(
    units: Sequence[Unit], worker: Worker, stop: Stop, observe: Observer, held: dict[str, str]
) -> tuple[list[Unit], NotTogether] | None:
    """Train trials of one pack from a common point; those that could not be trained together, and why."""
    places = [packing.place_of(unit.directory) or Place(0, (unit.directory.trial,)) for unit in units]
    point = _common(units)
    meeting = Meeting([place.lane for place in places], stop)
    pack = PackEngine(worker.engine, len(places[0].trials), meeting)

    def heard(event: Event) -> None:
        if not (isinstance(event, TrialEnded) and pack.refusal and event.reason == pack.refusal.message):
            observe(event)

    def story(unit: Unit, place: Place) -> None:
        numbers = [number for number, position in _saved(unit) if position == point]
        mine = LaneWorker(worker, LaneEngine(pack, place.lane), str(place), numbers[-1] if numbers else 0)
        try:
            run_trial(unit.directory, unit.label, mine, MeetingStop(meeting, stop), heard, seen=unit.seen)
        except (Held, TakenOver) as other:
            held[unit.directory.trial] = str(other)
        finally:
            meeting.leave(place.lane)

    with ThreadPoolExecutor(len(units), thread_name_prefix="dlx-lane") as stories:
        told = [stories.submit(story, unit, place) for unit, place in zip(units, places, strict=True)]
        meeting.serve()
    for each in told:
        each.result()
    if pack.refusal is None:
        return None
    reason = pack.refusal.message
    return [unit for unit in units if unit.directory.status().reason == reason], pack.refusal


def _divided(units: Sequence[Unit], refusal: NotTogether, lanes: int, observe: Observer) -> list[Unit]:
    """The same trials from their beginnings, in packs of half the size (or alone, where no size would do)."""
    size = max(1, lanes // 2) if refusal.fewer else 1
    how = f"in packs of {size}" if size > 1 else "one by one"
    observe(Note(f"{refusal.message}: the trials begin again {how}"))
    fresh = []
    for unit in units:
        directory = unit.directory
        text, listing = directory.spec.read_text("utf-8"), directory.status().listing
        directory.discard()
        directory.create(text, listing)
        fresh.append(replace(unit, seen=0))
    for part in packing.divide(fresh, size):
        packing.put([unit.directory for unit in part])
    return fresh
