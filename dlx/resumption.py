"""Where a trial stands: its stage, how far that has come, and what the stages before it have left.

All of it goes into a checkpoint and comes out again, so that a trial goes on in the middle
of any of its stages, to the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dlx import devices
from dlx.errors import TrialError
from dlx.records import environment
from dlx.records.trial_directory import Attempt, TrialDirectory
from dlx.training.loop import Loop, Progress

if TYPE_CHECKING:
    from dlx.records.checkpoints import Checkpoint
    from dlx.spec import Setting
    from dlx.stages import PlannedStage
    from dlx.training.program import Arrays, Program
    from dlx.worker import Worker

HANDED, BEST, PRETRAINED = "handed/", "best/", "pretrained/"
_OTHER_LAYOUT = "not continued, since its checkpoint was written by another version of dlx, which laid it out otherwise"
_DISCARD = "--restart discards what there is"


class NotContinued(TrialError):
    """Going on under other conditions would give other numbers than training undisturbed."""


def continue_from(directory: TrialDirectory, attempt: Attempt, worker: Worker) -> Checkpoint | None:
    """The newest whole checkpoint, provided that it was written under the conditions of today."""
    today = environment.gather(
        spec=directory.spec.read_text("utf-8"),
        engine=worker.engine.name,
        device=device(worker.engine.device(), worker.engine.devices),
        threads=worker.engine.threads,
        pack=worker.pack,
    )
    checkpoint = attempt.checkpoints.load_latest(attempt.note, not_beyond=worker.not_beyond)
    changes = directory.differences(today) if checkpoint else []
    origin = directory.origin()
    if changes and origin:
        attempt.note(f"not continued from {origin}, since {'; '.join(changes)}: trained from the beginning")
        attempt.disown()
        checkpoint = None
    elif changes:
        raise NotContinued(f"not continued, since {'; '.join(changes)}", hint=_DISCARD)
    if checkpoint is None or origin:
        attempt.write_environment(today)
    if checkpoint and origin:
        attempt.log(f"begun with what trial {origin} recorded")
    return checkpoint


def device(kind: str, count: int = 1) -> dict[str, Any]:
    """What trains: its kind, how many of them, and the memory of one in bytes where that is known."""
    found = devices.gpus() if kind != "cpu" else ()
    return {"kind": kind, "count": count, "memory": found[0].memory if found else devices.usable_memory()}


class Standing:
    """The stage that a trial is in, and what earlier ones handed on, by variable path.

    ``start``: the weights that it began with, in a trial of several stages. ``loop`` is that of
    the stage under way. Without a checkpoint the trial stands before its first stage.
    """

    loop: Loop

    def __init__(self, setting: Setting, checkpoint: Checkpoint | None) -> None:
        self._pipeline = setting.pipeline
        self._arrays: Arrays = dict(checkpoint.arrays) if checkpoint else {}
        self._kept: dict[str, Any] = Attempt.state_of(checkpoint) if checkpoint else {}
        self._at = 0
        if checkpoint:
            names = [planned.name for planned in self._pipeline]
            if self._kept["stage"] not in names:
                raise NotContinued(_OTHER_LAYOUT, hint=_DISCARD)
            self._at = names.index(self._kept["stage"])
        self.handed = _below(HANDED, self._arrays)
        self.pretrained = _below(PRETRAINED, self._arrays)
        """What stages without labels have trained, as they left it."""

    @property
    def resumed(self) -> str | None:
        """What a person is told of a trial that goes on."""
        if not self._kept:
            return None
        stage = f"{self._kept['stage']} " if len(self._pipeline) > 1 else ""
        progress = self._kept["progress"]
        return f"{stage}epoch {progress['epoch']}, step {progress['step']}"

    @property
    def stages(self) -> Iterator[PlannedStage]:
        """The stage under way and those after it."""
        while self._at < len(self._pipeline):
            yield self._pipeline[self._at]
            self._at += 1

    def begin(self, program: Program) -> tuple[Progress, Arrays | None]:
        """Put a stage's program where the checkpoint left it, once; gives its progress and best weights.

        Raises :class:`NotContinued` for a checkpoint whose arrays are not those that the program has.
        """
        self._program = program
        self.start = program.weights() if len(self._pipeline) > 1 else {}
        arrays, kept = self._arrays, self._kept
        self._arrays, self._kept = {}, {}
        if not kept:
            return Progress(), None
        own = {name: array for name, array in arrays.items() if not name.startswith((HANDED, BEST, PRETRAINED))}
        if _layout(own) != _layout(program.snapshot()) or kept["progress"].keys() != Progress().state().keys():
            raise NotContinued(_OTHER_LAYOUT, hint=_DISCARD)
        program.restore(arrays)
        return Progress.of(kept["progress"]), _below(BEST, arrays) or None

    def state(self) -> tuple[Arrays, dict[str, Any]]:
        """What a checkpoint keeps."""
        handed = {f"{HANDED}{name}": value for name, value in self.handed.items()}
        handed |= {f"{PRETRAINED}{name}": value for name, value in self.pretrained.items()}
        best = {f"{BEST}{name}": value for name, value in (self.loop.best or {}).items()}
        stage = self._pipeline[self._at].name
        return self._program.snapshot() | best | handed, {"stage": stage, "progress": self.loop.progress.state()}

    def end(self) -> None:
        """A stage is over: what it leaves is what the next one begins with."""
        if self._at + 1 == len(self._pipeline):
            return
        handed = self._program.handed_on()
        self.handed |= handed
        if not self._pipeline[self._at].spec.supervised:
            trained = {variable.path for group in self._program.stage.groups.values() for variable in group.variables}
            self.pretrained |= {path: value for path, value in handed.items() if path in trained}


def _layout(arrays: Arrays) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (array.shape, array.dtype.name) for name, array in arrays.items()}


def _below(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
