"""What a stage of a trial needs before its first step: program, data, initial weights, a plan, tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dlx import randomness
from dlx.members import plain
from dlx.probes import LayerParameters
from dlx.records.tables import LAYERS, MOVES, TIMING, Table, metrics_table
from dlx.spec import Trial, settings
from dlx.training.loop import Plan

if TYPE_CHECKING:
    import numpy as np

    from dlx.network import Network
    from dlx.sources import Source, Splits
    from dlx.stages import PlannedStage, Stage
    from dlx.training.program import Arrays, Program
    from dlx.worker import Worker

_NOT_COMPILED = ("epochs", "early_stopping", "checkpoint")


def prepare(
    trial: Trial,
    splits: Splits,
    worker: Worker,
    planned: PlannedStage | None = None,
    handed: Mapping[str, np.ndarray] | None = None,
) -> Program:
    """A stage's compiled program with these data: all that there is before the first step.

    ``planned``: the stage, by default the trial's last. It begins with the weights that earlier
    ones have ``handed`` on, by path, and for the rest with the trial's initial ones.
    """
    setting = trial.setting
    planned = planned or setting.pipeline[-1]
    if planned.spec.supervised and not setting.model.reconstructs:
        splits = splits.with_labels()
    batch_size = len(splits.train) if planned.batch_size == "full" else planned.batch_size
    program = worker.engine.program(
        signature(trial, planned),
        lambda: planned.spec.build(setting, splits, planned),
        splits,
        min(batch_size, len(splits.train)),
        watch=any(probe.watches_steps for probe in setting.probes.values()),
        keep=len(setting.pipeline),
    )
    own = program.stage.own_state(randomness.generator(trial.seed.order, f"state/{planned.name}"))
    program.load(_initial_values(trial, program.stage, splits, worker) | own | dict(handed or {}), trial.seed.order)
    return program


def signature(trial: Trial, planned: PlannedStage | None = None) -> str:
    """What a compiled program depends on: another seed only reloads its variables."""
    planned = planned or trial.setting.pipeline[-1]
    sections = settings(trial.setting)
    training = {key: value for key, value in sections["training"].items() if key not in _NOT_COMPILED}
    stage = [planned.name, plain(planned.optimizer), {**plain(planned.spec), "epochs": None}]
    dataset = {**sections["dataset"], "digest": trial.setting.dataset.digest(), "fold": str(trial.fold)}
    return json.dumps([dataset, sections["model"], training, stage, trial.setting.recalls], sort_keys=True)


def plan(trial: Trial, planned: PlannedStage, stage: Stage, splits: Splits) -> Plan:
    """What the loop is to do in a stage."""
    return Plan(
        planned.name,
        planned.epochs,
        tuple(trial.setting.probes.values()),
        _layer_parameters(stage),
        stage.metrics,
        _variations(trial, planned, splits),
        planned.early_stopping,
        last=planned == trial.setting.pipeline[-1],
    )


def tables_of(trial: Trial) -> dict[str, Table]:
    """The trial's tables by name, each with the columns that some stage of it needs."""
    setting = trial.setting
    more = [column for planned in setting.pipeline for column in planned.spec.columns(setting)]
    learned = setting.learned
    tables = [metrics_table(learned.task, learned.outputs).with_columns(*more), LAYERS, TIMING]
    tables += [MOVES] if len(setting.pipeline) > 1 else []
    for probe in setting.probes.values():
        tables += [Table(name, tuple(columns)) for name, columns in probe.tables(setting).items()]
    return {table.name: table for table in tables}


def layer_row(row: Any) -> dict[str, Any]:
    """A row of layers.csv; shapes are written 28x28x6."""
    sizes = {name: "x".join(map(str, getattr(row, name))) for name in ("output_shape", "receptive_field")}
    return {column: getattr(row, column) for column in LAYERS.columns} | sizes


