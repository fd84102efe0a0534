"""The tables of a trial and their columns: the contract that scripts and other versions rely on.

Readers go by column name. New columns are appended, named ones never move or change meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dlx.records.cells import Cell, format_cell, format_row, format_text


@dataclass(frozen=True)
class Table:
    """A table's file name without ``.csv`` and its columns in order.

    ``reproducible``: every cell is a function of the spec, so rows derived again after an
    interruption must equal the earlier ones.
    """

    name: str
    columns: tuple[str, ...]
    reproducible: bool = True

    @property
    def file_name(self) -> str:
        """``<name>.csv``."""
        return f"{self.name}.csv"

    @property
    def header(self) -> bytes:
        """The first line."""
        return format_row(map(format_text, self.columns)).encode()

    def with_columns(self, *columns: str) -> Table:
        """The same table with more columns after its own; those it has already are left where they are."""
        added = tuple(column for column in dict.fromkeys(columns) if column not in self.columns)
        return replace(self, columns=self.columns + added)

    def row(self, values: dict[str, Cell]) -> bytes:
        """One line from values by column; a column without one is empty.

        Raises :class:`ValueError` for a column that the table has not.
        """
        if not values.keys() <= set(self.columns):
            unknown = ", ".join(sorted(values.keys() - set(self.columns)))
            raise ValueError(f"{self.file_name} has no column {unknown}")
        return format_row(format_cell(values.get(column)) for column in self.columns).encode()


PARTS = ("train", "val", "test")


def metrics_table(task: str = "classification", classes: int = 0) -> Table:
    """``metrics.csv``: one row per stage and epoch.

    ``task`` is ``classification`` or ``regression``; more than ten classes add the top-5 accuracy.
    """
    measures = ("loss", "accuracy") if task == "classification" else ("loss", "mae", "rmse", "r2")
    parts = [f"{part}_{measure}" for part in PARTS for measure in measures]
    table = Table("metrics", ("stage", "epoch", "step", *parts, "learning_rate"))
    if task == "classification" and classes > 10:
        table = table.with_columns(*(f"{part}_top5_accuracy" for part in PARTS))
    return table


METRICS = metrics_table()

GRADIENTS = Table(
    "gradients",
    (
        "stage",
        "epoch",
        "step",
        "layer",
        "name",
        "parameter",
        "source",
        "grad_norm",
        "weight_norm",
        "update_ratio",
    ),
)
"""One row per stage, record point, layer, parameter and source."""

ACTIVATIONS = Table("activations", ("stage", "epoch", "step", "layer", "name", "mean", "std", "saturated", "dead"))
"""One row per stage, record point and layer."""

LAYERS = Table(
    "layers",
    (
        "layer",
        "name",
        "type",
        "output_shape",
        "parameters",
        "multiply_adds",
        "trainable_parameters",
        "receptive_field",
        "block",
    ),
)
"""One row per layer of the network, from the input.

``block``: where deep nets have blocks, the layer's (``stage_2/block_3``, :mod:`dlx.blocks`)."""

MOVES = Table(
    "moves",
    ("stage", "epoch", "step", "layer", "name", "parameter", "weight_norm", "moved", "moved_ratio", "cosine"),
)
"""Of a trial of several stages: how far each took the weights, a row per layer and parameter at its end.

``weight_norm`` is ‖θ‖ at the stage's beginning, ``moved`` ‖θ′ − θ‖ from there to its end,
``moved_ratio`` their quotient and ``cosine`` that of the angle between θ and θ′ (both empty if a
norm is 0)."""

TIMING = Table("timing", ("stage", "epoch", "seconds", "examples_per_second"), reproducible=False)
"""One row per stage and epoch; apart because a clock, not the spec, decides what stands in it."""
