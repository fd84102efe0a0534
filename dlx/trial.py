"""The story of one trial, from its setting to its tables.

A trial directory holds a ``trial.yaml``. Whoever runs it becomes its one writer, loads the
data, and goes through the trial's stages one after the other: each compiles a program,
begins with the weights that the stages before it left, goes on from the newest checkpoint
if there is one, trains, and hands its weights on. What is left are tables, weights and a
last word.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlx.errors import TrialError
from dlx.events import Note, Observer, TrialEnded, TrialStarted
from dlx.interruption import Stop
from dlx.keeper import TrialKeeper
from dlx.preparation import layer_row, moves, numbered, plan, prepare, tables_of
from dlx.records.ownership import TakenOver
from dlx.records.status import Status
from dlx.records.tables import LAYERS, MOVES
from dlx.records.trial_directory import Attempt, Settled, TrialDirectory
from dlx.resumption import Standing, continue_from
from dlx.spec import Trial, load_trial
from dlx.training.loop import Loop
from dlx.verdict import verdict
from dlx.worker import Worker

if TYPE_CHECKING:
    from dlx.training.program import Program


def run_trial(
    directory: TrialDirectory, label: str, worker: Worker, stop: Stop, observe: Observer, *, seen: int | None = None
) -> Status:
    """Train a trial to its end, or as far as it gets; its last word is its status.

    What goes wrong with it is its own row and reason; what the machine refuses (no room, no
    permission) leaves it interrupted. ``seen`` is the last attempt that the caller knows of:
    a trial that another process has ended since is left as it is. Raises
    :class:`~dlx.records.ownership.Held` and :class:`~dlx.records.ownership.TakenOver` where
    another process works on it, :class:`~dlx.errors.TrialError` where nothing can be written.
    """
    trial = load_trial(directory.spec)
    try:
        attempt = directory.claim(seen=seen)
    except Settled:
        return directory.status()
    with attempt:
        attempt.notify = lambda sentence: observe(Note(sentence, trial.id))
        summary: dict[str, Any] = {"engine": worker.runtime.engine}
        try:
            _train(trial, label, attempt, worker, stop, observe, summary)
            status = attempt.end("done", summary=summary)
            if trial.setting.records.checkpoints == "until_done":
                attempt.checkpoints.clear()
        except TakenOver:
            raise
        except Exception as error:  # one trial's crash is that trial's row, and nothing else's problem
            state, reason, exit = verdict(error, attempt, worker)
            try:
                status = attempt.end(state, reason, summary=summary, exit=exit)
                if state == "pruned":
                    attempt.checkpoints.clear()
            except TrialError as refusal:
                # No room for the last word either: who looks finds no process, hence an interrupted trial.
                status = replace(attempt.status, state="interrupted", reason=f"{reason}; {refusal}")
    observe(TrialEnded(trial.id, label, status.state, status.reason, str(directory.log), status.summary))
    return status


def _train(
    trial: Trial,
    label: str,
    attempt: Attempt,
    worker: Worker,
    stop: Stop,
    observe: Observer,
    summary: dict[str, Any],
) -> None:
    """Data, stages, weights; ``summary`` is given the facts that ``trials.csv`` lists."""
    setting, directory = trial.setting, attempt.directory
    checkpoint = continue_from(directory, attempt, worker)
    stop.check()
    splits = worker.load(setting.dataset, trial.seed.order, stop.check)
    if setting.records.test == "withheld":
        splits = replace(splits, test=None)
    standing = Standing(setting, checkpoint)

    network = setting.network()
    summary |= {"parameters": network.parameters, "multiply_adds": network.multiply_adds}
    tables = tables_of(trial)
    recorder = attempt.record(tables.values(), checkpoint)
    if checkpoint is None:
        recorder.append(LAYERS, [layer_row(row) for row in network.rows()])
    epochs = {planned.name: planned.epochs for planned in setting.pipeline}
    observe(TrialStarted(trial.id, label, epochs, numbered(network), str(directory.path), standing.resumed))

    every = setting.training.checkpoint.every if setting.training.checkpoint else None
    stay = setting.records.checkpoints == "keep"
    keeper = TrialKeeper(attempt, recorder, tables, stop, every, standing.state, stay=stay, agree=worker.engine.agree)
    for planned in standing.stages:
        program = prepare(trial, splits, worker, planned, standing.handed)
        progress, best = standing.begin(program)
        todo = plan(trial, planned, program.stage, splits)
        loop = Loop(todo, program, progress, keeper, observe, trial=trial.id, seed=trial.seed.order, best=best)
        standing.loop = loop
        loop.run()
        if standing.start:
            recorder.append(MOVES, moves(todo, loop.progress.epoch, program, standing.start))
        standing.end()

    attempt.write_weights(loop.last, loop.best, standing.pretrained)
    if setting.records.model == "final":
        _save_model(program, attempt)
    summary |= {"epochs": loop.progress.epoch} | loop.progress.summary


def _save_model(program: Program, attempt: Attempt) -> None:
    """Write ``model.keras`` whole or not at all."""
    from dlx.records import atomic

    with atomic.placing(attempt.directory.model, check=attempt.verify) as place:
        program.save_model(place)
