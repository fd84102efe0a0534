"""Trials written by hand: a net of so many layers whose tables say what a test wants them to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dlx.records.status import Listing, State, Status, write_status
from dlx.records.tables import ACTIVATIONS, GRADIENTS, LAYERS, Table, metrics_table
from dlx.spec import load_text, resolved

Series = Sequence[float | None]


@dataclass
class Trial:
    """What the tables of one stage hold: per metric a value per epoch from 0; per layer a value per record point.

    ``gradients`` maps (quantity, parameter, source) to layers; layers are ``dense_1`` …, ``output``.
    Record points are epochs, from 0 (sources ``probe``) or 1 (``train``).
    """

    spec: str = "model: {name: mlp, depth: 3, activation: sigmoid}"
    metrics: Mapping[str, Series] = field(default_factory=dict)
    gradients: Mapping[tuple[str, str, str], Mapping[str, Series]] = field(default_factory=dict)
    activations: Mapping[str, Mapping[str, Series]] = field(default_factory=dict)
    state: State = "done"
    batch_normalized: bool = False
    seed: int = 0

    def write(self, folder: Path) -> Path:
        """The trial's directory below ``folder``."""
        trial = load_text(self.spec, [], seeds=f"[{self.seed}]").trials[0]
        place = folder / trial.id
        place.mkdir(parents=True)
        table = metrics_table(trial.setting.dataset.info().task)
        (place / "trial.yaml").write_text(resolved(trial, folder.parent.name), encoding="utf-8")
        write_status(place / "status.json", Status(self.state, listing=Listing(trial.id, self.seed)))
        depth = trial.setting.network().rows()
        self._write(place, LAYERS, self._layers([row for row in depth if row.layer]))
        epochs = max(
            (len(values) for values in self.metrics.values()), default=int(bool(self.gradients or self.activations))
        )
        rows = [
            {"stage": "train", "epoch": epoch, "step": 10 * epoch, "learning_rate": 0.1}
            | {name: values[epoch] for name, values in self.metrics.items()}
            for epoch in range(epochs)
        ]
        self._write(place, table, rows)
        self._write(place, GRADIENTS, self._gradient_rows())
        self._write(place, ACTIVATIONS, self._activation_rows())
        return place

    def _layers(self, rows: Sequence[object]) -> list[dict[str, object]]:
        written: list[dict[str, object]] = []
        for row in rows:
            number, name = row.layer, row.name  # type: ignore[attr-defined]
            shape = "x".join(map(str, row.output_shape))  # type: ignore[attr-defined]
            written.append({"layer": number, "name": name, "type": "Dense", "output_shape": shape})
            if self.batch_normalized:
                written.append({"layer": number, "name": f"{name}_normalization", "type": "BatchNormalization"})
        return written

    def _gradient_rows(self) -> list[dict[str, object]]:
        cells: dict[tuple[int, str, str, str], dict[str, object]] = {}
        for (quantity, parameter, source), layers in self.gradients.items():
            for name, values in layers.items():
                for at, value in enumerate(values):
                    epoch = at + (source == "train")
                    cells.setdefault((epoch, name, parameter, source), {})[quantity] = value
        return [
            {"stage": "train", "epoch": epoch, "step": 10 * epoch, "layer": self._number(name), "name": name}
            | {"parameter": parameter, "source": source}
            | numbers
            for (epoch, name, parameter, source), numbers in sorted(cells.items())
        ]

    def _activation_rows(self) -> list[dict[str, object]]:
        cells: dict[tuple[int, str], dict[str, object]] = {}
        for quantity, layers in self.activations.items():
            for name, values in layers.items():
                for epoch, value in enumerate(values):
                    cells.setdefault((epoch, name), {"mean": 0.5, "std": 0.1})[quantity] = value
        return [
            {"stage": "train", "epoch": epoch, "step": 10 * epoch, "layer": self._number(name), "name": name} | numbers
            for (epoch, name), numbers in sorted(cells.items())
        ]

    def _number(self, name: str) -> int:
        return 99 if name == "output" else int(name.rpartition("_")[2])

    @staticmethod
    def _write(place: Path, table: Table, rows: Sequence[dict[str, object]]) -> None:
        if rows:
            content = table.header + b"".join(table.row(row) for row in rows)  # type: ignore[arg-type]
            (place / table.file_name).write_bytes(content)
