"""The story of one trial, from its setting to its tables.

A trial directory holds a ``trial.yaml``. Whoever runs it becomes its one writer, loads the
data, builds the network, compiles a program for each stage, goes on from the newest
checkpoint if there is one, trains, and leaves tables, weights and a last word.
"""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dlx import randomness
from dlx.errors import DlxError, TrialError, UsageError
from dlx.events import Note, Observer, TrialEnded, TrialStarted
from dlx.interruption import Interrupted, Pruned, Stop
from dlx.keeper import TrialKeeper
from dlx.probes import LayerParameters
from dlx.records import environment
from dlx.records.ownership import TakenOver
from dlx.records.status import State, Status
from dlx.records.tables import LAYERS, TIMING, Table, metrics_table
from dlx.records.trial_directory import Attempt, Settled, TrialDirectory
from dlx.spec import Trial, load_trial, settings
from dlx.training.loop import Diverged, Loop, Plan, Progress
from dlx.worker import Worker

if TYPE_CHECKING:
    import numpy as np

    from dlx.records.checkpoints import Checkpoint
    from dlx.sources import Source, Splits
    from dlx.stages import Stage
    from dlx.training.program import Arrays, Program

STAGE = "train"
OUT_OF_MEMORY = "out of memory"
NOT_BEGUN = "could not be begun"
REFUSED = "refused by the machine"


class NotContinued(TrialError):
    """Going on under other conditions would give other numbers than training undisturbed."""


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
            state, reason, exit = _verdict(error, attempt, worker)
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
    """Data, network, program, training, weights; ``summary`` is given the facts that ``trials.csv`` lists."""
    from dlx.sources import variation

    setting, directory = trial.setting, attempt.directory
    checkpoint = _continue_from(directory, attempt, worker)
    stop.check()
    splits = worker.load(setting.dataset)
    if setting.records.test == "withheld":
        splits = replace(splits, test=None)
    program = prepare(trial, splits, worker)
    progress, best = _restore(program, checkpoint)

    network = setting.network()
    summary |= {"parameters": network.parameters, "multiply_adds": network.multiply_adds}
    tables = _tables(trial, splits)
    recorder = attempt.record(tables.values(), checkpoint)
    if checkpoint is None:
        recorder.append(LAYERS, [_layer_row(row) for row in network.rows()])
    plan = Plan(
        STAGE,
        setting.training.epochs,
        tuple(setting.probes.values()),
        _layer_parameters(program.stage),
        program.stage.metrics,
        {part: variation(source) for part, source in _parts(splits).items()},
        setting.training.early_stopping,
    )
    layers = tuple((layer.number, layer.name) for layer in plan.layers if layer.number is not None)
    resumed = f"epoch {progress.epoch}, step {progress.step}" if checkpoint else None
    observe(TrialStarted(trial.id, label, {STAGE: plan.epochs}, layers, str(directory.path), resumed))

    def state() -> tuple[Arrays, dict[str, Any]]:
        kept = {f"best/{name}": value for name, value in (loop.best or {}).items()}
        return program.snapshot() | kept, {"stage": STAGE, "progress": loop.progress.state()}

    every = setting.training.checkpoint.every if setting.training.checkpoint else None
    stay = setting.records.checkpoints == "keep"
    keeper = TrialKeeper(attempt, recorder, tables, stop, every, state, stay=stay)
    loop = Loop(plan, program, progress, keeper, observe, trial=trial.id, seed=trial.seed.order, best=best)
    loop.run()

    attempt.write_weights(loop.last, loop.best)
    if setting.records.model == "final":
        _save_model(program, attempt)
    summary |= {"epochs": progress.epoch} | loop.progress.summary


def prepare(trial: Trial, splits: Splits, worker: Worker) -> Program:
    """The compiled program with these data and the trial's initial weights: all that there is before the first step."""
    from dlx.stages import supervised

    setting = trial.setting
    batch_size = len(splits.train) if setting.training.batch_size == "full" else setting.training.batch_size
    program = worker.engine.program(
        signature(trial),
        lambda: supervised.build(setting, splits),
        splits,
        min(batch_size, len(splits.train)),
        watch=any(probe.watches_steps for probe in setting.probes.values()),
    )
    program.load(_initial_values(trial, program.stage, splits), trial.seed.order)
    return program


def signature(trial: Trial) -> str:
    """What a compiled program depends on: another seed only reloads its variables."""
    sections = settings(trial.setting)
    training = {k: v for k, v in sections["training"].items() if k not in ("epochs", "early_stopping", "checkpoint")}
    return json.dumps([sections["dataset"], sections["model"], training], sort_keys=True)


