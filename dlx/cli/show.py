"""``dlx show``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dlx.cli.columns import aligned
from dlx.cli.options import Json, Plugins, Sets

if TYPE_CHECKING:
    from dlx.models import ModelSpec
    from dlx.network import LayerRow, Network

Level = Literal["layer", "block", "stage"]


def show(
    target: Annotated[str, typer.Argument(metavar="SPEC|MODEL", help="A YAML spec, or the name of a model.")],
    sets: Sets = None,
    input_shape: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="SHAPE",
            help="Input of a model, such as 28x28x1 or 64.  [default: as published, else 28x28x1]",
        ),
    ] = None,
    outputs: Annotated[
        int | None,
        typer.Option("--outputs", metavar="N", help="Outputs of a model.  [default: as published, else 10]", min=1),
    ] = None,
    by: Annotated[
        Literal["layer", "block", "stage"],
        typer.Option("--by", metavar="LEVEL", help="Rows of the table: layer (the default), or a block or stage each."),
    ] = "layer",
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show a network layer by layer, before any training.

    Output shapes, parameters, multiply-adds (one for each product of a convolution or dense layer, padding included)
    and receptive fields (the pixels of the input that a unit can see). Of a sweep, each network that differs.

    Example: dlx show cnn --input 32x32x1 --set model.dense=[64]
    """
    from dlx.errors import UsageError
    from dlx.shipped import place

    if _is_spec(target):
        if input_shape is not None or outputs is not None:
            raise UsageError("--input and --outputs are for models; a spec's come from its dataset")
        shown = of_spec(place(target), sets or [])
    else:
        shape = None if input_shape is None else parse_shape(input_shape)
        shown = [of_model(target, sets or [], shape, outputs)]
    if as_json:
        from dlx import objects

        print(objects.text("show", {"networks": [one.as_dict() for one in shown]}))
    else:
        print("\n\n".join("\n".join(one.lines(by)) for one in shown))


@dataclass(frozen=True)
class Shown:
    """A network of a model; ``parameters``: the values of a sweep's axes of model and dataset that lead to it."""

    model: ModelSpec
    network: Network
    parameters: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """The network as plain values."""
        from dlx.members import plain

        network = self.network
        return {
            "model": plain(self.model),
            "parameters": self.parameters,
            "input_shape": list(network.input.shape),
            "outputs": network.output.shape[-1],
            "layers": [asdict(row) for row in network.rows()],
            "total": {
                "parameters": network.parameters,
                "trainable_parameters": network.trainable_parameters,
                "multiply_adds": network.multiply_adds,
                "connections": network.connections,
                "auxiliary_parameters": network.auxiliary_parameters,
            },
        }

    def lines(self, by: Level = "layer") -> list[str]:
        """The network as a table, a row for each layer, or for each block or stage where layers have one."""
        network = self.network
        varied = ", ".join(f"{path}={value}" for path, value in self.parameters.items())
        shape = "x".join(map(str, network.input.shape))
        fixed = network.parameters - network.trainable_parameters
        parameters = f"{network.parameters:,} parameters" + (f" ({fixed:,} not trainable)" if fixed else "")
        counts = f"{network.multiply_adds:,} multiply-adds, {network.connections:,} connections"
        beside = network.auxiliary_parameters
        more = [f"and {beside:,} parameters of auxiliary classifiers, in training only"] if beside else []
        return [
            f"{network.name}{f' with {varied}' if varied else ''}, input {shape}",
            "",
            *(_table(network.rows()) if by == "layer" else _table_of_groups(network.rows(), by)),
            "",
            f"{parameters}, {counts}",
            *more,
        ]


def of_spec(path: Path, sets: Sequence[str]) -> list[Shown]:
    """The networks of a spec's trials, each once; raises :class:`~dlx.errors.SpecError`."""
    from dlx.spec import load

    found: dict[Any, Shown] = {}
    # Trials that differ in their seed share one setting.
    trials = {id(trial.setting): trial for trial in reversed(load(path, sets).trials)}
    for trial in reversed(trials.values()):
        network = trial.setting.network()
        key = (network.name, network.input.shape, tuple(network.rows()))
        shaping = {key: value for key, value in trial.parameters.items() if key.startswith(("model", "dataset"))}
        found.setdefault(key, Shown(trial.setting.model, network, shaping))
    return list(found.values())