def moves(plan: Plan, epochs: int, program: Program, start: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Rows of moves.csv: how far a stage of so many epochs took each trained layer from ``start``, by path."""
    import numpy as np

    end, paths = program.weights(), [variable.path for variable in program.stage.model.trainable_variables]
    about = {"stage": plan.stage, "epoch": epochs, "step": epochs * program.steps}
    rows = []
    for layer in plan.layers:
        together = [("all", [index for _, index in layer.parameters])] if layer.parameters else []
        for parameter, indices in [*((name, [index]) for name, index in layer.parameters), *together]:
            before, after = (
                np.concatenate([arrays[paths[index]].ravel().astype(np.float64) for index in indices])
                for arrays in (start, end)
            )
            norm, other = float(np.linalg.norm(before)), float(np.linalg.norm(after))
            moved = float(np.linalg.norm(after - before))
            rows.append(
                about
                | {
                    "layer": layer.number,
                    "name": layer.name,
                    "parameter": parameter,
                    "weight_norm": norm,
                    "moved": moved,
                }
                | {"moved_ratio": moved / norm if norm else None}
                | {"cosine": float(before @ after) / (norm * other) if norm and other else None}
            )
    return rows


def numbered(network: Network) -> tuple[tuple[int, str], ...]:
    """(number, name) of the layers with a kernel."""
    numbers = network.layer_numbers()
    names = [node.layer.name for node in network.kernel_layers() if node.layer]
    return tuple((numbers[name], name) for name in names if name in numbers)


def _initial_values(trial: Trial, stage: Stage, splits: Splits, worker: Worker) -> Arrays:
    """Weights drawn in NumPy by (seed, variable) or from a file, and the keys of the layers that draw."""
    import numpy as np

    from dlx.initializers import initial_values

    model = stage.model
    explicit = trial.setting.model.initial_weights_by_variable(splits.info.input_shape, trial.setting.outputs)
    present = {layer.name for layer in model.layers}
    explicit = {key: value for key, value in explicit.items() if key[0] in present}
    values = initial_values(model, lambda purpose: randomness.generator(trial.seed.init, purpose), explicit)
    given = trial.setting.model.weights_file(splits.info.input_shape, trial.setting.outputs)
    if given is not None:
        from dlx.applications.weights import initial_values as offered

        values |= offered(model, *given, worker.places)
    generators = [variable for variable in model.non_trainable_variables if variable.path not in values]
    for number, variable in enumerate(generators, start=1):
        # Two words, the second a counter. Keras numbers generators through the life of the process, so
        # that their paths depend on what was trained there before; their places in the network do not.
        word, _ = randomness.key(trial.seed.order, f"generator {number}")
        values[variable.path] = np.array([word, 0]).astype(variable.dtype)
    return values


def _layer_parameters(stage: Stage) -> tuple[LayerParameters, ...]:
    """The layers with a kernel, and where their variables stand among the trainable ones; a frozen one has none."""
    from dlx.keras_graph import kernel_layers

    positions = {id(variable): index for index, variable in enumerate(stage.model.trainable_variables)}
    layers = []
    for number, layer, variables in kernel_layers(stage.model):
        parameters: dict[str, int] = {}
        for variable in variables:
            # A bias of the pooling behind a layer goes by its full name, beside the layer's own.
            name = variable.path if variable.name in parameters else variable.name
            parameters[name] = positions[id(variable)]
        counted = None if layer.name in stage.unnumbered else number
        limits = stage.limits.get(layer.name)
        layers.append(LayerParameters(counted, layer.name, tuple(parameters.items()), limits))
    return tuple(layers)


def _variations(trial: Trial, planned: PlannedStage, splits: Splits) -> dict[str, np.ndarray | None]:
    """For R²: the variation of each part's targets, which an autoencoder's inputs are."""
    from dlx.sources.statistics import variation, variation_of_inputs

    if not planned.spec.supervised:
        return {}
    of = variation_of_inputs if trial.setting.model.reconstructs else variation
    return {part: of(source, splits.scaling) for part, source in _parts(splits).items()}


def _parts(splits: Splits) -> dict[str, Source | None]:
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}