def _initial_values(trial: Trial, stage: Stage, splits: Splits) -> dict[str, np.ndarray]:
    """Weights drawn in NumPy by (seed, variable), and the keys of the layers that draw for themselves."""
    import numpy as np

    from dlx.initializers import initial_values

    model = stage.model
    explicit = trial.setting.model.initial_weights_by_variable(splits.info.input_shape, trial.setting.outputs)
    values = initial_values(model, lambda purpose: randomness.generator(trial.seed.init, purpose), explicit)
    generators = [variable for variable in model.non_trainable_variables if variable.path not in values]
    for number, variable in enumerate(generators, start=1):
        # Two words, the second a counter. Keras numbers generators through the life of the process, so
        # that their paths depend on what was trained there before; their places in the network do not.
        word, _ = randomness.key(trial.seed.order, f"generator {number}")
        values[variable.path] = np.array([word, 0]).astype(variable.dtype)
    return values


def _continue_from(directory: TrialDirectory, attempt: Attempt, worker: Worker) -> Checkpoint | None:
    """The newest whole checkpoint, provided that it was written under the conditions of today."""
    today = environment.gather(
        spec=directory.spec.read_text("utf-8"),
        engine=worker.engine.name,
        device={"kind": worker.engine.device()},
        threads=worker.engine.threads,
    )
    checkpoint = attempt.checkpoints.load_latest(attempt.note)
    changes = directory.differences(today) if checkpoint else []
    origin = directory.origin()
    if changes and origin:
        attempt.note(f"not continued from {origin}, since {'; '.join(changes)}: trained from the beginning")
        attempt.disown()
        checkpoint = None
    elif changes:
        raise NotContinued(f"not continued, since {'; '.join(changes)}", hint="--restart discards what there is")
    if checkpoint is None or origin:
        attempt.write_environment(today)
    if checkpoint and origin:
        attempt.log(f"begun with what trial {origin} recorded")
    return checkpoint


def _restore(program: Program, checkpoint: Checkpoint | None) -> tuple[Progress, Arrays | None]:
    if checkpoint is None:
        return Progress(), None
    program.restore(checkpoint.arrays)
    best = {name.removeprefix("best/"): a for name, a in checkpoint.arrays.items() if name.startswith("best/")}
    return Progress.of(Attempt.state_of(checkpoint)["progress"]), best or None


def _tables(trial: Trial, splits: Splits) -> dict[str, Table]:
    tables = [metrics_table(splits.info.task, splits.info.outputs), LAYERS, TIMING]
    for probe in trial.setting.probes.values():
        tables += [Table(name, tuple(columns)) for name, columns in probe.tables().items()]
    return {table.name: table for table in tables}


def _layer_row(row: Any) -> dict[str, Any]:
    """A row of layers.csv; shapes are written 28x28x6."""
    sizes = {name: "x".join(map(str, getattr(row, name))) for name in ("output_shape", "receptive_field")}
    return {column: getattr(row, column) for column in LAYERS.columns} | sizes


def _layer_parameters(stage: Stage) -> tuple[LayerParameters, ...]:
    """The layers with a kernel, and where their variables stand among the trainable ones."""
    from dlx.keras_graph import kernel_layers

    positions = {id(variable): index for index, variable in enumerate(stage.model.trainable_variables)}
    layers = []
    for number, layer, variables in kernel_layers(stage.model):
        parameters: dict[str, int] = {}
        for variable in variables:
            # A bias of the pooling behind a layer goes by its full name, beside the layer's own.
            name = variable.path if variable.name in parameters else variable.name
            parameters[name] = positions[id(variable)]
        if parameters:
            layers.append(LayerParameters(number, layer.name, tuple(parameters.items()), stage.limits.get(layer.name)))
    return tuple(layers)


def _parts(splits: Splits) -> dict[str, Source | None]:
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


def _save_model(program: Program, attempt: Attempt) -> None:
    """Write ``model.keras`` whole or not at all."""
    from dlx.records import atomic

    with atomic.placing(attempt.directory.model, check=attempt.verify) as place:
        program.stage.model.save(place)


def _verdict(error: Exception, attempt: Attempt, worker: Worker) -> tuple[State, str, str | None]:
    """State, reason for a person to read, how the attempt ended; a defect's traceback goes to the log."""
    match error:
        case Pruned():
            return "pruned", error.message, None
        case Interrupted():
            return "interrupted", error.message, error.message
        case Diverged():
            return "diverged", error.message, None
    attempt.log(str(error) if isinstance(error, DlxError) else "".join(traceback.format_exception(error)))
    match error:
        case NotContinued():
            return "interrupted", str(error), "not continued"
        case UsageError():  # no data, no engine: the same command begins once that is mended
            return "interrupted", str(error), NOT_BEGUN
        case DlxError() if isinstance(error.__cause__, OSError):  # which says nothing of the trial
            return "interrupted", str(error), REFUSED
        case DlxError():
            return "failed", str(error), None
    if memory := worker.engine.out_of_memory(error):
        return "failed", memory, OUT_OF_MEMORY
    first = str(error).strip().partition("\n")[0] or "no message"
    return "failed", f"{type(error).__name__}: {first}", None