def of_model(name: str, sets: Sequence[str], input_shape: tuple[int, ...] | None, outputs: int | None) -> Shown:
    """A model by name with settings ``model.…=value``; raises :class:`~dlx.errors.SpecError` for impossible ones.

    Input and outputs where none are given: as it was published.
    """
    from dlx.errors import FieldError, SpecError, UsageError
    from dlx.models import registry
    from dlx.spec.document import Place, node_of
    from dlx.spec.overrides import apply, in_order, parse_set
    from dlx.spec.sections import check_section

    usual = registry.get(name).usual()
    input_shape, outputs = input_shape or usual[0], outputs or usual[1]
    place = Place(f"dlx show {name}")
    assignments = [parse_set(text) for text in sets]
    for assignment in assignments:
        if assignment.path[0] != "model":
            raise UsageError(f"--set {'.'.join(assignment.path)}: a model by name has only model.… to set")
    node, _ = apply(node_of(name, place), in_order(assignments), ("model",))
    model, problems = check_section("model", node, place)
    if problems:
        raise SpecError(problems)
    try:
        model.check(input_shape, outputs)
        return Shown(model, model.network(input_shape, outputs), {})
    except FieldError as error:
        at = node.find(error.path) if node is not None else place
        raise SpecError([at.problem(error.message, ("model", *error.path))]) from None


def parse_shape(text: str) -> tuple[int, ...]:
    """``32x32x3`` as numbers; raises :class:`~dlx.errors.UsageError`."""
    from dlx.errors import UsageError

    parts = text.replace("×", "x").split("x")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 10**9 for part in parts):
        raise UsageError(f"--input: {text!r} is not a shape such as 28x28x1 or 64")
    return tuple(map(int, parts))


def _is_spec(target: str) -> bool:
    from dlx.models import registry
    from dlx.shipped import named

    path = Path(target)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or path.is_file():
        return True
    return target not in registry.names() and named(target) is not None


def _table_of_groups(rows: Sequence[LayerRow], by: Level) -> list[str]:
    """Layers of one block or stage in one row: their numbers, sums, and what comes out of the last."""
    from dlx.blocks import together

    # By depth from the output, layers of paths side by side may stand among those of another block.
    groups: dict[str, list[LayerRow]] = {}
    for group in together([row.name for row in rows], stages=by == "stage"):
        groups.setdefault(group.name, []).extend(rows[position] for position in group.positions)

    heads = "layers", str(by), "output", "parameters", "multiply-adds", "receptive field"
    table: list[tuple[str, ...]] = [heads]
    for name, mine in groups.items():
        if name == mine[0].name and not any(row.parameters for row in mine):
            continue  # what is between blocks and has no weights
        numbers = [row.layer for row in mine if row.layer is not None]
        ends = sorted({min(numbers), max(numbers)}) if numbers else []
        total = sum(row.parameters for row in mine)
        table.append(
            (
                "-".join(map(str, ends)),
                name,
                "x".join(map(str, mine[-1].output_shape)),
                f"{total:,}" if total else "",
                f"{sum(row.multiply_adds for row in mine):,}",
                "x".join(map(str, mine[-1].receptive_field)),
            )
        )
    return aligned(table, right={0, 3, 4})


def _table(rows: Sequence[LayerRow]) -> list[str]:
    heads = ("layer", "name", "type", "output", "parameters", "multiply-adds", "receptive field", "block")
    table = [heads, *(_cells(row) for row in rows)]
    if not any(row.block for row in rows):
        table = [line[:-1] for line in table]
    return aligned(table, right={0, 4, 5})


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        "" if row.layer is None else str(row.layer),
        row.name,
        row.type,
        "x".join(map(str, row.output_shape)),
        f"{row.parameters:,}" if row.parameters else "",
        f"{row.multiply_adds:,}" if row.multiply_adds else "",
        "x".join(map(str, row.receptive_field)),
        row.block,
    )
